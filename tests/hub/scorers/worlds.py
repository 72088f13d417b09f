"""Made-up cameras for scorers: unit vectors around class centres."""

import numpy as np

from hub.scorers.examples import Examples
from hub.types import Background, Calibration, Prior, Vectors

DIM = 48
TYPICAL = {"image": Calibration(0.5, 0.7, "typical"), "text": Calibration(0.2, 0.25, "typical")}


def unit(rows: np.ndarray) -> Vectors:
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True), np.float32)


def around(rng: np.random.Generator, centre: np.ndarray, n: int, spread: float = 0.6) -> Vectors:
    """n unit vectors near a centre; spread is the length of what is added to it."""
    return unit(centre + spread * rng.normal(size=(n, len(centre))) / np.sqrt(len(centre)))


class World:
    """Scenes with a common mean, as embedders have it, and classes apart from them."""

    def __init__(self, seed: int = 0, scenes: int = 12, dim: int = DIM) -> None:
        self.rng = np.random.default_rng(seed)
        self.common = unit(self.rng.normal(size=dim))
        self.scenes = [self.centre() for _ in range(scenes)]

    def centre(self) -> Vectors:
        return unit(self.common + 0.8 * unit(self.rng.normal(size=len(self.common))))

    def ordinary(self, n: int) -> Vectors:
        which = self.rng.integers(len(self.scenes), size=n)
        return np.concatenate([around(self.rng, self.scenes[i], 1) for i in which])

    def background(self, n: int) -> Background:
        return Background(self.ordinary(n), np.arange(n))


def given(
    pictures: Vectors,
    background: Background | None = None,
    *,
    texts: Vectors | None = None,
    negatives: Vectors | None = None,
    prior: Prior | None = None,
) -> Examples:
    """Examples from plain arrays."""
    none = np.zeros((0, pictures.shape[1]), np.float32)
    return Examples(
        pictures,
        texts if texts is not None else none,
        negatives if negatives is not None else none,
        background if background is not None else Background(none, np.zeros(0, np.int64)),
        TYPICAL,
        prior or Prior(),
    )
