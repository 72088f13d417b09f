"""Pictures are decoded and looked at by several threads at once, and come out in the order they went in."""

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass

from hub.footage.files import Unreadable
from hub.footage.reading import FilmEnd, Picture
from hub.pipeline import Decoded, perceive
from hub.scan.sight import Sight
from hub.types import Image, Observation
from hub.vision import decode
from shared.errors import ImageError
from shared.image import image_facts

_MOST_BYTES = 2**30
"""Of pixels that are decoded and not looked at yet."""

_MOST_ITEMS = 256


@dataclass(frozen=True, eq=False)
class Seen:
    """What is known of a frame. size: bytes read for it. is_new: it was looked at just now.

    is_moved: it is known, but its picture is no longer where it was.
    """

    observation: Observation
    source: str
    size: int = 0
    is_new: bool = True
    is_moved: bool = False


Looked = Seen | FilmEnd | Unreadable
_Item = Looked | tuple[Picture, "Future[Image]"]


def look(items: Iterable[Picture | Looked], sight: Sight) -> Generator[Looked, None, None]:
    """Pictures become what is seen in them, or unreadable; all else passes. Close it to stop.

    ModelError where a model fails.
    """
    ahead = 2 * sight.workers + 2
    waiting: deque[Future[list[Looked]]] = deque()
    decoders, lookers = ThreadPoolExecutor(4, "decode"), ThreadPoolExecutor(sight.workers, "inference")
    try:
        for group in _groups(items, sight.batch, decoders, _MOST_BYTES // (ahead + 1)):
            waiting.append(lookers.submit(_look_at, group, sight))
            while len(waiting) > ahead or (waiting and waiting[0].done()):
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    finally:
        for pool in (decoders, lookers):
            pool.shutdown(wait=True, cancel_futures=True)


def _groups(
    items: Iterable[Picture | Looked], batch: int, decoders: Executor, most_bytes: int
) -> Iterator[list[_Item]]:
    """As many as are looked at together, on their way to be decoded, with what lies between them."""
    group: list[_Item] = []
    pictures = weight = 0
    for item in items:
        if isinstance(item, Picture):
            group.append((item, decoders.submit(decode, item.frame.jpeg)))
            pictures, weight = pictures + 1, weight + _weight(item)
        else:
            group.append(item)
        if pictures >= batch or weight >= most_bytes or len(group) >= _MOST_ITEMS:
            yield group
            group, pictures, weight = [], 0, 0
    if group:
        yield group


def _weight(picture: Picture) -> int:
    """Bytes of its pixels."""
    try:
        facts = image_facts(picture.frame.jpeg)
    except ImageError:
        return 0  # decoding it will say what is wrong
    return facts.width * facts.height * 3


def _look_at(group: list[_Item], sight: Sight) -> list[Looked]:
    out: list[Looked | Picture] = []
    decoded: list[Decoded] = []
    for item in group:
        if not isinstance(item, tuple):
            out.append(item)
            continue
        picture, image = item
        try:
            decoded.append(Decoded(picture.frame, image.result()))
            out.append(picture)
        except ImageError as error:
            out.append(Unreadable(picture.source, error.message, picture.size))
    seen = iter(perceive(decoded, sight.needs, sight.detector, sight.embedder))
    return [Seen(next(seen), each.source, each.size) if isinstance(each, Picture) else each for each in out]
