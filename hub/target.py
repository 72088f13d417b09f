"""A committed version, ready to be asked how well elements fit its seeds."""

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
        return Matches(value, lambda i: self._nearest(rows[i : i + 1]))

    def _nearest(self, row: Vectors) -> tuple[str, float]:
        """The nearest picture or text, whichever is nearer on the scale of its kind."""
        found: list[tuple[float, str, float]] = []
        for kind, index, seeds in (
            ("image", self._pictures, self._of_pictures),
            ("text", self._texts, self._of_texts),
        ):
            if index is not None:
                cosine, best = index.nearest(row)
                found.append((self._on_scale(kind, cosine), seeds[int(best[0])].id, float(cosine[0])))
        if not found:
            return "", 0.0
        _, seed, value = max(found, key=lambda each: each[0])
        return seed, value

    def _on_scale(self, kind: str, cosine: NDArray[np.float32]) -> float:
        facts = self.version.scorer.facts if self.version.scorer else {}
        typical = facts.get("calibrations", {}).get(kind)
        return float(calibrated(cosine, Calibration(**typical))[0]) if typical else float(cosine[0])

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
