"""What every store does with campaigns, their seeds and versions."""

from dataclasses import replace

import numpy as np
import pytest
import sqlalchemy as sa

from hub.store.tables import campaigns
from hub.triggers import TRIGGERS, from_json
from hub.triggers.detection import Detection
from hub.triggers.similarity import Similarity
from hub.types import (
    Budget,
    Camera,
    CameraHealth,
    CampaignState,
    ElementKind,
    Fitted,
    RateLimit,
    Remembered,
    Scope,
    SeedKind,
)
from shared.errors import AlreadyExists, InvalidInput, NotFound, StoreError
from tests.contract.storing import active, add_campaign, at_once
from tests.hub.making import CALIBRATIONS, seed, unit, version

_TRIGGERS = [
    *(from_json({"name": name}) for name in TRIGGERS if name != "detection"),
    Detection(("bird",)),
    Similarity(ElementKind.CROP, ("truck",)),
]


def test_a_campaign_comes_back_as_it_was_made(store):
    budget = Budget(0.3, (RateLimit(20, 3600),), 0.05, 100)
    trigger = Similarity(ElementKind.CROP, ("truck",), scorer="cosine")
    made = add_campaign(store, "trucks", trigger, scope=Scope(("porch",)), budget=budget, tags=("a", "b"))
    assert store.campaign("trucks") == made
    assert store.campaigns() == [made]
    with pytest.raises(AlreadyExists):
        add_campaign(store, "trucks")
    with pytest.raises(NotFound, match="trucks"):
        store.campaign("truck")


def test_every_setting_of_a_campaign_comes_back_as_it_was_made(store):
    hour, day = RateLimit(20, 3600.0, per_camera=True), RateLimit(30, 86400.0)
    budget = Budget(
        threshold=0.3,
        limits=(hour, day),
        duplicate_distance=0.05,
        stop_after=100,
        duplicate_s=60.0,
        burst_s=30.0,
        target=day,
        per_camera=3,
        variety=0.5,
        alarms=RateLimit(5, 86400.0, per_camera=True),
        control=0.01,
    )
    scope = Scope(("porch",), ((1320, 360), (720, 780)), (5, 6), "Europe/Vienna")
    made = add_campaign(store, budget=budget, scope=scope)
    assert store.campaign("birds") == made
    store.commit(version(campaign_id=made.id, budget=budget, scope=scope))
    (kept,) = store.versions("birds")
    assert (kept.budget, kept.scope) == (budget, scope)


def test_what_an_older_hub_wrote_of_settings_means_what_it_meant(store, url):
    add_campaign(store, budget=Budget(0.3, (RateLimit(20, 3600.0),), 0.05, 100), scope=Scope(("porch",)))
    old = {"threshold": 0.3, "limits": [{"count": 20, "per_s": 3600.0}], "duplicate_distance": 0.05, "stop_after": 100}
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(campaigns.update().values(budget=old, scope={"cameras": ["porch"]}))
    engine.dispose()
    kept = store.campaign("birds")
    assert kept.budget == Budget(0.3, (RateLimit(20, 3600.0),), 0.05, 100)
    assert kept.scope == Scope(("porch",))


@pytest.mark.parametrize("trigger", _TRIGGERS, ids=lambda trigger: trigger.name)
def test_every_trigger_comes_back_as_it_was_made(store, trigger):
    assert add_campaign(store, trigger=trigger) == store.campaign("birds")


def test_a_setting_that_is_no_number_is_refused(store):
    with pytest.raises(StoreError, match="finite"):
        add_campaign(store, budget=Budget(float("nan")))
    assert store.campaigns() == []


def test_seeds_keep_their_vectors_exactly_and_are_replaced_by_id(store):
    first, second = seed([0.1, 0.2, 0.3], "a"), seed([1, 0, 0], "b")
    add_campaign(store, "t", Similarity(), [first, second])
    assert [s.name for s in store.seeds("t")] == ["a", "b"]
    assert np.array_equal(store.seeds("t")[0].vector, first.vector)
    again = replace(first, vector=unit([0, 0, 1])[0], embedding_version="v2")
    assert store.add_seeds("t", [again, seed([0, 1, 0], "c")]) == 1
    assert [(s.name, s.embedding_version) for s in store.seeds("t")] == [("a", "v2"), ("b", "v1"), ("c", "v1")]


def test_what_a_seed_is_an_example_of_is_kept_and_frozen(store):
    not_this = replace(seed([0, 1], "b", SeedKind.SAMPLE), negative=True, box=(1.0, 2.5, 3.0, 4.0))
    made = add_campaign(store, "t", Similarity(), [seed([1, 0], "a"), not_this])
    store.commit(version(Similarity(), tuple(store.seeds("t")), campaign_id=made.id))
    for kept in (store.seeds("t"), store.versions("t")[0].seeds):
        assert [(s.negative, s.box) for s in kept] == [(False, None), (True, (1.0, 2.5, 3.0, 4.0))]
    store.add_seeds("t", [replace(not_this, negative=False, box=None)])
    assert [(s.negative, s.box) for s in store.seeds("t")] == [(False, None), (False, None)]


def test_seeds_are_removed_by_id_and_versions_keep_theirs(store):
    made = add_campaign(store, "t", Similarity(), [seed([1, i], f"{i}") for i in range(5)])
    add_campaign(store, "other", Similarity(), [seed([1, 0], "0")])
    store.commit(version(Similarity(), tuple(store.seeds("t")), campaign_id=made.id))
    assert store.remove_seeds("t", ["0", "3", "3", "nothing"]) == 2
    assert store.remove_seeds("t", []) == 0
    assert [s.id for s in store.seeds("t")] == ["1", "2", "4"]
    assert len(store.seeds("other")) == 1
    assert len(store.versions("t")[0].seeds) == 5
    with pytest.raises(NotFound):
        store.remove_seeds("nobody", ["0"])


def test_a_seed_whose_vector_is_none_is_refused(store):
    bad = replace(seed([1, 0], "a"), vector=np.array([np.nan, 1], np.float32))
    with pytest.raises(StoreError, match="not finite"):
        add_campaign(store, "t", Similarity(), [bad])
    assert store.campaigns() == []


def test_what_a_scorer_learned_comes_back_bit_for_bit(store):
    made = add_campaign(store, "t", Similarity(), [seed([1, 0], "a")])
    learned = Fitted(
        "learned",
        {"auc": 0.1 + 0.2, "why": "é", "seeds": [1, None, True]},
        {"weights": unit(np.arange(1, 9))[0], "bins": np.linspace(0, 1, 7).reshape(1, 7)},
    )
    store.commit(version(Similarity(), tuple(store.seeds("t")), campaign_id=made.id, scorer=learned))
    store.set_campaign_state("t", CampaignState.ACTIVE)
    for (kept,) in (store.versions("t"), store.active_versions()):
        assert (kept.scorer.name, kept.scorer.facts) == (learned.name, learned.facts)
        for name, array in learned.arrays.items():
            assert kept.scorer.arrays[name].dtype == array.dtype
            assert np.array_equal(kept.scorer.arrays[name], array)


def test_a_version_without_seeds_has_no_scorer(store):
    active(store)
    assert [v.scorer for v in store.active_versions()] == [None]


def test_seeds_by_the_thousand_are_added_replaced_frozen_and_removed(store):
    many = [seed([1, i], f"{i:05}") for i in range(3001)]
    made = add_campaign(store, "t", Similarity())
    assert store.add_seeds("t", many) == 3001
    assert store.add_seeds("t", [*many, *many[:7], seed([0, 1], "new")]) == 1
    store.commit(version(Similarity(), tuple(store.seeds("t")), campaign_id=made.id))
    assert [s.id for s in store.versions("t")[0].seeds] == [*(s.id for s in many), "new"]
    assert store.remove_seeds("t", [s.id for s in many]) == 3001


def test_seeds_added_at_the_same_moment_are_counted_by_one_of_those_who_add_them(store):
    add_campaign(store, "t", Similarity())
    added = []
    mine = [seed([1, i], f"{i:03}") for i in range(300)]
    ended = at_once(*[lambda some=some: added.append(store.add_seeds("t", some)) for some in (mine, mine[::-1])])
    assert ended == [None, None]
    assert sorted(added) == [0, 300]


def test_a_version_never_changes_whatever_happens_to_its_campaign(store):
    campaign = add_campaign(store, "t", Similarity(), [seed([1, 0], "a")])
    made = store.commit(version(Similarity(), tuple(store.seeds("t")), campaign_id=campaign.id, campaign="t"))
    store.update_campaign(replace(campaign, budget=Budget(0.9)))
    store.add_seeds("t", [replace(seed([0, 1], "a"), embedding_version="v2"), seed([0, 1], "b")])
    (kept,) = store.versions("t")
    assert (kept.budget, kept.number, kept.id) == (made.budget, 1, made.id)
    assert [(s.name, s.embedding_version) for s in kept.seeds] == [("a", "v1")]
    assert kept.scorer.name == "typical-1"
    assert kept.scorer.facts == {"calibrations": CALIBRATIONS}


def test_two_commits_at_once_do_not_both_become_the_same_version(store):
    campaign = add_campaign(store)
    store.commit(version(campaign_id=campaign.id))
    with pytest.raises(InvalidInput, match="meanwhile"):
        store.commit(version(campaign_id=campaign.id))


def test_of_commits_at_the_same_moment_one_becomes_the_version(store):
    campaign = add_campaign(store)
    made = version(campaign_id=campaign.id)
    ended = at_once(*[lambda: store.commit(made)] * 4)
    assert [type(error) for error in ended].count(InvalidInput) == 3
    assert [v.number for v in store.versions("birds")] == [1]


def test_only_the_newest_version_of_active_campaigns_is_judged_by(store):
    campaign = add_campaign(store)
    with pytest.raises(InvalidInput, match="commit"):
        store.set_campaign_state("birds", CampaignState.ACTIVE)
    store.commit(version(campaign_id=campaign.id))
    assert store.active_versions() == []
    store.set_campaign_state("birds", CampaignState.ACTIVE)
    store.commit(version(campaign_id=campaign.id, number=2))
    assert [v.number for v in store.active_versions()] == [2]
    store.set_campaign_state("birds", CampaignState.INACTIVE)
    assert store.active_versions() == []


def test_an_archived_campaign_judges_nothing_keeps_all_and_can_return(store):
    active(store)
    store.set_campaign_state("birds", CampaignState.ARCHIVED)
    assert store.active_versions() == []
    assert store.campaign("birds").state is CampaignState.ARCHIVED
    assert len(store.versions("birds")) == 1
    store.set_campaign_state("birds", CampaignState.ACTIVE)
    assert len(store.active_versions()) == 1


def test_the_revision_grows_with_every_change_that_a_collector_must_see(store):
    seen = [store.revision()]

    def grew():
        seen.append(store.revision())
        return seen[-1] > seen[-2]

    store.add_camera(Camera("porch", "http://a/"))
    assert grew()
    campaign = add_campaign(store)
    assert grew()
    store.commit(version(campaign_id=campaign.id))
    assert grew()
    store.set_campaign_state("birds", CampaignState.ACTIVE)
    assert grew()
    store.forget(campaign.id)
    assert grew()
    store.record_health([CameraHealth("porch")])
    store.remember([Remembered(campaign.id, "porch", {})])
    assert not grew()
