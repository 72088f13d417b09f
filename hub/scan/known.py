"""What is stored of frames already, in place of looking at them again."""

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import replace

from hub.archive import Archive
from hub.footage.files import Unreadable, parse_source
from hub.footage.reading import FilmEnd, Item, KnownFilm, Picture
from hub.pipeline import MAX_CROPS, confident
from hub.scan.side_by_side import Looked, Seen
from hub.scan.sight import Sight
from hub.types import Observation
from shared.errors import NotFound

PAGE = 500
"""Frames of a film that are asked for at once."""

_ASKED = 16
_ASKED_BYTES = 64 * 2**20
"""Frames that the store is asked about at once, and what their files may weigh. No more than films are read ahead:
whoever looks at pictures would wait for them to be sampled."""


class Known:
    """What an archive knows well enough for what is looked for."""

    def __init__(self, archive: Archive, sight: Sight) -> None:
        self._archive, self._version = archive, sight.embedder.version
        self._needs, self._detector = sight.needs, sight.detector

    def film(self, film_id: str) -> Sequence[str] | None:
        """The frames of a film that was scanned before, if all of them are known well enough."""
        film = self._archive.scanned([film_id]).get(film_id)
        if film is None:
            return None
        for some in _pieces(film.frames, PAGE):
            known = self._archive.recall(some, self._version)
            if not all(frame in known and self._is_enough(known[frame]) for frame in some):
                return None
        return film.frames

    def recalled(self, items: Iterable[Item]) -> Generator[Picture | Looked, None, None]:
        """What is known of frames in place of their pictures."""
        waiting: list[Picture | FilmEnd | Unreadable] = []
        weight, most = 0, 2
        for item in items:
            if isinstance(item, KnownFilm):
                yield from self._asked(waiting)
                yield from self._of_film(item)
                waiting, weight = [], 0
                continue
            waiting.append(item)
            weight += len(item.frame.jpeg) if isinstance(item, Picture) else 0
            if len(waiting) >= most or weight >= _ASKED_BYTES:
                yield from self._asked(waiting)
                waiting, weight, most = [], 0, min(2 * most, _ASKED)
        yield from self._asked(waiting)

    def _asked(self, some: Sequence[Picture | FilmEnd | Unreadable]) -> Iterator[Picture | Looked]:
        ids = [each.frame.id for each in some if isinstance(each, Picture)]
        known = self._archive.recall(ids, self._version)
        known = {frame_id: seen for frame_id, seen in known.items() if self._is_enough(seen)}
        places = self._archive.frames(list(known))
        for each in some:
            if isinstance(each, Picture) and each.frame.id in known:
                seen = known[each.frame.id]
                # Its time and camera stay as they were; its bytes are at hand.
                frame = replace(seen.frame, jpeg=each.frame.jpeg)
                moved = not _is_there(places[each.frame.id].source)
                yield Seen(replace(seen, frame=frame), each.source, each.size, is_new=False, is_moved=moved)
            else:
                yield each

    def _of_film(self, film: KnownFilm) -> Iterator[Looked]:
        for some in _pieces(film.frames, PAGE):
            known, places = self._archive.recall(some, self._version), self._archive.frames(some)
            for frame_id in (each for each in some if each in known):
                before = places[frame_id].source
                source = f"{film.source}#{before.rpartition('#')[2]}"
                yield Seen(known[frame_id], source, is_new=False, is_moved=not _is_there(before))
        yield FilmEnd("", film.source, (), film.size)

    def _is_enough(self, seen: Observation) -> bool:
        """Whether a frame need not be looked at again."""
        needs, detector = self._needs, self._detector
        if needs.detections and detector is not None and seen.detector != f"{detector.name} {detector.version}"[:200]:
            return False
        crops = len(confident(seen.detections, needs.crop_confidence)) if needs.crop_vectors else 0
        return len(seen.vectors) >= 1 + min(crops, MAX_CROPS)


def _is_there(source: str) -> bool:
    try:
        parse_source(source)
    except NotFound:
        return False
    return True


def _pieces(ids: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), size):
        yield ids[start : start + size]
