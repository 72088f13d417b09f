"""A score of 0.5 is what 1 % of ordinary frames reach, whoever the seeds are."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hub.models.prior import shipped
from hub.models.text_bank import TextBank
from hub.scorers import fit, open_scorer
from hub.scorers.examples import Examples
from hub.scorers.exemplar import best_of_frames
from hub.types import Background, Vectors
from tests.hub.scorers.worlds import World, around, given

WITHIN = (0.005, 0.02)
WORLDS = 8


def reaching(known: Examples, ordinary: np.ndarray) -> float:
    return float((open_scorer(fit("calibrated", known), known).score(ordinary) >= 0.5).mean())


@pytest.mark.parametrize("seeds", [1, 5, 50])
def test_of_fresh_ordinary_frames_1_in_100_reaches_the_boundary(seeds: int) -> None:
    rates = []
    for i in range(WORLDS):
        world = World(i)
        known = given(around(world.rng, world.centre(), seeds), world.background(500))
        rates.append(reaching(known, world.ordinary(2000)))
    assert WITHIN[0] <= np.mean(rates) <= WITHIN[1]


def test_the_rate_holds_for_text() -> None:
    rates = []
    for i in range(WORLDS):
        world = World(i)
        none = np.zeros((0, len(world.common)), np.float32)
        known = given(none, world.background(500), texts=around(world.rng, world.centre(), 1))
        rates.append(reaching(known, world.ordinary(2000)))
    assert WITHIN[0] <= np.mean(rates) <= WITHIN[1]


def test_a_frame_with_many_crops_has_no_more_chances_than_one_with_few() -> None:
    rates = []
    for i in range(WORLDS):
        world = World(i)
        frame = np.repeat(np.arange(400), 6)
        known = given(around(world.rng, world.centre(), 5), Background(world.ordinary(len(frame)), frame))
        scores = open_scorer(fit("calibrated", known), known).score(world.ordinary(6 * 1000))
        rates.append((best_of_frames(scores, np.repeat(np.arange(1000), 6)) >= 0.5).mean())
    assert WITHIN[0] <= np.mean(rates) <= WITHIN[1]


def test_the_rate_holds_after_samples_were_discarded() -> None:
    rates = []
    for i in range(WORLDS):
        world = World(i)
        discarded = around(world.rng, world.centre(), 30)
        known = given(around(world.rng, world.centre(), 30), world.background(500), negatives=discarded)
        rates.append(reaching(known, world.ordinary(2000)))
    assert WITHIN[0] <= np.mean(rates) <= WITHIN[1]


def real_sets(data_dir: Path) -> Iterator[tuple[str, Vectors, np.ndarray, np.ndarray | None]]:
    """Name, rows, labels and what each row shows."""
    for path in sorted((data_dir / "clip_features").glob("*.npz")):
        with np.load(path) as file:
            rows = file["feats"].astype(np.float32)
            labels = np.unique(file["labels"], return_inverse=True)[1]
            names = file["names"].astype(str) if "names" in file.files else None
        yield path.stem, rows / np.linalg.norm(rows, axis=1, keepdims=True), labels, names


@pytest.mark.parametrize("seeds", [1, 5])
def test_the_rate_holds_on_real_vectors(data_dir: Path, seeds: int) -> None:
    rng = np.random.default_rng(0)
    for name, rows, labels, _ in real_sets(data_dir):
        rates = []
        for wanted in rng.choice(np.flatnonzero(np.bincount(labels) >= seeds + 5), 8):
            own, other = np.flatnonzero(labels == wanted), rng.permutation(np.flatnonzero(labels != wanted))
            prior = shipped("clip-vit-b32") if rows.shape[1] == 512 else None
            known = given(rows[own[:seeds]], Background(rows[other[:500]], np.arange(500)), prior=prior)
            rates.append(reaching(known, rows[other[500:]]))
        assert WITHIN[0] <= np.mean(rates) <= WITHIN[1], name


def test_a_text_finds_more_than_its_raw_cosine_on_real_vectors(data_dir: Path, models_dir: Path) -> None:
    bank, rng, gains = TextBank(models_dir / "clip-student" / "text_bank.npz"), np.random.default_rng(0), []
    for _, rows, labels, names in real_sets(data_dir):
        if names is None or len(names) != len(labels):
            continue
        known_to_bank = sorted({str(n) for n in names if str(n) in bank.names})
        for called in known_to_bank[:16:2]:
            own, other = np.flatnonzero(names == called), rng.permutation(np.flatnonzero(names != called))
            text = bank.embed([called])
            none = np.zeros((0, rows.shape[1]), np.float32)
            background = Background(rows[other[:500]], np.arange(500))
            prior = replace(shipped("clip-vit-b32"), nouns=bank.vectors)
            known = given(none, background, texts=text, prior=prior)
            stream = np.concatenate([own[:5], other[500:]])
            scores = open_scorer(fit("calibrated", known), known).score(rows[stream])
            gains.append(found_first(scores) - found_first(rows[stream] @ text[0]))
            assert (scores[5:] >= 0.5).mean() <= 0.03, called
    assert np.mean(gains) > 0.0


def found_first(scores: np.ndarray) -> float:
    """Average precision where the first five are wanted."""
    places = np.flatnonzero(np.argsort(-scores, kind="stable") < 5) + 1
    return float((np.arange(1, 6) / places).mean())
