"""The few EXIF tags we read and write: orientation, and when a picture was taken. Source: CIPA DC-008."""

import re
import struct
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

Tags = Mapping[int, int | bytes]
"""Tag number → its value: whole numbers, and texts as bytes. Other kinds are left out."""

_ORIENTATION, _EXIF_POINTER = 0x0112, 0x8769
_VERSION, _ORIGINAL, _OFFSET, _SUBSECOND = 0x9000, 0x9003, 0x9011, 0x9291
_ASCII, _SHORT, _LONG, _UNDEFINED = 2, 3, 4, 7


def tags(tiff: bytes) -> Tags:
    """The tags of a TIFF block and its EXIF directory; what can be read of a malformed one."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2], "")
    found: dict[int, int | bytes] = {}
    try:
        if order and struct.unpack_from(order + "H", tiff, 2)[0] == 42:
            _read_directory(tiff, order, struct.unpack_from(order + "L", tiff, 4)[0], found)
            pointer = found.get(_EXIF_POINTER)
            if isinstance(pointer, int):
                _read_directory(tiff, order, pointer, found)
    except struct.error:
        pass  # a cut directory: what was read of it counts
    return found


def _read_directory(tiff: bytes, order: str, offset: int, found: dict[int, int | bytes]) -> None:
    (count,) = struct.unpack_from(order + "H", tiff, offset)
    for at in range(offset + 2, offset + 2 + count * 12, 12):
        tag, kind, length = struct.unpack_from(order + "HHL", tiff, at)
        if kind == _SHORT and length == 1:
            found[tag] = struct.unpack_from(order + "H", tiff, at + 8)[0]
        elif kind == _LONG and length == 1:
            found[tag] = struct.unpack_from(order + "L", tiff, at + 8)[0]
        elif kind == _ASCII and length <= 64:
            where = at + 8 if length <= 4 else struct.unpack_from(order + "L", tiff, at + 8)[0]
            found[tag] = tiff[where : where + length].split(b"\0")[0]


def orientation(found: Tags) -> int:
    """1..8; 1 (upright) where it is absent or senseless."""
    value = found.get(_ORIENTATION)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def original_time(found: Tags) -> float | None:
    """Unix seconds; None where the time is absent, malformed or without its offset from UTC."""
    original, offset_text, fraction = (_text(found.get(tag)) for tag in (_ORIGINAL, _OFFSET, _SUBSECOND))
    offset = re.fullmatch(r"([+-])([0-9]{2}):([0-9]{2})", offset_text)
    if offset is None:
        return None
    east = timedelta(hours=int(offset[2]), minutes=int(offset[3])) * (1 if offset[1] == "+" else -1)
    subsecond = float(f"0.{fraction}") if re.fullmatch(r"[0-9]{1,9}", fraction) else 0.0
    try:
        naive = datetime.strptime(original, "%Y:%m:%d %H:%M:%S").replace(tzinfo=UTC)
        return (naive - east).timestamp() + subsecond
    except (ValueError, OverflowError):
        return None


def _text(value: int | bytes | None) -> str:
    return value.decode("ascii", "replace").strip() if isinstance(value, bytes) else ""


def segment(taken_at: float, orientation: int) -> bytes:
    """An APP1 segment for a JPEG. taken_at: Unix seconds, kept to the microsecond."""
    moment = datetime.fromtimestamp(taken_at, UTC)
    original = moment.strftime("%Y:%m:%d %H:%M:%S").encode().rjust(19, b"0") + b"\0"
    first_at, second_at = 8, 8 + 2 + 2 * 12 + 4
    values_at = second_at + 2 + 4 * 12 + 4
    first = struct.pack(">HHHLHxxHHLLL", 2, _ORIENTATION, _SHORT, 1, orientation, _EXIF_POINTER, _LONG, 1, second_at, 0)
    second = struct.pack(
        ">HHHL4sHHLLHHLLHHLLL", 4, _VERSION, _UNDEFINED, 4, b"0232", _ORIGINAL, _ASCII, 20, values_at,
        _OFFSET, _ASCII, 7, values_at + 20, _SUBSECOND, _ASCII, 7, values_at + 27, 0,
    )  # fmt: skip
    values = original + b"+00:00\0" + f"{moment.microsecond:06d}".encode() + b"\0"
    tiff = struct.pack(">2sHL", b"MM", 42, first_at) + first + second + values
    return struct.pack(">HH6s", 0xFFE1, 2 + 6 + len(tiff), b"Exif\0\0") + tiff
