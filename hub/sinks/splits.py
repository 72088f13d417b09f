"""Which pictures of a dataset are trained on, and which measure what was learned. Pure."""

import hashlib
from collections.abc import Iterable, Iterator

TRAIN, VAL = "train", "val"

VAL_SHARE = 0.1
"""Of the hours of cameras, on average."""


def split_of(camera: str, taken_at: float) -> str:
    """TRAIN or VAL, for good and in every dataset. taken_at: Unix seconds.

    Drawn by the camera and the hour, because the frames of a camera taken soon after each other are alike: to learn
    from one and be measured by the next flatters a model.
    """
    drawn = hashlib.sha256(f"{camera}\n{taken_at // 3600:.0f}".encode()).digest()
    return VAL if int.from_bytes(drawn[:4], "big") < VAL_SHARE * 2**32 else TRAIN


def listed(pictures: Iterable[tuple[str, str]], split: str) -> Iterator[bytes]:
    """The lines of a split's list. pictures: (path, its split). A split that would be empty has them all, since no
    trainer takes an empty one."""
    others: list[str] | None = []
    for path, its in pictures:
        if its == split:
            others = None
            yield _line(path)
        elif others is not None:
            others.append(path)
    yield from map(_line, others or ())


def _line(path: str) -> bytes:
    # Ultralytics takes a path that begins with ./ as one beside the list.
    return f"./{path}\n".encode()
