"""aquarium-v1 against the published formula, written down again in float64."""

import numpy as np
import pytest

from hub.scorers import fit, open_scorer
from hub.scorers.aquarium import AquariumV1
from hub.types import Fitted, Vectors
from tests.hub.scorers.worlds import World, around, given


def by_the_contract(fitted: Fitted, rows: Vectors) -> np.ndarray:
    """max over j of max(1 − ‖x − c_j‖ / (2 r_j), 0), for L2-normalised rows in the PCA, one number at a time."""
    arrays = {name: np.asarray(value, np.float64) for name, value in fitted.arrays.items()}
    scores = []
    for row in rows.astype(np.float64):
        x = arrays["components"] @ (row / np.sqrt((row * row).sum()) - arrays["mean"])
        scores.append(
            max(
                max(1.0 - np.sqrt(((x - c) ** 2).sum()) / (2.0 * r), 0.0)
                for c, r in zip(arrays["centroids"], arrays["radii"], strict=True)
            )
        )
    return np.array(scores)


@pytest.mark.parametrize("seeds", [1, 2, 5, 17, 60])
@pytest.mark.parametrize("background", [0, 40, 300])
def test_scores_are_those_of_the_formula(world: World, seeds: int, background: int) -> None:
    pictures = around(world.rng, world.centre(), seeds)
    examples = given(pictures, world.background(background) if background else None)
    fitted = fit("aquarium-v1", examples)
    rows = np.concatenate([pictures, world.ordinary(50)])
    assert open_scorer(fitted, examples).score(rows) == pytest.approx(by_the_contract(fitted, rows), abs=1e-6)


def test_the_pca_and_the_radii_are_those_of_background_and_seeds(world: World) -> None:
    pictures, background = around(world.rng, world.centre(), 10), world.background(200)
    fitted = fit("aquarium-v1", given(pictures, background))
    known = np.concatenate([background.vectors, pictures]).astype(np.float64)
    components = fitted.arrays["components"]
    assert fitted.arrays["mean"] == pytest.approx(known.mean(axis=0), abs=1e-6)
    assert components @ components.T == pytest.approx(np.eye(len(components)), abs=1e-9)
    points = (pictures - fitted.arrays["mean"]) @ components.T
    apart = np.linalg.norm(points[:, None] - fitted.arrays["centroids"][None], axis=2)
    nearest = apart.argmin(axis=1)
    for j, radius in enumerate(fitted.arrays["radii"]):
        if (nearest == j).sum() > 1:
            assert radius == pytest.approx(apart[nearest == j, j].max(), rel=1e-5)


def test_a_centroid_scores_1_its_radius_half_and_twice_that_nothing(world: World) -> None:
    pictures = around(world.rng, world.centre(), 5)
    examples = given(pictures, world.background(100))
    scorer = AquariumV1(fit("aquarium-v1", examples), examples)
    assert scorer.score(pictures).min() >= 0.5 - 1e-6
    centroid = pictures.astype(np.float64).mean(axis=0)
    assert scorer.score((centroid / np.linalg.norm(centroid))[None].astype(np.float32))[0] > 0.7


def test_scores_rise_on_the_way_to_the_centroid(world: World) -> None:
    pictures = around(world.rng, world.centre(), 1)
    examples = given(pictures, world.background(200))
    start = world.ordinary(1)[0]
    way = np.stack([start + t * (pictures[0] - start) for t in np.linspace(0, 1, 30)])
    scores = open_scorer(fit("aquarium-v1", examples), examples).score(
        (way / np.linalg.norm(way, axis=1, keepdims=True)).astype(np.float32)
    )
    assert (np.diff(scores) >= -1e-6).all()
    assert scores[-1] == pytest.approx(1.0, abs=1e-3)
