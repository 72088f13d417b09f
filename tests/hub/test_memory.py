"""What judging remembers, stored and recalled: a restart changes nothing."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.memory import changed, recall, remembers, rows_of, without
from hub.pipeline import Memory, judge
from hub.store import open_store
from hub.target import SeedTarget
from hub.triggers.change import Change
from hub.triggers.detection import Detection
from hub.triggers.everything import Everything
from hub.triggers.outlier import Outlier
from hub.triggers.similarity import Similarity
from hub.types import Batch, Budget, CampaignState, RateLimit
from tests.contract.storing import add_campaign
from tests.hub.making import observation, seed, unit, version

NAMES = itertools.count()


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """Two alike, so that a campaign of the one has a twin of the same id in the other: controls are drawn by it."""
    opened = [open_store(f"sqlite:///{tmp_path_factory.mktemp('memory') / 'hub.sqlite'}") for _ in range(2)]
    yield opened
    for each in opened:
        each.close()


@pytest.fixture
def store(stores):
    return stores[0]


class Judging:
    """What a collector does with batches, and how it stops and starts."""

    def __init__(self, store, trigger, budget, seeds=()):
        self.store = store
        name = f"campaign {next(NAMES)}"
        made = add_campaign(store, name)
        self.version = store.commit(
            version(trigger, seeds, campaign_id=made.id, campaign=name, budget=budget, number=1)
        )
        store.set_campaign_state(name, CampaignState.ACTIVE)
        self.memory, self.samples = Memory(), []
        self.recall()

    def see(self, frames, now=None):
        at = frames[-1].frame.taken_at if now is None else now
        judged = judge(frames, [SeedTarget(self.version, None)], self.memory, now=at)
        batch = Batch(frames, judged.samples, counts=judged.counts, held=judged.held, let_go=judged.let_go)
        self.samples += self.store.write(batch)
        self.memory = judged.memory

    def save(self):
        self.store.remember(list(rows_of(self.memory, [self.version]).values()))

    def recall(self):
        self.memory = recall(self.store, [self.version], self.store.held())

    def held(self):
        return [h for h in self.store.held() if h.sample.campaign_id == self.version.campaign_id]

    def end(self):
        """Close every window; all that was taken, in order."""
        judged = judge([], [SeedTarget(self.version, None)], self.memory, now=1e12)
        return [(s.frame_id, s.reason, s.control) for s in [*self.samples, *judged.samples]]


def stream(number, count):
    """Frames of two cameras: noise around a slow scene, and now and then something else."""
    rng = np.random.default_rng(number)
    scenes = unit(rng.standard_normal((4, 16)))
    frames = []
    for i in range(count):
        odd = rng.random() < 0.15
        vector = (scenes[rng.integers(1, 4)] if odd else scenes[0]) + 0.1 * rng.standard_normal(16)
        found = [("bird", float(rng.random()))] * int(rng.integers(0, 2))
        camera = ("porch", "shed")[int(rng.integers(2))]
        frames.append(observation(*found, vectors=vector, content=f"{number} {i}", camera=camera, at=6000.0 + 2.0 * i))
    return frames


SEED = (seed(np.eye(16)[0], "one"), seed(np.eye(16)[1], "two"))
CAMPAIGNS = {
    "change": (Change(history=50, alpha=0.02), Budget(0.5), ()),
    "change like Roboflow's": (Change("compat", threshold_percentile=0.4), Budget(0.5), ()),
    "change in a window": (Change("compat", strategy="window"), Budget(0.4), ()),
    "outlier": (Outlier(history=50, memory=3), Budget(0.4), ()),
    "outlier like Roboflow's": (Outlier("compat", window_size=12), Budget(0.5), ()),
    "flicker": (Detection(disagreement=("flicker",)), Budget(0.5), ()),
    "alarms": (Detection(), Budget(0.5, alarms=RateLimit(30, 60.0), control=0.1), ()),
    "target": (Detection(), Budget(0.0, target=RateLimit(3, 60.0), control=0.05), ()),
    "target with variety": (
        Similarity(),
        Budget(0.0, target=RateLimit(3, 30.0), variety=0.5, duplicate_distance=0.02),
        SEED,
    ),
    "bursts in windows": (Detection(), Budget(0.3, burst_s=5.0, target=RateLimit(2, 60.0), per_camera=1), ()),
    "limits": (Everything(), Budget(0.5, (RateLimit(3, 20.0), RateLimit(1, 9.0, True)), stop_after=20), ()),
}


@pytest.mark.parametrize("name", CAMPAIGNS)
@given(number=st.integers(0, 2**32), cut=st.integers(0, 59), size=st.integers(1, 20))
@settings(max_examples=6, deadline=None)
def test_a_stream_cut_anywhere_gives_the_same_samples(stores, name, number, cut, size):
    whole, parted = (Judging(store, *CAMPAIGNS[name]) for store in stores)
    frames = stream(number, 60)
    for start in range(0, 60, size):
        for judging in (whole, parted):
            judging.see(frames[start : start + size])
        if start <= cut < start + size:
            parted.save()
            parted.memory = Memory()
            parted.recall()
    assert _all_alike(whole.memory.states, parted.memory.states)
    assert [h.sample.id.split(":")[1] for h in whole.held()] == [h.sample.id.split(":")[1] for h in parted.held()]
    assert whole.end() == parted.end()


def _all_alike(a, b):
    """Of nested mappings with arrays, by campaign: the ids of the two may differ."""
    mine, other = ({c: state for c, state in each.items() if state} for each in (*a.values(), *b.values()))
    assert mine.keys() == other.keys()
    for camera in mine:
        np.testing.assert_equal(dict(mine[camera]), dict(other[camera]))
    return True


def test_the_streams_above_have_what_they_are_to_show(stores):
    for name, settings_ in CAMPAIGNS.items():
        judging = Judging(stores[0], *settings_)
        Judging(stores[1], *settings_)
        for one in stream(7, 60):
            judging.see([one])
        assert 3 <= len(judging.end()) < 60, name


def test_without_what_was_saved_triggers_and_tallies_start_anew_but_held_and_taken_are_there(stores):
    judging = Judging(stores[0], Change("compat"), Budget(0.0, target=RateLimit(3, 60.0), control=0.1))
    Judging(stores[1], Everything(), Budget())
    for one in stream(1, 10):
        judging.see([one])
    held, taken = judging.held(), len(judging.samples)
    judging.recall()
    ledger = judging.memory.ledgers[judging.version.campaign_id]
    assert [h.sample.id for h in ledger.held] == [h.sample.id for h in held]
    assert judging.memory.states[judging.version.campaign_id] == {}
    assert ledger.tallies == {}
    assert len(judging.samples) == taken


@pytest.mark.parametrize(
    "trigger", [Change(history=60), Change("compat"), Outlier(), Everything()], ids=["number", "mode", "kind", "none"]
)
def test_another_setting_of_the_trigger_starts_afresh_but_keeps_the_tallies(stores, trigger):
    judging = Judging(stores[0], Change(history=50), Budget(0.5, alarms=RateLimit(1, 60.0)))
    Judging(stores[1], Everything(), Budget())
    judging.see(stream(1, 10))
    judging.save()
    other = recall(stores[0], [replace(judging.version, trigger=trigger)], [])
    campaign = judging.version.campaign_id
    assert not any(other.states[campaign].values())
    assert other.ledgers[campaign].tallies.keys() == {"porch", "shed"}
    same = recall(stores[0], [replace(judging.version, trigger=Change(history=50), number=2)], [])
    assert all(same.states[campaign].values())


def test_campaigns_do_not_remember_for_each_other(stores):
    first, second = (Judging(stores[0], Change("compat"), Budget()) for _ in range(2))
    for _ in range(2):
        Judging(stores[1], Everything(), Budget())
    first.see(stream(1, 10))
    first.save()
    memory = recall(stores[0], [first.version, second.version], stores[0].held())
    assert memory.states[first.version.campaign_id]
    assert memory.states[second.version.campaign_id] == {}


def test_only_rows_that_changed_are_saved_again(stores):
    judging = Judging(stores[0], Change("compat"), Budget())
    Judging(stores[1], Everything(), Budget())
    judging.see(stream(1, 10))
    saved = rows_of(judging.memory, [judging.version])
    assert {camera for _, camera in saved} == {"porch", "shed"}
    assert changed(saved, {}) == list(saved.values())
    assert changed(rows_of(judging.memory, [judging.version]), saved) == []
    judging.see([one for one in stream(2, 10) if one.frame.camera == "shed"])
    assert [row.camera for row in changed(rows_of(judging.memory, [judging.version]), saved)] == ["shed"]


def test_what_is_forgotten_of_a_camera_is_not_forgotten_of_the_others(stores):
    judging = Judging(stores[0], Change("compat"), Budget(0.0, target=RateLimit(3, 60.0)))
    Judging(stores[1], Everything(), Budget())
    judging.see(stream(1, 10))
    campaign = judging.version.campaign_id
    left = without(judging.memory, [(campaign, "porch"), (campaign, "barn"), (999, "porch")])
    assert not remembers(left, (campaign, "porch"))
    assert remembers(left, (campaign, "shed"))
    assert left.ledgers[campaign].held == judging.memory.ledgers[campaign].held
    assert remembers(judging.memory, (campaign, "porch"))


def test_a_campaign_with_nothing_to_remember_saves_nothing(stores):
    judging = Judging(stores[0], Detection(("bird",)), Budget(0.99))
    Judging(stores[1], Everything(), Budget())
    judging.see(stream(1, 10))
    assert rows_of(judging.memory, [judging.version]) == {}
