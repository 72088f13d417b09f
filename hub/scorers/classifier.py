"""An optional classifier of accepted against discarded, used only where it beats the plain scorer.

Logistic regression on directions whitened by the background, and on how rare the plain scorer finds an element, with
the background among what is not wanted. Everything it is judged and calibrated by is held out: a fold's examples, and
its part of the background, are unknown both to the plain scorer and to the classifier that value them. The classifier
that is kept is the mean of the folds'.
"""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hub.scorers.calibration import Rarities, rarities
from hub.scorers.detectors import directions
from hub.scorers.examples import Examples
from hub.scorers.exemplar import Exemplar, best_of_frames, learn, rarities_of
from hub.types import Fitted, Vectors

LEAST_EACH = 10
"""Fewer accepted or discarded than this say nothing that the plain scorer has not learned."""

FOLDS = 5
LEARN_FROM = 2_000
"""Of more accepted, discarded or background elements than these, as many are learned from, evenly picked."""

RIDGE = 2.0
STRENGTH = 10.0
"""How much all examples together weigh against the penalty of the coefficients."""
MOST_DECADES = 6.0


class Classifier:
    """Values of a fitted classifier, as rarities among the background's. Opening one needs no scikit-learn."""

    name: ClassVar[str] = "classifier-1"

    def __init__(self, fitted: Fitted, examples: Examples) -> None:
        facts, arrays = fitted.facts, fitted.arrays
        self._plain = Exemplar(fitted, examples)
        self._mean = arrays["mean"]
        self._line = _Line(arrays["direction"], float(facts["decades_weight"]))
        self._rarities = Rarities(
            arrays["classifier_values"], arrays["classifier_decades"],
            float(facts["classifier_per_decade"]), int(facts["background"]),
        )  # fmt: skip

    def score(self, rows: Vectors) -> NDArray[np.float32]:
        """(n,) scores below 1."""
        return self._rarities.score(self.raw(rows))

    def raw(self, rows: Vectors) -> NDArray[np.float32]:
        """(n,) values before they are set against the background's."""
        return self._line.of(directions(rows, self._mean), self._plain.rarity(rows))

    def rarity(self, rows: Vectors) -> NDArray[np.float64]:
        """(n,) decades: 1 in 10^decades of the background scores as high."""
        return self._rarities.of(self.raw(rows))


def choose(examples: Examples) -> Fitted:
    """The plain scorer, or the classifier where cross-validation finds it better by more than a standard error."""
    plain, background = learn(examples)
    if min(len(examples.pictures), len(examples.negatives)) < LEAST_EACH:
        return plain
    try:
        import sklearn.linear_model  # noqa: F401  (slow to import, and optional)
    except ImportError:
        return plain
    held_out = _held_out(examples, plain, background)
    gains = held_out.classifier_quality - held_out.plain_quality
    better = float(gains.mean()) > float(gains.std(ddof=1)) / np.sqrt(len(gains))
    said = {
        "cross_validated": {
            Classifier.name: round(float(held_out.classifier_quality.mean()), 4),
            Exemplar.name: round(float(held_out.plain_quality.mean()), 4),
        },
        "chosen": Classifier.name if better else Exemplar.name,
    }
    if better:
        return _with_classifier(plain, held_out, examples, said)
    return replace(plain, facts={**plain.facts, **said})


@dataclass(frozen=True, eq=False)
class _Line:
    """direction: (d,) for directions from the mean. decades: weight of the plain scorer's rarity."""

    direction: NDArray[np.float32]
    decades: float

    def of(self, away: Vectors, decades: NDArray[np.float64]) -> NDArray[np.float32]:
        """(n,) values for directions (n, d)."""
        plain = self.decades * np.minimum(decades, MOST_DECADES) + 1e-3 * decades
        return np.asarray(away @ self.direction + plain, np.float32)


@dataclass(frozen=True, eq=False)
class _HeldOut:
    """line: the mean of the folds'. background: (n,) values of those folds' lines that do not know the element.
    qualities: (folds,) of both scorers, see `_quality`."""

    line: _Line
    background: NDArray[np.float32]
    classifier_quality: NDArray[np.float64]
    plain_quality: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Rows:
    """Examples as the classifier learns from them. kind: (n,) 1 wanted, 0 discarded, -1 background. fold: (n,)."""

    away: Vectors
    decades: NDArray[np.float64]
    kind: NDArray[np.int64]
    fold: NDArray[np.int64]


def _held_out(examples: Examples, plain: Fitted, background: NDArray[np.float32]) -> _HeldOut:
    mean = plain.arrays["mean"]
    rows = _rows(examples, plain, background)
    whitening = _whitening(rows.away[rows.kind < 0])
    lines = [_fit_line(rows, rows.fold != fold, whitening) for fold in range(FOLDS)]
    line = _Line(
        np.mean([each.direction for each in lines], axis=0).astype(np.float32),
        float(np.mean([each.decades for each in lines])),
    )
    value = np.zeros(len(rows.kind), np.float32)
    for fold, each in enumerate(lines):
        value[rows.fold == fold] = each.of(rows.away, rows.decades)[rows.fold == fold]
    known = directions(examples.background.vectors, mean)
    decades = rarities_of(plain).of(background)
    of_fold = _fold_of(examples.background.frame)
    values = np.zeros(len(known), np.float32)
    for fold, each in enumerate(lines):
        values[of_fold == fold] = each.of(known, decades)[of_fold == fold]
    return _HeldOut(
        line,
        values,
        np.array([_quality(value, rows, fold) for fold in range(FOLDS)]),
        np.array([_quality(rows.decades, rows, fold) for fold in range(FOLDS)]),
    )


def _rows(examples: Examples, plain: Fitted, background: NDArray[np.float32]) -> _Rows:
    """The plain scorer's rarities are those of scorers that were not shown the example."""
    accepted, discarded = _some(examples.pictures), _some(examples.negatives)
    of_accepted, of_discarded = np.arange(len(accepted)) % FOLDS, np.arange(len(discarded)) % FOLDS
    wanted, unwanted = np.zeros(len(accepted)), np.zeros(len(discarded))
    for fold in range(FOLDS):
        inner = replace(examples, pictures=accepted[of_accepted != fold], negatives=discarded[of_discarded != fold])
        scorer = Exemplar(Exemplar.fit(inner), inner)
        wanted[of_accepted == fold] = scorer.rarity(accepted[of_accepted == fold])
        unwanted[of_discarded == fold] = scorer.rarity(discarded[of_discarded == fold])
    seen = np.arange(len(background))[:: -(-len(background) // LEARN_FROM)]
    mean = plain.arrays["mean"]
    return _Rows(
        directions(np.concatenate([accepted, discarded, examples.background.vectors[seen]]), mean),
        np.concatenate([wanted, unwanted, rarities_of(plain).of(background[seen])]),
        np.repeat([1, 0, -1], [len(accepted), len(discarded), len(seen)]),
        np.concatenate([of_accepted, of_discarded, _fold_of(examples.background.frame)[seen]]),
    )


def _fold_of(frame: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,): frames dealt to the folds, all rows of one to the same."""
    return np.asarray(np.unique(frame, return_inverse=True)[1] % FOLDS, np.int64)


def _some(rows: Vectors) -> Vectors:
    return rows[:: -(-len(rows) // LEARN_FROM)]


def _whitening(away: Vectors) -> NDArray[np.float32]:
    """(d, d) A such that rows @ A have the ridged covariance I, up to a rotation."""
    covariance = away.T @ away / len(away)
    d = len(covariance)
    level = max(float(np.trace(covariance)) / d, 1e-9)
    lower = np.linalg.cholesky(covariance + RIDGE * level * np.eye(d, dtype=np.float32))
    return np.asarray(np.linalg.inv(lower).T * np.sqrt(level), np.float32)


def _fit_line(rows: _Rows, known: NDArray[np.bool_], whitening: NDArray[np.float32]) -> _Line:
    """Half of the weight is the wanted's, and a quarter each the discarded's and the background's."""
    from sklearn.linear_model import LogisticRegression

    kind = rows.kind[known]
    weight = np.zeros(len(kind))
    for which, share in ((1, 0.5), (0, 0.25), (-1, 0.25)):
        weight[kind == which] = STRENGTH * share / max(int((kind == which).sum()), 1)
    features = np.column_stack([rows.away[known] @ whitening, np.minimum(rows.decades[known], MOST_DECADES)])
    model: Any = LogisticRegression(max_iter=500).fit(features, kind == 1, sample_weight=weight)
    coefficients = model.coef_[0]
    return _Line((whitening @ coefficients[:-1]).astype(np.float32), max(float(coefficients[-1]), 0.0))


def _quality(value: NDArray[np.floating], rows: _Rows, fold: int) -> float:
    """How often a wanted element of the fold is above one discarded (and above one of the background): the mean of the
    two areas under the curve."""
    held = rows.fold == fold
    wanted = value[held & (rows.kind == 1)]
    return float(np.mean([_above(wanted, value[held & (rows.kind == other)]) for other in (0, -1)]))


def _above(high: NDArray[np.floating], low: NDArray[np.floating]) -> float:
    if not len(high) or not len(low):
        return 0.5
    ranked = np.sort(low)
    under = np.searchsorted(ranked, high, "left") + np.searchsorted(ranked, high, "right")
    return float(under.mean() / (2 * len(low)))


def _with_classifier(plain: Fitted, found: _HeldOut, examples: Examples, said: dict[str, Any]) -> Fitted:
    rare = rarities(best_of_frames(found.background, examples.background.frame))
    return Fitted(
        Classifier.name,
        {
            **plain.facts,
            **said,
            "decades_weight": found.line.decades,
            "classifier_per_decade": rare.per_decade,
            "source": f"{plain.facts['source']}; a classifier of accepted against discarded has learned from both",
        },
        {
            **plain.arrays,
            "direction": found.line.direction,
            "classifier_values": rare.values,
            "classifier_decades": rare.decades,
        },
    )
