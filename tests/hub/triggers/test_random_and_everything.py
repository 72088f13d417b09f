import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.rarity import rarity_of_score
from hub.triggers import from_json, to_json
from hub.triggers.everything import Everything
from hub.triggers.random import _BITS, Random, _score
from hub.types import Needs
from shared.errors import InvalidInput
from tests.hub.making import observation


def _value(trigger, content="a", camera="porch", at=1000.0, *found):
    return trigger.score(observation(*found, content=content, camera=camera, at=at), None, {})[0].value


def _taken(trigger, frames, camera="porch"):
    return {i for i in range(frames) if _value(trigger, str(i), camera) >= 0.5}


def test_everything_is_taken_and_says_so():
    score, state = Everything().score(observation(), None, {})
    assert (score.value, score.why, state) == (1.0, "everything is taken", {})


@pytest.mark.parametrize("trigger", [Everything(), Random()])
def test_neither_needs_a_model_or_a_seed(trigger):
    assert trigger.needs == Needs()
    assert not trigger.wants_seeds


@pytest.mark.parametrize("one_in", [2, 3, 10, 100])
def test_one_frame_in_n_is_drawn_in_the_long_run(one_in):
    frames = 20_000
    expected, deviation = frames / one_in, math.sqrt(frames / one_in * (1 - 1 / one_in))
    assert abs(len(_taken(Random(one_in), frames)) - expected) < 4 * deviation


@pytest.mark.parametrize("seed", range(5))
def test_one_in_one_draws_every_frame(seed):
    assert len(_taken(Random(1, seed), 500)) == 500


@given(st.integers(1, 1000), st.integers(), st.text(max_size=5), st.text(max_size=5))
def test_a_frame_is_decided_alike_whenever_and_whatever_else_was_seen(one_in, seed, camera, content):
    trigger = Random(one_in, seed)
    first = _value(trigger, content, camera)
    _value(trigger, content + "another", camera)
    assert _value(from_json(to_json(trigger)), content, camera, 2000.0, ("bird", 0.9)) == first


def test_the_draw_is_the_same_on_every_machine():
    assert _taken(Random(20), 100) == {15, 24, 39, 96}


def test_seeds_and_cameras_draw_independently():
    porch, garden, other = _taken(Random(4), 2000), _taken(Random(4), 2000, "garden"), _taken(Random(4, 1), 2000)
    for another in (garden, other):
        assert len(porch & another) == pytest.approx(2000 / 16, abs=4 * math.sqrt(2000 / 16))


def test_a_higher_threshold_draws_the_share_its_score_says():
    frames, threshold = 20_000, 0.75
    drawn = sum(_value(Random(10), str(i)) >= threshold for i in range(frames))
    assert rarity_of_score(threshold, 1 / 10) == pytest.approx(1 / 100)
    assert abs(drawn - frames / 100) < 4 * math.sqrt(frames / 100)


@given(st.integers(1, 10**9), st.integers(0, 2**_BITS - 1), st.integers(0, 2**_BITS - 1))
def test_a_smaller_lot_never_scores_lower_and_half_is_the_boundary(one_in, a, b):
    rare, common = (_score(lot / 2**_BITS, one_in, lot * one_in < 2**_BITS) for lot in sorted((a, b)))
    assert 0.0 <= common <= rare <= 1.0
    assert (rare >= 0.5) == (min(a, b) * one_in < 2**_BITS)


@given(st.integers(2, 10**6), st.integers(-3, 3))
def test_half_is_the_boundary_at_the_very_edge(one_in, off):
    lot = 2**_BITS // one_in + off
    taken = lot * one_in < 2**_BITS
    assert (_score(lot / 2**_BITS, one_in, taken) >= 0.5) == taken


def test_a_draw_says_how_it_went():
    why = {Random(2).score(observation(content=str(i)), None, {})[0].why for i in range(20)}
    assert why == {"drawn, 1 in 2", "not drawn, 1 in 2"}


@pytest.mark.parametrize("trigger", [Everything(), Random(7, 3)])
def test_they_survive_their_trip_through_json(trigger):
    assert from_json(to_json(trigger)) == trigger


@pytest.mark.parametrize(
    "wrong", [{"one_in": 0}, {"one_in": -5}, {"one_in": 1.5}, {"one_in": True}, {"one_in": "10"}, {"seed": 0.5}]
)
def test_a_lot_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(InvalidInput, match=next(iter(wrong))) as error:
        Random(**wrong)
    assert error.value.hint
