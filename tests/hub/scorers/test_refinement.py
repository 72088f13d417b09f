"""Accepting and discarding sharpen a campaign; the classifier is used only where it helps."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hub.scorers import fit, open_scorer
from hub.scorers.classifier import LEAST_EACH, Classifier
from hub.scorers.examples import Examples
from hub.scorers.exemplar import Exemplar
from hub.types import Vectors
from tests.hub.scorers.worlds import World, around, given, unit


def average_precision(known: Examples, wanted: Vectors, other: Vectors) -> float:
    scores = open_scorer(fit("calibrated", known), known).score(np.concatenate([wanted, other]))
    flags = np.argsort(-scores, kind="stable") < len(wanted)
    return float((np.cumsum(flags) / np.arange(1, len(flags) + 1))[flags].mean())


def two_alike(world: World, apart: float = 0.35) -> tuple[Vectors, Vectors]:
    """Centres of two classes that differ little."""
    centre = world.centre()
    return centre, unit(centre + apart * unit(world.rng.normal(size=len(centre))))


def confusing(world: World, seeds: int = 3) -> tuple[Examples, Vectors, Vectors, Vectors]:
    """Seeds of a class, more of it, more of the class it is taken for, and samples of that to discard."""
    wanted, similar = two_alike(world)
    known = given(around(world.rng, wanted, seeds), world.background(400))
    return known, around(world.rng, wanted, 60), around(world.rng, similar, 60), around(world.rng, similar, 30)


def test_discarding_a_class_taken_for_the_wanted_one_sharpens() -> None:
    gains = []
    for i in range(8):
        known, wanted, similar, discarded = confusing(World(i))
        before = average_precision(known, wanted, similar)
        gains.append(average_precision(replace(known, negatives=discarded), wanted, similar) - before)
    assert np.mean(gains) > 0.02
    assert min(gains) > -0.02


def test_accepting_more_of_the_class_sharpens() -> None:
    gains = []
    for i in range(8):
        world = World(i)
        known, wanted, similar, _ = confusing(world)
        more = replace(known, pictures=np.concatenate([known.pictures, wanted[:20]]))
        gains.append(average_precision(more, wanted[20:], similar) - average_precision(known, wanted[20:], similar))
    assert np.mean(gains) > 0.02


def of_two_blobs(world: World, n: int) -> tuple[Vectors, Vectors]:
    """Accepted and discarded samples that a straight cut tells apart, far better than likeness does."""
    wanted, similar = two_alike(world, 0.6)
    return around(world.rng, wanted, n, 1.2), around(world.rng, similar, n, 1.2)


def fitted_on(accepted: Vectors, discarded: Vectors, world: World) -> tuple[Examples, dict[str, Any]]:
    known = given(accepted, world.background(400), negatives=discarded)
    return known, dict(fit("calibrated", known).facts)


def test_too_few_samples_are_not_classified() -> None:
    world = World(1)
    accepted, discarded = of_two_blobs(world, LEAST_EACH - 1)
    _, facts = fitted_on(accepted, discarded, world)
    assert "cross_validated" not in facts


def test_where_samples_can_not_be_told_apart_the_classifier_is_not_used() -> None:
    chosen = []
    for i in range(8):
        world = World(i)
        centre = world.centre()
        _, facts = fitted_on(around(world.rng, centre, 25), around(world.rng, centre, 25), world)
        chosen.append(facts["chosen"])
    assert chosen.count(Exemplar.name) >= 6


def test_the_choice_follows_the_cross_validated_figures() -> None:
    for i in range(6):
        world = World(i)
        known, facts = fitted_on(*of_two_blobs(world, 60), world)
        figures = facts["cross_validated"]
        assert set(figures) == {Classifier.name, Exemplar.name}
        assert type(open_scorer(fit("calibrated", known), known)).name == facts["chosen"]
        if figures[Classifier.name] <= figures[Exemplar.name]:
            assert facts["chosen"] == Exemplar.name


def test_where_the_classifier_is_chosen_it_is_better_on_samples_it_never_saw() -> None:
    gains = []
    for i in range(7):
        world = World(i)
        accepted, discarded = of_two_blobs(world, 160)
        known, facts = fitted_on(accepted[:60], discarded[:60], world)
        if facts["chosen"] == Classifier.name:
            plain = Exemplar(Exemplar.fit(known), known).raw
            chosen = open_scorer(fit("calibrated", known), known).score
            gains.append(above(chosen, accepted[60:], discarded[60:]) - above(plain, accepted[60:], discarded[60:]))
    assert gains
    assert np.mean(gains) > 0.0


def above(score: Callable[[Vectors], np.ndarray], high: Vectors, low: Vectors) -> float:
    """How often one of the high scores more than one of the low."""
    return float((score(high)[:, None] > score(low)[None]).mean())


def test_a_classifier_is_opened_without_scikit_learn(tmp_path: Path) -> None:
    for i in range(10):
        world = World(i)
        accepted, discarded = of_two_blobs(world, 60)
        known = given(accepted, world.background(400), negatives=discarded)
        fitted = fit("calibrated", known)
        if fitted.name == Classifier.name:
            break
    else:
        pytest.fail("no classifier was ever chosen")
    rows = world.ordinary(5)
    expected = open_scorer(fitted, known).score(rows)
    np.savez(tmp_path / "arrays.npz", rows=rows, expected=expected, **fitted.arrays)
    program = f"""
import sys, numpy as np
from hub.scorers import open_scorer
from hub.types import Fitted
from tests.hub.scorers.worlds import given
data = dict(np.load({str(tmp_path / "arrays.npz")!r}))
rows, expected = data.pop("rows"), data.pop("expected")
scorer = open_scorer(Fitted({fitted.name!r}, {dict(fitted.facts)!r}, data), given(rows))
assert np.allclose(scorer.score(rows), expected)
assert "sklearn" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)
