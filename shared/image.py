"""What a picture is, read from its header without decoding; and the capture time in a JPEG's EXIF.

Every function takes bytes of any origin: it answers or raises ImageError, in time linear in their length.
Formats: ITU-T T.81 (JPEG), W3C PNG, GIF89a, the WebP container, Microsoft's BITMAPINFOHEADER.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass

from shared import exif
from shared import jpeg as jpeg_file
from shared.errors import ImageError
from shared.jpeg import MAX_STEPS


@dataclass(frozen=True)
class ImageFacts:
    """What the header says of a picture.

    format: jpeg, png, gif, webp or bmp. width, height: pixels as stored, before `orientation` (EXIF, 1..8) is
    applied. components: 1 grey, 2 grey and alpha, 3 colour (palettes too), 4 colour and alpha, or CMYK in a JPEG.
    complete: the end-of-image marker or trailer is there, so nothing is missing behind the header.
    """

    format: str
    mime: str
    width: int
    height: int
    orientation: int = 1
    components: int = 3
    animated: bool = False
    complete: bool = True


def image_facts(data: bytes) -> ImageFacts:
    """Read the header of `data`. ImageError: not-an-image, wrong-type, truncated or undecodable."""
    read = next((read for signature, read in _READERS if data.startswith(signature)), None)
    if read is None:
        raise _foreign(data)
    try:
        facts = read(data)
    except (struct.error, IndexError):
        raise ImageError("truncated", f"the header ends after {len(data)} bytes") from None
    if facts.width < 1 or facts.height < 1:
        raise ImageError("undecodable", f"the header says {facts.width}×{facts.height} pixels")
    return facts


def with_capture_time(jpeg: bytes, taken_at: float) -> bytes:
    """`jpeg` with an EXIF segment that says when it was taken; the picture itself is not touched.

    taken_at: Unix seconds, kept to the microsecond. An EXIF segment that is there already is replaced, its
    orientation kept. ImageError when it is no JPEG.
    """
    facts = image_facts(jpeg)
    if facts.format != "jpeg":
        raise ImageError("wrong-type", f"capture time goes into a JPEG, not a {facts.format}")
    head, body = 2, []
    position = 2
    for marker, start, end in jpeg_file.segments(jpeg):
        if marker == jpeg_file.APP0 and start == 2:
            head = position = end  # a JFIF segment must stay the first
        elif jpeg_file.is_exif(jpeg, marker, start):
            body.append(jpeg[position:start])
            position = end
    return b"".join((jpeg[:head], exif.segment(taken_at, facts.orientation), *body, jpeg[position:]))


def capture_time_from_exif(jpeg: bytes) -> float | None:
    """Unix seconds of DateTimeOriginal, or None where it is absent, malformed or without its offset from UTC.

    ImageError when it is no JPEG.
    """
    if image_facts(jpeg).format != "jpeg":
        raise ImageError("wrong-type", "capture time is read from a JPEG")
    for marker, start, end in jpeg_file.segments(jpeg):
        if jpeg_file.is_exif(jpeg, marker, start):
            return exif.original_time(exif.tags(jpeg[start + 10 : end]))
    return None


# ── one reader per format ────────────────────────────────────────────────────────────────────────────


def _jpeg(data: bytes) -> ImageFacts:
    size: tuple[int, int, int] | None = None
    orientation, scan = 1, 0
    for marker, start, end in jpeg_file.segments(data):
        if marker in jpeg_file.FRAME_HEADERS and size is None:
            height, width, components = struct.unpack_from(">HHB", data, start + 5)
            size = width, height, components
            if end > len(data):
                break
        elif jpeg_file.is_exif(data, marker, start) and end <= len(data):
            orientation = exif.orientation(exif.tags(data[start + 10 : end]))
        elif marker == jpeg_file.START_OF_SCAN:
            scan = end
        if end >= len(data) and size:
            break
    if size is None:
        raise ImageError("truncated", f"{len(data)} bytes of JPEG without a frame header")
    complete = scan > 0 and jpeg_file.ends(data, scan)
    return ImageFacts("jpeg", "image/jpeg", size[0], size[1], orientation, size[2], complete=complete)


def _png(data: bytes) -> ImageFacts:
    width, height = struct.unpack_from(">LL", data, 16)
    if data[12:16] != b"IHDR":
        raise ImageError("undecodable", "a PNG without its header chunk")
    components = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}.get(data[25], 3)
    orientation, animated, position = 1, False, 33
    for _ in range(MAX_STEPS):
        if position + 8 > len(data):
            break
        length, kind = struct.unpack_from(">L4s", data, position)
        if kind in (b"IDAT", b"IEND"):
            break
        animated |= kind == b"acTL"
        if kind == b"eXIf":
            orientation = exif.orientation(exif.tags(data[position + 8 : position + 8 + length]))
        position += 12 + length
    complete = data.find(b"\0\0\0\0IEND\xae\x42\x60\x82", position) >= 0
    return ImageFacts("png", "image/png", width, height, orientation, components, animated, complete)


def _gif(data: bytes) -> ImageFacts:
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    if data[4:6] not in (b"7a", b"9a"):
        raise ImageError("undecodable", "a GIF of unknown version")
    pictures, complete = _gif_blocks(data, 13 + _gif_palette(flags))
    return ImageFacts("gif", "image/gif", width, height, animated=pictures > 1, complete=complete)


def _gif_palette(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _gif_blocks(data: bytes, position: int) -> tuple[int, bool]:
    """(pictures up to the second, whether the trailer is there)."""
    pictures = 0
    for _ in range(MAX_STEPS):
        kind = data[position : position + 1]
        if kind == b";":
            return pictures, pictures > 0
        if kind == b"\x2c" and position + 10 < len(data):
            pictures += 1
            if pictures > 1:
                return pictures, data.rstrip(b"\0").endswith(b";")
            position += 11 + _gif_palette(data[position + 9])
        elif kind == b"\x21":
            position += 2
        else:
            break
        position = _past_sub_blocks(data, position)
    return pictures, False


def _past_sub_blocks(data: bytes, position: int) -> int:
    for _ in range(10 * MAX_STEPS):
        if position >= len(data) or not data[position]:
            break
        position += 1 + data[position]
    return position + 1


def _webp(data: bytes) -> ImageFacts:
    size, form, kind = struct.unpack_from("<L4s4s", data, 4)
    if form != b"WEBP":
        raise ImageError("wrong-type", f"a RIFF file of type {form!r}, not a WebP picture")
    width, height, components, animated = _webp_size(data, kind)
    orientation = _webp_orientation(data) if kind == b"VP8X" else 1
    complete = len(data) >= size + 8
    return ImageFacts("webp", "image/webp", width, height, orientation, components, animated, complete)


def _webp_size(data: bytes, kind: bytes) -> tuple[int, int, int, bool]:
    """(width, height, components, animated) from the first chunk, whose content stands at byte 20."""
    if kind == b"VP8X":
        width = 1 + int.from_bytes(_exactly(data, 24, 3), "little")
        height = 1 + int.from_bytes(_exactly(data, 27, 3), "little")
        return width, height, 4 if data[20] & 0x10 else 3, bool(data[20] & 0x02)
    if kind == b"VP8L":
        bits = int.from_bytes(_exactly(data, 21, 4), "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF), 4 if bits >> 28 & 1 else 3, False
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF, 3, False
    raise ImageError("undecodable", f"a WebP file that begins with {kind!r}")


def _webp_orientation(data: bytes) -> int:
    position = 12
    for _ in range(MAX_STEPS):
        if position + 8 > len(data):
            break
        kind, length = struct.unpack_from("<4sL", data, position)
        if kind == b"EXIF":
            block = data[position + 8 : position + 8 + length]
            return exif.orientation(exif.tags(block.removeprefix(b"Exif\0\0")))
        position += 8 + length + length % 2
    return 1


def _bmp(data: bytes) -> ImageFacts:
    offset, header = struct.unpack_from("<LL", data, 10)
    if header == 12:
        width, height, _, depth = struct.unpack_from("<HHHH", data, 18)
        compression, stored = 0, 0
    elif 40 <= header <= 256:
        width, height, _, depth, compression, stored = struct.unpack_from("<llHHLL", data, 18)
    else:
        raise ImageError("undecodable", f"a BMP with a header of {header} bytes")
    if compression in (0, 3):
        stored = (width * depth + 31) // 32 * 4 * abs(height)
    complete = len(data) >= offset + stored
    return ImageFacts("bmp", "image/bmp", width, abs(height), complete=complete)


# ── bytes ────────────────────────────────────────────────────────────────────────────────────────────

_READERS: tuple[tuple[bytes, Callable[[bytes], ImageFacts]], ...] = (
    (b"\xff\xd8", _jpeg),
    (b"\x89PNG\r\n\x1a\n", _png),
    (b"GIF8", _gif),
    (b"RIFF", _webp),
    (b"BM", _bmp),
)

_FOREIGN = (
    (0, b"%PDF", "a PDF", "not-an-image"),
    (0, b"<", "a web page or XML", "not-an-image"),
    (0, b"{", "JSON", "not-an-image"),
    (0, b"PK\x03\x04", "a ZIP archive", "not-an-image"),
    (4, b"ftyp", "HEIC, AVIF or a video", "wrong-type"),
    (0, b"II*\0", "a TIFF", "wrong-type"),
    (0, b"MM\0*", "a TIFF", "wrong-type"),
)


def _foreign(data: bytes) -> ImageError:
    """What these bytes are instead of a picture we read."""
    if not data:
        return ImageError("not-an-image", "no bytes at all")
    for signature, _ in _READERS:
        if signature.startswith(data):
            return ImageError("truncated", f"only {len(data)} bytes")
    start = data[:64].lstrip()
    for at, sign, what, reason in _FOREIGN:
        if start[at : at + len(sign)] == sign:
            return ImageError(reason, f"looks like {what}, not a picture", hint="Use a JPEG or PNG.")
    return ImageError("not-an-image", f"not a picture: it begins with {data[:8]!r}")


def _exactly(data: bytes, at: int, count: int) -> bytes:
    if at + count > len(data):
        raise IndexError
    return data[at : at + count]
