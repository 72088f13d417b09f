"""What the header says, against Pillow; and that no bytes make us crash, hang or lie."""

import io
import struct
import time
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from shared.errors import ImageError
from shared.image import ImageFacts, capture_time_from_exif, image_facts, with_capture_time

TAKEN_AT = 1_700_000_000.123456
ORIENTATION = 0x0112


def picture(kind: str, mode: str = "RGB", size: tuple[int, int] = (31, 17), **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size).save(buffer, kind, **options)
    return buffer.getvalue()


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[ORIENTATION] = orientation
    return tags


EVERY_KIND = {
    "jpeg": picture("jpeg"),
    "grey jpeg": picture("jpeg", "L"),
    "cmyk jpeg": picture("jpeg", "CMYK"),
    "progressive jpeg": picture("jpeg", size=(640, 480), progressive=True),
    "jpeg with restarts": picture("jpeg", size=(640, 480), restart_marker_rows=1),
    "rotated jpeg": picture("jpeg", exif=exif(6)),
    "png": picture("png"),
    "png with alpha": picture("png", "RGBA"),
    "grey png": picture("png", "L"),
    "grey png with alpha": picture("png", "LA"),
    "rotated png": picture("png", exif=exif(3)),
    "gif": picture("gif", "L"),
    "bmp": picture("bmp"),
    "webp": picture("webp"),
    "lossless webp": picture("webp", lossless=True),
    "webp with alpha": picture("webp", "RGBA"),
    "rotated webp": picture("webp", exif=exif(8)),
}


@pytest.mark.parametrize("name", EVERY_KIND)
def test_facts_are_those_that_pillow_finds(name: str) -> None:
    data = EVERY_KIND[name]
    facts, pillow = image_facts(data), Image.open(io.BytesIO(data))
    assert (facts.width, facts.height) == pillow.size
    assert facts.format == str(pillow.format).lower()
    assert facts.mime == pillow.get_format_mimetype()
    assert facts.orientation == pillow.getexif().get(ORIENTATION, 1)
    assert facts.complete
    assert not facts.animated
    if facts.format not in ("gif", "webp"):  # Pillow converts those as it opens them
        assert facts.components == len(pillow.getbands())


def test_real_photos_have_the_facts_that_pillow_finds(data_dir: Path) -> None:
    photos = [*(data_dir / "photos").iterdir(), *(data_dir / "coco_val128").rglob("*.jpg")]
    assert len(photos) > 100
    for photo in photos:
        facts = image_facts(photo.read_bytes())
        with Image.open(photo) as pillow:
            assert (facts.width, facts.height, facts.components) == (*pillow.size, len(pillow.getbands())), photo
        assert facts.complete, photo


@pytest.mark.parametrize("name", EVERY_KIND)
def test_a_file_cut_off_at_any_byte_is_never_called_complete(name: str) -> None:
    data = EVERY_KIND[name]
    for length in range(0, len(data) - 1, max(1, len(data) // 300)):
        try:
            assert not image_facts(data[:length]).complete, length
        except ImageError as error:
            assert error.reason in ("truncated", "not-an-image", "undecodable"), length


@pytest.mark.parametrize("kind", ["gif", "png", "webp"])
def test_moving_pictures_are_animated(kind: str) -> None:
    buffer = io.BytesIO()
    frames = [Image.new("RGB", (20, 10), colour) for colour in ("red", "green", "blue")]
    frames[0].save(buffer, kind, save_all=True, append_images=frames[1:], duration=100)
    facts = image_facts(buffer.getvalue())
    assert facts.animated
    assert facts.complete
    assert (facts.width, facts.height) == (20, 10)


def test_padding_behind_the_end_of_a_jpeg_does_no_harm() -> None:
    assert image_facts(EVERY_KIND["jpeg"] + bytes(4096)).complete


def test_an_end_marker_inside_a_thumbnail_is_not_the_end_of_the_picture() -> None:
    data = EVERY_KIND["jpeg"]
    comment = b"\xff\xfe" + struct.pack(">H", 2 + len(data)) + data
    cut = data[:2] + comment + data[2:-2]
    assert not image_facts(cut).complete


def test_the_header_of_a_gigantic_picture_is_read_without_decoding_it() -> None:
    header = struct.pack(">LLBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">L", 13) + b"IHDR" + header + struct.pack(">L", zlib.crc32(b"IHDR" + header))
    facts = image_facts(b"\x89PNG\r\n\x1a\n" + chunk)
    assert facts == ImageFacts("png", "image/png", 30_000, 30_000, complete=False)


@pytest.mark.parametrize(
    ("data", "reason", "words"),
    [
        (b"", "not-an-image", "no bytes"),
        (b"%PDF-1.7\n", "not-an-image", "PDF"),
        (b"<!doctype html>", "not-an-image", "web page"),
        (b"\n  <svg>", "not-an-image", "XML"),
        (b'{"error": 1}', "not-an-image", "JSON"),
        (b"\0\0\0\x20ftypavif", "wrong-type", "AVIF"),
        (b"II*\0rest", "wrong-type", "TIFF"),
        (b"RIFF\0\0\0\0AVI LIST", "wrong-type", "RIFF"),
        (b"hello", "not-an-image", "hello"),
        (b"\xff", "truncated", "1 bytes"),
        (b"\xff\xd8", "truncated", "2 bytes"),
        (b"\xff\xd8hello", "undecodable", "marker"),
        (b"\x89PNG", "truncated", "4 bytes"),
        (picture("png")[:20] + bytes(4) + picture("png")[24:], "undecodable", "31×0"),
    ],
)
def test_what_is_no_picture_is_named(data: bytes, reason: str, words: str) -> None:
    with pytest.raises(ImageError) as caught:
        image_facts(data)
    assert caught.value.reason == reason
    assert words in caught.value.message


STARTS = st.sampled_from([b"", *(data[:size] for data in EVERY_KIND.values() for size in (2, 4, 12, 24, 40, 200))])


@given(STARTS, st.binary(max_size=400))
@example(b"\xff\xd8", b"\xff\xc0\x00\x02")
@example(b"BM", bytes(60))
def test_no_bytes_crash_it(start: bytes, rest: bytes) -> None:
    for read in (image_facts, capture_time_from_exif, lambda data: with_capture_time(data, TAKEN_AT)):
        try:
            read(start + rest)
        except ImageError as error:
            assert error.reason


@given(st.sampled_from(sorted(EVERY_KIND)), st.data())
def test_no_flipped_bytes_crash_it(name: str, draw: st.DataObject) -> None:
    data = bytearray(EVERY_KIND[name])
    for _ in range(draw.draw(st.integers(1, 8))):
        data[draw.draw(st.integers(0, min(len(data), 400) - 1))] = draw.draw(st.integers(0, 255))
    try:
        facts = image_facts(bytes(data))
    except ImageError:
        return
    assert facts.width > 0
    assert facts.height > 0
    assert 1 <= facts.orientation <= 8


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xd8" + b"\xff\xe0\x00\x02" * 2_000_000,
        b"\xff\xd8" + b"\xff" * 8_000_000,
        b"\xff\xd8" + b"\xff\xd0" * 4_000_000,
        EVERY_KIND["jpeg"][:-2] + b"\xff\xfe\x00\x02" * 2_000_000,
        EVERY_KIND["png"][:33] + b"\0\0\0\0abcd\0\0\0\0" * 700_000,
        EVERY_KIND["gif"][:13] + b"\x21\xf9\x00" * 2_700_000,
        EVERY_KIND["gif"][:13] + b"\x21\xf9" + b"\x01\x01" * 4_000_000,
        b"RIFF\0\0\0\0WEBPVP8X" + b"\x0a\0\0\0" + bytes(10) + b"abcd\0\0\0\0" * 1_000_000,
    ],
    ids=["segments", "fill", "restarts", "trailers", "chunks", "blocks", "sub-blocks", "riff"],
)
def test_hostile_lengths_take_no_time(data: bytes) -> None:
    start = time.process_time()
    try:
        assert not image_facts(data).complete or data.startswith(b"RIFF")
    except ImageError as error:
        assert error.reason in ("truncated", "undecodable")
    assert time.process_time() - start < 0.5


# ── capture time ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", [name for name in EVERY_KIND if "jpeg" in name])
def test_pillow_reads_the_capture_time_and_sees_the_same_picture(name: str) -> None:
    before = EVERY_KIND[name]
    after = with_capture_time(before, TAKEN_AT)
    pillow = Image.open(io.BytesIO(after))
    tags = pillow.getexif().get_ifd(0x8769)
    assert tags[0x9003] == "2023:11:14 22:13:20"
    assert tags[0x9291] == "123456"
    assert tags[0x9011] == "+00:00"
    assert pillow.tobytes() == Image.open(io.BytesIO(before)).tobytes()
    assert image_facts(after) == image_facts(before)


def test_capture_time_comes_back_to_the_microsecond() -> None:
    after = with_capture_time(EVERY_KIND["jpeg"], TAKEN_AT)
    assert capture_time_from_exif(after) == pytest.approx(TAKEN_AT, abs=1e-6)


def test_a_second_capture_time_replaces_the_first() -> None:
    once = with_capture_time(EVERY_KIND["rotated jpeg"], TAKEN_AT)
    twice = with_capture_time(once, TAKEN_AT + 60)
    assert capture_time_from_exif(twice) == pytest.approx(TAKEN_AT + 60, abs=1e-6)
    assert len(twice) == len(once)
    assert image_facts(twice).orientation == 6


def test_jfif_stays_the_first_segment() -> None:
    after = with_capture_time(EVERY_KIND["jpeg"], TAKEN_AT)
    assert after[2:4] == b"\xff\xe0"
    assert after[6:10] == b"JFIF"


@pytest.mark.parametrize(
    ("original", "offset", "subsecond", "expected"),
    [
        ("2023:11:14 22:13:20", "+00:00", None, 1_700_000_000.0),
        ("2023:11:15 00:13:20", "+02:00", "5", 1_700_000_000.5),
        ("2023:11:14 18:43:20", "-03:30", "25", 1_700_000_000.25),
        ("2023:11:14 22:13:20", None, None, None),
        ("yesterday", "+00:00", None, None),
        ("2023:11:14 22:13:20", "here", None, None),
        ("2023:11:14 22:13:20", "+00:00", "x", 1_700_000_000.0),
        (None, "+00:00", None, None),
    ],
)
def test_capture_times_written_by_others(
    original: str | None, offset: str | None, subsecond: str | None, expected: float | None
) -> None:
    tags = Image.Exif()
    values = {0x9003: original, 0x9011: offset, 0x9291: subsecond}
    tags.get_ifd(0x8769).update({tag: value for tag, value in values.items() if value is not None})
    assert capture_time_from_exif(picture("jpeg", exif=tags)) == expected


def test_a_jpeg_without_exif_has_no_capture_time() -> None:
    assert capture_time_from_exif(EVERY_KIND["jpeg"]) is None


def test_only_a_jpeg_takes_a_capture_time() -> None:
    with pytest.raises(ImageError) as caught:
        with_capture_time(EVERY_KIND["png"], TAKEN_AT)
    assert caught.value.reason == "wrong-type"


@given(st.floats(min_value=0, max_value=4e9))
def test_any_capture_time_comes_back(taken_at: float) -> None:
    read = capture_time_from_exif(with_capture_time(EVERY_KIND["jpeg"], taken_at))
    assert read == pytest.approx(taken_at, abs=2e-6)
