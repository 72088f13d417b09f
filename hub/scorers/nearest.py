"""Scorers by the nearest seed's cosine: raw, or mapped by where cosines typically lie for the embedder. Pure."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hub.scorers.calibration import UNDER_ONE
from hub.scorers.examples import Examples
from hub.types import Calibration, Fitted, Vectors


def calibrated(cosine: NDArray[np.float32], calibration: Calibration) -> NDArray[np.float32]:
    """Scores in [0, 1] for cosines: 0 up to the floor, 0.5 at the boundary, 1 at cosine 1, linear between."""
    xp = [calibration.floor, calibration.boundary, 1.0]
    return np.asarray(np.interp(cosine, xp, [0.0, 0.5, 1.0]), np.float32)


class Cosine:
    """The cosine to the nearest seed itself, as Roboflow Collect compares it."""

    name: ClassVar[str] = "cosine"

    def __init__(self, fitted: Fitted, examples: Examples) -> None:
        self._wanted = np.concatenate([examples.pictures, examples.texts])

    @staticmethod
    def fit(examples: Examples) -> Fitted:
        """Nothing is learned."""
        return Fitted(Cosine.name, {"source": "the raw cosine to the nearest seed", "calibrated": False})

    def score(self, rows: Vectors) -> NDArray[np.float32]:
        """(n,) cosines, those below 0 as 0."""
        return np.asarray(np.clip((rows @ self._wanted.T).max(axis=1), 0.0, 1.0), np.float32)


class Typical:
    """The nearest seed's cosine on the scale that is typical of the embedder: for campaigns whose cameras have shown
    too little yet. What is nearer to an example of what is not wanted scores half."""

    name: ClassVar[str] = "typical-1"

    def __init__(self, fitted: Fitted, examples: Examples) -> None:
        said: Mapping[str, Mapping[str, Any]] = fitted.facts["calibrations"]
        self._groups = [
            (vectors, Calibration(**said[kind]))
            for kind, vectors in (("image", examples.pictures), ("text", examples.texts))
            if len(vectors)
        ]
        self._pictures, self._negatives = examples.pictures, examples.negatives

    @staticmethod
    def fit(examples: Examples) -> Fitted:
        """Takes over the embedder's figures."""
        known = len(examples.background)
        source = "; ".join(
            examples.typical[kind].source
            for kind, vectors in (("image", examples.pictures), ("text", examples.texts))
            if len(vectors)
        )
        return Fitted(
            Typical.name,
            {
                "calibrations": {kind: asdict(each) for kind, each in examples.typical.items()},
                "calibrated": False,
                "background": known,
                "source": f"uncalibrated, {known} background elements known: {source}",
            },
        )

    def score(self, rows: Vectors) -> NDArray[np.float32]:
        """(n,) scores: the best over pictures and texts."""
        value = np.zeros(len(rows), np.float32)
        for vectors, calibration in self._groups:
            value = np.maximum(value, calibrated((rows @ vectors.T).max(axis=1), calibration))
        if len(self._negatives) and len(self._pictures):
            unlike = (rows @ self._negatives.T).max(axis=1) > (rows @ self._pictures.T).max(axis=1)
            value = np.where(unlike, 0.5 * value, value)
        return np.minimum(value, UNDER_ONE).astype(np.float32)
