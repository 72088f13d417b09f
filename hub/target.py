"""A committed version, ready to be asked for the nearest seed."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hub.index import VectorIndex, open_index
from hub.score import calibrated
from hub.types import Matches, Seed, SeedKind, Vectors, Version
from shared.errors import ModelError


class SeedTarget:
    """A version and its seeds in memory.

    Seeds made from pictures and from text live on different cosine scales, so each group has its own index and
    calibration; a row's match is the seed with the highest score.
    """

    def __init__(self, version: Version, indexes: Path | None) -> None:
        self.version = version
        self._groups: list[tuple[str, tuple[str, ...], VectorIndex]] = []
        pictures = [seed for seed in version.seeds if seed.kind is not SeedKind.TEXT]
        texts = [seed for seed in version.seeds if seed.kind is SeedKind.TEXT]
        for kind, seeds in (("image", pictures), ("text", texts)):
            if seeds:
                self._groups.append((kind, tuple(seed.id for seed in seeds), self._index(kind, seeds, indexes)))

    def _index(self, kind: str, seeds: list[Seed], indexes: Path | None) -> VectorIndex:
        vectors = stack(seeds, self.version.embedding_version)
        if indexes is None:
            return VectorIndex(vectors, None)
        path = indexes / f"version-{self.version.id}-{kind}.ann"
        return open_index(path, vectors, self.version.embedding_version or "")

    def nearest(self, rows: Vectors) -> Matches:
        """The best seed for each row, (n, d) unit float32."""
        n = len(rows)
        value, cosine = np.zeros(n, np.float32), np.zeros(n, np.float32)
        seed = [""] * n
        for kind, ids, index in self._groups if n else ():
            group_cosine, best = index.nearest(rows)
            group_value = self._value(kind, group_cosine)
            for i in np.flatnonzero((group_value > value) | np.array([not name for name in seed])):
                value[i], cosine[i], seed[i] = group_value[i], group_cosine[i], ids[best[i]]
        return Matches(value, cosine, tuple(seed))

    def _value(self, kind: str, cosine: NDArray[np.float32]) -> NDArray[np.float32]:
        if getattr(self.version.trigger, "scorer", "calibrated") == "cosine":
            return np.clip(cosine, 0.0, 1.0).astype(np.float32)
        return calibrated(cosine, self.version.calibrations[kind])


def stack(seeds: list[Seed], embedding_version: str | None) -> Vectors:
    """The vectors of seeds as (n, d) float32. ModelError when one is of another embedding version."""
    for seed in seeds:
        if seed.vector is None or seed.embedding_version != embedding_version:
            raise ModelError(
                f"seed {seed.name!r} was embedded by another model",
                hint="Commit the campaign again: its seeds are then embedded anew.",
            )
    return np.stack([seed.vector for seed in seeds if seed.vector is not None]).astype(np.float32)
