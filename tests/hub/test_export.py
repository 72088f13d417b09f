"""Samples to files."""

import csv
import json
from dataclasses import replace

import pytest
import yaml
from pycocotools.coco import COCO

from hub.blobs import open_blobs
from hub.export import FORMATS, export_samples
from hub.store import open_store
from shared.errors import InvalidInput, NotFound
from tests.hub.delivering import fill


@pytest.fixture
def store(tmp_path):
    """Five samples."""
    fill(tmp_path, 5)
    opened = open_store(f"sqlite:///{tmp_path / 'hub.sqlite'}")
    yield opened
    opened.close()


@pytest.fixture
def blobs(tmp_path):
    return open_blobs(f"file://{tmp_path / 'frames'}")


@pytest.fixture
def export(store, blobs):
    """Export the samples, or the newest of them."""

    def run(out, fmt, limit=100):
        return export_samples(store.samples(limit=limit), blobs, out, fmt, store.provenance)

    return run


@pytest.mark.parametrize("fmt", ["coco", "yolo"])
def test_an_export_is_read_by_both_kinds_of_reader(export, tmp_path, fmt):
    assert export(tmp_path / "out", fmt) == 5
    coco = COCO(str(tmp_path / "out/annotations.json"))
    assert (len(coco.imgs), len(coco.anns)) == (5, 10)
    names = yaml.safe_load((tmp_path / "out/data.yaml").read_text())["names"]
    assert sorted(names.values()) == sorted(category["name"] for category in coco.cats.values())
    assert len(list((tmp_path / "out/labels/train").glob("*.txt"))) == 5


def test_a_csv_has_a_row_per_sample(export, store, tmp_path):
    assert export(tmp_path / "out", "csv") == 5
    with (tmp_path / "out/samples.csv").open() as file:
        rows = list(csv.DictReader(file))
    samples = store.samples()
    assert [row["id"] for row in rows] == [sample.id for sample in samples]
    assert [float(row["score"]) for row in rows] == pytest.approx([s.score.value for s in samples], abs=1e-6)
    assert (rows[0]["camera"], rows[0]["labels"], rows[0]["cosine"]) == ("porch", "bird cat", "")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["samples.csv"]


@pytest.mark.parametrize("fmt", FORMATS)
def test_an_export_can_be_done_again_and_continued(export, tmp_path, fmt):
    export(tmp_path / "out", fmt, limit=3)
    export(tmp_path / "out", fmt)
    files = sorted(path.name for path in (tmp_path / "out").rglob("*") if path.is_file())
    export(tmp_path / "again", fmt)
    assert sorted(path.name for path in (tmp_path / "again").rglob("*") if path.is_file()) == files


@pytest.mark.parametrize("fmt", FORMATS)
def test_a_folder_with_other_files_is_left_alone(export, tmp_path, fmt):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/thesis.tex").write_text("mine")
    with pytest.raises(InvalidInput, match="other files"):
        export(tmp_path / "out", fmt)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.tex"]


def test_an_unknown_format_is_answered_with_the_known_ones(export, tmp_path):
    with pytest.raises(InvalidInput, match="coco, yolo, fiftyone, csv"):
        export(tmp_path / "out", "voc")


def test_a_picture_that_is_gone_is_named(export, store, blobs, tmp_path):
    samples = store.samples()
    blobs.delete(samples[2].frame_id)
    with pytest.raises(NotFound, match=samples[2].frame_id):
        export(tmp_path / "out", "coco")


def test_fiftyone_is_told_why_each_sample_was_taken(export, store, tmp_path):
    assert export(tmp_path / "out", "fiftyone") == 5
    samples = json.loads((tmp_path / "out/samples.json").read_text())["samples"]
    newest = store.samples()[0]
    assert [each["sample"] for each in samples] == [sample.id for sample in store.samples()]
    assert samples[0]["tags"][:2] == [newest.campaign, "unsorted"]
    assert samples[0]["score"] == newest.score.value
    assert {each["label"] for each in samples[0]["detections"]["detections"]} == {"bird", "cat"}
    fields = json.loads((tmp_path / "out/metadata.json").read_text())["sample_fields"]
    assert {each["name"]: each["ftype"].rsplit(".")[-1] for each in fields}["score"] == "FloatField"


def test_a_frame_that_two_campaigns_took_is_two_samples_to_fiftyone(store, blobs, tmp_path):
    first = store.samples()[0]
    twice = [first, replace(first, campaign="other", campaign_id=first.campaign_id + 1)]
    assert export_samples(twice, blobs, tmp_path / "out", "fiftyone", store.provenance) == 2
    samples = json.loads((tmp_path / "out/samples.json").read_text())["samples"]
    every = [*samples, *(found for each in samples for found in each["detections"]["detections"])]
    assert len({each["_id"]["$oid"] for each in every}) == len(every)
