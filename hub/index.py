"""The nearest of a campaign's seeds.

An index is a file of unit vectors with a sidecar (`.json`) that says what must be in it. Annoy loads a truncated
file, or one of another dimension, without a word, so a file is used only when its checksum, metric, dimension,
count and embedding version are the sidecar's; otherwise it is built again from the vectors.
"""

import hashlib
import json
import logging
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hub.neighbours import METRIC, Annoy, Neighbours
from hub.types import Vectors
from shared.errors import StorageFull

_log = logging.getLogger(__name__)

EXACT_UP_TO = 20_000
"""Up to this many vectors one matrix product is faster than the trees, and exact."""

TREES = 50
CANDIDATES = 16
SEARCH_K = 5_000
_ANNOY = Annoy()


@dataclass(frozen=True)
class Sidecar:
    """What an index file must hold."""

    count: int
    dim: int
    metric: str
    embedding_version: str
    trees: int
    sha256: str


class VectorIndex:
    """Nearest rows of a set of unit vectors; memory-mapped, safe to share between threads and processes."""

    def __init__(self, vectors: Vectors, path: Path | None, *, exact_up_to: int = EXACT_UP_TO) -> None:
        """path: of the index file; used only above `exact_up_to` vectors."""
        self._vectors = vectors
        self._file: Neighbours | None = None
        if path is not None and len(vectors) > exact_up_to:
            self._file = _ANNOY.open(path, vectors.shape[1])

    def __len__(self) -> int:
        return len(self._vectors)

    def nearest(self, rows: Vectors) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Cosine (n,) and index (n,) of the nearest vector for each of rows (n, d).

        Annoy only proposes candidates; cosines are exact float32 products either way.
        """
        if self._file is None:
            cosine = rows @ self._vectors.T
            best = np.argmax(cosine, axis=1)
            return cosine[np.arange(len(rows)), best], best.astype(np.int64)
        best = np.array([self._best(row) for row in rows], np.int64)
        return np.einsum("nd,nd->n", rows, self._vectors[best]).astype(np.float32), best

    def _best(self, row: NDArray[np.float32]) -> int:
        assert self._file is not None
        candidates = self._file.candidates(row, CANDIDATES, SEARCH_K)
        return int(candidates[np.argmax(self._vectors[candidates] @ row)])


def open_index(path: Path, vectors: Vectors, embedding_version: str) -> VectorIndex:
    """The index at `path` over `vectors` (n, d); built when missing, rebuilt when it is not what it must be."""
    if problem := check(path, len(vectors), vectors.shape[1], embedding_version):
        if problem != "missing":
            _log.warning("index %s is %s: building it again", path.name, problem)
        build(path, vectors, embedding_version)
    return VectorIndex(vectors, path)


def build(path: Path, vectors: Vectors, embedding_version: str) -> None:
    """Write the index file and its sidecar, each whole or not at all. StorageFull when there is no room."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.part")
        _ANNOY.build([vectors], vectors.shape[1], part, TREES)
        sidecar = Sidecar(len(vectors), vectors.shape[1], METRIC, embedding_version, TREES, _sha256(part))
        _replace(part, path)
        part.write_text(json.dumps(asdict(sidecar)))
        _replace(part, _sidecar_path(path))
    except OSError as error:
        raise StorageFull(
            f"the index {path} can't be written: {error.strerror or error}",
            hint="Free some space, or make the data directory writable.",
        ) from error


def check(path: Path, count: int, dim: int, embedding_version: str) -> str:
    """What is wrong with the index at `path`, in a word or two; "" when it can be used."""
    if not path.exists():
        return "missing"
    try:
        said = Sidecar(**json.loads(_sidecar_path(path).read_text()))
    except (OSError, ValueError, TypeError):
        return "without a readable sidecar"
    if (said.count, said.dim, said.metric) != (count, dim, METRIC):
        return "of other vectors"
    if said.embedding_version != embedding_version:
        return "of another embedding version"
    return "" if _sha256(path) == said.sha256 else "corrupt"


def _sidecar_path(path: Path) -> Path:
    return path.with_suffix(path.suffix + ".json")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _replace(part: Path, path: Path) -> None:
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(path)
