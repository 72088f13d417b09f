"""Exact nearest neighbours over vectors in any float type, a chunk at a time. Pure."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hub.types import Vectors

CHUNK = 4096
"""Rows multiplied at once: 8 MB of 512 float32, which the processor's cache still helps with."""

Floats = NDArray[np.floating[Any]]
Found = tuple[NDArray[np.int64], NDArray[np.float32]]
"""Row numbers and cosines of one query, best first."""


def nearest(queries: Vectors, vectors: Floats, n: int, rows: NDArray[np.int64] | None = None) -> list[Found]:
    """The n best of vectors (m, d) for each of queries (q, d); only of `rows`, in rising order, where given."""
    count = len(vectors) if rows is None else len(rows)
    best = np.zeros((len(queries), 0), np.float32)
    at = np.zeros((len(queries), 0), np.int64)
    for numbers, some in _chunks(vectors, rows, count):
        cosines = queries @ some.T
        best = np.concatenate([best, cosines], axis=1)
        at = np.concatenate([at, np.broadcast_to(numbers, cosines.shape)], axis=1)
        if best.shape[1] > n:
            keep = np.argpartition(-best, n - 1, axis=1)[:, :n]
            best, at = np.take_along_axis(best, keep, 1), np.take_along_axis(at, keep, 1)
    order = np.argsort(-best, axis=1, kind="stable")
    return list(zip(np.take_along_axis(at, order, 1), np.take_along_axis(best, order, 1), strict=True))


def rescored(query: NDArray[np.float32], vectors: Floats, rows: NDArray[np.int64]) -> Found:
    """`rows` in the order of their cosines to one query (d,)."""
    cosines = np.asarray(vectors[rows], np.float32) @ query
    order = np.argsort(-cosines, kind="stable")
    return rows[order], cosines[order]


def _chunks(vectors: Floats, rows: NDArray[np.int64] | None, count: int) -> Iterator[tuple[NDArray[np.int64], Vectors]]:
    for start in range(0, count, CHUNK):
        numbers = np.arange(start, min(start + CHUNK, count)) if rows is None else rows[start : start + CHUNK]
        some = vectors[start : start + CHUNK] if rows is None else vectors[numbers]
        yield numbers, np.asarray(some, np.float32)
