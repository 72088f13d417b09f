"""Linear detectors against a background (exemplar LDA), and what they see of it held out. Pure."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from hub.types import Prior, Vectors

CONCEPT_POWER = 0.4
"""Of the concepts' covariance in the metric: 0 leaves it out, 1 would trust it alone."""

NEAR_OF = 2_000
"""Of more background elements than these, as many are compared with each other, evenly picked."""

NEGATIVE_WEIGHT, NEGATIVE_SHARE = 3.0, 0.05
"""A discarded sample counts for as many background elements, and all together for at most this share of them. More
makes a detector blind to what the discarded and the wanted have in common."""


def directions(rows: Vectors, mean: NDArray[np.float32]) -> Vectors:
    """(n, d) unit float32: which way each row lies from the mean; 0 for the mean itself."""
    apart = rows - mean
    return np.asarray(apart / np.maximum(np.linalg.norm(apart, axis=1, keepdims=True), 1e-6), np.float32)


def concept_metric(covariance: NDArray[np.floating] | None, power: float = CONCEPT_POWER) -> NDArray[np.float32] | None:
    """The symmetric power/2 of a covariance of concepts, (d, d); None for None."""
    if covariance is None:
        return None
    values, vectors = np.linalg.eigh(np.asarray(covariance, np.float64))
    values = np.maximum(values / values.mean(), 1e-6) ** (power / 2)
    return np.asarray((vectors * values) @ vectors.T, np.float32)


@lru_cache(maxsize=4)
def metric_of(prior: Prior) -> NDArray[np.float32] | None:
    """The metric of an embedder's concepts, kept: it takes as long as all the rest of a fit."""
    return concept_metric(prior.concepts)


@dataclass(frozen=True, eq=False)
class Detectors:
    """Linear detectors of directions: weights (m, d), each of unit deviation on the background, and its values on the
    background as if each element had not been known, (n, m)."""

    weights: NDArray[np.float32]
    background: NDArray[np.float32]


def detectors(
    seeds: Vectors,
    background: Vectors,
    ridge: float,
    metric: NDArray[np.float32] | None = None,
    negatives: Vectors | None = None,
    near: Vectors | None = None,
    near_share: float = 0.0,
) -> Detectors:
    """A detector for each of `seeds` (m, d) against `background` (n, d); all are directions from the mean.

    near: (p, d) differences of near elements, whose covariance is `near_share` of the whole. An element's held-out
    value follows from its leverage h (Sherman and Morrison): a / (1 − h), of its own share of the covariance.
    """
    d = background.shape[1]
    parts = [seeds, background, *(part for part in (negatives, near) if part is not None)]
    if metric is not None:
        parts = [part @ metric for part in parts]
    basis = _span(np.concatenate(parts[: 3 if negatives is not None else 2]))
    if basis is not None:
        parts = [part @ basis for part in parts]
    wanted, seen = parts[:2]
    n = len(seen)
    covariance = seen.T @ seen / n
    level = float(np.trace(covariance)) / d
    if near is not None and near_share:
        within = parts[-1].T @ parts[-1]
        covariance += near_share * (within * (level * d / max(float(np.trace(within)), 1e-9)) - covariance)
    if negatives is not None and len(negatives):
        weight = min(NEGATIVE_WEIGHT / n, NEGATIVE_SHARE / len(negatives))
        covariance += weight * (parts[2].T @ parts[2])
    inverse = np.linalg.inv(covariance + ridge * max(level, 1e-9) * np.eye(len(covariance), dtype=np.float32))
    weights = wanted @ inverse
    leverage = (1.0 - near_share) * np.einsum("nd,nd->n", seen @ inverse, seen) / n
    held_out = (seen @ weights.T) / np.maximum(1.0 - leverage, 0.05)[:, None]
    deviation = np.maximum(held_out.std(axis=0), 1e-9)
    weights /= deviation[:, None]
    if basis is not None:
        weights = weights @ basis.T
    return Detectors(
        (weights if metric is None else weights @ metric).astype(np.float32), (held_out / deviation).astype(np.float32)
    )


def _span(rows: Vectors) -> NDArray[np.float32] | None:
    """(d, n) orthonormal columns that span rows (n, d), or None where there are too many rows for that to help."""
    n, d = rows.shape
    return np.linalg.qr(rows.T)[0].astype(np.float32) if n < 0.8 * d else None


def near_differences(background: Vectors) -> Vectors:
    """What differs between each element, of at most NEAR_OF, and the one nearest to it: likely the same thing, seen
    otherwise."""
    some = background[:: -(-len(background) // NEAR_OF)]
    alike = some @ some.T
    np.fill_diagonal(alike, -np.inf)
    return np.asarray(some - some[alike.argmax(axis=1)], np.float32)
