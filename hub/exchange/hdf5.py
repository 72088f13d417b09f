"""Elements as HDF5, in the layout of Robotoff-ANN's store. The only module that knows h5py.

Facts of that layout, which its store and ours read alike: a dataset `embedding` (n, d) float32, a dataset `external_id`
(n,) of integers, both made larger than needed: from the last id that is not 0 on, rows are unused. Its vectors are not
of unit length. What we know beyond that is in the group `bowerbird`, which it passes over.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from hub.archive import EmbeddingUse
from hub.exchange.columns import FORMAT, element, reader_failed, writing
from hub.exchange.intake import Incoming, Said
from hub.exchange.walk import Item
from shared.errors import InvalidInput, NotFound, NotSetUp

AT_ONCE = 2000
GROUP = "bowerbird"
_NUMBERS = {"row": np.int32, "taken_at": np.float64, "confidence": np.float64, "width": np.int32, "height": np.int32}
_TEXTS = ("frame_id", "camera", "label", "source", "metadata")
_ROWS_A_CHUNK = 1024
NONE = -1
"""In `bowerbird/id`: an element that was never given an id from elsewhere."""


def write_hdf5(path: Path, batches: Iterable[Sequence[Item]], use: EmbeddingUse, *, half: bool) -> int:
    """Write elements to a file; returns how many. half: vectors as float16, which Robotoff-ANN reads as well."""
    h5py = _h5py()
    count = 0
    with writing(path) as part, h5py.File(part, "w") as file:
        _make(h5py, file, use, half)
        for batch in batches:
            for name, values in _columns(batch).items():
                dataset = file[name]
                dataset.resize(count + len(batch), axis=0)
                dataset[count:] = values
            count += len(batch)
    return count


def _make(h5py: Any, file: Any, use: EmbeddingUse, half: bool) -> None:
    kind = "f2" if half else "f4"
    file.create_dataset(
        "embedding", (0, use.dim), kind, maxshape=(None, use.dim), chunks=(_ROWS_A_CHUNK, max(1, use.dim))
    )
    group = file.create_group(GROUP)
    group.attrs.update(format=FORMAT, embedding_version=use.version, embedder=use.embedder)
    kinds: dict[str, Any] = {"external_id": np.int64, f"{GROUP}/id": np.int64, f"{GROUP}/box": np.float64}
    kinds |= {f"{GROUP}/{name}": kind for name, kind in _NUMBERS.items()}
    kinds |= {f"{GROUP}/{name}": h5py.string_dtype() for name in _TEXTS}
    for name, dtype in kinds.items():
        width = (4,) if name.endswith("/box") else ()
        file.create_dataset(name, (0, *width), dtype, maxshape=(None, *width), chunks=(_ROWS_A_CHUNK, *width))


def _columns(batch: Sequence[Item]) -> dict[str, Any]:
    elements = [each.stored.element for each in batch]
    ours = {
        "id": [NONE if e.external_id is None else e.external_id for e in elements],
        "frame_id": [e.frame_id for e in elements],
        "row": [e.row for e in elements],
        "camera": [e.camera for e in elements],
        "taken_at": [e.taken_at for e in elements],
        "box": [e.box for e in elements],
        "label": [e.label for e in elements],
        "confidence": [e.confidence for e in elements],
        "width": [each.size_wh[0] for each in batch],
        "height": [each.size_wh[1] for each in batch],
        "source": [each.source for each in batch],
        "metadata": [json.dumps(dict(e.metadata), ensure_ascii=False) for e in elements],
    }
    outer = {"embedding": np.stack([each.stored.vector for each in batch]), "external_id": [e.key for e in elements]}
    return outer | {f"{GROUP}/{name}": values for name, values in ours.items()}


class Reader:
    """A file being read. InvalidInput when it holds no vectors and ids as they should be."""

    def __init__(self, path: Path, file: Any, columns: Mapping[str, str]) -> None:
        self._path = path
        self._vectors = _dataset(file, columns.get("embedding", "embedding"), path)
        self._ids = _dataset(file, columns.get("id", "external_id"), path)
        if self._vectors.ndim != 2 or self._vectors.dtype.kind != "f":
            raise InvalidInput(f"the vectors of {path.name} have shape {self._vectors.shape}, not (n, d) of floats")
        if self._ids.ndim != 1 or self._ids.dtype.kind not in "iu" or len(self._ids) != len(self._vectors):
            raise InvalidInput(
                f"the ids of {path.name} have shape {self._ids.shape} for vectors of {self._vectors.shape}, "
                "not one integer each"
            )
        group = file.get(GROUP)
        self._ours = group if group is not None and "format" in group.attrs else None
        told = {} if self._ours is None else dict(self._ours.attrs)
        self._count = self._used()
        self.dim = int(self._vectors.shape[1])
        self.said = Said(str(told.get("embedding_version", "")), str(told.get("embedder", "")), self._count)

    def _used(self) -> int:
        """Rows up to the last id that is not 0, looked for from the end; ours all, since it uses each."""
        ours = 0 if self._ours is None else len(self._ours["id"])
        for end in range(len(self._ids), ours, -AT_ONCE * 10):
            start = max(ours, end - AT_ONCE * 10)
            used = np.flatnonzero(self._ids[start:end])
            if len(used):
                return start + int(used[-1]) + 1
        return ours

    def batches(self) -> Iterator[list[Incoming]]:
        """Its elements, in order; unused rows among them are passed over."""
        with _failing(self._path):
            for start in range(0, self._count, AT_ONCE):
                end = min(start + AT_ONCE, self._count)
                found = list(self._between(start, end))
                if found:
                    yield found

    def _between(self, start: int, end: int) -> Iterator[Incoming]:
        vectors, ids = np.asarray(self._vectors[start:end], np.float32), self._ids[start:end].tolist()
        ours = self._known(start, end)
        for i, (vector, number) in enumerate(zip(vectors, ids, strict=True)):
            if i < len(ours):
                yield element(vector, ours[i], {})
            elif number > 0 or (number == 0 and vector.any()):
                yield element(vector, {"id": number}, {})

    def _known(self, start: int, end: int) -> list[dict[str, Any]]:
        """What our own file says beyond vectors and ids, a row each."""
        if self._ours is None or start >= len(self._ours["id"]):
            return []
        read = {name: self._ours[name][start:end].tolist() for name in ("id", "box", *_NUMBERS)}
        read |= {name: self._ours[name].asstr()[start:end].tolist() for name in _TEXTS if name != "source"}
        read["id"] = [None if each == NONE else each for each in read["id"]]
        return [dict(zip(read, values, strict=True)) for values in zip(*read.values(), strict=True)]


@contextmanager
def open_hdf5(path: Path, columns: Mapping[str, str]) -> Iterator[Reader]:
    """Open a file for reading. columns: what it calls `embedding` and `id`."""
    h5py = _h5py()
    with _failing(path):
        file = h5py.File(path, "r")
    with file:
        yield Reader(path, file, columns)


@contextmanager
def _failing(path: Path) -> Iterator[None]:
    """What h5py says of a file that it can't read."""
    with reader_failed(path, "HDF5", (OSError, KeyError, RuntimeError, ValueError, TypeError, OverflowError)):
        yield


def _dataset(file: Any, name: str, path: Path) -> Any:
    h5py = _h5py()
    if not isinstance(file.get(name), h5py.Dataset):
        raise NotFound(
            f"dataset of {path.name}",
            name,
            list(file),
            hint="Say which it is: --column embedding=NAME --column id=NAME",
        )
    return file[name]


def _h5py() -> Any:
    try:
        import h5py
    except ImportError:
        raise NotSetUp("HDF5 files need h5py", hint="Install it: pip install 'bowerbird[exchange]'") from None
    return h5py
