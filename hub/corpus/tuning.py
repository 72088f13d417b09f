"""How approximate search is set up, by measurement: built, asked what exact search was asked too, and built larger
until it finds enough of the same.

Vectors are projected onto their principal directions first where the kind asks for it. Candidates come from there, and
are rescored by the whole vectors, so that the projection costs no precision and only some recall, which is measured.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hub.corpus.exact import Floats, nearest, rescored
from hub.neighbours import NeighbourKind, Neighbours
from hub.types import Vectors

TARGET = 0.995
"""recall@10 on the held queries, so that 0.99 holds on others."""

K = 10
DEPTHS = (25, 50, 100, 200, 400, 800)
"""Candidates that are rescored."""

WORTH_IT = 0.98
"""An index that finds fewer is worse than exact search, up to EXACT_BEARABLE elements."""

EXACT_BEARABLE = 200_000
"""Exact search of so many takes 0.2 s."""

_NEAR = 0.9
_HELD = 200
_SAMPLE = 20_000
_CHUNK = 4096


class Settings(Protocol):
    """How to ask a file of neighbours."""

    @property
    def depth(self) -> int: ...

    @property
    def effort(self) -> int: ...


@dataclass(frozen=True)
class Tuned:
    """How a file of neighbours was built and is to be asked. size, effort: in the unit of its kind.

    dims: of the projection, 0 for none. depth: candidates to be rescored for the best 10. recall: recall@10 then.
    near: cosine that the nearest to a query nearly always has. Where one has none so near, it is unlike all that the
    index was made for, as a text is among pictures, and the recall is not its.
    """

    size: int
    dims: int
    depth: int
    effort: int
    recall: float
    near: float


def build(vectors: Floats, kind: NeighbourKind, path: Path, *, target: float = TARGET) -> tuple[Tuned, Vectors]:
    """Write the neighbours of vectors (n, d) to `path`; returns how to ask them, and the projection (d, dims).

    Where no plan of the kind reaches the target it is the one that finds most, and its recall tells. OSError when there
    is no room.
    """
    held = _Held.of(vectors)
    best: Tuned | None = None
    directions = np.zeros((vectors.shape[1], 0), np.float32)
    part = path.with_suffix(".tried")
    for dims, size in kind.plans:
        dims = min(dims, vectors.shape[1]) or vectors.shape[1]
        projection = principal(vectors, dims if dims < vectors.shape[1] else 0)
        kind.build(_chunks(vectors, projection), dims, part, size)
        settings = _settings(kind, kind.open(part, dims), held, vectors, projection, target)
        if best is None or settings[2] > best.recall:
            part.replace(path)
            best, directions = Tuned(size, projection.shape[1], settings[1], *settings[::2], held.near), projection
        if best.recall >= target:
            break
    part.unlink(missing_ok=True)
    assert best is not None
    return best, directions


def cost(kind: NeighbourKind, tuned: Settings) -> float:
    """Of a search, in elements compared one by one: about a microsecond each."""
    return kind.unit_cost * tuned.effort + tuned.depth


def exact_is_better(kind: NeighbourKind, tuned: Tuned, count: int) -> bool:
    """Whether an index would miss neighbours, for want of structure in the data, or take about as long."""
    return (tuned.recall < WORTH_IT and count <= EXACT_BEARABLE) or cost(kind, tuned) > count / 2


def principal(vectors: Floats, dims: int) -> Vectors:
    """The directions (d, dims) in which the vectors are longest, of a sample of them; (d, 0) for no dims."""
    some = np.asarray(vectors[:: max(1, len(vectors) // _SAMPLE)], np.float32)
    _, directions = np.linalg.eigh(some.T @ some)
    return np.ascontiguousarray(directions[:, directions.shape[1] - dims :], np.float32)


def projected(row: NDArray[np.float32], projection: Vectors) -> NDArray[np.float32]:
    """A query (d,) as the file of neighbours knows it."""
    return row @ projection if projection.shape[1] else row


@dataclass(frozen=True, eq=False)
class _Held:
    """What is asked: queries (q, d), each made from a row of its own that does not count, and its true K nearest."""

    queries: Vectors
    own: NDArray[np.int64]
    truth: list[set[int]]
    near: float

    @classmethod
    def of(cls, vectors: Floats) -> "_Held":
        """Half are rows as they are; half are moved along the difference of two others, as a new picture would be."""
        rng = np.random.default_rng(0)
        own, one, other = rng.integers(0, len(vectors), (3, _HELD))
        queries, ones, others = (np.asarray(vectors[at], np.float32) for at in (own, one, other))
        queries[::2] += 0.15 * (ones - others)[::2]
        queries /= np.linalg.norm(queries, axis=1, keepdims=True)
        found = nearest(queries, vectors, K + 1)
        nearest_of_others = [
            cosines[rows != at].max(initial=-1) for (rows, cosines), at in zip(found, own, strict=True)
        ]
        truth = [_without(rows, at) for (rows, _), at in zip(found, own, strict=True)]
        return cls(queries, own, truth, _NEAR * float(np.min(nearest_of_others)))


def _settings(
    kind: NeighbourKind, opened: Neighbours, held: _Held, vectors: Floats, projection: Vectors, target: float
) -> tuple[int, int, float]:
    """The cheapest (effort, depth, recall) that reaches the target, or else what finds most."""
    tried = []
    for effort in kind.efforts:
        depths = [depth for depth in DEPTHS if depth <= effort]
        recalls = _recalls(opened, held, vectors, projection, effort, depths)
        tried += [
            (kind.unit_cost * effort + depth, effort, depth, recall)
            for depth, recall in zip(depths, recalls, strict=True)
        ]
        if recalls[-1] >= target and recalls[0] >= target:
            break  # more effort is dearer, and less depth there is not
    enough = [each for each in tried if each[3] >= target]
    _, effort, depth, recall = min(enough) if enough else max(tried, key=lambda each: (each[3], -each[0]))
    return effort, depth, recall


def _recalls(
    opened: Neighbours, held: _Held, vectors: Floats, projection: Vectors, effort: int, depths: Sequence[int]
) -> list[float]:
    """Of each depth; the candidates of a lesser one are the first of those of a greater."""
    shares = np.zeros((len(held.own), len(depths)))
    for i, (query, own, truth) in enumerate(zip(held.queries, held.own, held.truth, strict=True)):
        candidates = opened.candidates(projected(query, projection), depths[-1], effort)
        rows, _ = rescored(query, vectors, candidates)
        rank = np.empty(int(candidates.max(initial=-1)) + 1, np.int64)
        rank[candidates] = np.arange(len(candidates))
        for j, depth in enumerate(depths):
            shares[i, j] = len(_without(rows[rank[rows] < depth], own) & truth) / max(len(truth), 1)
    return [float(share) for share in shares.mean(axis=0)]


def _without(rows: NDArray[np.int64], own: int) -> set[int]:
    return set([int(row) for row in rows if row != own][:K])


def _chunks(vectors: Floats, projection: Vectors) -> Iterator[Vectors]:
    for start in range(0, len(vectors), _CHUNK):
        some = np.asarray(vectors[start : start + _CHUNK], np.float32)
        yield some @ projection if projection.shape[1] else some
