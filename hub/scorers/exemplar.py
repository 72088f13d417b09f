"""The default scorer: exemplar LDA, many exemplars blended, calibrated by rarity.

Every seed becomes a linear detector of its kind against the background (Hariharan, Malik and Ramanan, "Discriminative
decorrelation for clustering and classification", 2012): w = (C + λI)⁻¹ s for the centred seed s and the background's
covariance C. The mean of the detectors is best for a compact class, the nearest for a diverse one; a soft maximum
has both as its ends, and how soft it is, is chosen by how rare each seed is to the detectors of the others.

Where the embedder's statistics tell how concepts differ (the covariance of many nouns' text vectors), directions in
which they do count for more: it makes up for what one seed can't tell.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from hub.rarity import FALSE_POSITIVE_RATE
from hub.scorers.calibration import Rarities, rarities
from hub.scorers.clusters import cluster
from hub.scorers.examples import Examples
from hub.types import Fitted, Prior, Vectors

CONCEPT_POWER = 0.4

RIDGE, RIDGE_OF_ONE = 1.0, 5.0
"""The ridge is RIDGE + RIDGE_OF_ONE/k of the mean variance, for k seeds: few seeds say little of a class."""

NEAR_SHARE = 0.6
"""With k seeds, this over k of the covariance is that of near elements' differences."""
NEAR_OF = 2_000
TEXT_RIDGE = 8.0
TEXT_COSINE = 0.5
TEXT_WEIGHT = 3.0
"""A text counts for as many seeds."""

SOFTNESS = (0.0, 0.1, 0.3, 1.0, 3.0)
"""The sharpness β of the soft maximum log(mean(exp(β a)))/β: 0 is the mean, ∞ the maximum."""
USUAL_SOFTNESS = 0.3

MOST_EXEMPLARS = 32
NEGATIVE_WEIGHT = 10.0
"""A discarded sample counts for as many background elements."""


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
def _metric_of(prior: Prior) -> NDArray[np.float32] | None:
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

    near: (p, d) differences of near elements, whose covariance is `near_share` of the whole. An element's held-out value
    follows from its leverage h (Sherman and Morrison): a / (1 − h).
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
        covariance += NEGATIVE_WEIGHT / n * (parts[2].T @ parts[2])
    inverse = np.linalg.inv(covariance + ridge * max(level, 1e-9) * np.eye(len(covariance), dtype=np.float32))
    weights = wanted @ inverse
    leverage = np.einsum("nd,nd->n", seen @ inverse, seen) / n
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


def soft_maximum(values: NDArray[np.float32], weights: NDArray[np.float32], beta: float) -> NDArray[np.float32]:
    """(n,) of values (n, m) with weights (m,) that sum to 1."""
    if beta == 0.0:
        return values @ weights
    top = values.max(axis=1)
    return np.asarray(top + np.log(np.exp(beta * (values - top[:, None])) @ weights) / beta, np.float32)


def choose_beta(own: NDArray[np.float32], background: NDArray[np.float32]) -> float:
    """The β under which the seeds are rarest to each other, if that is more than chance.

    own: (m, m), detector j on seed i at [i, j]. background: (n, m).
    """
    m = len(own)
    if m < 3:
        return USUAL_SOFTNESS
    rest = own[~np.eye(m, dtype=bool)].reshape(m, m - 1)
    all_but_one, even = np.full(m - 1, 1.0 / (m - 1), np.float32), np.full(m, 1.0 / m, np.float32)

    def rarity(beta: float) -> NDArray[np.float64]:
        rare = rarities(soft_maximum(background, even, beta)).of(soft_maximum(rest, all_but_one, beta))
        return np.minimum(rare, 4.0)

    usual = rarity(USUAL_SOFTNESS)
    best, found = 0.0, USUAL_SOFTNESS
    for beta in SOFTNESS:
        gain = rarity(beta) - usual
        if gain.mean() > max(best, float(gain.std(ddof=1)) / np.sqrt(m)):
            best, found = float(gain.mean()), beta
    return found


class Exemplar:
    """Values of directions from the background's mean, by the fitted detectors, as rarities."""

    name: ClassVar[str] = "exemplar-1"

    def __init__(self, fitted: Fitted, examples: Examples) -> None:
        self._parts = parts_of(fitted)
        self._rarities = rarities_of(fitted)

    @staticmethod
    def fit(examples: Examples) -> Fitted:
        """Needs LEAST_BACKGROUND background elements; more make it better up to a few thousand."""
        return fit(examples)

    def score(self, rows: Vectors) -> NDArray[np.float32]:
        """(n,) scores below 1."""
        return self._rarities.score(self.raw(rows))

    def raw(self, rows: Vectors) -> NDArray[np.float32]:
        """(n,) values before they are set against the background's."""
        return raw_values(self._parts, rows)

    def rarity(self, rows: Vectors) -> NDArray[np.float64]:
        """(n,) decades: 1 in 10^decades of the background scores as high."""
        return self._rarities.of(self.raw(rows))


@dataclass(frozen=True, eq=False)
class Parts:
    """What `raw_values` goes by. weights: (m, d) detectors, their offsets (m,), what share (m,) of the pictures each
    stands for; text_weights: (t, d)."""

    mean: NDArray[np.float32]
    weights: NDArray[np.float32]
    share: NDArray[np.float32]
    text_weights: NDArray[np.float32]
    beta: float
    pictures: int


def parts_of(fitted: Fitted) -> Parts:
    """The arrays of a fitted scorer. Where only the mean of the detectors counts, they are one."""
    arrays, beta = fitted.arrays, float(fitted.facts["beta"])
    weights, share = arrays["weights"], arrays["share"]
    if beta == 0.0 and len(weights):
        weights, share = (share @ weights)[None], np.ones(1, np.float32)
    return Parts(arrays["mean"], weights, share, arrays["text_weights"], beta, int(fitted.facts["pictures"]))


def rarities_of(fitted: Fitted) -> Rarities:
    """Its calibration."""
    facts, arrays = fitted.facts, fitted.arrays
    return Rarities(arrays["values"], arrays["decades"], float(facts["per_decade"]), int(facts["background"]))


def raw_values(parts: Parts, rows: Vectors) -> NDArray[np.float32]:
    """(n,) for unit rows (n, d): the soft maximum over pictures, the best of the texts, weighted by their number."""
    away = directions(rows, parts.mean)
    return _together(away @ parts.weights.T, away @ parts.text_weights.T, parts)


def _together(pictures: NDArray[np.float32], texts: NDArray[np.float32], parts: Parts) -> NDArray[np.float32]:
    said = []
    if pictures.shape[1]:
        said.append((float(parts.pictures), soft_maximum(pictures, parts.share, parts.beta)))
    if texts.shape[1]:
        said.append((TEXT_WEIGHT, texts.max(axis=1)))
    total = sum(weight for weight, _ in said)
    return np.asarray(sum(weight / total * values for weight, values in said), np.float32)


def fit(examples: Examples) -> Fitted:
    """Detectors, how they are blended, and how rare their values are on the background, held out."""
    background = examples.background.vectors
    mean = background.mean(axis=0).astype(np.float32)
    away, unwanted = directions(background, mean), directions(examples.negatives, mean)
    found = _picture_detectors(examples, away, mean, unwanted)
    texts = _text_detectors(examples, away, mean, unwanted)
    parts = Parts(mean, found.weights, found.share, texts.weights, found.beta, len(examples.pictures))
    values = _together(found.background, texts.background, parts)
    rare = rarities(best_of_frames(values, examples.background.frame))
    return Fitted(
        Exemplar.name,
        {
            "beta": found.beta,
            "pictures": len(examples.pictures),
            "texts": len(examples.texts),
            "negatives": len(examples.negatives),
            "background": rare.known,
            "per_decade": rare.per_decade,
            "calibrated": True,
            "false_positive_rate": FALSE_POSITIVE_RATE,
            "source": f"lets {FALSE_POSITIVE_RATE:.0%} of what these cameras show reach 0.5, "
            f"by {rare.known} frames of theirs",
        },
        {
            "mean": mean, "weights": found.weights, "share": found.share, "text_weights": texts.weights,
            "values": rare.values, "decades": rare.decades,
        },
    )  # fmt: skip


def best_of_frames(values: NDArray[np.float32], frame: NDArray[np.int64]) -> NDArray[np.float32]:
    """The highest value of each frame: a frame with many crops has as many chances."""
    _, member = np.unique(frame, return_inverse=True)
    best = np.full(int(member.max()) + 1, -np.inf, np.float32)
    np.maximum.at(best, member, values)
    return best


@dataclass(frozen=True, eq=False)
class _Blend:
    weights: NDArray[np.float32]
    background: NDArray[np.float32]
    share: NDArray[np.float32]
    beta: float


def _picture_detectors(examples: Examples, away: Vectors, mean: NDArray[np.float32], unwanted: Vectors) -> _Blend:
    seeds = directions(examples.pictures, mean)
    k = len(seeds)
    if not k:
        none = np.zeros(0, np.float32)
        return _Blend(np.zeros((0, len(mean)), np.float32), np.zeros((len(away), 0), np.float32), none, 0.0)
    centres, share = _condensed(seeds)
    found = detectors(
        centres, away, RIDGE + RIDGE_OF_ONE / k, _metric_of(examples.prior), unwanted,
        near_differences(away), NEAR_SHARE / k,
    )  # fmt: skip
    beta = choose_beta(_own(seeds, centres, found), found.background)
    return _Blend(found.weights, found.background, share, beta)


def _own(seeds: Vectors, centres: Vectors, found: Detectors) -> NDArray[np.float32]:
    """Each detector on each exemplar; a centre of several seeds stands for them."""
    return np.asarray(centres @ found.weights.T, np.float32)


def _condensed(seeds: Vectors) -> tuple[Vectors, NDArray[np.float32]]:
    """At most MOST_EXEMPLARS directions and the share of the seeds that each stands for."""
    if len(seeds) <= MOST_EXEMPLARS:
        return seeds, np.full(len(seeds), 1.0 / len(seeds), np.float32)
    centres, member = cluster(seeds, MOST_EXEMPLARS)
    return centres.astype(np.float32), (np.bincount(member) / len(member)).astype(np.float32)


def _text_detectors(examples: Examples, away: Vectors, mean: NDArray[np.float32], unwanted: Vectors) -> Detectors:
    """Whitened, and as they are: whitening alone forgets what the background has much of."""
    if not len(examples.texts):
        return Detectors(np.zeros((0, len(mean)), np.float32), np.zeros((len(away), 0), np.float32))
    middle = examples.prior.text_mean
    centred = examples.texts - (middle if middle is not None else 0.0)
    plain = centred / np.maximum((away @ centred.T).std(axis=0), 1e-9)[:, None]
    whitened = detectors(centred.astype(np.float32), away, TEXT_RIDGE, None, unwanted)
    both = (whitened.weights + TEXT_COSINE * plain).astype(np.float32)
    held_out = (whitened.background + TEXT_COSINE * (away @ plain.T)).astype(np.float32)
    deviation = np.maximum(held_out.std(axis=0), 1e-9)
    return Detectors((both / deviation[:, None]).astype(np.float32), (held_out / deviation).astype(np.float32))
