"""Why a sample was taken, in figures."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from hub.explain import NEAREST, explain
from hub.pipeline import Memory, judge
from hub.scorers import fit
from hub.scorers.calibration import LEAST_BACKGROUND
from hub.scorers.examples import examples
from hub.scorers.exemplar import Exemplar
from hub.store import open_store
from hub.target import SeedTarget
from hub.triggers.detection import Detection
from hub.triggers.similarity import Similarity
from hub.types import Background, Batch, Budget, ElementKind, SeedKind
from shared.errors import NotFound
from tests.contract.storing import add_campaign
from tests.hub.making import observation, seed, unit, version

D = 16
AXES = np.eye(D, dtype=np.float32)


@pytest.fixture
def store(tmp_path):
    opened = open_store(f"sqlite:///{tmp_path / 'hub.sqlite'}")
    yield opened
    opened.close()


def near(axis, other, share):
    """A unit vector with `share` of another axis."""
    return AXES[axis] + share * AXES[other]


def background(count=LEAST_BACKGROUND + 50, spread=1.0):
    rows = unit(AXES[0] + spread * np.random.default_rng(0).standard_normal((count, D)))
    return Background(rows, np.arange(count))


def campaign(store, seeds, trigger=None, known=None, **changes):
    """A version fitted to a background, or typical of the embedder without one."""
    scorer = {"scorer": fit("calibrated", examples(seeds, "v1", known))} if known is not None else {}
    name = f"campaign {len(store.campaigns())}"
    made = add_campaign(store, name)
    trigger = trigger or Similarity()
    return store.commit(version(trigger, seeds, campaign_id=made.id, campaign=name, **scorer | changes))


def take(store, made, *seen):
    """The ids of the samples that a version makes of what it sees."""
    judged = judge(seen, [SeedTarget(made, None)], Memory(), now=5.0)
    return [s.id for s in store.write(Batch(seen, judged.samples))]


SEEDS = (
    seed(near(0, 1, 0.5), "half"),
    seed(AXES[0], "same"),
    replace(seed(near(0, 2, 0.2), "unwanted"), id="not-x", negative=True),
    seed(AXES[1], "other"),
    seed(near(0, 3, 2.0), "far", SeedKind.CROP),
    seed(AXES[4], "orthogonal"),
    seed(AXES[5], "orthogonal, too"),
)
LIKE = near(0, 1, 0.1)


def test_the_nearest_seeds_come_first_with_their_cosine_and_whether_they_are_wanted(store):
    made = campaign(store, SEEDS, budget=Budget(0.2))
    (sample_id,) = take(store, made, observation(vectors=[LIKE]))
    said = explain(store, sample_id)
    assert len(said.nearest) == NEAREST
    assert [(s.name, s.negative) for s in said.nearest[:4]] == [
        ("same", False),
        ("unwanted", True),
        ("half", False),
        ("far", False),
    ]
    by_id = {s.id: s for s in SEEDS}
    for one in said.nearest:
        assert one.cosine == pytest.approx(float(by_id[one.id].vector @ unit(LIKE)[0]), abs=1e-3)
        assert one.kind == by_id[one.id].kind
    assert (said.version, said.threshold, said.campaign) == (1, 0.2, made.campaign)
    assert said.score == store.sample(sample_id).score.value
    assert "threshold" in said.reason


def test_fewer_seeds_than_are_shown_are_all_shown(store):
    made = campaign(store, SEEDS[:2])
    (sample_id,) = take(store, made, observation(vectors=[LIKE]))
    assert [s.name for s in explain(store, sample_id).nearest] == ["same", "half"]


def test_the_group_is_that_of_the_seeds_that_the_sample_is_like(store):
    rng = np.random.default_rng(0)
    seeds = tuple(
        seed(AXES[group] + 0.05 * rng.standard_normal(D), f"group {group}, {i}") for i in range(5) for group in range(4)
    )
    words = seed(AXES[2], "in words", SeedKind.TEXT)
    unlike = replace(seed(AXES[2], "not this"), negative=True)
    made = campaign(store, (*seeds, words, unlike), budget=Budget(0.1))
    (sample_id,) = take(store, made, observation(vectors=[near(2, 7, 0.1)]))
    assert sorted(explain(store, sample_id).microcluster) == [f"group 2, {i}" for i in range(5)]


def test_words_alone_are_no_group(store):
    made = campaign(store, (seed(AXES[0], "an owl", SeedKind.TEXT),), budget=Budget(0.1))
    (sample_id,) = take(store, made, observation(vectors=[LIKE]))
    said = explain(store, sample_id)
    assert said.microcluster == ()
    assert [(s.name, s.kind) for s in said.nearest] == [("an owl", "text")]


def test_a_rarity_is_only_told_where_the_scorer_knows_what_is_normal(store):
    typical = campaign(store, (seed(AXES[1], "one"),), budget=Budget(0.1))
    known = campaign(store, (seed(AXES[1], "one"),), known=background(), budget=Budget(0.1))
    likely, rare = (observation(vectors=[v], content=str(v)) for v in (near(1, 0, 1.5), near(1, 0, 0.1)))
    for sample_id in take(store, typical, likely, rare):
        said = explain(store, sample_id)
        assert (said.rarity, said.calibrated, said.background) == (None, False, 0)
    first, second = (explain(store, sample_id) for sample_id in take(store, known, likely, rare))
    assert (first.calibrated, first.background, first.scorer) == (True, len(background()), Exemplar.name)
    assert 1 <= first.rarity < second.rarity
    assert "frames of theirs" in first.source


def test_the_boundary_is_as_rare_as_the_scorer_says(store):
    known = campaign(store, (seed(AXES[1], "one"),), known=background(), budget=Budget(0.0))
    rows = [observation(vectors=[near(1, 0, s)], content=str(s)) for s in np.linspace(0.2, 3, 60)]
    said = [explain(store, sample_id) for sample_id in take(store, known, *rows)]
    nearest = min(said, key=lambda each: abs(each.score - 0.5))
    assert nearest.score == pytest.approx(0.5, abs=0.05)
    assert nearest.rarity == pytest.approx(100, rel=0.4)


@pytest.mark.parametrize("spread", [0.0, 1e-4])
def test_what_is_like_nothing_the_cameras_ever_showed_has_a_rarity_that_is_a_number(store, spread):
    made = campaign(store, (seed(AXES[1], "one"),), known=background(spread=spread))
    (sample_id,) = take(store, made, observation(vectors=[AXES[1]]))
    said = explain(store, sample_id)
    assert np.isfinite(said.rarity)
    json.dumps(asdict(said), allow_nan=False)


def test_a_crop_is_explained_by_its_own_vector(store):
    made = campaign(store, SEEDS[:2], Similarity(ElementKind.CROP))
    seen = observation(("car", 0.9), ("bird", 0.8), vectors=[AXES[7], AXES[8], AXES[0]])
    (sample_id,) = take(store, made, seen)
    nearest = explain(store, sample_id).nearest[0]
    assert (nearest.name, round(nearest.cosine, 2)) == ("same", 1.0)


def test_a_sample_is_explained_by_the_version_that_took_it(store):
    first = campaign(store, SEEDS[:2])
    (sample_id,) = take(store, first, observation(vectors=[LIKE]))
    store.commit(replace(first, number=2, seeds=SEEDS[3:4], budget=Budget(0.9)))
    said = explain(store, sample_id)
    assert (said.version, said.threshold) == (1, 0.5)
    assert [s.name for s in said.nearest] == ["same", "half"]


def test_a_sample_of_another_embedding_is_never_compared(store):
    made = campaign(store, SEEDS[:2])
    judged = judge([observation(vectors=[LIKE])], [SeedTarget(made, None)], Memory(), now=5.0)
    store.write(Batch(samples=[replace(judged.samples[0], embedding_version="v2")]))
    said = explain(store, judged.samples[0].id)
    assert (said.nearest, said.microcluster, said.rarity) == ((), (), None)


def test_a_detection_is_explained_without_seeds(store):
    made = campaign(store, (), Detection(("bird",)))
    (sample_id,) = take(store, made, observation(("bird", 0.9), vectors=[AXES[0]]))
    said = explain(store, sample_id)
    assert (said.nearest, said.microcluster, said.rarity, said.calibrated) == ((), (), None, False)
    assert (said.scorer, said.source) == ("confidence", "")
    assert "bird 0.90" in said.reason


def test_an_unknown_sample_is_named(store):
    with pytest.raises(NotFound, match="1:nothing"):
        explain(store, "1:nothing")
