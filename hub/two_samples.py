"""Whether two sets of correlated vectors are of one distribution, and how far apart they are. Pure.

Frames of a camera taken one after the other show nearly the same, so that counting each as independent makes every
change look significant. Here the unit is the block: the frames of one camera in one hour, or day. Blocks are what is
resampled, permuted, and what the variance of a mean is told from. Cameras may be strata: each is compared with itself,
and counts on both sides for its share of the first side.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Grouped:
    """Vectors of two sides in blocks, the blocks in strata.

    vectors: (n, d) unit. block: (n,) int, the block of each vector, 0 … B − 1. now: (B,) bool, whether a block is of
    the first side. stratum: (B,) int, 0 … S − 1; each has two blocks or more on either side.
    """

    vectors: NDArray[Any]
    block: NDArray[np.int64]
    now: NDArray[np.bool_]
    stratum: NDArray[np.int64]

    @property
    def size(self) -> Array:
        """(B,) vectors in each block."""
        return np.bincount(self.block, minlength=len(self.now)).astype(np.float64)

    @property
    def share(self) -> Array:
        """(S,) each stratum's part of the vectors of the first side."""
        of_now: Array = np.bincount(self.stratum, self.size * self.now)
        return of_now / of_now.sum()


@dataclass(frozen=True)
class Means:
    """How two mean vectors compare.

    cosine: of the two. interval: 95 %, of the cosine that so many frames give. expected: what it would be on average
    had nothing changed, which is below 1 since means of few vectors are noisy.
    """

    cosine: float
    interval: tuple[float, float]
    expected: float


@dataclass(frozen=True)
class Distance:
    """How far apart two distributions are. mmd2: unbiased, so about 0 (also below) for one and the same; at most 2.
    p: how often so much is found when blocks change sides by lot."""

    mmd2: float
    p: float


# ── means ────────────────────────────────────────────────────────────────────────────────────────────


def compare_means(groups: Grouped, rng: np.random.Generator, *, resamples: int = 1000) -> Means:
    """Cosine of the two means with a bootstrap interval, and its value under no drift.

    For n and m independent unit vectors with ρ the squared length of their true mean, E‖x̄‖² = ρ + (1 − ρ)/n, so that
    the cosine is about ρ / √((ρ + (1 − ρ)/n)(ρ + (1 − ρ)/m)) for want of vectors alone. For correlated ones (1 − ρ)/n
    becomes the variance of the mean, estimated between blocks; ρ is estimated without bias, ‖ȳ‖² less that variance,
    which for independent vectors is (m‖ȳ‖² − 1)/(m − 1).
    """
    sums = _block_sums(groups)
    mean_x, noise_x = _mean(groups, sums, groups.now)
    mean_y, noise_y = _mean(groups, sums, ~groups.now)
    cosine = float(_cosine(mean_x, mean_y))
    rho = max(float(mean_y @ mean_y) - noise_y, 0.0)
    below = np.sqrt((rho + noise_x) * (rho + noise_y))
    expected = rho / float(below) if below > 0 else 1.0
    drawn = _cosine(
        _resampled(groups, sums, groups.now, rng, resamples), _resampled(groups, sums, ~groups.now, rng, resamples)
    )
    # Means of resampled vectors are noisier than the means themselves, so all their cosines lie too low: only how they
    # scatter is of use.
    low, high = np.quantile(drawn - drawn.mean(), [0.025, 0.975]) + cosine
    return Means(cosine, (max(float(low), -1.0), min(float(high), 1.0)), expected)


def _block_sums(groups: Grouped) -> Array:
    """(B, d)."""
    order = np.argsort(groups.block, kind="stable")
    starts = np.searchsorted(groups.block[order], np.arange(len(groups.now)))
    sums: Array = np.add.reduceat(groups.vectors[order].astype(np.float64), starts, axis=0)
    return sums


def _mean(groups: Grouped, sums: Array, side: NDArray[np.bool_]) -> tuple[Array, float]:
    """The mean vector of a side, and the variance of it: E‖x̄ − E x̄‖², by the usual estimator for a ratio in
    stratified cluster samples (Cochran, Sampling Techniques, 1977, sections 5A and 11)."""
    size, total, noise = groups.size, np.zeros(sums.shape[1]), 0.0
    for stratum, share in enumerate(groups.share):
        of = side & (groups.stratum == stratum)
        n, k = size[of].sum(), int(of.sum())
        mean = sums[of].sum(axis=0) / n
        spread = float(((sums[of] - size[of, None] * mean) ** 2).sum())
        total += share * mean
        noise += share**2 * k / (k - 1) * spread / n**2
    return total, noise


def _resampled(
    groups: Grouped, sums: Array, side: NDArray[np.bool_], rng: np.random.Generator, resamples: int
) -> Array:
    """(resamples, d) means of blocks drawn with replacement in each stratum, one fewer than there are, which gives
    the right variance however few they are (Rao and Wu, JASA 83, 1988)."""
    size, total = groups.size, np.zeros((resamples, sums.shape[1]))
    for stratum, share in enumerate(groups.share):
        of = side & (groups.stratum == stratum)
        k = int(of.sum())
        times = rng.multinomial(k - 1, np.full(k, 1 / k), size=resamples).astype(np.float64)
        total += share * (times @ sums[of]) / (times @ size[of])[:, None]
    return total


def _cosine(a: Array, b: Array) -> Array:
    return (a * b).sum(axis=-1) / np.maximum(np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1), 1e-12)


# ── distributions ────────────────────────────────────────────────────────────────────────────────────


def bandwidth(vectors: NDArray[Any]) -> float:
    """The median distance between two of the vectors (Gretton et al. 2012, section 8); where more than half are the
    same picture, their mean distance; 1 where all are."""
    squared = _squared_distances(vectors, vectors)[np.triu_indices(len(vectors), 1)]
    if not len(squared):
        return 1.0
    middle = float(np.median(squared))
    typical = middle if middle > 1e-9 else float(squared.mean())
    return float(np.sqrt(typical)) if typical > 1e-9 else 1.0


def kernel(a: NDArray[Any], b: NDArray[Any], width: float) -> Array:
    """(n, m) Gaussian kernel exp(−‖a − b‖² / 2 width²)."""
    likeness: Array = np.exp(_squared_distances(a, b).astype(np.float64) / (-2.0 * width**2))
    return likeness


def _squared_distances(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """(n, m), of unit vectors."""
    return np.maximum(2.0 - 2.0 * (a @ b.T), 0.0)


def compare_distributions(
    groups: Grouped, width: float, rng: np.random.Generator, *, permutations: int = 999
) -> Distance:
    """Squared maximum mean discrepancy with a Gaussian kernel, and its p-value by permutation of blocks.

    ‖φ̄(x) − φ̄(y)‖² less the variances of the two means in the kernel's space. Where every vector is a block of its own
    that is the unbiased estimate of Gretton et al. (JMLR 13, 2012, eq. 3). Blocks change sides within their stratum,
    as many as there are on each side: exact where blocks are exchangeable. p = (1 + #{permuted ≥ found}) / (1 + #).
    """
    gram = _block_gram(groups, width)
    sides = np.vstack([groups.now, _permuted(groups, rng, permutations)])
    values = _mmd2(groups, gram, sides)
    # Equal ones may differ by rounding.
    as_far = int(np.count_nonzero(values[1:] >= values[0] - 1e-12))
    return Distance(float(values[0]), (1 + as_far) / (1 + permutations))


def _block_gram(groups: Grouped, width: float) -> Array:
    """(B, B) sums of the kernel over the pairs of two blocks."""
    order = np.argsort(groups.block, kind="stable")
    starts = np.searchsorted(groups.block[order], np.arange(len(groups.now)))
    vectors = groups.vectors[order]
    by_row: Array = np.add.reduceat(kernel(vectors, vectors, width), starts, axis=0)
    gram: Array = np.add.reduceat(by_row, starts, axis=1)
    return gram


def _permuted(groups: Grouped, rng: np.random.Generator, permutations: int) -> NDArray[np.bool_]:
    """(permutations, B): which blocks are of the first side, permuted within strata."""
    sides = np.zeros((permutations, len(groups.now)), np.bool_)
    for stratum in range(int(groups.stratum.max()) + 1):
        of = np.flatnonzero(groups.stratum == stratum)
        sides[:, of] = rng.permuted(np.tile(groups.now[of], (permutations, 1)), axis=1)
    return sides


def _mmd2(groups: Grouped, gram: Array, sides: NDArray[np.bool_]) -> Array:
    """(p,) unbiased MMD² for each row of sides (p, B)."""
    size, share = groups.size, groups.share
    weight, noise = np.zeros(sides.shape), np.zeros(len(sides))
    for stratum, part in enumerate(share):
        of = np.flatnonzero(groups.stratum == stratum)
        own, sizes = gram[np.ix_(of, of)], size[of]
        for side, sign in ((sides[:, of], 1.0), (~sides[:, of], -1.0)):
            chosen = side.astype(np.float64)
            n, k = chosen @ sizes, chosen.sum(axis=1)
            weight[:, of] += sign * part * chosen / n[:, None]
            noise += part**2 * k / (k - 1) * _spread(chosen, own, sizes, n) / n**2
    apart: Array = ((weight @ gram) * weight).sum(axis=1) - noise
    return apart


def _spread(chosen: Array, gram: Array, sizes: Array, n: Array) -> Array:
    """(p,) Σ‖S_b − n_b φ̄‖² over the chosen blocks, S_b the sum of block b and φ̄ the mean of all of them."""
    to_all = chosen @ gram
    return (
        chosen @ np.diag(gram)
        - 2.0 * (to_all * chosen * sizes).sum(axis=1) / n
        + (chosen @ sizes**2) * (to_all * chosen).sum(axis=1) / n**2
    )


def witness(groups: Grouped, width: float) -> Array:
    """(n,) mean likeness of each vector of the first side to those of its stratum now, its own block left out, less
    that to the other side: where the two differ most (Gretton et al. 2012, section 2.3). NaN for the other side."""
    is_now, stratum = groups.now[groups.block], groups.stratum[groups.block]
    found = np.full(len(groups.vectors), np.nan)
    for each in range(int(groups.stratum.max()) + 1):
        x, y = np.flatnonzero(is_now & (stratum == each)), np.flatnonzero(~is_now & (stratum == each))
        others = (groups.block[x][:, None] != groups.block[x]).astype(np.float64)
        near = (kernel(groups.vectors[x], groups.vectors[x], width) * others).sum(axis=1) / others.sum(axis=1)
        found[x] = near - kernel(groups.vectors[x], groups.vectors[y], width).mean(axis=1)
    return found


def false_discoveries(p: NDArray[np.float64], rate: float = 0.05) -> NDArray[np.bool_]:
    """(n,) which of many tests are significant when at most `rate` of these may be false alarms (Benjamini and
    Hochberg, JRSS B 57, 1995)."""
    order = np.argsort(p)
    below = np.flatnonzero(p[order] <= rate * np.arange(1, len(p) + 1) / max(len(p), 1))
    found = np.zeros(len(p), np.bool_)
    if len(below):
        found[order[: below[-1] + 1]] = True
    return found
