"""A committed version, ready to be asked how well elements fit its seeds."""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hub.index import VectorIndex, open_index
from hub.protocols import Scorer
from hub.scorers import open_scorer
from hub.scorers.examples import examples, stack
from hub.scorers.nearest import calibrated
from hub.types import Calibration, Matches, Seed, SeedKind, Vectors, Version

SAME = 1.0 - 1e-5
"""From this cosine on two elements are the same: float32 and float16 agree no better."""

LOOK_FROM = 0.25
"""Below this score nothing is compared with each seed to see whether it is the same."""


FEW_SEEDS = 2_000
"""With so many at most, the nearest seed of many rows is looked for together."""

FEW_ROWS = 8
"""So many rows are explained one by one: usually no more are asked for, and the others need no look."""

Near = tuple[str, float]
"""A seed's id and the cosine to it."""


class _Explained:
    """The nearest seed of a row, when it is asked for; of all rows together, once many are."""

    def __init__(self, rows: Vectors, nearest: Callable[[Vectors], list[Near]], *, at_once: bool) -> None:
        self._rows, self._nearest, self._at_once = rows, nearest, at_once
        self._asked = 0
        self._known: list[Near] | None = None

    def __call__(self, i: int) -> Near:
        self._asked += 1
        if self._known is None and self._at_once and self._asked > FEW_ROWS:
            self._known = self._nearest(self._rows)
        return self._known[i] if self._known is not None else self._nearest(self._rows[i : i + 1])[0]


class SeedTarget:
    """A version, its scorer and its seeds in memory.

    The scorer gives the scores; the seeds themselves are only searched to explain one, and to see whether an element
    is a seed itself. Pictures and text are searched apart, since their cosines live on different scales.
    """

    def __init__(self, version: Version, indexes: Path | None) -> None:
        self.version = version
        self._indexes = indexes
        self._scorer: Scorer | None = None
        if version.scorer is not None:
            self._scorer = open_scorer(version.scorer, examples(version.seeds, version.embedding_version))

    def match(self, rows: Vectors) -> Matches:
        """How well each row, (n, d) unit float32, fits. A row that is no vector (zero, NaN) scores 0."""
        if self._scorer is None or not len(rows):
            return Matches(np.zeros(len(rows), np.float32), lambda _: ("", 0.0))
        value = self._scorer.score(rows)
        length = np.einsum("nd,nd->n", rows, rows)
        value[~((length > 0.0) & np.isfinite(length))] = 0.0
        likely = np.flatnonzero(value >= LOOK_FROM)
        if self._pictures is not None and len(likely):
            cosine, _ = self._pictures.nearest(rows[likely])
            value[likely[cosine >= SAME]] = 1.0
        return Matches(value, _Explained(rows, self.nearest, at_once=len(self.version.seeds) <= FEW_SEEDS))

    def nearest(self, rows: Vectors) -> list[Near]:
        """Of each of rows, (n, d) unit, the nearest picture or text, whichever is nearer on the scale of its kind."""
        found: list[tuple[NDArray[np.float32], list[Near]]] = []
        for kind, index, seeds in (
            ("image", self._pictures, self._of_pictures),
            ("text", self._texts, self._of_texts),
        ):
            if index is not None:
                cosine, best = index.nearest(rows)
                near = [(seeds[i].id, value) for i, value in zip(best.tolist(), cosine.tolist(), strict=True)]
                found.append((self._on_scale(kind, cosine), near))
        if not found:
            return [("", 0.0)] * len(rows)
        if len(found) == 1:
            return found[0][1]
        (pictures, of_pictures), (texts, of_texts) = found
        return [t if nearer else p for p, t, nearer in zip(of_pictures, of_texts, texts > pictures, strict=True)]

    def _on_scale(self, kind: str, cosine: NDArray[np.float32]) -> NDArray[np.float32]:
        facts = self.version.scorer.facts if self.version.scorer else {}
        typical = facts.get("calibrations", {}).get(kind)
        return calibrated(cosine, Calibration(**typical)) if typical else cosine

    @cached_property
    def _of_pictures(self) -> list[Seed]:
        return [seed for seed in self.version.seeds if seed.kind is not SeedKind.TEXT and not seed.negative]

    @cached_property
    def _of_texts(self) -> list[Seed]:
        return [seed for seed in self.version.seeds if seed.kind is SeedKind.TEXT]

    @cached_property
    def _pictures(self) -> VectorIndex | None:
        return self._index("image", self._of_pictures)

    @cached_property
    def _texts(self) -> VectorIndex | None:
        return self._index("text", self._of_texts)

    def _index(self, kind: str, seeds: list[Seed]) -> VectorIndex | None:
        if not seeds:
            return None
        vectors = stack(seeds, self.version.embedding_version)
        if self._indexes is None:
            return VectorIndex(vectors, None)
        path = self._indexes / f"version-{self.version.id}-{kind}.ann"
        return open_index(path, vectors, self.version.embedding_version or "")
