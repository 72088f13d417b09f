"""A version's seeds as a scorer learns from them: unit vectors, each once, in an order of their own. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hub.types import Background, Calibration, Prior, Seed, SeedKind, Vectors
from shared.errors import InvalidInput, ModelError


@dataclass(frozen=True, eq=False)
class Examples:
    """What is wanted, as pictures (k, d) and texts (t, d), and what is not, (m, d): unit float32 rows.

    typical: where cosines lie for this embedder, by seed kind.
    """

    pictures: Vectors
    texts: Vectors
    negatives: Vectors
    background: Background
    typical: Mapping[str, Calibration]
    prior: Prior

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return int(max(part.shape[1] for part in (self.pictures, self.texts)))


def examples(
    seeds: Iterable[Seed],
    embedding_version: str | None,
    background: Background | None = None,
    typical: Mapping[str, Calibration] | None = None,
    prior: Prior | None = None,
) -> Examples:
    """Seeds sorted and without repetitions, so that neither order nor copies change a score.

    ModelError for a seed of another embedding version, InvalidInput for one whose vector can't be compared, or when
    nothing is wanted at all.
    """
    of_kind: dict[str, list[Seed]] = {"pictures": [], "texts": [], "negatives": []}
    for seed in seeds:
        kind = "negatives" if seed.negative else "texts" if seed.kind is SeedKind.TEXT else "pictures"
        of_kind[kind].append(seed)
    if not of_kind["pictures"] and not of_kind["texts"]:
        raise InvalidInput(
            "there is no example of what is wanted",
            hint="Give --seed-images PATH or --text PROMPT; --not-like alone says too little.",
        )
    stacked = {kind: stack(group, embedding_version) for kind, group in of_kind.items()}
    dim = max(part.shape[1] for part in stacked.values())
    once = {kind: _each_once(part.reshape(-1, dim)) for kind, part in stacked.items()}
    known = background if background is not None else Background(np.zeros((0, dim), np.float32), np.zeros(0, np.int64))
    return Examples(
        once["pictures"],
        once["texts"],
        once["negatives"],
        _usable(known),
        typical or {},
        prior if prior is not None else Prior(),
    )


def stack(seeds: Sequence[Seed], embedding_version: str | None) -> Vectors:
    """The vectors of seeds as (n, d) float32. ModelError when one is of another embedding version."""
    for seed in seeds:
        if seed.vector is None or seed.embedding_version != embedding_version:
            raise ModelError(
                f"seed {seed.name!r} was embedded by another model",
                hint="Commit the campaign again with --re-embed: its seeds are then embedded anew.",
            )
        if not np.isfinite(seed.vector).all() or not np.any(seed.vector):
            raise InvalidInput(
                f"seed {seed.name!r} has no usable embedding",
                hint="Its picture may be empty or damaged; take it out and commit again.",
            )
    if not seeds:
        return np.zeros((0, 0), np.float32)
    return np.stack([seed.vector for seed in seeds if seed.vector is not None]).astype(np.float32)


def _usable(background: Background) -> Background:
    """Without rows that are no vectors (zero, NaN)."""
    good = np.isfinite(background.vectors).all(axis=1) & background.vectors.any(axis=1)
    return background if good.all() else Background(background.vectors[good], background.frame[good])


def _each_once(vectors: Vectors) -> Vectors:
    """Rows sorted, those alike in six digits once."""
    if not len(vectors):
        return vectors
    _, first = np.unique(np.round(vectors, 6), axis=0, return_index=True)
    return vectors[first]
