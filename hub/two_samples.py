"""Whether two sets of correlated vectors are of one distribution, and how far apart they are. Pure.

Frames taken one after the other show nearly the same, and cameras at one place share the light, so that counting each
frame as independent makes every change look significant. Here the unit is the stretch of time: all that all cameras
took in, say, three days. Stretches are what is resampled and permuted, and what the variance of a mean is told from.
Cameras are strata: each is compared with itself, and counts on both sides for its share of the first side.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_WIDEST = 3.0
"""So much and no more is a variance widened for the likeness of neighbours, which few stretches tell but roughly."""

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Index = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Grouped:
    """Vectors of two sides in cells, a cell being what a stratum shows in a stretch.

    vectors: (n, d) unit. cell: (n,) the cell of each vector, 0 … C − 1. stratum: (C,) 0 … S − 1, each with cells on
    both sides. stretch: (C,) 0 … K − 1. now: (K,) whether a stretch is of the first side; two or more are on either.
    in_order: of either side, whether its stretches are days or longer and numbered in their order, so that one being
    like the one before it is chance, and not the course of a day.
    """

    vectors: NDArray[Any]
    cell: Index
    stratum: Index
    stretch: Index
    now: Flags
    in_order: tuple[bool, bool] = (False, False)

    @property
    def size(self) -> Array:
        """(C,) vectors in each cell."""
        counts: Array = np.bincount(self.cell, minlength=len(self.stratum)).astype(np.float64)
        return counts

    @property
    def in_stratum(self) -> Array:
        """(C, S) 1 where a cell is of a stratum."""
        one: Array = (self.stratum[:, None] == np.arange(self.stratum.max() + 1)).astype(np.float64)
        return one

    @property
    def share(self) -> Array:
        """(S,) each stratum's part of the vectors of the first side."""
        of_now: Array = (self.size * self.now[self.stretch]) @ self.in_stratum
        return of_now / float(of_now.sum())


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
    p: how often chance gives as much."""

    mmd2: float
    p: float


def _weights(groups: Grouped, sides: Flags) -> Array:
    """(p, C) what each vector of a cell counts in the mean of a side, for each row of sides (p, K): a stratum's share
    over its vectors there, and 0 for cells of the other side. A stratum that is missing on a side counts in neither."""
    of_side = sides[:, groups.stretch].astype(np.float64)
    here = (of_side * groups.size) @ groups.in_stratum
    there = groups.size @ groups.in_stratum - here
    part = np.where((here > 0) & (there > 0), groups.share, 0.0)
    part /= np.maximum(part.sum(axis=1, keepdims=True), 1e-12)
    weights: Array = of_side * (part / np.maximum(here, 1.0))[:, groups.stratum]
    return weights


def _deviations(groups: Grouped, side: Flags) -> Array:
    """(k, C) rows of weights, one for each stretch of a side: how much the stretch moves the side's mean, to first
    order (Cochran, Sampling Techniques, 1977, section 6, for ratios). They sum to 0. Scaled by √(k/(k − 1)), so that
    the squared lengths of what they give add up to the variance of the mean without bias.
    """
    weight = _weights(groups, side[None])[0]
    inside = (groups.stretch[None, :] == np.flatnonzero(side)[:, None]).astype(np.float64)
    here = (groups.size * side[groups.stretch]) @ groups.in_stratum
    part = (inside * groups.size) @ groups.in_stratum / here
    k = len(inside)
    rows: Array = (inside - part[:, groups.stratum]) * weight * np.sqrt(k / (k - 1))
    return rows


def _moves(groups: Grouped, gram: Array) -> tuple[Array, float]:
    """The deviations of both sides in one, (K, C), those of the first side first; and the sum of their squared lengths,
    which is the variance of the difference of the means. gram: (C, C) inner products of the cells.

    Rows are lengthened where stretches are like those before them (Newey and West, Econometrica 55, 1987, with one
    lag), by as much on both sides, to know it better.
    """
    sides = [_deviations(groups, groups.now), _deviations(groups, ~groups.now)]
    products = [each @ gram @ each.T for each in sides]
    ordered = [one for one, is_so in zip(products, groups.in_order, strict=True) if is_so and np.trace(one) > 0]
    wider = 1.0
    if ordered:
        # Deviations from a mean of k are correlated by −1/(k − 1) where nothing else correlates them.
        lagged = [(np.diag(one, 1).sum() * len(one) / np.trace(one) + 1.0) / (len(one) - 1) for one in ordered]
        mean = float(np.average(lagged, weights=[len(one) - 1.0 for one in ordered]))
        wider = float(np.clip(1 + 2 * mean, 1.0, _WIDEST))
    scaled = [each * np.sqrt(wider) if is_so else each for each, is_so in zip(sides, groups.in_order, strict=True)]
    moves = np.vstack(scaled)
    return moves, float(_lengths(moves, gram).sum())


# ── means ────────────────────────────────────────────────────────────────────────────────────────────


def compare_means(groups: Grouped, rng: np.random.Generator, *, resamples: int = 1000) -> Means:
    """Cosine of the two means with a bootstrap interval, and its value under no drift.

    For n and m independent unit vectors with ρ the squared length of their true mean, E‖x̄‖² = ρ + (1 − ρ)/n, so that
    the cosine is about ρ / √((ρ + (1 − ρ)/n)(ρ + (1 − ρ)/m)) for want of vectors alone. For correlated ones (1 − ρ)/n
    becomes the variance of the mean, estimated between stretches; ρ is estimated without bias, ‖ȳ‖² less that
    variance, which for independent vectors is (m‖ȳ‖² − 1)/(m − 1).
    """
    sums = _cell_sums(groups.vectors.astype(np.float64), groups)
    x, y = (_weights(groups, side[None])[0] @ sums for side in (groups.now, ~groups.now))
    moves = _moves(groups, sums @ sums.T)[0] @ sums
    moves_x, moves_y = np.split(moves, [int(groups.now.sum())])
    noise_x, noise_y = float((moves_x**2).sum()), float((moves_y**2).sum())
    rho = max(float(y @ y) - noise_y, 0.0)
    expected = rho / np.sqrt((rho + noise_x) * (rho + noise_y)) if rho > 0 else 0.0
    cosine = float(_cosine(x, y))
    # The two lie apart by their noise alone, too. Resampling adds that once more, so what it added is taken away first.
    apart = float(((x - y) ** 2).sum())
    beyond = np.sqrt(max(apart - noise_x - noise_y, 0.0) / apart) if apart > 0 else 0.0
    middle, half = (x + y) / 2, beyond * (x - y) / 2
    drawn = _cosine(
        middle + half + _resampled(moves_x, rng, resamples), middle - half + _resampled(moves_y, rng, resamples)
    )
    low, high = np.quantile(drawn - drawn.mean(), [0.025, 0.975]) + cosine
    return Means(cosine, (max(float(low), -1.0), min(float(high), 1.0)), float(expected))


def _resampled(moves: Array, rng: np.random.Generator, resamples: int) -> Array:
    """(resamples, d) how means of stretches drawn with replacement differ from the mean."""
    k = len(moves)
    moved: Array = (rng.multinomial(k, np.full(k, 1 / k), size=resamples) - 1.0) @ moves
    return moved


def _cosine(a: Array, b: Array) -> Array:
    lengths = np.maximum(np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1), 1e-12)
    cosine: Array = (a * b).sum(axis=-1) / lengths
    return cosine


def _cell_sums(rows: Array, groups: Grouped) -> Array:
    """(C, …) sums of the rows of each cell."""
    order = np.argsort(groups.cell, kind="stable")
    starts = np.searchsorted(groups.cell[order], np.arange(len(groups.stratum)))
    sums: Array = np.add.reduceat(rows[order], starts, axis=0)
    return sums


# ── distributions ────────────────────────────────────────────────────────────────────────────────────


def bandwidth(vectors: NDArray[Any]) -> float:
    """The median distance between two of the vectors (Gretton et al. 2012, section 8); where more than half are the
    same picture, their mean distance; 1 where all are."""
    squared = _squared_distances(vectors, vectors)[np.triu_indices(len(vectors), 1)]
    if not len(squared):
        return 1.0
    middle = float(np.median(squared))
    typical = middle if middle > 1e-6 else float(squared.mean())
    return float(np.sqrt(typical)) if typical > 1e-6 else 1.0


def kernel(a: NDArray[Any], b: NDArray[Any], width: float) -> Array:
    """(n, m) Gaussian kernel exp(−‖a − b‖² / 2 width²)."""
    likeness: Array = np.exp(_squared_distances(a, b) / (-2.0 * width**2)).astype(np.float64)
    return likeness


def _squared_distances(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """(n, m), of unit vectors."""
    squared: NDArray[Any] = np.maximum(2.0 - 2.0 * (a @ b.T), 0.0)
    return squared


def compare_distributions(
    groups: Grouped,
    width: float,
    rng: np.random.Generator,
    *,
    exchangeable: bool = True,
    permutations: int = 999,
) -> Distance:
    """Squared maximum mean discrepancy with a Gaussian kernel, and a p-value.

    mmd2 is ‖φ̄(x) − φ̄(y)‖² less the variances of the two means in the kernel's space. Where every vector is a stretch of
    its own that is the unbiased estimate of Gretton et al. (JMLR 13, 2012, eq. 3).

    p = (1 + #{by chance ≥ found}) / (1 + permutations). Where stretches of both sides are of a kind (`exchangeable`:
    the same cameras at another time, and about as many frames in each) chance is a permutation of the stretches, which
    is exact but for the likeness of neighbours, by which it is widened. Pictures of a training set and days of a camera
    are not of a kind, nor are few frames and many; then chance is the stretches' own deviations from the mean of their
    side with signs by lot (the wild bootstrap, Chwialkowski et al., NeurIPS 2014).
    """
    gram = _cell_sums(_cell_sums(kernel(groups.vectors, groups.vectors, width), groups).T, groups)
    moves, noise = _moves(groups, gram)
    found = float(_lengths(_difference(groups, groups.now[None]), gram)[0])
    if exchangeable:
        by_chance = _difference(groups, rng.permuted(np.tile(groups.now, (permutations, 1)), axis=1))
        plain = np.vstack([_deviations(groups, groups.now), _deviations(groups, ~groups.now)])
        by_chance = by_chance * np.sqrt(noise / max(float(_lengths(plain, gram).sum()), 1e-300))
    else:
        by_chance = rng.choice([-1.0, 1.0], (permutations, len(moves))) @ moves
    # Equal ones may differ by rounding.
    as_far = int(np.count_nonzero(_lengths(by_chance, gram) >= found - 1e-12))
    return Distance(found - noise, (1 + as_far) / (1 + permutations))


def _difference(groups: Grouped, sides: Flags) -> Array:
    """(p, C) weights of the difference of the two means."""
    return _weights(groups, sides) - _weights(groups, ~sides)


def _lengths(weights: Array, gram: Array) -> Array:
    """(p,) squared lengths of weighted sums of cells; gram: (C, C) their inner products."""
    # Rounding may leave a nothing below 0.
    squared: Array = np.maximum(((weights @ gram) * weights).sum(axis=1), 0.0)
    return squared


def witness(groups: Grouped, width: float) -> Array:
    """(n,) mean likeness of each vector of the first side to those of its stratum now, its own stretch left out, less
    that to the other side: where the two differ most (Gretton et al. 2012, section 2.3). NaN for the other side, and
    for a stratum of one stretch."""
    stretch, stratum = groups.stretch[groups.cell], groups.stratum[groups.cell]
    is_now = groups.now[stretch]
    found = np.full(len(groups.vectors), np.nan)
    for each in range(int(groups.stratum.max()) + 1):
        x, y = (np.flatnonzero(side & (stratum == each)) for side in (is_now, ~is_now))
        others = (stretch[x][:, None] != stretch[x]).astype(np.float64)
        if not others.any():
            continue
        near = (kernel(groups.vectors[x], groups.vectors[x], width) * others).sum(axis=1) / others.sum(axis=1)
        found[x] = near - kernel(groups.vectors[x], groups.vectors[y], width).mean(axis=1)
    return found


def false_discoveries(p: Array, rate: float) -> Flags:
    """(n,) which of many tests are significant when at most `rate` of these may be false alarms (Benjamini and
    Hochberg, JRSS B 57, 1995)."""
    order = np.argsort(p)
    below = np.flatnonzero(p[order] <= rate * np.arange(1, len(p) + 1) / max(len(p), 1))
    found = np.zeros(len(p), np.bool_)
    if len(below):
        found[order[: below[-1] + 1]] = True
    return found
