import numpy as np
import pytest

from hub.target import SeedTarget
from hub.triggers import TRIGGERS, from_json, to_json
from hub.triggers.detection import Detection
from hub.triggers.similarity import Similarity
from hub.types import ElementKind, Matches, Score
from shared.errors import InvalidInput, NotFound
from tests.hub.making import observation, seed, version


def _similar(trigger, *found, vectors):
    seen = observation(*found, vectors=vectors)
    target = SeedTarget(version(trigger, (seed([1, 0, 0], "red"), seed([0, 1, 0], "green"))), None)
    return trigger.score(seen, target.match(seen.vectors), {})[0]


def test_a_frame_campaign_looks_at_the_whole_frame_only():
    score = _similar(Similarity(), ("car", 0.9), vectors=[[0, 0, 1], [1, 0, 0]])
    assert score.row == 0
    assert score.value == 0.0


def test_a_crop_campaign_takes_the_best_crop_and_never_the_frame():
    trigger = Similarity(ElementKind.CROP)
    score = _similar(trigger, ("car", 0.9), ("bus", 0.8), vectors=[[1, 0, 0], [0, 0, 1], [0, 1, 0.1]])
    assert (score.row, score.seed) == (2, "green")
    assert score.value > 0.5


def test_crops_of_other_labels_and_uncertain_ones_do_not_compete():
    vectors = [[0, 0, 1], [1, 0, 0], [0, 1, 0]]
    found = (("car", 0.9), ("bus", 0.1))
    assert _similar(Similarity(ElementKind.CROP, ("bus",)), *found, vectors=vectors).value == 0.0
    assert _similar(Similarity(ElementKind.CROP, ("car",)), *found, vectors=vectors).row == 1


def test_a_frame_without_crops_scores_zero():
    assert _similar(Similarity(ElementKind.CROP), vectors=[[1, 0, 0]]).value == 0.0


@pytest.mark.parametrize("trigger", [Detection(("bird",), 0.2), Similarity(ElementKind.CROP, ("car",), 0.4, "cosine")])
def test_a_trigger_survives_its_trip_through_json(trigger):
    assert from_json(to_json(trigger)) == trigger


def test_unknown_triggers_and_settings_are_named():
    with pytest.raises(NotFound, match=r"similarty(.|\n)*similarity"):
        from_json({"name": "similarty"})
    with pytest.raises(InvalidInput, match="colour"):
        from_json({"name": "detection", "colour": "red"})


@pytest.mark.parametrize("kind", TRIGGERS.values())
def test_every_trigger_is_usable_with_its_defaults_and_scores_in_range(kind):
    trigger = kind()
    seen = observation(("bird", 0.9), vectors=[[1, 0], [0, 1]])
    matches = Matches(np.array([0.2, 0.9]), lambda _: ("a", 0.3)) if trigger.wants_seeds else None
    score, state = trigger.score(seen, matches, {})
    assert isinstance(score, Score)
    assert 0.0 <= score.value <= 1.0
    assert kind.__doc__
    again, _ = trigger.score(seen, matches, state)
    assert 0.0 <= again.value <= 1.0
