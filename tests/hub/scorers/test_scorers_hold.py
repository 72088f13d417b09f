"""What holds of every scorer, whatever the seeds."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from hub.rarity import rarity_of_score, score_of_rarity
from hub.scorers import SCORERS, fit, open_scorer
from hub.scorers.calibration import rarities
from hub.scorers.examples import Examples, examples
from hub.scorers.exemplar import Exemplar
from hub.scorers.nearest import Typical
from hub.types import Background, Seed, SeedKind, Vectors
from shared.errors import BowerbirdError, InvalidInput
from tests.hub.scorers.worlds import DIM, TYPICAL, World, around, given, unit

KNOWN = World(1).background(240)
ANY = st.integers(0, 2**32 - 1)
NAMES = sorted(SCORERS)


def seeds_of(vectors: Vectors, negative: bool = False, kind: SeedKind = SeedKind.IMAGE) -> list[Seed]:
    return [
        Seed(f"{kind}{negative}{i}", kind, f"{i}.jpg", vector=v, embedding_version="v", negative=negative)
        for i, v in enumerate(vectors)
    ]


def as_examples(seeds: list[Seed], background: Background | None = KNOWN) -> Examples:
    return examples(seeds, "v", background, TYPICAL)


def scores(name: str, known: Examples, rows: Vectors) -> np.ndarray:
    return open_scorer(fit(name, known), known).score(rows)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=8, deadline=None)
@for_all(seed=ANY, n=st.integers(1, 40), negatives=st.integers(0, 12))
def test_the_order_of_seeds_and_copies_of_them_change_no_score(name: str, seed: int, n: int, negatives: int) -> None:
    world = World(seed)
    seeds = seeds_of(around(world.rng, world.centre(), n))
    seeds += seeds_of(around(world.rng, world.centre(), negatives), negative=True) if negatives else []
    rows = world.ordinary(20)
    shuffled = [seeds[i] for i in world.rng.permutation(len(seeds))]
    expected = scores(name, as_examples(seeds), rows)
    assert scores(name, as_examples(shuffled), rows) == pytest.approx(expected, abs=1e-5)
    assert scores(name, as_examples(seeds + seeds[: 1 + n // 2]), rows) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("known", [KNOWN, None], ids=["with background", "without"])
@settings(max_examples=10, deadline=None)
@for_all(seed=ANY, n=st.integers(1, 30), text=st.booleans())
def test_scores_are_numbers_from_0_to_1(name: str, known: Background | None, seed: int, n: int, text: bool) -> None:
    world = World(seed)
    seeds = seeds_of(around(world.rng, world.centre(), n))
    seeds += seeds_of(around(world.rng, world.centre(), 2), kind=SeedKind.TEXT) if text else []
    rows = np.concatenate([world.ordinary(20), np.zeros((2, DIM), np.float32), -world.ordinary(5)])
    value = scores(name, as_examples(seeds, known), rows)
    assert value.dtype == np.float32
    assert value.shape == (27,)
    assert np.isfinite(value).all()
    assert value.min() >= 0.0
    assert value.max() <= 1.0


@pytest.mark.parametrize("name", NAMES)
def test_a_background_without_any_variety_gives_no_nan(name: str) -> None:
    same = np.tile(unit(np.ones(DIM)), (300, 1))
    known = given(same[:3], Background(same, np.arange(300)))
    value = scores(name, known, np.concatenate([same[:2], World(2).ordinary(5)]))
    assert np.isfinite(value).all()


@pytest.mark.parametrize("name", NAMES)
def test_no_rows_have_no_scores(name: str) -> None:
    known = given(World(2).ordinary(2), KNOWN)
    assert scores(name, known, np.zeros((0, DIM), np.float32)).shape == (0,)


def test_without_anything_wanted_there_is_no_scorer() -> None:
    for seeds in ([], seeds_of(World(2).ordinary(3), negative=True)):
        with pytest.raises(InvalidInput, match="no example of what is wanted"):
            as_examples(seeds)


@pytest.mark.parametrize("bad", [np.full(DIM, np.nan), np.zeros(DIM), np.full(DIM, np.inf)])
def test_a_seed_that_is_no_vector_is_named(bad: np.ndarray) -> None:
    seeds = seeds_of(np.stack([World(2).ordinary(1)[0], bad.astype(np.float32)]))
    with pytest.raises(InvalidInput, match=r"1\.jpg"):
        as_examples(seeds)


def test_background_that_is_no_vector_is_left_out() -> None:
    rows = World(2).ordinary(10)
    broken = KNOWN.vectors.copy()
    broken[3], broken[7] = np.nan, 0.0
    known = as_examples(seeds_of(World(2).ordinary(3)), Background(broken, KNOWN.frame))
    assert len(known.background) == len(KNOWN) - 2
    for name in NAMES:
        assert np.isfinite(scores(name, known, rows)).all()


def test_an_unknown_scorer_is_refused() -> None:
    with pytest.raises(BowerbirdError):
        fit("guess", given(World(2).ordinary(2)))


def test_a_scorer_of_a_newer_hub_is_refused() -> None:
    known = given(World(2).ordinary(2))
    with pytest.raises(InvalidInput, match="does not know"):
        open_scorer(replace(fit("cosine", known), name="clairvoyant-9"), known)


@settings(max_examples=20, deadline=None)
@for_all(seed=ANY)
def test_the_raw_cosine_and_the_typical_scale_rise_with_similarity(seed: int) -> None:
    world = World(seed)
    pictures = world.ordinary(1)
    rows = world.ordinary(60)
    rising = np.argsort(rows @ pictures[0])
    for name in ("cosine", "calibrated"):
        known = given(pictures)
        assert (np.diff(scores(name, known, rows)[rising]) >= 0).all()
    assert isinstance(open_scorer(fit("calibrated", known), known), Typical)


@settings(max_examples=20, deadline=None)
@for_all(seed=ANY, n=st.integers(1, 12))
def test_calibrated_scores_rise_with_the_raw_value(seed: int, n: int) -> None:
    world = World(seed)
    known = given(around(world.rng, world.centre(), n), KNOWN)
    scorer = open_scorer(fit("calibrated", known), known)
    assert isinstance(scorer, Exemplar)
    rows = world.ordinary(100)
    rising = np.argsort(scorer.raw(rows), kind="stable")
    assert (np.diff(scorer.score(rows)[rising]) >= 0).all()
    assert (np.diff(scorer.rarity(rows)[rising]) >= 0).all()


@settings(max_examples=50, deadline=None)
@for_all(seed=ANY)
def test_a_score_tells_the_rarity_it_was_made_from(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rare = rarities(rng.normal(size=400))
    raw = rng.normal(size=200).astype(np.float32)
    p = np.power(10.0, -rare.of(raw))
    assert rarity_of_score(score_of_rarity(p)) == pytest.approx(p, rel=1e-6)
    assert rare.score(np.array([rare.boundary], np.float32)) == pytest.approx([0.5], abs=1e-3)


def test_a_fitted_scorer_is_plain_data() -> None:
    world = World(3)
    for name in NAMES:
        fitted = fit(name, given(world.ordinary(12), KNOWN, negatives=world.ordinary(12)))
        json.dumps(fitted.facts)
        assert {"calibrated", "source"} <= set(fitted.facts)
        assert all(array.dtype in (np.float32, np.float64) for array in fitted.arrays.values())
