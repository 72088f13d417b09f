"""Archives with many elements, for tests of the corpus."""

from typing import Any

import numpy as np

from hub.archive import ANY, Archive, Element, Filter, Newcomer
from hub.types import ElementKind
from tests.hub.making import unit

DIM = 32


def clustered(n: int, seed: int = 0, dim: int = DIM) -> np.ndarray:
    """Unit vectors around 40 centres, so that there are neighbours to find."""
    centres = np.random.default_rng(99).normal(size=(40, dim))
    rng = np.random.default_rng(seed)
    return unit(centres[rng.integers(0, 40, n)] + 0.4 * rng.normal(size=(n, dim)))


def newcomer(i: int, vector: Any, **changes: Any) -> Newcomer:
    """Element i: one of 5 cameras, every third a whole frame, the others crops with one of 4 labels; second i."""
    values: dict[str, Any] = {
        "frame_id": f"{i:032x}",
        "row": i % 3,
        "embedding_version": "v1",
        "camera": f"camera-{i % 5}",
        "taken_at": float(i),
        "box": (0, 0, 10, 10),
        "vector": unit(vector)[0],
        "label": f"label-{i % 4}" if i % 3 else "",
    }
    return Newcomer(**values | changes)


def add(archive: Archive, vectors: np.ndarray, first: int = 0) -> None:
    archive.add([newcomer(i, vector) for i, vector in enumerate(vectors, first)])


def brute(archive: Archive, queries: np.ndarray, k: int, where: Filter = ANY) -> list[list[int]]:
    """Ids of the nearest to each query, from everything that is stored, one by one."""
    stored = archive.stored([int(i) for i in archive.living("v1", first=1, last=2**62)])
    passing = [each for each in stored if _passes(each.element, where)]
    return [
        [number for _, number in sorted((-float(each.vector @ query), each.element.id) for each in passing)[:k]]
        for query in queries
    ]


def _passes(of: Element, where: Filter) -> bool:
    return (
        (where.since is None or of.taken_at >= where.since)
        and (where.until is None or of.taken_at < where.until)
        and (not where.cameras or of.camera in where.cameras)
        and (not where.labels or of.label in where.labels)
        and (where.kind is None or where.kind == (ElementKind.CROP if of.row else ElementKind.FRAME))
    )


def ids(hits: Any) -> list[int]:
    return [hit.element.id for hit in hits]


def recall(found: list[list[int]], truth: list[list[int]]) -> float:
    return float(np.mean([len(set(a) & set(b)) / len(b) for a, b in zip(found, truth, strict=True)]))
