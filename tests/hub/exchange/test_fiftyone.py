"""What FiftyOne is given to read."""

import base64
import io
import json
import zlib

import numpy as np
import pytest
from pycocotools.coco import COCO

from hub.archive import Filter
from hub.exchange import export_coco, export_fiftyone
from shared.errors import InvalidInput
from tests.hub.exchange.corpora import OURS, Pictures, fill, frame_id, jpeg, opened, seen


@pytest.fixture
def archive(tmp_path):
    """Four frames and an element that was brought in; of frame 3 there is no picture."""
    store = opened(tmp_path)
    fill(store.archive)
    yield store.archive
    store.close()


@pytest.fixture
def pictures():
    return Pictures({frame_id(i): jpeg(i) for i in range(3)})


def read(folder):
    return json.loads((folder / "metadata.json").read_text()), json.loads((folder / "samples.json").read_text())[
        "samples"
    ]


def vector(said):
    """As FiftyOne reads it."""
    return np.load(io.BytesIO(zlib.decompress(base64.b64decode(said["$binary"]["base64"]))))


def test_each_frame_with_its_picture_is_a_sample(archive, pictures, tmp_path):
    done = export_fiftyone(archive, pictures, OURS, tmp_path / "out")
    assert (done.pictures, done.missing) == (3, 2)
    _, samples = read(tmp_path / "out")
    assert [sample["filepath"] for sample in samples] == [f"data/{frame_id(i)}.jpg" for i in range(3)]
    for i, sample in enumerate(samples):
        assert (tmp_path / "out" / sample["filepath"]).read_bytes() == jpeg(i)
    assert samples[1]["camera"] == "gate"
    assert samples[1]["captured_at"] == {"$date": {"$numberLong": "1700000001123"}}
    assert samples[1]["metadata"]["width"] == 64


def test_boxes_are_relative_and_every_element_has_its_vector(archive, pictures, tmp_path):
    export_fiftyone(archive, pictures, OURS, tmp_path / "out")
    _, (first, *_) = read(tmp_path / "out")
    bird, cat = first["detections"]["detections"]
    assert (bird["label"], cat["label"]) == ("bird", "cat")
    assert cat["bounding_box"] == pytest.approx([10 / 64, 5 / 48, 9 / 64, 35 / 48])
    wanted = seen(0).vectors
    assert vector(first["embedding"]) == pytest.approx(wanted[0], abs=1e-3)
    assert vector(cat["embedding"]) == pytest.approx(wanted[2], abs=1e-3)


def test_every_field_of_a_sample_is_described(archive, pictures, tmp_path):
    export_fiftyone(archive, pictures, OURS, tmp_path / "out")
    document, samples = read(tmp_path / "out")
    described = {field["db_field"]: field for field in document["sample_fields"]}
    assert document["info"] == {"embedding_version": OURS, "embedder": "tiny"}
    for sample in samples:
        assert {key for key in sample if key not in ("_media_type", "_rand")} <= described.keys()
        (detections,) = described["detections"]["fields"]
        inner = {field["db_field"] for field in detections["fields"]} | {"_cls"}
        assert all(each.keys() <= inner for each in sample["detections"]["detections"])


def test_ids_are_the_same_each_time(archive, pictures, tmp_path):
    for name in ("one", "two"):
        export_fiftyone(archive, pictures, OURS, tmp_path / name)
    assert read(tmp_path / "one")[1] == read(tmp_path / "two")[1]


def test_a_frame_is_exported_whole_when_one_element_of_it_is_meant(archive, pictures, tmp_path):
    export_fiftyone(archive, pictures, OURS, tmp_path / "out", Filter(labels=("cat",), cameras=("porch",)))
    _, samples = read(tmp_path / "out")
    assert [len(sample["detections"]["detections"]) for sample in samples] == [2, 2]


def test_an_export_can_be_done_again_and_a_folder_of_others_is_left_alone(archive, pictures, tmp_path):
    for _ in range(2):
        export_fiftyone(archive, pictures, OURS, tmp_path / "out")
    assert len(read(tmp_path / "out")[1]) == 3
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.tex").write_text("mine")
    with pytest.raises(InvalidInput, match="other files"):
        export_fiftyone(archive, pictures, OURS, tmp_path / "mine")


def test_a_corpus_as_coco_is_read_by_its_tools(archive, pictures, tmp_path):
    done = export_coco(archive, pictures, OURS, tmp_path / "out", Filter(labels=("bird",)))
    assert (done.pictures, done.missing) == (3, 1)
    coco = COCO(str(tmp_path / "out/annotations.json"))
    assert (len(coco.imgs), len(coco.anns)) == (3, 6)
    assert sorted(category["name"] for category in coco.cats.values()) == ["bird", "cat"]
