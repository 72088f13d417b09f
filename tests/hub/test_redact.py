"""What must not leave this machine is unrecognisable in what does."""

import io
from dataclasses import dataclass, replace

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from hub.models.yolo import load_detector
from hub.redact import BLOCKS, Redactor, hide, parse_regions
from hub.triggers.region import contains
from hub.types import Detections
from hub.vision import decode
from shared.errors import ImageError, InvalidInput, ModelError, NotFound
from tests.hub.delivering import sample

_LEFT = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))


@dataclass
class _Finds:
    """A detector that finds the same in every picture."""

    found: Detections
    labels: tuple[str, ...] = ("person", "car")
    name: str = "finds.onnx"
    version: str = "1"

    def detect(self, images):
        return [self.found for _ in images]


def _found(*found):
    boxes = np.array([box for _, _, box in found], np.float32).reshape(-1, 4)
    return Detections(boxes, np.array([c for _, c, _ in found], np.float32), tuple(label for label, _, _ in found))


def _redactor(regions=(), labels=(), found=()):
    return Redactor({"porch": tuple(regions)}, labels, lambda: _Finds(_found(*found)))


def _of(*found, camera="porch", size_wh=(640, 480)):
    """A sample with these stored detections."""
    return replace(sample(), detections=_found(*found), camera=camera, size_wh=size_wh)


def _noise(width=640, height=480, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def _jpeg(pixels, **options):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "jpeg", quality=95, **options)
    return file.getvalue()


def _contrast(pixels):
    """How much neighbouring pixels differ: what makes a picture recognisable."""
    return float(np.abs(np.diff(pixels.astype(np.float32), axis=1)).mean())


# ── what is hidden ───────────────────────────────────────────────────────────────────────────────────


def test_a_region_of_its_camera_is_hidden_and_the_rest_stays():
    before = decode(_jpeg(_noise()))
    redacted = _redactor([_LEFT])(_of(), _jpeg(_noise()))
    after = decode(redacted.picture)
    assert redacted.what == "1 region" and after.shape == before.shape
    assert _contrast(after[:, :320]) < 2 < 30 < _contrast(after[:, 328:])


def test_another_cameras_picture_stays_as_it_is():
    assert _redactor([_LEFT])(_of(camera="gate"), _jpeg(_noise())) is None


def test_things_of_chosen_labels_are_hidden_with_a_margin():
    found = [("person", 0.2, (100, 100, 200, 300)), ("car", 0.9, (400, 100, 500, 200))]
    redacted = _redactor(labels=["person"], found=found)(_of(), _jpeg(_noise()))
    after = decode(redacted.picture)
    assert redacted.what == "1 person"
    assert _contrast(after[80:320, 90:210]) < 2
    assert _contrast(after[100:200, 400:500]) > 30


def test_what_only_the_campaigns_own_detector_found_is_hidden_too():
    stored = ("person", 0.05, (100, 100, 200, 300))
    redacted = _redactor(labels=["person"])(_of(stored), _jpeg(_noise()))
    assert redacted.what == "1 person"
    assert _contrast(decode(redacted.picture)[100:300, 100:200]) < 2


def test_a_thing_that_both_found_counts_once():
    near, far = (100, 100, 200, 300), (300, 100, 400, 300)
    found = [("person", 0.9, (102, 98, 203, 305)), ("person", 0.3, far), ("car", 0.8, far)]
    redactor = _redactor([_LEFT, ((0.9, 0.0), (1.0, 0.0), (1.0, 0.1))], ["person", "car"], found)
    assert redactor(_of(("person", 0.8, near)), _jpeg(_noise())).what == "1 car, 2 person, 2 regions"


@pytest.mark.parametrize("found", [[], [("person", 0.09, (1, 1, 90, 90))], [("car", 0.9, (1, 1, 90, 90))]])
def test_without_anything_to_hide_the_picture_stays_as_it_is(found):
    assert _redactor(labels=["person"], found=found)(_of(), _jpeg(_noise())) is None


def test_without_labels_no_detector_is_asked_for():
    def missing():
        raise AssertionError

    assert Redactor({"porch": (_LEFT,)}, (), missing)(_of(), _jpeg(_noise())) is not None


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=3, max_size=8))
def test_every_pixel_within_a_polygon_is_hidden_and_none_far_from_it(corners):
    black_and_white = np.indices((96, 128)).sum(axis=0) % 2 * 255
    after = np.repeat(black_and_white[..., None], 3, axis=2).astype(np.uint8)
    polygon = np.array(corners) * (128, 96)
    assume(np.all(np.ptp(polygon, axis=0) > 8))
    hide(after, polygon)
    y, x = np.indices((96, 128)).reshape(2, -1) + 0.5
    inside = contains(tuple(corners), np.stack([x / 128, y / 96], axis=1)).reshape(96, 128)
    touched = after[..., 0] != black_and_white
    assert touched[inside].all()
    ys, xs = np.nonzero(touched)
    (left, top), (right, bottom) = polygon.min(axis=0) - 3, polygon.max(axis=0) + 3
    assert not len(xs) or (left <= xs.min() and xs.max() <= right and top <= ys.min() and ys.max() <= bottom)


def test_what_is_hidden_depends_on_few_averages_alone():
    """Two pictures whose blocks have the same averages look the same once hidden."""
    size = 16 * BLOCKS
    checks = np.indices((size, size)).sum(axis=0) % 2 * 200
    one, other = (np.repeat(half[..., None], 3, axis=2).astype(np.uint8) for half in (checks, 200 - checks))
    whole = np.array([(0, 0), (size, 0), (size, size), (0, size)])
    hide(one, whole)
    hide(other, whole)
    assert np.array_equal(one, other)


# ── the file ─────────────────────────────────────────────────────────────────────────────────────────


def test_nothing_of_the_exif_data_is_kept_and_the_picture_is_upright():
    upright = _noise(64, 48)
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "a maker"
    exif.get_ifd(0x8825)[1] = "N"
    lying = _jpeg(np.rot90(upright), exif=exif)
    assert Image.open(io.BytesIO(lying)).getexif().get_ifd(0x8825)
    redacted = _redactor([_LEFT])(_of(size_wh=(64, 48)), lying)
    with Image.open(io.BytesIO(redacted.picture)) as picture:
        assert picture.size == (64, 48) == ImageOps.exif_transpose(picture).size
        assert not picture.getexif() and "exif" not in picture.info
    assert b"Exif" not in redacted.picture and b"a maker" not in redacted.picture


def test_a_thumbnail_in_the_file_does_not_leave():
    small = _jpeg(np.full((48, 64, 3), 99, np.uint8))
    original = _jpeg(_noise(), exif=b"Exif\0\0" + small)
    assert small in original
    assert small[2:40] not in _redactor([_LEFT])(_of(), original).picture[2:]


@pytest.mark.parametrize(("suffix", "format_name"), [(".png", "PNG"), (".jpg", "JPEG")])
def test_the_kind_of_file_stays(suffix, format_name):
    data = cv2.imencode(suffix, _noise(64, 48))[1].tobytes()
    with Image.open(io.BytesIO(_redactor([_LEFT])(_of(), data).picture)) as picture:
        assert (picture.format, picture.size) == (format_name, (64, 48))


def test_it_is_the_same_every_time():
    redactor = _redactor([_LEFT], ["person"], [("person", 0.9, (100, 100, 200, 300))])
    assert redactor(_of(), _jpeg(_noise())).picture == redactor(_of(), _jpeg(_noise())).picture


# ── nothing leaves when in doubt ─────────────────────────────────────────────────────────────────────


def test_a_picture_that_can_not_be_read_is_an_error():
    with pytest.raises(ImageError):
        _redactor([_LEFT])(_of(), _jpeg(_noise())[:5000])


def test_a_detector_that_is_missing_is_an_error():
    def missing():
        raise ModelError("no detector")

    with pytest.raises(ModelError, match="no detector"):
        Redactor({}, ["person"], missing)(_of(), _jpeg(_noise()))


def test_a_label_that_the_detector_does_not_know_is_an_error():
    redactor = _redactor(labels=["persons"])
    with pytest.raises(NotFound) as caught:
        redactor.check()
    assert "person" in caught.value.hint
    with pytest.raises(ModelError, match="persons"):
        redactor(_of(), _jpeg(_noise()))


# ── the setting ──────────────────────────────────────────────────────────────────────────────────────


def test_regions_are_read_by_camera():
    read = parse_regions("porch:0,0 0.3,0 0.3,1 0,1; gate: 0.5,0.5 1,1 ;porch:0,0 1,0 1,0.1;")
    assert read == {
        "porch": (((0.0, 0.0), (0.3, 0.0), (0.3, 1.0), (0.0, 1.0)), ((0.0, 0.0), (1.0, 0.0), (1.0, 0.1))),
        "gate": (((0.5, 0.5), (1.0, 0.5), (1.0, 1.0), (0.5, 1.0)),),
    }
    assert parse_regions(" ; ") == {}


@pytest.mark.parametrize(
    "text",
    ["0,0 1,1", ":0,0 1,1", "porch:", "porch:0,0", "porch:0,0 2,1", "a:0,0 1", "a:x,y 1,1", "a:0,0 nan,1", "a:0,0 0,1"],
)
def test_a_region_that_makes_no_sense_is_said(text):
    with pytest.raises(InvalidInput) as caught:
        parse_regions(f"good:0,0 1,1; {text}")
    assert repr(text) in caught.value.message and "porch:0,0" in caught.value.hint


# ── real people ──────────────────────────────────────────────────────────────────────────────────────


def _people(detector, image):
    (seen,) = detector.detect([image])
    return sum(label == "person" and c >= 0.5 for label, c in zip(seen.label, seen.confidence, strict=True))


def test_people_are_not_found_any_more_by_two_real_detectors(models_dir, data_dir):
    names = ("yolo11n_dynamic.onnx", "yolox_nano_416.onnx")
    found, other = (load_detector(models_dir / "detectors" / name) for name in names)
    labels = sorted((data_dir / "coco_val128/labels").glob("*.txt"))
    crowded = [path for path in labels if path.read_text().count("\n0 ") > 3][:8]
    before = after = 0
    for path in crowded:
        picture = (data_dir / "coco_val128/images" / path.name).with_suffix(".jpg").read_bytes()
        before += _people(found, decode(picture))
        if redacted := Redactor({}, ["person"], lambda: found)(_of(), picture):
            after += sum(_people(detector, decode(redacted.picture)) for detector in (found, other))
    assert before > 20
    assert after == 0
