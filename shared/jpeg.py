"""The segments of a JPEG file, found without decoding. Source: ITU-T T.81, annex B."""

import re
import struct
from collections.abc import Iterator

from shared.errors import ImageError

MAX_STEPS = 20_000
"""Segments, chunks or blocks read of one file. Real files have dozens; a hostile one has millions."""

START_OF_SCAN, APP0, APP1 = 0xDA, 0xE0, 0xE1
_BARE = frozenset((0x01, *range(0xD0, 0xD8)))
FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]", re.DOTALL)
_NOT_FILL = re.compile(rb"[^\xff]", re.DOTALL)


def is_exif(data: bytes, marker: int, start: int) -> bool:
    """Whether the segment at `start` holds EXIF; its TIFF block begins 10 bytes on."""
    return marker == APP1 and data[start + 4 : start + 10] == b"Exif\0\0"


def segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """(marker, start, end) of each segment up to and with the start of scan; start is where its FF stands.

    Stops where the bytes do; the last segment may end behind them.
    """
    position = 2
    for _ in range(MAX_STEPS):
        start = position
        if start < len(data) and data[start] != 0xFF:
            raise ImageError("undecodable", f"a JPEG marker is missing at byte {start}")
        # Fill bytes may stand before a marker; a run of them is one search, not one step each.
        code = _NOT_FILL.search(data, start + 1)
        if code is None or code.end() + 2 > len(data) or code[0] == b"\xd9":
            return
        marker, position = code[0][0], code.end()
        start = position - 2
        if marker in _BARE:
            continue
        length = _length(data, position)
        if length < 2:
            raise ImageError("undecodable", f"a JPEG segment at byte {start} has length {length}")
        position += length
        yield marker, start, position
        if marker == START_OF_SCAN:
            return
    raise ImageError("undecodable", f"more than {MAX_STEPS} JPEG segments")


def ends(data: bytes, position: int) -> bool:
    """Whether an end-of-image marker follows the scan data at `position` (FF is stuffed there, so it is real)."""
    for _ in range(MAX_STEPS):
        found = _NEXT_MARKER.search(data, position)
        if found is None:
            return False
        if found[0][1] == 0xD9:
            return True
        position = found.end()
        if found[0][1] not in _BARE and position + 2 <= len(data):
            position += _length(data, position)
    return False


def _length(data: bytes, at: int) -> int:
    return int(struct.unpack_from(">H", data, at)[0])
