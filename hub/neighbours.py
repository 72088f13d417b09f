"""Approximate nearest neighbours: the NEIGHBOURS table. The only module that knows Annoy and usearch.

A kind makes a file of unit vectors and opens it memory-mapped, so that threads and processes share its pages. Neither
library notices a file that is truncated, or of other vectors: whoever opens one must have checked it
(`hub.corpus.segments`, `hub.index`). They only propose candidates, by row number; cosines are computed from the vectors
themselves.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from hub.types import Vectors
from shared.errors import NotSetUp

if TYPE_CHECKING:
    from annoy import AnnoyIndex

METRIC: Literal["angular"] = "angular"
"""Of every kind: on unit vectors it has the order of the cosine."""

_SEED = 42


class Neighbours(Protocol):
    """An index file that is open. May be used from any thread."""

    def candidates(self, row: NDArray[np.float32], k: int, effort: int) -> NDArray[np.int64]:
        """Numbers of up to k rows that are probably the nearest to `row` (d,), best first.

        effort: how much is looked at, in the unit of the kind; more takes longer and misses fewer.
        """


class NeighbourKind(Protocol):
    """A way to find neighbours, and the settings worth trying, the cheapest first.

    plans: (dimensions that the vectors are projected to before, 0 for none; size). efforts: of a search, never below
    the number of candidates. unit_cost: what a unit of effort costs, where rescoring a candidate costs 1.
    """

    @property
    def plans(self) -> Sequence[tuple[int, int]]: ...

    @property
    def efforts(self) -> Sequence[int]: ...

    @property
    def unit_cost(self) -> float: ...

    def build(self, chunks: Iterable[Vectors], dim: int, path: Path, size: int) -> None:
        """Write the file of vectors, given in chunks of (n, dim). OSError when it can't be written."""

    def open(self, path: Path, dim: int) -> Neighbours:
        """Map a file that is known to be whole and of `dim`."""


@dataclass(frozen=True)
class Annoy:
    """A forest of random projections. size: trees; the same vectors give the same file. effort: its search_k."""

    # Projected, a tree's leaves are smaller, a candidate is cheaper and the file a third: on CLIP vectors 0.99 of the
    # neighbours in 3 ms, where whole vectors give 0.87 in 5.
    plans: tuple[tuple[int, int], ...] = ((96, 60), (128, 120))
    efforts: tuple[int, ...] = (1_000, 2_000, 5_000, 10_000, 20_000, 50_000)
    unit_cost: float = 0.2

    def build(self, chunks: Iterable[Vectors], dim: int, path: Path, size: int) -> None:
        index = _annoy(dim)
        index.set_seed(_SEED)
        for i, vector in enumerate(vector for some in chunks for vector in some):
            index.add_item(i, vector.tolist())  # an array it would take apart number by number, and slowly
        index.build(size, 1)  # one job, or else the file depends on who came first
        index.save(str(path))

    def open(self, path: Path, dim: int) -> Neighbours:
        index = _annoy(dim)
        index.load(str(path))
        return _AnnoyFile(index)


@dataclass(frozen=True)
class _AnnoyFile:
    index: "AnnoyIndex"

    def candidates(self, row: NDArray[np.float32], k: int, effort: int) -> NDArray[np.int64]:
        return np.array(self.index.get_nns_by_vector(row, k, effort), np.int64)


@dataclass(frozen=True)
class Usearch:
    """A navigable graph (HNSW) of float16 vectors. size: connections a node. effort: candidates held on the way."""

    plans: tuple[tuple[int, int], ...] = ((0, 16),)
    efforts: tuple[int, ...] = (32, 64, 128, 256, 384, 512, 1024)
    unit_cost: float = 2.0
    expansion_add: int = 128
    threads: int = 1

    def build(self, chunks: Iterable[Vectors], dim: int, path: Path, size: int) -> None:
        index = _usearch()(ndim=dim, metric="cos", dtype="f16", connectivity=size, expansion_add=self.expansion_add)
        for some in chunks:
            index.add(np.arange(len(index), len(index) + len(some), dtype=np.uint64), some, threads=self.threads)
        try:
            index.save(str(path))
        except RuntimeError as error:
            raise OSError(f"usearch can't write {path.name}: {error}") from error

    def open(self, path: Path, dim: int) -> Neighbours:
        index = _usearch()(ndim=dim, metric="cos", dtype="f16")
        index.view(str(path))
        return _UsearchFile(index, Lock())


@dataclass(frozen=True)
class _UsearchFile:
    """One search at a time: the effort is a state of the index, and so is what a search of one thread writes on."""

    index: Any
    lock: Lock

    def candidates(self, row: NDArray[np.float32], k: int, effort: int) -> NDArray[np.int64]:
        with self.lock:
            self.index.expansion_search = effort
            return self.index.search(row, k, threads=1).keys.astype(np.int64)  # type: ignore[no-any-return]


NEIGHBOURS: Mapping[str, NeighbourKind] = {"annoy": Annoy(), "usearch": Usearch()}
"""HUB_INDEX → how neighbours are found."""


def neighbour_kind(name: str) -> NeighbourKind:
    """A kind that can be used here. NotSetUp when its library is not installed."""
    if name == "usearch":
        _usearch()
    return NEIGHBOURS[name]


def _annoy(dim: int) -> "AnnoyIndex":
    """Imported when it is needed, since the client of a hub elsewhere never needs it."""
    from annoy import AnnoyIndex

    return AnnoyIndex(dim, METRIC)


def _usearch() -> Any:
    try:
        from usearch.index import Index
    except ImportError as error:
        raise NotSetUp(
            "HUB_INDEX is usearch, and usearch is not installed",
            hint="Install it with: pip install 'bowerbird[usearch]', or set HUB_INDEX=annoy.",
        ) from error
    return Index
