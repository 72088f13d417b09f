"""Decoding, comparing, letterboxing and cropping, judged by Pillow where there is a second opinion."""

import io
import struct

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageOps

from hub.vision import DecodeLimits, crop, decode, encode, letterbox, place, reduced, thumbnail, unchanged
from shared.errors import ImageError

RED, GREEN, BLUE, WHITE = (220, 30, 30), (30, 200, 30), (30, 30, 210), (255, 255, 255)


def quarters(width: int = 64, height: int = 48) -> np.ndarray:
    """Red and green above, blue and white below: tells colours and every turn apart."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[: height // 2, : width // 2] = RED
    picture[: height // 2, width // 2 :] = GREEN
    picture[height // 2 :, : width // 2] = BLUE
    picture[height // 2 :, width // 2 :] = WHITE
    return picture


def encoded(picture: np.ndarray, kind: str = "JPEG", **options: object) -> bytes:
    out = io.BytesIO()
    Pillow.fromarray(picture).save(out, kind, **options)
    return out.getvalue()


def corner_colours(picture: np.ndarray) -> list[tuple[int, ...]]:
    height, width = picture.shape[:2]
    spots = [(height // 4, width // 4), (height // 4, 3 * width // 4)]
    spots += [(3 * height // 4, width // 4), (3 * height // 4, 3 * width // 4)]
    return [tuple(int(v) for v in picture[spot]) for spot in spots]


def close(a: np.ndarray, b: np.ndarray, most: float) -> bool:
    return a.shape == b.shape and float(np.abs(a.astype(int) - b.astype(int)).max()) <= most


def reason(data: bytes, **limits: int) -> str:
    with pytest.raises(ImageError) as caught:
        decode(data, DecodeLimits(**limits))
    return caught.value.reason


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "WEBP"])
def test_colours_come_in_the_order_red_green_blue(kind: str) -> None:
    options = {"quality": 95} if kind in ("JPEG", "WEBP") else {}
    picture = decode(encoded(quarters(), kind, **options))
    for got, painted in zip(corner_colours(picture), (RED, GREEN, BLUE, WHITE), strict=True):
        assert np.abs(np.subtract(got, painted)).max() < 12


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_turned_upright_as_pillow_does(orientation: int) -> None:
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    data = encoded(quarters(), "JPEG", quality=95, subsampling=0, exif=exif)
    with Pillow.open(io.BytesIO(data)) as opened:
        upright = np.asarray(ImageOps.exif_transpose(opened))
    assert close(decode(data), upright, 3)


@pytest.mark.parametrize("size", [(1, 1), (31, 4000), (4000, 31), (17, 3)])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_odd_sizes_keep_their_size(size: tuple[int, int], kind: str) -> None:
    data = encoded(quarters(*size), kind)
    assert decode(data).shape == (size[1], size[0], 3)
    assert thumbnail(data).size > 0


def test_a_grey_jpeg_becomes_rgb() -> None:
    grey = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (48, 1))
    data = encoded(grey, "JPEG", quality=95)
    assert close(decode(data), np.repeat(grey[..., None], 3, axis=2), 6)


@pytest.mark.parametrize("inverted", [True, False], ids=["Adobe", "plain"])
def test_a_cmyk_jpeg_looks_as_in_pillow(inverted: bool) -> None:
    out = io.BytesIO()
    Pillow.fromarray(quarters()).convert("CMYK").save(out, "JPEG", quality=95, subsampling=0)
    data = out.getvalue()
    if not inverted:
        at = data.index(b"\xff\xee")
        data = data[:at] + data[at + 2 + int.from_bytes(data[at + 2 : at + 4]) :]
    with Pillow.open(io.BytesIO(data)) as opened:
        assert opened.mode == "CMYK"
        assert close(decode(data), np.asarray(opened.convert("RGB")), 4)


def test_sixteen_bits_are_cut_to_eight() -> None:
    deep = np.linspace(0, 65535, 64 * 48).reshape(48, 64).astype(np.uint16)
    ok, data = cv2.imencode(".png", np.dstack([deep, deep, deep]))
    assert ok
    assert close(decode(data.tobytes())[..., 0], np.round(deep / 257), 0)


def test_transparency_is_laid_on_white() -> None:
    picture = np.dstack([quarters(), np.full((48, 64), 255, np.uint8)])
    picture[:, 32:, 3] = 0
    picture[:, 32:, :3] = 7
    decoded = decode(encoded(picture, "PNG"))
    assert (decoded[:, 32:] == 255).all()
    assert tuple(decoded[5, 5]) == RED


def test_a_palette_picture_with_transparency_is_laid_on_white() -> None:
    picture = Pillow.fromarray(quarters()).quantize(8)
    out = io.BytesIO()
    picture.save(out, "PNG", transparency=picture.getpixel((5, 5)))
    assert tuple(decode(out.getvalue())[5, 5]) == WHITE


def test_a_header_of_30000_by_30000_pixels_is_refused_before_anything_is_allocated() -> None:
    data = bytearray(encoded(quarters()))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", 30_000, 30_000)
    assert reason(bytes(data)) == "too-many-pixels"
    with pytest.raises(ImageError, match="30000×30000"):
        thumbnail(bytes(data))


def test_too_many_bytes_are_refused() -> None:
    data = encoded(quarters())
    assert reason(data, max_bytes=len(data) - 1) == "too-large"
    assert decode(data, DecodeLimits(max_bytes=len(data))).shape == (48, 64, 3)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.99])
def test_a_picture_that_is_cut_short_is_truncated(kind: str, share: float) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (60, 80, 3)).astype(np.uint8)
    data = encoded(noise, kind)
    assert reason(data[: int(len(data) * share)]) == "truncated"


def test_a_damaged_png_is_undecodable() -> None:
    data = bytearray(encoded(quarters(), "PNG"))
    at = data.index(b"IDAT") + 4
    data[at : at + 20] = b"\x00" * 20
    assert reason(bytes(data)) == "undecodable"


def test_an_animation_is_refused() -> None:
    out = io.BytesIO()
    frames = [Pillow.fromarray(quarters()), Pillow.fromarray(quarters()[::-1].copy())]
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:])
    assert reason(out.getvalue()) == "animated"


@pytest.mark.parametrize(
    ("data", "slug"),
    [(b"", "not-an-image"), (b"%PDF-1.7 x", "not-an-image"), (b"<html>503</html>", "not-an-image"),
     (b"II*\0\x08\0\0\0", "wrong-type")],
)  # fmt: skip
def test_what_is_no_picture_says_so(data: bytes, slug: str) -> None:
    assert reason(data) == slug


# ── unchanged ────────────────────────────────────────────────────────────────────────────────────────


def scene(noise: float = 0.0, seed: int = 0) -> np.ndarray:
    """A street-like picture, 384×216, with sensor noise of this deviation."""
    y, x = np.mgrid[:216, :384]
    grey = 90 + 50 * np.sin(x / 23) * np.cos(y / 17) + 20 * (x > 200)
    dirt = np.random.default_rng(seed).normal(0, noise, (216, 384, 3)) if noise else 0
    return np.clip(np.repeat(grey[..., None], 3, axis=2) + dirt, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("quality", [50, 75, 95])
def test_sensor_noise_and_jpeg_are_no_change(quality: int) -> None:
    first = thumbnail(encoded(scene(noise=6, seed=1), quality=quality))
    for seed in range(2, 8):
        assert unchanged(first, thumbnail(encoded(scene(noise=6, seed=seed), quality=quality)))


@pytest.mark.parametrize("left", range(100, 108))
def test_an_object_of_16_pixels_is_noticed_wherever_it_stands(left: int) -> None:
    before = thumbnail(encoded(scene(noise=3, seed=1)))
    with_object = scene(noise=3, seed=2)
    with_object[left : left + 16, left : left + 16] += 14
    assert not unchanged(before, thumbnail(encoded(with_object)))


def test_pictures_of_two_sizes_are_never_unchanged() -> None:
    assert not unchanged(thumbnail(encoded(scene())), thumbnail(encoded(scene()[:-16])))


def test_the_thumbnail_has_an_eighth_of_the_size() -> None:
    assert thumbnail(encoded(scene())).shape == (27, 48)


# ── letterbox ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("size", [(1920, 1080), (1279, 719), (600, 800), (256, 256), (300, 17), (2500, 3), (40, 30)])
def test_a_reduced_picture_is_the_whole_one_scaled(size: tuple[int, int], kind: str) -> None:
    data = encoded(quarters(*size), kind)
    whole, small = decode(data), reduced(data, 256)
    assert max(small.shape[:2]) == min(256, max(size))
    assert small.shape[0] / small.shape[1] == pytest.approx(size[1] / size[0], abs=0.005 + 1 / min(small.shape[:2]))
    expected = cv2.resize(whole, small.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(small.astype(int) - expected.astype(int)).mean() < 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_reduced_picture_is_upright(orientation: int) -> None:
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    data = encoded(quarters(640, 480), "JPEG", quality=95, exif=exif)
    colours = zip(corner_colours(reduced(data, 64)), corner_colours(decode(data)), strict=True)
    assert all(np.abs(np.subtract(small, whole)).max() < 12 for small, whole in colours)


def test_a_picture_that_is_encoded_comes_back() -> None:
    colours = zip(corner_colours(decode(encode(quarters(), 95))), corner_colours(quarters()), strict=True)
    assert all(np.abs(np.subtract(got, painted)).max() < 12 for got, painted in colours)


def test_a_wide_picture_keeps_its_aspect_and_is_centred() -> None:
    box, scale, (dx, dy) = letterbox(quarters(768, 432), (640, 640), centre=True)
    assert (scale, dx, dy) == (640 / 768, 0, 140)
    assert (box[:140] == 114).all() and (box[500:] == 114).all()
    assert not (box[140:500] == 114).all(axis=2).any()


def test_yolox_puts_the_picture_at_the_top_left() -> None:
    box, scale, (dx, dy) = letterbox(quarters(300, 500), (416, 416), centre=False, pad=114)
    assert (dx, dy) == (0, 0) and scale == 416 / 500
    assert (box[:, int(300 * scale) :] == 114).all()
    assert np.abs(np.subtract(box[5, 5], RED)).max() < 2


def test_an_odd_border_is_split_as_ultralytics_splits_it() -> None:
    # 101 rows scaled by 1 into 160: 59 rows of border, 29 before and 30 behind.
    assert place((160, 101), (160, 160), centre=True).dy == 29
    assert place((101, 160), (160, 160), centre=True).dx == 29


@pytest.mark.parametrize("size", [(1, 1), (31, 4000), (4000, 1)])
def test_odd_sizes_fit_whole(size: tuple[int, int]) -> None:
    box, _, _ = letterbox(quarters(*size), (64, 96), centre=True)
    assert box.shape == (64, 96, 3) and (box != 114).any()


def test_boxes_come_back_to_where_they_were() -> None:
    placed = place((768, 432), (640, 640), centre=True)
    box = np.array([[100, 50, 300, 400]], np.float32)
    there = box * placed.scale + (placed.dx, placed.dy, placed.dx, placed.dy)
    assert np.allclose(placed.to_image(there.astype(np.float32), (768, 432)), box, atol=1e-3)


# ── crop ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_crop_includes_every_pixel_the_box_touches() -> None:
    assert crop(quarters(), (10.2, 5.9, 19.5, 20.0)).shape == (15, 10, 3)


def test_a_margin_is_a_share_of_the_box() -> None:
    assert crop(quarters(), (20, 10, 40, 30), margin=0.1).shape == (24, 24, 3)


@pytest.mark.parametrize(
    "box", [(-50, -50, -10, -10), (500, 500, 900, 900), (10, 10, 10, 10), (30, 30, 5, 5), (63.9, 47.9, 64, 48)]
)
def test_a_crop_is_never_empty(box: tuple[float, ...]) -> None:
    part = crop(quarters(), box)
    assert part.shape[0] >= 1 and part.shape[1] >= 1


def test_a_crop_shows_what_is_in_the_box() -> None:
    assert (crop(quarters(), (0, 24, 32, 48)) == BLUE).all()
