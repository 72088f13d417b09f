"""The elements of an embedding version, a few at a time, with what is known of their frames."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from hub.archive import ANY, Archive, EmbeddingUse, Filter, SeenFrame, Stored
from shared.errors import NotFound

AT_ONCE = 2000
"""Elements held in memory at once, of whatever size the corpus is."""

Progress = Callable[[int, int], None]
"""Told how many are done, and of how many."""


@dataclass(frozen=True, eq=False)
class Item:
    """An element, its vector, and its frame's size (0, 0 where it is not known) and source."""

    stored: Stored
    size_wh: tuple[int, int] = (0, 0)
    source: str = ""


def walk(
    archive: Archive, embedding_version: str, where: Filter = ANY, *, progress: Progress | None = None
) -> Iterator[list[Item]]:
    """What is stored now, in the order of ids but for key 0, which comes first: at the end of a list of ids a zero
    means "unused" to Robotoff-ANN. What is deleted meanwhile is left out."""
    ids = _ids(archive, embedding_version)
    for start in range(0, len(ids), AT_ONCE):
        some = ids[start : start + AT_ONCE]
        found = [each for each in archive.stored(some) if where.covers(each.element)]
        frames = archive.frames(list({each.element.frame_id for each in found}))
        if found:
            yield [_item(each, frames) for each in found]
        if progress is not None:
            progress(min(start + AT_ONCE, len(ids)), len(ids))


def _ids(archive: Archive, version: str) -> Sequence[int]:
    ids = archive.living(version, first=1, last=archive.last_id(version))
    zero = [each.element.id for each in archive.by_key([0], version)]
    ordered: list[int] = ids.tolist()
    if zero:
        ordered.remove(zero[0])
    return zero + ordered


def _item(stored: Stored, frames: Mapping[str, SeenFrame]) -> Item:
    frame = frames.get(stored.element.frame_id)
    return Item(stored) if frame is None else Item(stored, frame.size_wh, frame.source)


def use_of(archive: Archive, embedding_version: str) -> EmbeddingUse:
    """What is known of an embedding version. NotFound for none that is stored."""
    uses = {each.version: each for each in archive.embedding_versions()}
    if embedding_version not in uses:
        raise NotFound("embedding version", embedding_version, uses, hint="See: hub index versions")
    return uses[embedding_version]
