from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.budget import GRACE_S, Ledger
from hub.models.embedder import load_embedder
from hub.models.yolo import load_detector
from hub.pipeline import MAX_CROPS, Memory, decode_all, judge, needs_of, perceive
from hub.score import score
from hub.selection import close, offer
from hub.target import SeedTarget
from hub.triggers.change import Change
from hub.triggers.detection import Detection
from hub.triggers.everything import Everything
from hub.triggers.outlier import Outlier
from hub.triggers.similarity import Similarity
from hub.types import Budget, ElementKind, Frame, Needs, RateLimit, Sample, Scope
from tests.hub.making import observation, seed, version

BERLIN = "Europe/Berlin"


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


# ── scope, windows, controls ─────────────────────────────────────────────────────────────────────────


def _at(text):
    """Unix seconds of a wall-clock time in Berlin."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(BERLIN)).timestamp()


def _judge_all(target, frames, memory=None, now=None, **how):
    """Judge frames one batch each, by the clock of the frames; the memory, the samples and what was held."""
    memory, samples, held = memory or Memory(), [], []
    for one in frames:
        at = one.frame.taken_at if now is None else now
        judged = judge([one], [target], memory, now=at, **how)
        memory = judged.memory
        samples += judged.samples
        held += judged.held
    return memory, samples, held


FRIDAY_NIGHT = Scope(hours=((22 * 60, 6 * 60),), weekdays=(4,), timezone=BERLIN)


@pytest.mark.parametrize(
    ("when", "covered"),
    [
        ("2026-11-20 23:00", True),
        ("2026-11-21 05:59", True),
        ("2026-11-20 21:59", False),
        ("2026-11-21 06:00", False),
        ("2026-11-20 05:00", False),
        ("2026-11-21 23:00", False),
    ],
)
def test_frames_outside_hours_and_weekdays_are_neither_scored_nor_counted(when, covered):
    target = SeedTarget(version(Everything(), scope=FRIDAY_NIGHT), None)
    at = _at(when)
    judged = judge([observation(at=at)], [target], Memory(), now=at, unchanged={"porch": 3})
    assert len(judged.samples) == covered
    assert [(c.processed, c.collected) for c in judged.counts] == ([(4, 1)] if covered else [])


def test_a_trigger_learns_nothing_from_frames_outside_its_hours():
    target = SeedTarget(version(Change(), scope=Scope(hours=((480, 1080),), timezone=BERLIN)), None)
    dark = [observation(vectors=[[1, i]], content=str(i), at=_at("2026-11-20 03:00") + i) for i in range(5)]
    memory, _, _ = _judge_all(target, dark)
    assert not memory.states[1]
    memory, _, _ = _judge_all(target, [observation(vectors=[[1, 0]], at=_at("2026-11-20 12:00"))], memory)
    assert list(memory.states[1]) == ["porch"]


def test_a_campaign_with_a_target_holds_and_releases_the_best_once_the_window_is_over():
    budget = Budget(0.0, target=RateLimit(2, 60.0))
    target = SeedTarget(version(budget=budget), None)
    frames = [observation(("bird", v), content=str(v), at=600.0 + 5 * i) for i, v in enumerate((0.3, 0.9, 0.5, 0.7))]
    memory, samples, held = _judge_all(target, frames)
    assert samples == []
    assert [h.sample.score.value for h in held] == pytest.approx([0.3, 0.9, 0.5, 0.7])
    early = judge([], [target], memory, now=660.0 + GRACE_S - 0.1)
    assert (early.samples, early.held, early.let_go) == ([], [], [])
    late = judge([], [target], memory, now=660.0 + GRACE_S)
    assert [s.score.value for s in late.samples] == pytest.approx([0.9, 0.7])
    assert sorted(late.let_go) == sorted(s.id for s in late.samples)
    assert judge([], [target], late.memory, now=1e9).samples == []


def test_what_is_released_is_collected_and_what_came_with_it_processed():
    target = SeedTarget(version(Everything(), budget=Budget(0.0, target=RateLimit(1, 60.0))), None)
    memory, _, _ = _judge_all(target, [observation(at=600.0)])
    judged = judge([observation(content="b", at=700.0)], [target], memory, now=700.0)
    assert [(c.processed, c.collected) for c in judged.counts] == [(1, 1)]


def test_what_a_better_frame_pushes_out_is_let_go():
    target = SeedTarget(version(budget=Budget(0.0, target=RateLimit(1, 60.0))), None)
    worse, better = (observation(("bird", v), content=str(v), at=600.0) for v in (0.4, 0.8))
    memory, _, _ = _judge_all(target, [worse])
    judged = judge([better], [target], memory, now=600.0)
    assert [h.sample.frame_id for h in judged.held] == [better.frame.id]
    assert judged.let_go == [f"1:{worse.frame.id}"]


def test_one_frame_of_each_block_is_a_control_whatever_its_score():
    target = SeedTarget(version(budget=Budget(0.5, control=0.1)), None)
    frames = [observation(("bird", 0.2), content=str(i), at=1000.0 + i) for i in range(50)]
    _, samples, _ = _judge_all(target, frames)
    assert len(samples) == 5
    assert all(s.control and s.reason.startswith("control: 1 frame in 10") for s in samples)
    places = [next(i for i, f in enumerate(frames) if f.frame.id == s.frame_id) // 10 for s in samples]
    assert places == [0, 1, 2, 3, 4]


def test_controls_do_not_use_up_the_budget_but_are_counted_as_collected():
    target = SeedTarget(version(budget=Budget(0.5, stop_after=1, control=1.0)), None)
    frames = [observation(("bird", v), content=str(v)) for v in (0.2, 0.9, 0.8)]
    judged = judge(frames, [target], Memory(), now=0)
    assert [(s.control, round(s.score.value, 1)) for s in judged.samples] == [(True, 0.2), (False, 0.9), (True, 0.8)]
    assert [(c.processed, c.collected) for c in judged.counts] == [(3, 3)]


# ── vectors that are none ────────────────────────────────────────────────────────────────────────────

SEEDS = (seed([1, 0], "owl"), seed([1, 0.2], "owlet"))


def _with_vector(rows, content, at=1000.0, *found):
    seen = observation(*found, content=content, at=at)
    return replace(seen, vectors=np.array(rows, np.float32), embedding_version="v1")


@pytest.mark.parametrize("vector", [[np.nan, 0.0], [np.nan, np.nan], [0.0, 0.0]])
@pytest.mark.parametrize(
    "budget",
    [Budget(0.0), Budget(0.0, target=RateLimit(9, 60.0)), Budget(0.5, control=1.0)],
    ids=["threshold", "target", "control"],
)
@pytest.mark.parametrize("trigger", [Similarity(), Change(), Outlier()], ids=lambda t: t.name)
def test_a_frame_whose_vector_is_none_is_no_sample_and_spoils_no_other(vector, budget, trigger):
    target = SeedTarget(version(trigger, SEEDS if trigger.wants_seeds else (), budget=budget), None)
    bad, good = _with_vector([vector], "bad"), _with_vector([[1.0, 0.0]], "good")
    judged = judge([bad, good], [target], Memory(), now=1000.0)
    taken = [*judged.samples, *(h.sample for h in judged.held)]
    assert [s.frame_id for s in taken] == [good.frame.id]
    assert judged.counts[0].processed == 2


def test_a_crop_whose_vector_is_none_loses_to_one_that_has_one():
    target = SeedTarget(version(Similarity(ElementKind.CROP), SEEDS, budget=Budget(0.1)), None)
    seen = _with_vector([[1, 0], [np.nan, 0], [0, 0], [1, 0.1]], "a", 0.0, *[("car", 0.9)] * 3)
    (sample,) = judge([seen], [target], Memory(), now=0).samples
    assert sample.score.row == 3


def test_a_detection_needs_no_vector_to_be_taken():
    target = SeedTarget(version(budget=Budget(0.5, duplicate_distance=0.1)), None)
    for vector in ([np.nan, 0.0], [0.0, 0.0]):
        judged = judge([_with_vector([vector], "a", 0.0, ("bird", 0.9))], [target], Memory(), now=0)
        assert len(judged.samples) == 1


# ── scores nobody need know ──────────────────────────────────────────────────────────────────────────

_coordinate = st.sampled_from([-1.0, -0.5, 0.0, 0.2, 0.5, 0.9, 1.0])
_row = st.tuples(_coordinate, _coordinate, _coordinate).filter(any)
_frame = st.tuples(st.lists(_row, min_size=1, max_size=4), st.sampled_from(["porch", "shed"]))


@given(
    frames=st.lists(_frame, max_size=12),
    threshold=st.sampled_from([0.0, 0.3, 0.5, 0.7, 0.95, 1.0]),
    element=st.sampled_from(list(ElementKind)),
    target=st.sampled_from([None, RateLimit(2, 60.0)]),
    limit=st.sampled_from([(), (RateLimit(2, 5.0),)]),
    negative=st.booleans(),
)
def test_frames_that_are_not_scored_would_not_have_been_taken(frames, threshold, element, target, limit, negative):
    budget = Budget(threshold, limit, target=target)
    seeds = (seed([1, 0, 0], "one"), seed([0, 1, 1], "two"), replace(seed([1, 1, 0], "no"), negative=negative))
    made = SeedTarget(version(Similarity(element), seeds, budget=budget), None)
    seen = [
        observation(*[("car", 0.9)] * (len(rows) - 1), vectors=rows, content=str(i), camera=camera, at=600.0 + i)
        for i, (rows, camera) in enumerate(frames)
    ]
    memory = judge(seen, [made], Memory(), now=600.0).memory
    fast = judge(seen, [made], Memory(), now=600.0).samples + judge([], [made], memory, now=700.0).samples
    assert [(s.frame_id, s.score) for s in fast] == [(s.frame_id, s.score) for s in _each_offered(seen, made, budget)]


def _each_offered(seen, target, budget):
    """What is taken when every frame is scored and offered, and the window closed."""
    ledger, taken = Ledger(), []
    for one, value in zip(seen, score(seen, target, {})[0], strict=True):
        candidate = Sample(
            1, "birds", 1, one.frame.id, one.frame.camera, one.frame.taken_at, one.size_wh, one.box(value.row),
            value, "", one.detections,
        )  # fmt: skip
        ledger, more, _ = offer(ledger, budget, "", candidate, now=600.0)
        taken += more
    return taken + close(ledger, budget, "", now=700.0)[1]
