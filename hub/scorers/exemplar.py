"""The default scorer: exemplar LDA, many exemplars blended, calibrated by rarity.

Every seed becomes a linear detector of its kind against the background (Hariharan, Malik and Ramanan, "Discriminative
decorrelation for clustering and classification", 2012): w = (C + λI)⁻¹ s for the centred seed s and the background's
covariance C. The mean of the detectors is best for a compact class, the nearest for a diverse one; a soft maximum
has both as its ends, and how soft it is, is chosen by how rare each seed is to the detectors of the others.

Where the embedder's statistics tell how concepts differ (the covariance of many nouns' text vectors), directions in
which they do count for more: it makes up for what one seed can't tell. So does a share of the covariance taken from
the differences of near background elements, which are likely the same thing seen otherwise.

A text is whitened as well, and above all held against rival nouns (nouns.py): CLIP's own softmax over what the
background shows.
"""

from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from hub.rarity import FALSE_POSITIVE_RATE
from hub.scorers.calibration import Rarities, rarities
from hub.scorers.clusters import cluster
from hub.scorers.detectors import Detectors, detectors, directions, metric_of, near_differences
from hub.scorers.examples import Examples
from hub.scorers.nouns import odds, rivals
from hub.types import Fitted, Vectors

RIDGE, RIDGE_OF_ONE = 1.0, 4.0
"""The ridge is RIDGE + RIDGE_OF_ONE/k of the mean variance, for k seeds: few seeds say little of a class."""

NEAR_SHARE = 0.8
"""With k seeds, this over k of the covariance is that of near elements' differences."""

TEXT_RIDGE = 4.0
TEXT_COSINE = 0.5
"""How much a text's plain direction weighs beside its whitened one."""
TEXT_ODDS = 4.0
"""How much the odds against rival nouns weigh beside the linear detector of a text."""

TEXT_WEIGHT = 6.0
"""A text counts for as many seeds."""

SOFTNESS = (0.0, 0.1, 0.3, 1.0, 3.0)
"""The sharpness β of the soft maximum log(mean(exp(β a)))/β: 0 is the mean, ∞ the maximum."""
USUAL_SOFTNESS = 0.3

MOST_EXEMPLARS = 32


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
    """What `raw_values` goes by. weights: (m, d) detectors, what share (m,) of the pictures each
    stands for; text_weights: (t, d). texts: (t, d) as they are, to be held against rivals (r, d), with the mean and the
    deviation (2, t) of their odds on the background."""

    mean: NDArray[np.float32]
    weights: NDArray[np.float32]
    share: NDArray[np.float32]
    text_weights: NDArray[np.float32]
    texts: Vectors
    rivals: Vectors
    odds: NDArray[np.float32]
    beta: float
    pictures: int


def parts_of(fitted: Fitted) -> Parts:
    """The arrays of a fitted scorer. Where only the mean of the detectors counts, they are one."""
    arrays, beta = fitted.arrays, float(fitted.facts["beta"])
    weights, share = arrays["weights"], arrays["share"]
    if beta == 0.0 and len(weights):
        weights, share = (share @ weights)[None], np.ones(1, np.float32)
    return Parts(
        arrays["mean"], weights, share, arrays["text_weights"], arrays["texts"], arrays["rivals"], arrays["odds"],
        beta, int(fitted.facts["pictures"]),
    )  # fmt: skip


def rarities_of(fitted: Fitted) -> Rarities:
    """Its calibration."""
    facts, arrays = fitted.facts, fitted.arrays
    return Rarities(arrays["values"], arrays["decades"], float(facts["per_decade"]), int(facts["background"]))


def raw_values(parts: Parts, rows: Vectors) -> NDArray[np.float32]:
    """(n,) for unit rows (n, d): the soft maximum over pictures, the best of the texts, weighted by their number."""
    away = directions(rows, parts.mean)
    return _together(away @ parts.weights.T, text_values(rows, away @ parts.text_weights.T, parts), parts)


def text_values(rows: Vectors, linear: NDArray[np.float32], parts: Parts) -> NDArray[np.float32]:
    """(n, t): the values of the linear detectors and, where rivals are known, the odds against these."""
    if not len(parts.texts) or not len(parts.rivals):
        return linear
    mean, deviation = parts.odds
    against = (odds(rows, parts.texts, parts.rivals) - mean) / deviation
    return np.asarray((linear + TEXT_ODDS * against) / (1.0 + TEXT_ODDS), np.float32)


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
    return learn(examples)[0]


def learn(examples: Examples) -> tuple[Fitted, NDArray[np.float32]]:
    """What `fit` gives, and the held-out raw values of the background, (n,)."""
    background = examples.background.vectors
    mean = background.mean(axis=0).astype(np.float32)
    away, unwanted = directions(background, mean), directions(examples.negatives, mean)
    found = _picture_detectors(examples, away, mean, unwanted)
    texts = _text_detectors(examples, away, mean, unwanted)
    against = rivals(examples.prior, examples.texts, examples.background) if len(examples.texts) else examples.texts
    parts = Parts(
        mean, found.weights, found.share, texts.weights, examples.texts, against,
        _odds_of(background, examples.texts, against), found.beta, len(examples.pictures),
    )  # fmt: skip
    values = _together(found.background, text_values(background, texts.background, parts), parts)
    rare = rarities(best_of_frames(values, examples.background.frame))
    fitted = Fitted(
        Exemplar.name,
        {
            "beta": found.beta,
            "pictures": len(examples.pictures),
            "texts": len(examples.texts),
            "rivals": len(against),
            "negatives": len(examples.negatives),
            "background": rare.known,
            "per_decade": rare.per_decade,
            "calibrated": True,
            "calibrations": {kind: asdict(each) for kind, each in examples.typical.items()},
            "false_positive_rate": FALSE_POSITIVE_RATE,
            "source": f"lets {FALSE_POSITIVE_RATE:.0%} of what these cameras show reach 0.5, "
            f"by {rare.known} frames of theirs",
        },
        {
            "mean": mean, "weights": found.weights, "share": found.share, "text_weights": texts.weights,
            "texts": parts.texts, "rivals": parts.rivals, "odds": parts.odds,
            "values": rare.values, "decades": rare.decades,
        },
    )  # fmt: skip
    return fitted, values


def _odds_of(background: Vectors, texts: Vectors, against: Vectors) -> NDArray[np.float32]:
    if not len(texts) or not len(against):
        return np.zeros((2, len(texts)), np.float32)
    known = odds(background, texts, against)
    return np.stack([known.mean(axis=0), np.maximum(known.std(axis=0), 1e-6)])


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
        centres, away, RIDGE + RIDGE_OF_ONE / k, metric_of(examples.prior), unwanted,
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
