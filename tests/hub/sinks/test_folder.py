"""The dataset folder: read by COCO and YOLO readers, and never half-written."""

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image, ImageOps
from pycocotools.coco import COCO

from hub.deliveries import Provenance
from hub.sinks.folder import FolderSink, slug
from hub.sinks.splits import split_of
from hub.types import Detections
from hub.vision import decode
from shared.errors import Paused, Refused
from tests.hub.delivering import parcel, picture, sample
from tests.hub.full_disk import files_no_larger_than


@pytest.fixture
def sink(tmp_path):
    return FolderSink(tmp_path)


def _found(*boxes, label="bird"):
    n = len(boxes)
    return Detections(np.array(boxes, np.float32).reshape(-1, 4), np.full(n, 0.9, np.float32), (label,) * n)


def _send(sink, i, *labels):
    """The i-th picture with these labels in it."""
    sink.send(parcel(picture(i), *((label, 0.9) for label in labels)))


def _labels(folder, i):
    frame = sample(picture(i)).frame_id
    return [line.split() for line in (folder / f"labels/train/{frame}.txt").read_text().splitlines()]


def _names(folder):
    return yaml.safe_load((folder / "data.yaml").read_text())["names"]


def _coco(folder):
    return COCO(str(folder / "annotations.json"))


# ── what readers see ─────────────────────────────────────────────────────────────────────────────────


def test_a_sample_is_a_picture_with_its_labels_and_facts(sink, tmp_path):
    what = sample(detections=_found((64, 48, 192, 144)), campaign="tow trucks", tags=("night",))
    assert sink.send(replace(parcel(), sample=what)) == f"tow-trucks/images/train/{what.frame_id}.jpg"
    sink.flush()
    folder = tmp_path / "tow-trucks"
    assert (folder / f"images/train/{what.frame_id}.jpg").read_bytes() == picture()
    assert (folder / f"labels/train/{what.frame_id}.txt").read_text() == "0 0.200000 0.200000 0.200000 0.200000\n"
    coco = _coco(folder)
    (image,) = coco.imgs.values()
    assert (image["width"], image["height"], image["camera"], image["taken_at"]) == (640, 480, "porch", 100.0)
    assert (image["version"], image["campaign"], image["tags"]) == (1, "tow trucks", ["night"])
    assert image["reason"] == what.reason and image["score"] == pytest.approx(what.score.value, abs=1e-5)
    (box,) = coco.loadAnns(coco.getAnnIds())
    assert (box["bbox"], box["area"], box["image_id"]) == ([64.0, 48.0, 128.0, 96.0], 12288.0, image["id"])
    assert coco.loadCats(box["category_id"])[0]["name"] == "bird"


def _as_ultralytics_reads(folder):
    """Pictures by split, and the labels in them. As ultralytics.data.base, get_img_files and img2label_paths."""
    data = yaml.safe_load((folder / "data.yaml").read_text())
    read = {}
    for split in ("train", "val"):
        lines = (folder / data[split]).read_text().strip().splitlines()
        assert all(line.startswith("./") for line in lines)
        images = [Path(line.replace("./", f"{folder}/")) for line in lines]
        labels = [Path("/labels/".join(str(image).rsplit("/images/", 1))).with_suffix(".txt") for image in images]
        rows = [[data["names"][int(row.split()[0])] for row in path.read_text().splitlines()] for path in labels]
        assert all(image.exists() for image in images)
        read[split] = dict(zip([image.stem for image in images], rows, strict=True))
    return read


def test_a_yolo_trainer_finds_pictures_labels_and_names(sink, tmp_path):
    _send(sink, 1, "bird", "cat")
    frame = sample(picture(1)).frame_id
    once = _as_ultralytics_reads(tmp_path / "birds")
    assert once == {"train": {frame: ["bird", "cat"]}, "val": {frame: ["bird", "cat"]}}
    sink.flush()
    assert _as_ultralytics_reads(tmp_path / "birds") == once


def _send_hours(sink, hours):
    for hour in hours:
        sink.send(parcel(picture(hour), taken_at=hour * 3600.0))
    sink.flush()


def test_a_tenth_of_the_hours_is_for_validation_and_no_picture_changes_sides(sink, tmp_path):
    sides = {}
    for hours in (range(5), range(5, 40), range(40, 80)):
        _send_hours(sink, hours)
        read = _as_ultralytics_reads(tmp_path / "birds")
        if read["train"] == read["val"]:
            continue  # too few for any to be for validation
        assert not read["train"].keys() & read["val"].keys()
        now = {frame: split for split, frames in read.items() for frame in frames}
        assert now.items() >= sides.items()
        sides = now
    assert len(sides) == 80 and 2 <= len(read["val"]) <= 16
    assert {image["split"] for image in _coco(tmp_path / "birds").imgs.values()} == {"train", "val"}


def test_pictures_of_a_camera_taken_soon_after_each_other_are_on_one_side():
    assert len({split_of("porch", 7200.0 + second) for second in range(0, 3600, 60)}) == 1
    assert split_of("porch", 7200.0) == split_of("porch", 10799.9)


def test_a_tenth_is_for_validation_by_and_large():
    drawn = [split_of(f"camera {i % 7}", i * 3600.0) for i in range(5000)]
    assert drawn.count("val") == pytest.approx(500, abs=70)


def test_a_folder_made_before_there_were_lists_and_facts_goes_on(sink, tmp_path):
    _send(sink, 1, "bird")
    folder = tmp_path / "birds"
    old = {
        "trigger",
        "threshold",
        "nearest_seed",
        "detector",
        "redaction",
        "control",
        "hub_version",
        "sample",
        "element",
    }
    line = json.loads((folder / "samples.jsonl").read_text())
    (folder / "samples.jsonl").write_text(json.dumps({k: v for k, v in line.items() if k not in old}) + "\n")
    for name in ("train.txt", "val.txt"):
        (folder / name).unlink()
    yaml_then = 'train: images/train\nval: images/train\nnames:\n  0: "bird"\n'
    (folder / "data.yaml").write_text(yaml_then)
    again = FolderSink(tmp_path)
    _send(again, 2, "bird")
    again.flush()
    assert (folder / "data.yaml").read_text() == yaml_then
    assert len(_coco(folder).imgs) == 2
    _send(again, 3, "cat")
    again.flush()
    assert len(_as_ultralytics_reads(folder)["train"]) == 3


def test_lists_that_a_crash_left_behind_are_brought_up_to_date(sink, tmp_path):
    for i in range(3):
        _send(sink, i, "bird")
    assert len(_as_ultralytics_reads(tmp_path / "birds")["train"]) == 1
    FolderSink(tmp_path).flush()
    assert len(_as_ultralytics_reads(tmp_path / "birds")["train"]) == 3


def test_every_picture_says_why_it_was_taken_and_by_what(sink, tmp_path):
    why = Provenance("birds", 1, "similarity", 0.6, "magpie.jpg", "clip 1", "yolo 1")
    sink.send(replace(parcel(control=True), provenance=why))
    sink.flush()
    (image,) = _coco(tmp_path / "birds").imgs.values()
    line = json.loads((tmp_path / "birds/samples.jsonl").read_text())
    for told in (image, line):
        assert (told["trigger"], told["threshold"], told["nearest_seed"]) == ("similarity", 0.6, "magpie.jpg")
        assert (told["embedding_version"], told["detector"], told["control"]) == ("clip 1", "yolo 1", True)
    assert (image["taken_at"], image["date_captured"]) == (100.0, "1970-01-01T00:01:40.000Z")


def test_sizes_and_boxes_are_of_the_upright_picture(sink, tmp_path):
    upright = Image.open(io.BytesIO(picture()))
    exif = Image.Exif()
    exif[0x0112] = 6
    lying = io.BytesIO()
    upright.transpose(Image.Transpose.ROTATE_90).save(lying, "jpeg", exif=exif)
    height, width = decode(lying.getvalue()).shape[:2]
    sink.send(parcel(lying.getvalue(), size_wh=(width, height)))
    sink.flush()
    (image,) = _coco(tmp_path / "birds").imgs.values()
    with Image.open(tmp_path / "birds" / image["file_name"]) as stored:
        assert ImageOps.exif_transpose(stored).size == (image["width"], image["height"]) == (640, 480)
        assert stored.size == (480, 640)


def test_a_png_keeps_its_kind(sink, tmp_path):
    png = picture(1, suffix=".png")
    assert sink.send(parcel(png)).endswith(".png")
    sink.flush()
    (image,) = _coco(tmp_path / "birds").imgs.values()
    with Image.open(tmp_path / "birds" / image["file_name"]) as stored:
        assert stored.format == "PNG"


def test_boxes_beyond_the_edge_are_cut_and_those_without_area_left_out(sink, tmp_path):
    boxes = _found((-10, -10, 64, 48), (600, 400, 700, 500), (5, 5, 5, 50), (700, 10, 800, 20), (9, 9, 4, 4))
    sink.send(parcel(picture(1), detections=boxes))
    sink.flush()
    lines = _labels(tmp_path / "birds", 1)
    assert lines[0] == ["0", "0.050000", "0.050000", "0.100000", "0.100000"]
    assert len(lines) == len(_coco(tmp_path / "birds").anns) == 2
    assert all(0 <= float(number) <= 1 for line in lines for number in line[1:])


def test_a_sample_in_which_nothing_was_found_is_a_background_picture(sink, tmp_path):
    sink.send(parcel(picture(1), detections=Detections.empty()))
    sink.flush()
    assert _labels(tmp_path / "birds", 1) == []
    assert len(_coco(tmp_path / "birds").imgs) == 1
    assert _names(tmp_path / "birds") == {}


# ── classes ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_class_number_never_changes_its_meaning(tmp_path):
    _send(FolderSink(tmp_path), 1, "dog", "bird")
    _send(FolderSink(tmp_path), 2, "ant", "bird")
    _send(FolderSink(tmp_path), 3, "dog")
    folder = tmp_path / "birds"
    assert _names(folder) == {0: "dog", 1: "bird", 2: "ant"}
    assert [[line[0] for line in _labels(folder, i)] for i in (1, 2, 3)] == [["0", "1"], ["2", "1"], ["0"]]


@pytest.mark.parametrize("label", ["potted plant", "no: 1", "#x", "it's", 'a "b"', "猫", "😀", "yes", "1", "a\nb", "é"])
def test_any_label_comes_back_from_the_yaml(sink, tmp_path, label):
    _send(sink, 1, label)
    assert _names(tmp_path / "birds") == {0: label}
    _send(FolderSink(tmp_path), 2, label)
    assert _names(tmp_path / "birds") == {0: label}


def test_what_a_person_wrote_into_the_yaml_stays_until_there_is_a_new_class(tmp_path):
    _send(FolderSink(tmp_path), 1, "dog")
    path = tmp_path / "birds/data.yaml"
    path.write_text(path.read_text() + "# mine\n")
    _send(FolderSink(tmp_path), 2, "dog")
    assert "# mine" in path.read_text()


# ── whose folder ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("name", "expected"),
    [("tow trucks", "tow-trucks"), ("Vögel/Spatz", "Vogel-Spatz"), ("../../etc", "etc"), ("a" * 99, "a" * 60)],
)
def test_a_campaign_gets_a_folder_by_its_name(name, expected):
    assert slug(name) == expected


def test_a_name_without_letters_gets_a_folder_too():
    assert slug("猫") != slug("犬")
    assert slug("猫").startswith("campaign-")


def test_campaigns_whose_folders_would_be_the_same_do_not_mix(tmp_path):
    for sink in (FolderSink(tmp_path), FolderSink(tmp_path)):
        sink.send(parcel(campaign="a b", campaign_id=1))
        sink.send(parcel(campaign="a/b", campaign_id=2))
        sink.flush()
    assert [len(_coco(folder).imgs) for folder in sorted(tmp_path.iterdir())] == [1, 1]


# ── trouble ──────────────────────────────────────────────────────────────────────────────────────────


def test_bytes_that_are_no_picture_are_refused(sink):
    with pytest.raises(Refused, match="damaged"):
        sink.send(replace(parcel(), picture=b"<html>"))


@pytest.mark.parametrize("room", [0, 300, 3000])
def test_a_full_disk_pauses_and_leaves_nothing_half_written(sink, tmp_path, room):
    _send(sink, 1, "bird")
    big = picture(2) + bytes(5000)
    limit = (tmp_path / "birds/samples.jsonl").stat().st_size + room
    with files_no_larger_than(limit), pytest.raises(Paused, match="no room"):
        sink.send(parcel(big, ("cat", 0.9)))
    _send(sink, 3, "dog")
    sink.flush()
    folder = tmp_path / "birds"
    assert _names(folder) == {0: "bird", 1: "dog"}
    assert [line[0] for line in _labels(folder, 3)] == ["1"]
    assert len(_coco(folder).imgs) == len(list((folder / "images/train").iterdir())) == 2
    assert len((folder / "samples.jsonl").read_text().splitlines()) == 2
    assert not list((folder / ".parts").iterdir())


def test_a_disk_too_full_for_the_coco_file_keeps_the_old_one(sink, tmp_path):
    _send(sink, 1, "bird")
    sink.flush()
    _send(sink, 2, "bird")
    with files_no_larger_than(500), pytest.raises(Paused, match="no room"):
        sink.flush()
    assert len(_coco(tmp_path / "birds").imgs) == 1
    sink.flush()
    assert len(_coco(tmp_path / "birds").imgs) == 2


def test_a_root_that_is_no_folder_pauses(tmp_path):
    (tmp_path / "datasets").write_bytes(b"")
    with pytest.raises(Paused, match="can't be written"):
        FolderSink(tmp_path / "datasets").send(parcel())


@pytest.mark.parametrize("keep", [1, 20, -1])
def test_a_torn_line_is_cut_off_and_its_sample_comes_again(tmp_path, keep):
    sink = FolderSink(tmp_path)
    _send(sink, 1, "bird")
    whole = (tmp_path / "birds/samples.jsonl").read_bytes()
    _send(sink, 2, "cat")
    folder = tmp_path / "birds"
    journal = (folder / "samples.jsonl").read_bytes()
    (folder / "samples.jsonl").write_bytes(journal[: len(whole) + keep] if keep > 0 else journal[:keep])
    (folder / f"images/train/{sample(picture(2)).frame_id}.jpg").unlink()
    again = FolderSink(tmp_path)
    again.flush()
    assert len(_coco(folder).imgs) == 1
    _send(again, 2, "cat")
    again.flush()
    assert (folder / "samples.jsonl").read_bytes() == journal
    assert len(_coco(folder).imgs) == 2


@pytest.mark.parametrize("damage", [b"\0" * 50, b"7", b"{}", b'{"id": "x"}', b"\xff\xfe"])
def test_a_damaged_line_costs_that_sample_only(tmp_path, damage):
    sink = FolderSink(tmp_path)
    for i in range(3):
        _send(sink, i, "bird")
    path = tmp_path / "birds/samples.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + damage + b"\n" + lines[2])
    FolderSink(tmp_path).flush()
    assert len(_coco(tmp_path / "birds").imgs) == 2


def test_files_that_were_lost_are_made_again(tmp_path):
    sink = FolderSink(tmp_path)
    _send(sink, 1, "dog", "bird")
    sink.flush()
    names = ("annotations.json", "data.yaml", "train.txt", "val.txt")
    before = {name: (tmp_path / "birds" / name).read_bytes() for name in names}
    for name in before:
        (tmp_path / "birds" / name).unlink()
    FolderSink(tmp_path).flush()
    assert {name: (tmp_path / "birds" / name).read_bytes() for name in before} == before


def test_a_picture_that_a_person_removed_is_left_out(tmp_path):
    sink = FolderSink(tmp_path)
    _send(sink, 1, "bird")
    _send(sink, 2, "cat")
    sink.flush()
    (tmp_path / f"birds/images/train/{sample(picture(1)).frame_id}.jpg").unlink()
    FolderSink(tmp_path).flush()
    coco = _coco(tmp_path / "birds")
    assert len(coco.imgs) == 1
    assert _names(tmp_path / "birds") == {0: "bird", 1: "cat"}


def test_a_folder_that_a_person_removed_is_begun_afresh(sink, tmp_path):
    _send(sink, 1, "bird")
    (tmp_path / "birds").rename(tmp_path / "mine")
    _send(sink, 2, "cat")
    sink.flush()
    assert _names(tmp_path / "birds") == {0: "cat"}
    assert len(_coco(tmp_path / "birds").imgs) == 1


def test_the_coco_file_is_made_only_when_something_is_new(sink, tmp_path):
    _send(sink, 1, "bird")
    sink.flush()
    path = tmp_path / "birds/annotations.json"
    made = path.stat().st_mtime_ns
    sink.flush()
    FolderSink(tmp_path).flush()
    _send(sink, 1, "bird")
    sink.flush()
    assert path.stat().st_mtime_ns == made
    assert json.loads(path.read_text())["info"]
