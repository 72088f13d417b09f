"""How a campaign stands, from what is stored."""

import numpy as np
import pytest

from hub.memory import rows_of
from hub.pipeline import Memory, judge
from hub.standing import Standing, standing
from hub.store import open_store
from hub.tally import KNOWN
from hub.target import SeedTarget
from hub.triggers.change import Change
from hub.triggers.detection import Detection
from hub.triggers.outlier import Outlier
from hub.triggers.similarity import Similarity
from hub.triggers.surprise import LEAST_SCORES
from hub.types import Batch, Budget, RateLimit, SampleStatus
from tests.contract.storing import add_campaign
from tests.hub.making import observation, version


@pytest.fixture
def store(tmp_path):
    opened = open_store(f"sqlite:///{tmp_path / 'hub.sqlite'}")
    yield opened
    opened.close()


def made(store, trigger=None, **changes):
    campaign = add_campaign(store)
    return store.commit(version(trigger or Detection(), campaign_id=campaign.id, campaign="birds", **changes))


def run(store, of, frames):
    """Judge frames, a batch each, and save what is remembered."""
    memory = Memory()
    for one in frames:
        judged = judge([one], [SeedTarget(of, None)], memory, now=one.frame.taken_at)
        store.write(Batch([one], judged.samples, counts=judged.counts, held=judged.held, let_go=judged.let_go))
        memory = judged.memory
    store.remember(list(rows_of(memory, [of]).values()))


def birds(*confidences, camera="porch"):
    return [
        observation(("bird", c), content=f"{camera} {i} {c}", camera=camera, at=6000.0 + i)
        for i, c in enumerate(confidences)
    ]


def now(store):
    return standing(store, store.campaign("birds"))


def test_a_draft_stands_at_nothing(store):
    add_campaign(store)
    assert now(store) == Standing()
    made_of_seeds = add_campaign(store, "owls", Similarity())
    assert standing(store, made_of_seeds) == Standing()


def test_a_plain_campaign_shows_no_thresholds_and_no_warm_up(store):
    run(store, made(store, budget=Budget(0.5)), birds(0.9, 0.2, 0.8))
    assert now(store) == Standing()


def test_the_threshold_of_an_open_window_is_the_least_of_its_best(store):
    of = made(store, budget=Budget(0.1, target=RateLimit(2, 60.0)))
    run(store, of, birds(0.3))
    (threshold,) = now(store).thresholds
    assert (threshold.camera, threshold.value, threshold.source) == ("porch", 0.1, "the campaign's own")
    assert now(store).held == 1
    run(store, of, birds(0.3, 0.9, 0.2, 0.5))
    (threshold,) = now(store).thresholds
    assert (threshold.value, now(store).held) == (pytest.approx(0.5), 2)
    assert threshold.source == "the best 2 so far begin at 0.5"


def test_with_a_share_for_each_camera_each_has_a_threshold_of_its_own(store):
    of = made(store, budget=Budget(0.0, target=RateLimit(2, 60.0, per_camera=True)))
    run(store, of, [*birds(0.6, 0.9), *birds(0.3, camera="shed")])
    assert [(t.camera, t.value) for t in now(store).thresholds] == [("porch", pytest.approx(0.6)), ("shed", 0.0)]


def test_the_threshold_of_alarms_is_the_campaigns_own_until_enough_is_known(store):
    of = made(store, budget=Budget(0.5, alarms=RateLimit(5, 60.0)))
    run(store, of, birds(*[0.2] * 10))
    (threshold,) = now(store).thresholds
    assert (threshold.value, threshold.source) == (0.5, f"the campaign's own, 10 of {KNOWN} frames known")
    values = np.random.default_rng(0).uniform(0.1, 0.9, KNOWN + 100)
    run(store, of, birds(*values.tolist()))
    (threshold,) = now(store).thresholds
    assert np.mean(values >= threshold.value) == pytest.approx(5 / 60, abs=0.03)
    assert "of this camera's frames reach it, for 5/minute" in threshold.source


@pytest.mark.parametrize(
    ("trigger", "frames", "said"),
    [
        (Change("compat", warmup=3), 2, ("porch: 2 of 3 frames",)),
        (Change("compat", warmup=3), 3, ()),
        (Outlier("compat", warmup=3), 2, ("porch: 2 of 3 frames",)),
        (Change(), 4, (f"porch: 4 of {LEAST_SCORES + 1} frames",)),
        (Change(), LEAST_SCORES + 1, ()),
        (Outlier(), 1, (f"porch: 1 of {LEAST_SCORES + 1} frames",)),
    ],
)
def test_the_warm_up_of_a_camera_is_shown_until_it_is_over(store, trigger, frames, said):
    seen = [observation(vectors=[[1, 0.1 * i]], content=str(i), at=6000.0 + i) for i in range(frames)]
    run(store, made(store, trigger), seen)
    assert now(store).warming_up == said


def test_reviewed_samples_and_the_yield_of_controls_are_counted_apart(store):
    run(store, made(store, budget=Budget(0.5, control=1.0)), birds(0.9, 0.8, 0.7, 0.6, 0.4, 0.3, 0.2))
    taken = {round(s.score.value, 1): s for s in store.samples()}
    assert [taken[v].control for v in (0.9, 0.6, 0.4)] == [False, False, True]
    store.review([taken[v].id for v in (0.9, 0.8, 0.4)], SampleStatus.ACCEPTED)
    store.review([taken[v].id for v in (0.7, 0.3)], SampleStatus.DISCARDED)
    stands = now(store)
    assert (stands.accepted, stands.discarded) == (2, 1)
    assert (stands.control, stands.control_accepted) == (3, 1)


def test_what_another_campaign_holds_does_not_count(store):
    other = add_campaign(store, "others")
    budget = Budget(0.0, target=RateLimit(9, 60.0))
    run(store, store.commit(version(Detection(), campaign_id=other.id, campaign="others", budget=budget)), birds(0.9))
    run(store, made(store, budget=budget), birds(0.3, 0.4))
    assert now(store).held == 2
