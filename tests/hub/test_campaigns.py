"""Committing a campaign: what is frozen, and what happens when the embedder changes."""

from dataclasses import replace

import numpy as np
import pytest

from hub import campaigns as life
from hub.blobs import open_blobs
from hub.campaigns import Draft
from hub.models.builtin_embedder import BuiltinEmbedder
from hub.models.embedder import load_embedder
from hub.scorers.calibration import LEAST_BACKGROUND
from hub.seeds import picture_seeds, read_pictures
from hub.store import open_store
from hub.triggers.detection import Detection
from hub.triggers.everything import Everything
from hub.triggers.similarity import Similarity
from hub.types import Batch, Budget, RateLimit, Scope, SeedKind
from shared.errors import InvalidInput, ModelError, NotFound
from tests.hub.making import observation


@pytest.fixture
def parts(tmp_path):
    store = open_store(f"sqlite:///{tmp_path / 'hub.sqlite'}")
    yield store, open_blobs(f"file://{tmp_path / 'frames'}")
    store.close()


def _create(store, blobs, data_dir, embedder):
    found = read_pictures([data_dir / "photos" / "owl.jpg"])
    seeds = picture_seeds(found, SeedKind.IMAGE, blobs, embedder)
    life.create(store, Draft("owls", Similarity()), seeds, known_labels=tuple, sinks=("folder",), now=1.0)


def test_seeds_of_another_embedder_are_embedded_anew_from_their_kept_pictures(parts, data_dir, models_dir):
    store, blobs = parts
    old, new = BuiltinEmbedder(), load_embedder(models_dir / "mobilenetv2", threads=1)
    _create(store, blobs, data_dir, old)
    first = life.commit(store, blobs, "owls", lambda: old, now=2.0)
    with pytest.raises(ModelError, match="another model") as refusal:
        life.commit(store, blobs, "owls", lambda: new, now=3.0)
    assert "--re-embed" in refusal.value.hint
    second = life.commit(store, blobs, "owls", lambda: new, now=3.0, re_embed=True)
    assert (second.number, second.embedding_version) == (2, new.version)
    assert second.seeds[0].vector.shape == (new.dim,)
    (kept, _) = store.versions("owls")
    assert (kept.embedding_version, kept.seeds[0].vector.shape) == (first.embedding_version, (old.dim,))


def test_activating_commits_once_and_says_when_something_is_not_committed(parts, data_dir):
    store, blobs = parts
    embedder = BuiltinEmbedder()
    _create(store, blobs, data_dir, embedder)
    assert life.uncommitted(store, store.campaign("owls"))
    for _ in range(2):
        campaign = life.activate(store, blobs, "owls", lambda: embedder, now=2.0)
    assert campaign.version == 1
    assert not life.uncommitted(store, campaign)
    more = read_pictures([data_dir / "photos" / "parrot.jpg"])
    store.add_seeds("owls", picture_seeds(more, SeedKind.IMAGE, blobs, embedder))
    assert life.uncommitted(store, campaign)


def test_all_there_is_to_a_seed_stays_when_it_is_embedded_anew(parts, data_dir, models_dir):
    store, blobs = parts
    old, new = BuiltinEmbedder(), load_embedder(models_dir / "mobilenetv2", threads=1)
    _create(store, blobs, data_dir, old)
    unlike = read_pictures([data_dir / "photos" / "parrot.jpg"])
    (owl,) = store.seeds("owls")
    boxed = replace(owl, id="boxed", kind=SeedKind.SAMPLE, box=(10.0, 10.0, 90.0, 90.0))
    store.add_seeds("owls", [*picture_seeds(unlike, SeedKind.IMAGE, blobs, old, negative=True), boxed])
    version = life.commit(store, blobs, "owls", lambda: new, now=2.0, re_embed=True)
    assert [(s.name, s.negative, s.box is None) for s in version.seeds] == [
        ("owl.jpg", False, True),
        ("parrot.jpg", True, True),
        ("owl.jpg", False, False),
    ]
    assert version.seeds[0].vector @ version.seeds[2].vector < 0.99


def test_a_picture_that_is_liked_and_not_liked_is_two_seeds(parts, data_dir):
    store, blobs = parts
    embedder = BuiltinEmbedder()
    _create(store, blobs, data_dir, embedder)
    owl = read_pictures([data_dir / "photos" / "owl.jpg"])
    assert store.add_seeds("owls", picture_seeds(owl, SeedKind.IMAGE, blobs, embedder, negative=True)) == 1
    assert [s.negative for s in store.seeds("owls")] == [False, True]


def test_without_its_picture_a_seed_can_not_be_embedded_anew_and_nothing_is_committed(parts, data_dir, models_dir):
    store, blobs = parts
    _create(store, blobs, data_dir, BuiltinEmbedder())
    blobs.delete(store.seeds("owls")[0].blob)
    new = load_embedder(models_dir / "mobilenetv2", threads=1)
    with pytest.raises(NotFound):
        life.commit(store, blobs, "owls", lambda: new, now=2.0, re_embed=True)
    assert (store.campaign("owls").version, store.versions("owls")) == (0, [])


def _show(store, embedder, count, camera="porch"):
    """Stored background of a camera."""
    rows = np.random.default_rng(0).standard_normal((count, embedder.dim))
    seen = [observation(vectors=row, content=f"{camera} {i}", camera=camera) for i, row in enumerate(rows)]
    store.write(Batch([replace(one, embedding_version=embedder.version) for one in seen]))


@pytest.mark.parametrize(
    ("frames", "calibrated"), [(0, False), (LEAST_BACKGROUND - 1, False), (LEAST_BACKGROUND, True)]
)
def test_a_commit_calibrates_on_what_the_cameras_showed_once_that_is_enough(parts, data_dir, frames, calibrated):
    store, blobs = parts
    embedder = BuiltinEmbedder()
    _create(store, blobs, data_dir, embedder)
    _show(store, embedder, frames)
    facts = life.commit(store, blobs, "owls", lambda: embedder, now=2.0).scorer.facts
    assert (facts["calibrated"], facts["background"]) == (calibrated, frames)


def test_only_what_the_cameras_of_its_scope_showed_counts(parts, data_dir):
    store, blobs = parts
    embedder = BuiltinEmbedder()
    _create(store, blobs, data_dir, embedder)
    store.update_campaign(replace(store.campaign("owls"), scope=Scope(("shed",))))
    _show(store, embedder, 250, "porch")
    _show(store, embedder, 30, "shed")
    assert life.commit(store, blobs, "owls", lambda: embedder, now=2.0).scorer.facts["background"] == 30


def test_an_edit_counts_from_the_next_commit_on(parts, data_dir):
    store, blobs = parts
    embedder = BuiltinEmbedder()
    _create(store, blobs, data_dir, embedder)
    first = life.activate(store, blobs, "owls", lambda: embedder, now=2.0)
    life.edit(store, replace(first, budget=Budget(0.9)), tuple, ("folder",))
    assert life.uncommitted(store, store.campaign("owls"))
    (judging,) = store.active_versions()
    assert judging.budget.threshold == 0.5
    life.commit(store, blobs, "owls", lambda: embedder, now=3.0)
    (judging,) = store.active_versions()
    assert (judging.number, judging.budget.threshold) == (2, 0.9)
    assert not life.uncommitted(store, store.campaign("owls"))


@pytest.mark.parametrize(
    ("draft", "word"),
    [
        (Draft("x", Everything(), budget=Budget(per_camera=3)), "--target"),
        (Draft("x", Everything(), budget=Budget(variety=0.3)), "--variety"),
        (Draft("x", Everything(), budget=Budget(variety=1.3, target=RateLimit(1, 60.0))), "between 0 and 1"),
        (Draft("x", Everything(), budget=Budget(control=-0.1)), "between 0 and 1"),
        (Draft("x", Everything(), budget=Budget(burst_s=-1.0)), "seconds"),
        (Draft("x", Everything(), budget=Budget(threshold=1.1)), "threshold"),
        (Draft("x", Everything(), budget=Budget(threshold=float("nan"))), "threshold"),
        (Draft("x", Everything(), budget=Budget(control=float("nan"))), "between 0 and 1"),
        (Draft("x", Everything(), budget=Budget(target=RateLimit(1, 60.0), alarms=RateLimit(1, 60.0))), "--alarms"),
        (Draft("x", Similarity()), "needs an example"),
        (Draft("x", Detection(), budget=Budget(0.01)), "noise"),
        (Draft("x", Detection(("brid",))), "label"),
        (Draft("x", Everything(), Scope(("barn",))), "camera"),
        (Draft("x", Everything(), destinations=("moon",)), "destination"),
        (Draft(" ", Everything()), "name"),
    ],
)
def test_what_can_not_work_is_refused_before_anything_is_written(parts, draft, word):
    store, _ = parts
    with pytest.raises((InvalidInput, NotFound)) as refusal:
        life.create(store, draft, [], known_labels=lambda: ["bird"], sinks=("folder",), now=1.0)
    assert word in refusal.value.message + refusal.value.hint
    assert store.campaigns() == []


def test_a_change_of_embedder_leaves_what_was_edited_uncommitted(parts, data_dir, models_dir):
    store, blobs = parts
    old, new = BuiltinEmbedder(), load_embedder(models_dir / "mobilenetv2", threads=1)
    _create(store, blobs, data_dir, old)
    first = life.commit(store, blobs, "owls", lambda: old, now=2.0)
    campaign = store.campaign("owls")
    store.update_campaign(replace(campaign, budget=replace(campaign.budget, threshold=0.9)))
    second = life.renew(store, blobs, first, new, now=3.0)
    assert (second.number, second.embedding_version, second.budget) == (2, new.version, first.budget)
    assert life.uncommitted(store, store.campaign("owls"))
    third = life.commit(store, blobs, "owls", lambda: new, now=4.0)
    assert third.budget.threshold == 0.9


def test_a_scorer_is_calibrated_anew_at_each_step_and_then_no_more(parts, data_dir):
    store, blobs = parts
    embedder = BuiltinEmbedder()
    _create(store, blobs, data_dir, embedder)
    version = life.commit(store, blobs, "owls", lambda: embedder, now=2.0)
    known = []
    for count in (100, 199, 200, 700, 800, 1900, 2000, 2000, 2400):
        _show(store, embedder, count)  # those shown before are the same, and stored once
        if anew := life.calibrate_anew(store, version, embedder, now=3.0):
            version = anew
            known.append(version.scorer.facts["background"])
    assert known == [200, 800, 2000]
    assert (version.number, store.campaign("owls").version) == (4, 4)
    assert life.worth_calibrating_at(version) == float("inf")


def test_calibrating_anew_leaves_what_was_edited_uncommitted(parts, data_dir):
    store, blobs = parts
    embedder = BuiltinEmbedder()
    _create(store, blobs, data_dir, embedder)
    first = life.commit(store, blobs, "owls", lambda: embedder, now=2.0)
    campaign = store.campaign("owls")
    store.update_campaign(replace(campaign, budget=replace(campaign.budget, threshold=0.9)))
    _show(store, embedder, LEAST_BACKGROUND)
    second = life.calibrate_anew(store, first, embedder, now=3.0)
    assert (second.number, second.budget) == (2, first.budget)
    assert life.uncommitted(store, store.campaign("owls"))
