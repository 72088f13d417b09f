import itertools
import json
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hub.triggers import from_json, to_json
from hub.triggers.detection import Detection
from hub.triggers.region import anchors, contains, shares
from hub.types import Detections, Matches, Observation
from shared.errors import InvalidInput
from tests.hub.making import frame, observation

LEFT_HALF = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))
LOWER_HALF = ((0.0, 0.5), (1.0, 0.5), (1.0, 1.0), (0.0, 1.0))
MISSED, UNSURE, FLICKER = ("missed",), ("unsure",), ("flicker",)
UNLIKE = Matches(np.array([0.0]), lambda _: ("robin", 0.0))


def boxed(*found, size_wh=(100, 100), at=1000.0):
    """found: label, confidence and box each."""
    xyxy = np.array([box for _, _, box in found], np.float32).reshape(-1, 4)
    seen = Detections(xyxy, np.array([c for _, c, _ in found], np.float32), tuple(label for label, _, _ in found))
    return Observation(frame(taken_at=at), size_wh, seen, np.zeros((0, 0), np.float32))


def score(trigger, seen, matches=None):
    return trigger.score(seen, matches, {})[0]


def alike(value, seed="robin"):
    return Matches(np.array([value], np.float32), lambda _: (seed, 0.3))


# ── labels and confidence ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("labels", "found", "value", "row"),
    [
        (("bird",), [("cat", 0.9), ("bird", 0.4), ("bird", 0.3)], 0.4, 2),
        (("bird", "cat"), [("cat", 0.9), ("bird", 0.4)], 0.9, 1),
        ((), [("truck", 0.7)], 0.7, 1),
        (("bird",), [("cat", 0.9)], 0.0, 0),
        (("bird",), [], 0.0, 0),
        ((), [], 0.0, 0),
        (("bird",), [("bird", 0.09)], 0.0, 0),
        (("bird",), [("bird", 0.1)], 0.1, 1),
    ],
)
def test_a_detection_scores_its_best_wanted_label(labels, found, value, row):
    best = score(Detection(labels), observation(*found))
    assert best.value == pytest.approx(value)
    assert best.row == row


def test_a_detection_says_what_it_saw_or_missed():
    assert score(Detection(("bird",)), observation(("bird", 0.83))).why == "bird 0.83"
    assert score(Detection(("bird", "cat")), observation()).why == "no bird or cat found"


FOUND = st.lists(st.tuples(st.sampled_from(["bird", "cat"]), st.sampled_from([0.2, 0.5, 0.5, 0.9])), max_size=6)


@given(FOUND, st.integers(1, 3), st.randoms(use_true_random=False))
def test_the_order_of_detections_never_changes_the_score(found, least, shuffler):
    shuffled = list(found)
    shuffler.shuffle(shuffled)
    trigger = Detection(("bird",), min_count=least)
    a, b = score(trigger, observation(*found)), score(trigger, observation(*shuffled))
    assert (a.value, a.why) == (b.value, b.why)


@given(FOUND)
def test_of_equal_boxes_the_first_wins(found):
    birds = [(-confidence, 1 + i) for i, (label, confidence) in enumerate(found) if label == "bird"]
    assert score(Detection(("bird",)), observation(*found)).row == (min(birds)[1] if birds else 0)


# ── counts ───────────────────────────────────────────────────────────────────────────────────────────

THREE = [("bird", 0.9), ("bird", 0.6), ("cat", 0.5), ("bird", 0.41)]


@pytest.mark.parametrize(
    ("changes", "found", "value", "why"),
    [
        ({"min_count": 3}, THREE, 0.41, "3 birds, the third 0.41"),
        ({"min_count": 2}, THREE, 0.6, "3 birds, the second 0.60"),
        ({"min_count": 4}, THREE, 0.0, "3 of 4 birds"),
        ({"min_count": 3}, THREE[:1], 0.0, "1 of 3 birds"),
        ({"min_count": 3}, [], 0.0, "no bird found"),
        ({"min_count": 3, "confidence": 0.5}, THREE, 0.0, "2 of 3 birds"),
        ({"min_count": 12}, [("bird", 0.5)] * 12, 0.5, "12 birds, the 12th 0.50"),
        ({"min_count": 21}, [("bird", 0.5)] * 22, 0.5, "22 birds, the 21st 0.50"),
        ({"max_count": 2}, THREE, 0.0, "3 birds, more than 2"),
        ({"max_count": 3}, THREE, 0.9, "bird 0.90"),
        ({"min_count": 3, "max_count": 3}, THREE, 0.41, "3 birds, the third 0.41"),
        ({"max_count": 2, "confidence": 0.5}, THREE, 0.9, "bird 0.90"),
        ({"min_count": 2, "labels": ()}, THREE, 0.6, "4 birds or cats, the second 0.60"),
        ({"min_count": 5, "labels": ("person", "bus")}, [("bus", 0.3)], 0.0, "1 of 5 buses or people"),
    ],
)
def test_the_last_object_wanted_decides(changes, found, value, why):
    best = score(Detection(**{"labels": ("bird",)} | changes), observation(*found))
    assert best.value == pytest.approx(value)
    assert best.why == why
    assert best.row == (1 if found else 0)


@given(FOUND, st.integers(1, 4), st.sampled_from([0.2, 0.5, 0.9]))
def test_a_threshold_means_so_many_objects_are_at_least_that_certain(found, least, threshold):
    certain = sum(label == "bird" and np.float32(confidence) >= np.float32(threshold) for label, confidence in found)
    value = score(Detection(("bird",), min_count=least), observation(*found)).value
    assert (np.float32(value) >= np.float32(threshold)) == (certain >= least)


# ── size ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("changes", "value"),
    [
        ({"min_size": 0.05}, 0.0),
        ({"min_size": 0.04}, 0.8),
        ({"max_size": 0.04}, 0.8),
        ({"max_size": 0.03}, 0.0),
        ({"min_size": 0.01, "max_size": 0.1}, 0.8),
    ],
)
def test_only_boxes_of_the_wanted_size_count(changes, value):
    best = score(Detection(**changes), boxed(("bird", 0.8, (10, 10, 30, 30))))
    assert best.value == pytest.approx(value)
    assert best.why == ("bird 0.80" if value else "no object found at that size")


@pytest.mark.parametrize(
    ("box", "share"),
    [
        ((0, 0, 100, 100), 1.0),
        ((-50, -50, 150, 150), 1.0),
        ((-10, 0, 10, 50), 0.05),
        ((120, 120, 130, 130), 0.0),
        ((30, 30, 10, 10), 0.0),
    ],
)
def test_the_size_of_a_box_is_what_it_covers_of_the_frame(box, share):
    assert shares(np.array([box], np.float32), (100, 100)) == pytest.approx([share])


# ── region ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("box", "anchor", "inside"),
    [
        ((10, 30, 30, 60), "bottom", True),
        ((10, 30, 30, 60), "center", False),
        ((10, 30, 30, 50), "bottom", True),  # on the edge
        ((10, 30, 30, 49), "bottom", False),
        ((10, 40, 30, 140), "bottom", True),  # reaches below the frame: stands at its lower edge
        ((-40, 60, 10, 90), "bottom", True),
        ((10, 30, 30, 80), "center", True),
    ],
)
def test_a_detection_counts_where_it_stands_or_where_its_middle_is(box, anchor, inside):
    trigger = Detection(("bird",), region=LOWER_HALF, region_anchor=anchor)
    best = score(trigger, boxed(("bird", 0.8, box)))
    assert best.why == ("bird 0.80" if inside else "no bird found in the region")
    assert (best.value > 0, best.row) == (inside, int(inside))


@pytest.mark.parametrize("size_wh", [(100, 100), (640, 480), (1920, 1080), (3, 7)])
def test_a_region_holds_at_any_resolution(size_wh):
    width, height = size_wh
    left, right = (0.1 * width, 0, 0.3 * width, height), (0.6 * width, 0, 0.8 * width, height)
    seen = boxed(("bird", 0.9, right), ("bird", 0.4, left), size_wh=size_wh)
    best = score(Detection(region=LEFT_HALF), seen)
    assert (best.row, best.value) == (2, pytest.approx(0.4))


def test_counts_are_of_the_region():
    seen = boxed(*[("bird", 0.9 - 0.1 * i, (20 * i, 0, 20 * i + 10, 10)) for i in range(5)])
    assert score(Detection(min_count=4, region=LEFT_HALF), seen).why == "3 of 4 birds in the region"
    assert score(Detection(max_count=2, region=LEFT_HALF), seen).why == "3 birds in the region, more than 2"
    assert score(Detection(max_count=3, region=LEFT_HALF), seen).value == pytest.approx(0.9)


def _in_triangle(p, a, b, c):
    turns = [(v[0] - u[0]) * (p[1] - u[1]) - (v[1] - u[1]) * (p[0] - u[0]) for u, v in ((a, b), (b, c), (c, a))]
    assume(all(turns))  # on an edge, or on the line through one, both answers are right
    return all(t > 0 for t in turns) or all(t < 0 for t in turns)


GRID = st.tuples(st.integers(0, 20), st.integers(0, 20))


@given(st.lists(GRID, min_size=3, max_size=8), st.tuples(st.integers(0, 999), st.integers(0, 999)))
def test_a_point_is_in_a_region_when_it_is_in_an_odd_number_of_its_triangles(corners, at):
    """Brute force, in exact fractions: a polygon is the exclusive or of the triangles of a fan."""
    polygon = [(Fraction(x, 20), Fraction(y, 20)) for x, y in corners]
    p = (Fraction(2 * at[0] + 1, 2000), Fraction(2 * at[1] + 1, 2000))
    fan = itertools.pairwise(polygon[1:])
    inside = sum(_in_triangle(p, polygon[0], b, c) for b, c in fan) % 2 == 1
    floats = tuple((float(x), float(y)) for x, y in polygon)
    assert contains(floats, np.array([[float(p[0]), float(p[1])]]))[0] == inside


@given(st.lists(GRID, min_size=3, max_size=8), st.integers(0, 7), st.floats(0, 1))
def test_the_edge_belongs_to_the_region(corners, i, along):
    polygon = np.array(corners) / 20
    a, b = polygon[i % len(polygon)], polygon[(i + 1) % len(polygon)]
    assert contains(tuple(map(tuple, polygon)), (a + along * (b - a))[None])[0]


@given(st.lists(GRID, min_size=3, max_size=8), st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=5))
def test_where_a_polygon_begins_and_which_way_it_runs_makes_no_difference(corners, points):
    polygon = tuple((x / 20, y / 20) for x, y in corners)
    at = np.array(points).reshape(-1, 2)
    inside = contains(polygon, at)
    assert np.array_equal(contains(polygon[::-1], at), inside)
    assert np.array_equal(contains(polygon[1:] + polygon[:1], at), inside)


BOX = st.tuples(*[st.floats(-1e4, 1e4, width=32)] * 4)


@given(
    st.lists(BOX, max_size=4), st.tuples(st.integers(0, 200), st.integers(0, 200)), st.sampled_from([(), LOWER_HALF])
)
def test_no_box_and_no_frame_size_is_a_surprise(boxes, size_wh, region):
    seen = boxed(*[("bird", 0.5, box) for box in boxes], size_wh=size_wh)
    for anchor in ("bottom", "center"):
        trigger = Detection(region=region, region_anchor=anchor, min_size=0.001, disagreement=("unsure", "flicker"))
        for each in (trigger, replace(trigger, disagreement=())):
            assert 0.0 <= score(each, seen).value <= 1.0


def test_a_frame_without_pixels_has_no_region_and_no_sizes():
    box = np.array([[0, 0, 10, 10]], np.float32)
    assert shares(box, (0, 0)) == [0.0]
    assert np.isnan(anchors(box, (0, 0))).all()
    assert score(Detection(region=LOWER_HALF), boxed(("bird", 0.8, (0, 0, 9, 9)), size_wh=(0, 0))).value == 0.0
    assert score(Detection(), boxed(("bird", 0.8, (0, 0, 9, 9)), size_wh=(0, 0))).value == pytest.approx(0.8)


# ── missed ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("found", "likeness", "value"),
    [
        ([], 0.71, 0.71),
        ([("cat", 0.9)], 0.71, 0.71),
        ([("bird", 0.09)], 0.71, 0.71),
        ([("bird", 0.2)], 0.71, 0.0),
        ([], 0.0, 0.0),
        ([], 1.2, 1.0),
        ([], -0.1, 0.0),
    ],
)
def test_an_object_is_missed_when_the_frame_looks_like_it_and_none_was_found(found, likeness, value):
    trigger = Detection(("bird",), disagreement=MISSED)
    assert score(trigger, observation(*found, vectors=[[1, 0]]), alike(likeness)).value == pytest.approx(value)


def test_a_missed_object_names_its_seed():
    best = score(Detection(("bird",), disagreement=MISSED), observation(vectors=[[1, 0]]), alike(0.71))
    assert best.why == "looks like robin (0.71) and no bird was found"
    assert (best.row, best.seed, best.cosine, best.scorer) == (0, "robin", pytest.approx(0.3), "missed")


def test_an_object_outside_the_region_is_missed_in_it():
    seen = boxed(("bird", 0.9, (60, 0, 80, 80)))
    trigger = Detection(("bird",), region=LEFT_HALF, disagreement=MISSED)
    assert score(trigger, seen, alike(0.6)).why == "looks like robin (0.60) and no bird was found in the region"


def test_a_frame_that_was_not_embedded_is_not_missed():
    nothing = Matches(np.zeros(0, np.float32), lambda _: ("", 0.0))
    assert score(Detection(disagreement=MISSED), observation(), nothing).value == 0.0


@pytest.mark.parametrize(
    ("kinds", "seeds"), [((), False), (MISSED, True), (("unsure", "flicker"), False), (("flicker", "missed"), True)]
)
def test_only_missed_objects_need_seeds_and_vectors(kinds, seeds):
    trigger = Detection(disagreement=kinds)
    assert (trigger.wants_seeds, trigger.needs.frame_vector) == (seeds, seeds)
    assert trigger.needs.detections
    assert not trigger.needs.crop_vectors


# ── unsure ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("confidence", "value"),
    [(0.5, 1.0), (0.35, 0.5), (0.65, 0.5), (0.575, 0.75), (0.2, 0.0), (0.8, 0.0), (0.95, 0.0), (0.7, 1 / 3)],
)
def test_doubt_is_greatest_at_the_detection_threshold(confidence, value):
    best = score(Detection(("bird",), disagreement=UNSURE), observation(("bird", confidence)))
    assert best.value == pytest.approx(value, abs=1e-6)
    assert best.row == 1


def test_doubt_is_about_the_best_detection_and_says_so():
    best = score(Detection(("bird",), disagreement=UNSURE), observation(("cat", 0.5), ("bird", 0.47), ("bird", 0.3)))
    assert (best.row, best.why) == (2, "unsure: bird 0.47, near 0.50")
    sure = score(Detection(("bird",), disagreement=UNSURE), observation(("bird", 0.93), ("bird", 0.5)))
    assert (sure.value, sure.why) == (0.0, "bird 0.93, and no doubt about it")
    none = score(Detection(("bird",), disagreement=UNSURE), observation())
    assert (none.value, none.row, none.why) == (0.0, 0, "no bird found, and no doubt about it")


@pytest.mark.parametrize(
    ("changes", "least"),
    [
        ({"confidence": 0.6}, 0.2),
        ({"confidence": 0.6, "unsure_at": 0.3}, 0.05),
        ({"confidence": 0.1}, 0.1),
        ({"confidence": 0.01}, 0.05),
        ({"confidence": 0.6, "disagreement": ()}, 0.6),
    ],
)
def test_the_detector_is_asked_for_what_it_is_unsure_of(changes, least):
    assert Detection(**{"disagreement": UNSURE} | changes).needs.confidence == pytest.approx(least)


def test_doubt_below_the_confidence_asked_for_counts():
    assert score(Detection(confidence=0.6, disagreement=UNSURE), observation(("bird", 0.5))).value == 1.0


# ── flicker ──────────────────────────────────────────────────────────────────────────────────────────


def watch(trigger, *confidences, step_s=1.0, times=None):
    """The scores of frames of one camera, each with a bird of that confidence (0: none)."""
    state, scores = {}, []
    times = times or [1000.0 + i * step_s for i in range(len(confidences))]
    for at, confidence in zip(times, confidences, strict=True):
        seen = observation(*[("bird", confidence)] * bool(confidence), at=at)
        value, state = trigger.score(seen, UNLIKE if trigger.wants_seeds else None, state)
        scores.append(value)
    return scores


BIRDS = Detection(("bird",), disagreement=FLICKER)


@pytest.mark.parametrize(
    ("confidences", "value"),
    [
        ((0.9, 0.0, 0.9), 0.9),
        ((0.9, 0.4, 0.7), 0.7),
        ((0.0, 0.9, 0.0), 1.0),
        ((0.2, 0.6, 0.4), 0.6),
        ((0.5, 0.0, 1.0), 0.5),
        ((0.9, 0.9, 0.9), 0.0),
        ((0.0, 0.0, 0.9), 0.0),
        ((0.9, 0.0, 0.0), 0.0),
        ((0.0, 0.9, 0.9), 0.0),
        ((0.0, 0.0, 0.0), 0.0),
        ((0.9, 0.0), 0.0),
        ((0.9,), 0.0),
    ],
)
def test_a_bird_that_comes_and_goes_between_frames_flickers(confidences, value):
    assert watch(BIRDS, *confidences)[-1].value == pytest.approx(value, abs=1e-6)


@given(*[st.sampled_from([0.0, 0.1, 0.3, 0.49, 0.5, 0.51, 0.8, 1.0])] * 3, st.sampled_from([0.2, 0.5, 0.8]))
def test_a_flicker_scores_at_least_half_and_anything_else_nothing(a, b, c, at):
    there = [np.float32(confidence) >= at for confidence in (a, b, c)]
    value = watch(replace(BIRDS, unsure_at=at), a, b, c)[-1].value
    assert (value >= 0.5) == (value > 0) == (there[0] == there[2] != there[1])


def test_a_flicker_says_how_it_went_and_points_at_what_is_there():
    gone, back = watch(BIRDS, 0.0, 0.9, 0.0, step_s=1.05)[-1], watch(BIRDS, 0.9, 0.0, 0.9, step_s=1.05)[-1]
    assert (gone.why, gone.row) == ("bird came and went within 2.1 s", 0)
    assert (back.why, back.row) == ("bird went and came back within 2.1 s", 1)


def test_a_lasting_flicker_is_noticed_at_every_turn():
    assert [s.value >= 0.5 for s in watch(BIRDS, 0.9, 0.0, 0.9, 0.0, 0.0)] == [False, False, True, True, False]


@pytest.mark.parametrize(
    ("times", "noticed"),
    [
        ((0, 5, 10), True),
        ((0, 5, 10.1), False),
        ((0, 100, 101), False),
        ((0, 2, 1), False),  # out of order
        ((100, 0, 1), False),  # the clock stepped back
        ((0, 1, 1), False),
        ((0, 1, float("nan")), False),
    ],
)
def test_a_flicker_is_quick_and_its_frames_are_in_order(times, noticed):
    assert (watch(BIRDS, 0.9, 0.0, 0.9, times=times)[-1].value > 0) == noticed


def test_after_a_step_back_the_memory_starts_anew():
    scores = watch(BIRDS, 0.9, 0.0, 0.9, 0.0, 0.9, times=(1000, 1001, 50, 51, 52))
    assert [s.value > 0 for s in scores] == [False, False, False, False, True]


def test_the_memory_is_three_frames_and_never_changed_in_place():
    state = {}
    for i in range(10):
        before = {key: value.copy() for key, value in state.items()}
        _, new = BIRDS.score(observation(("bird", 0.9), at=1000.0 + i), None, state)
        assert all(np.array_equal(before[key], state[key]) for key in before)
        state = new
    assert {key: value.shape for key, value in state.items()} == {"flicker_at": (3,), "flicker_confidence": (3,)}
    assert all(value.dtype == np.float64 for value in state.values())


@pytest.mark.parametrize(
    "state",
    [
        {"flicker_at": np.array([1.0, 2.0]), "flicker_confidence": np.array([0.5])},
        {"flicker_at": np.zeros((2, 2)), "flicker_confidence": np.zeros((2, 2))},
        {"flicker_at": np.array([1.0])},
        {"mean": np.array([1.0])},
    ],
)
def test_a_memory_that_is_not_ours_is_forgotten(state):
    best, new = BIRDS.score(observation(("bird", 0.9)), None, state)
    assert best.value == 0.0
    assert new["flicker_at"].tolist() == [1000.0]


def test_without_flicker_nothing_is_remembered():
    for trigger in (Detection(), Detection(disagreement=UNSURE)):
        assert trigger.score(observation(("bird", 0.9)), None, {})[1] == {}


def test_the_greatest_doubt_wins():
    trigger = Detection(("bird",), disagreement=("missed", "unsure", "flicker"))
    scores = watch(trigger, 0.45, 0.9, 0.45)
    assert [s.scorer for s in scores] == ["unsure", "disagreement", "unsure"]
    assert watch(trigger, 0.0, 0.9, 0.0)[-1].scorer == "flicker"
    assert score(trigger, observation(vectors=[[1, 0]]), alike(0.8)).scorer == "missed"


# ── as JSON, and what is refused ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "trigger",
    [
        Detection(),
        Detection(("bird",), 0.2, 2, 5, 0.01, 0.5, LOWER_HALF, "center"),
        Detection(region=((0, 0), (1, 0), (1, 1))),
        Detection(disagreement=("missed", "flicker"), unsure_at=0.4, unsure_within=0.1, flicker_s=3.0),
    ],
)
def test_a_detection_survives_its_trip_through_json(trigger):
    again = from_json(json.loads(json.dumps(to_json(trigger))))
    assert again == trigger
    assert hash(again) == hash(trigger)


def test_a_campaign_stored_before_there_were_regions_still_loads():
    assert from_json({"name": "detection", "labels": ["bird"], "confidence": 0.2}) == Detection(("bird",), 0.2)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"labels": "bird"}, "labels are 'bird'"),
        ({"labels": ("",)}, "labels"),
        ({"confidence": 1.5}, "confidence lies between 0 and 1"),
        ({"confidence": float("nan")}, "confidence is nan"),
        ({"confidence": "high"}, "confidence is 'high'"),
        ({"min_count": 0}, "min_count is 0"),
        ({"min_count": 1.5}, "min_count"),
        ({"min_count": True}, "min_count"),
        ({"min_count": 3, "max_count": 2}, "max_count is 2 where min_count is 3"),
        ({"min_size": -0.1}, "min_size lies"),
        ({"max_size": 20}, "max_size lies"),
        ({"min_size": 0.5, "max_size": 0.1}, "nothing can be of that size"),
        ({"region": ((0, 0), (1, 1))}, "three corners"),
        ({"region": ((0, 0), (1, 0), (1, 200))}, "no corner"),
        ({"region": ((0, 0), (1, 0), (1, float("nan")))}, "no corner"),
        ({"region": ((0, 0), (1, 0), (1, 1, 1))}, "no corner"),
        ({"region": ((0, 0), (1, 0), "no")}, "no corner"),
        ({"region": ((0, 0), (0.5, 0.5), (1, 1))}, "on one line"),
        ({"region": ((0.5, 0.5),) * 3}, "on one line"),
        ({"region_anchor": "top"}, "region_anchor is 'top'"),
        ({"disagreement": ("mist",)}, "mist"),
        ({"disagreement": "missed"}, "disagreement"),
        ({"disagreement": UNSURE, "min_count": 2}, "can't be counted"),
        ({"disagreement": UNSURE, "max_count": 2}, "can't be counted"),
        ({"unsure_at": 0.0}, "unsure_at lies"),
        ({"unsure_at": 1.0}, "unsure_at lies"),
        ({"unsure_within": 0.0}, "unsure_within lies"),
        ({"flicker_s": 0.0}, "flicker_s lies"),
        ({"flicker_s": float("inf")}, "flicker_s is inf"),
    ],
)
def test_settings_that_make_no_sense_are_refused_by_name(wrong, message):
    with pytest.raises(InvalidInput, match=message):
        Detection(**wrong)
