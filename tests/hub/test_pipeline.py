import cv2
import numpy as np
import pytest

from hub.models.embedder import load_embedder
from hub.models.yolo import load_detector
from hub.pipeline import MAX_CROPS, Memory, decode_all, judge, needs_of, perceive
from hub.target import SeedTarget
from hub.triggers.detection import Detection
from hub.triggers.similarity import Similarity
from hub.types import Budget, ElementKind, Frame, Needs, Scope
from tests.hub.making import observation, seed, version


@pytest.fixture(scope="module")
def street(data_dir):
    """The pictures with most objects, as frames."""
    folder = data_dir / "coco_val128"
    busiest = sorted((folder / "labels").glob("*.txt"), key=lambda f: -len(f.read_text().split("\n")))[:6]
    return [
        Frame("porch", i, float(i), (folder / "images" / f"{file.stem}.jpg").read_bytes())
        for i, file in enumerate(busiest)
    ]


@pytest.fixture(scope="module")
def models(models_dir):
    return (
        load_detector(models_dir / "detectors" / "yolox_nano_416_dynbatch.onnx"),
        load_embedder(models_dir / "mobilenetv2"),
    )


def _see(frames, needs, models):
    return perceive(decode_all(frames)[0], needs, *models)


def test_row_zero_is_the_frame_and_row_one_the_first_crop(street, models):
    needs = Needs(True, True, True, confidence=0.25, crop_confidence=0.25)
    seen = _see(street, needs, models)
    _, embedder = models
    for observation_ in seen:
        image = decode_all([observation_.frame])[0][0].image
        x1, y1, x2, y2 = observation_.box(1)
        crop = image[int(np.floor(y1)) : int(np.ceil(y2)), int(np.floor(x1)) : int(np.ceil(x2))]
        assert observation_.vectors[0] @ embedder.embed([image])[0] == pytest.approx(1, abs=1e-4)
        assert observation_.vectors[1] @ embedder.embed([crop])[0] > 0.98
        assert observation_.embedding_version == embedder.version


def test_a_batch_sees_what_its_frames_show_alone(street, models):
    needs = Needs(True, True, True, confidence=0.25, crop_confidence=0.25)
    together = _see(street, needs, models)
    for one, frame in zip(together, street, strict=True):
        alone = _see([frame], needs, models)[0]
        assert one.detections.label == alone.detections.label
        np.testing.assert_allclose(one.detections.xyxy, alone.detections.xyxy, atol=0.5)
        np.testing.assert_allclose(one.vectors, alone.vectors, atol=2e-3)


def test_only_what_is_needed_is_computed(street, models):
    nothing = _see(street[:1], Needs(), models)[0]
    assert (len(nothing.detections), nothing.vectors.shape) == (0, (0, 0))
    boxes = _see(street[:1], Needs(detections=True, confidence=0.25), models)[0]
    assert len(boxes.detections) > 0
    assert boxes.embedding_version is None
    frame = _see(street[:1], Needs(frame_vector=True), models)[0]
    assert frame.vectors.shape == (1, models[1].dim)


def test_crops_are_bounded_and_the_most_confident(street, models):
    needs = Needs(True, True, True, confidence=0.1, crop_confidence=0.1)
    seen = _see(street, needs, models)
    assert max(len(s.detections) for s in seen) > MAX_CROPS
    assert all(len(s.vectors) == 1 + min(len(s.detections), MAX_CROPS) for s in seen)
    assert all(np.all(np.diff(s.detections.confidence) <= 0) for s in seen)


def test_a_frame_that_is_no_picture_does_not_take_the_batch_down(street):
    broken = Frame("shed", 1, 0.0, street[0].jpeg[:2000])
    decoded, rejected = decode_all([street[0], broken, street[1]])
    assert [d.frame.id for d in decoded] == [street[0].id, street[1].id]
    assert rejected[0].frame is broken
    assert rejected[0].error.reason == "truncated"


def test_the_picture_is_judged_upright(models):
    picture = np.zeros((40, 60, 3), np.uint8)
    jpeg = cv2.imencode(".jpg", picture)[1].tobytes()
    seen = _see([Frame("porch", 1, 0.0, jpeg)], Needs(frame_vector=True), models)[0]
    assert seen.size_wh == (60, 40)
    assert seen.box(0) == (0, 0, 60, 40)


def test_every_campaign_is_judged_within_its_scope():
    porch = SeedTarget(version(campaign_id=1, scope=Scope(("porch",))), None)
    everywhere = SeedTarget(version(campaign_id=2), None)
    seen = [observation(("bird", 0.9), content=c, camera=c) for c in ("porch", "shed")]
    judged = judge(seen, [porch, everywhere], Memory(), now=5.0)
    assert [(s.campaign_id, s.camera) for s in judged.samples] == [(1, "porch"), (2, "porch"), (2, "shed")]
    assert all(s.created_at == 5.0 for s in judged.samples)


def test_unchanged_frames_are_counted_but_not_collected():
    target = SeedTarget(version(scope=Scope(("porch", "shed"))), None)
    seen = [observation(("bird", 0.9))]
    judged = judge(seen, [target], Memory(), now=0, unchanged={"porch": 4, "shed": 2, "barn": 9})
    assert [(c.camera, c.processed, c.collected) for c in judged.counts] == [("porch", 5, 1), ("shed", 2, 0)]


def test_the_memory_of_one_batch_counts_in_the_next():
    target = SeedTarget(version(budget=Budget(stop_after=2)), None)
    memory, taken = Memory(), []
    for content in "abcd":
        judged = judge([observation(("bird", 0.9), content=content)], [target], memory, now=0)
        memory = judged.memory
        taken += judged.samples
    assert len(taken) == 2


def test_a_sample_carries_what_explains_it():
    target = SeedTarget(
        version(Similarity(ElementKind.CROP), (seed([0, 1], "truck.jpg"),), destinations=("folder",), tags=("t",)), None
    )
    seen = observation(("car", 0.9), ("truck", 0.8), vectors=[[1, 0], [1, 0.1], [0.1, 1]])
    sample = judge([seen], [target], Memory(), now=0).samples[0]
    assert sample.score.seed == "truck.jpg"
    assert sample.score.row == 2
    assert sample.box == seen.detections.box(1)
    assert "threshold" in sample.reason
    assert "truck crop" in sample.reason
    assert sample.vector is not None
    assert sample.tags == ("t",)
    assert sample.id == f"1:{seen.frame.id}"


def test_a_detection_sample_keeps_only_the_boxes_its_campaign_asked_for():
    target = SeedTarget(version(Detection(("bird",), 0.4)), None)
    seen = observation(("bird", 0.9), ("cat", 0.5), ("dog", 0.2))
    assert judge([seen], [target], Memory(), now=0).samples[0].detections.label == ("bird", "cat")


def test_needs_are_those_of_all_campaigns_together():
    crops = version(Similarity(ElementKind.CROP, confidence=0.3), (seed([1, 0]),))
    needs = needs_of([version(Detection(confidence=0.1)), crops])
    assert (needs.detections, needs.crop_vectors) == (True, True)
    assert (needs.confidence, needs.crop_confidence) == (0.1, 0.3)
    assert not needs_of([version()]).frame_vector
    assert needs_of([version(budget=Budget(duplicate_distance=0.1))]).frame_vector
    assert needs_of([]) == Needs()
