"""Elements as Parquet: a row each, readable by pandas, Polars and DuckDB. The only module that knows pyarrow.

Columns: key, external_id, frame_id, row, kind, camera, taken_at (UTC, nanoseconds), box (x1, y1, x2, y2 in pixels),
label, confidence, embedding_version, embedder, width, height, source, embedding (fixed-size list), metadata (JSON).
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hub.archive import EmbeddingUse
from hub.exchange.columns import FORMAT, element, guess, reader_failed, writing
from hub.exchange.intake import Incoming, Said
from hub.exchange.walk import Item
from shared.errors import InvalidInput, NotSetUp

AT_ONCE = 2000
GROUP = 10_000
"""Rows of a row group: what a reader takes at once, and is held in memory while it is written."""
_NS = 1_000_000_000
_Columns = Mapping[str, Sequence[Any]]


def write_parquet(path: Path, batches: Iterable[Sequence[Item]], use: EmbeddingUse, *, half: bool) -> int:
    """Write elements to a file; returns how many."""
    pa, pq = _pyarrow()
    schema = _schema(pa, use, half)
    count = 0
    with writing(path) as part, pq.ParquetWriter(part, schema, compression="zstd") as writer:
        waiting: list[Any] = []
        for batch in batches:
            waiting.append(_table(pa, schema, batch, use))
            count += len(batch)
            if sum(map(len, waiting)) >= GROUP:
                writer.write_table(pa.concat_tables(waiting))
                waiting.clear()
        if waiting:
            writer.write_table(pa.concat_tables(waiting))
    return count


def _schema(pa: Any, use: EmbeddingUse, half: bool) -> Any:
    said = {"bowerbird_format": FORMAT, "embedding_version": use.version, "embedder": use.embedder}
    text, number = pa.string(), pa.int64()
    types = {
        "key": number, "external_id": number, "frame_id": text, "row": pa.int32(), "kind": text, "camera": text,
        "taken_at": pa.timestamp("ns", "UTC"), "box": pa.list_(pa.float32()), "label": text,
        "confidence": pa.float64(), "embedding_version": text, "embedder": text, "width": pa.int32(),
        "height": pa.int32(), "source": text,
        "embedding": pa.list_(pa.float16() if half else pa.float32(), use.dim), "metadata": text,
    }  # fmt: skip
    return pa.schema(list(types.items()), metadata=said)


def _table(pa: Any, schema: Any, batch: Sequence[Item], use: EmbeddingUse) -> Any:
    elements = [each.stored.element for each in batch]
    vectors = np.concatenate([each.stored.vector for each in batch])
    kind = schema.field("embedding").type.value_type
    columns = {
        "key": [e.key for e in elements],
        "external_id": [e.external_id for e in elements],
        "frame_id": [e.frame_id for e in elements],
        "row": [e.row for e in elements],
        "kind": [e.kind.value for e in elements],
        "camera": [e.camera for e in elements],
        "taken_at": [_nanoseconds(e.taken_at) for e in elements],
        "box": [list(e.box) for e in elements],
        "label": [e.label for e in elements],
        "confidence": [e.confidence for e in elements],
        "embedding_version": [e.embedding_version for e in elements],
        "embedder": [use.embedder] * len(elements),
        "width": [each.size_wh[0] for each in batch],
        "height": [each.size_wh[1] for each in batch],
        "source": [each.source for each in batch],
        "embedding": pa.FixedSizeListArray.from_arrays(pa.array(vectors.astype(kind.to_pandas_dtype()), kind), use.dim),
        "metadata": [json.dumps(dict(e.metadata), ensure_ascii=False) for e in elements],
    }
    return pa.table(columns, schema=schema)


def _nanoseconds(at: float) -> int:
    """Exactly: whole seconds apart from the rest, since both together have too many digits for a float."""
    whole = int(at // 1)
    return whole * _NS + round((at - whole) * _NS)


class Reader:
    """A file being read. InvalidInput when it is none, or names no vectors."""

    def __init__(self, path: Path, file: Any, columns: Mapping[str, str]) -> None:
        self._path, self._file = path, file
        schema = file.schema_arrow
        meta = {
            key.decode(): value.decode() for key, value in (schema.metadata or {}).items() if key != b"ARROW:schema"
        }
        self._ours = "bowerbird_format" in meta
        self._names = guess(schema.names, columns, path.name, ours=self._ours)
        self.said = Said(meta.get("embedding_version", ""), meta.get("embedder", ""), file.metadata.num_rows)
        self.dim = 0
        self._read = 0
        if not self.said.embedding_version and "embedding_version" in self._names.of:
            self.said = replace(self.said, embedding_version=self._first(self._names.of["embedding_version"]))

    def _first(self, name: str) -> str:
        """The first value of a column, "" for none."""
        for batch in self._file.iter_batches(batch_size=1, columns=[name]):
            return str(batch.column(0)[0].as_py() or "")
        return ""

    def batches(self) -> Iterator[list[Incoming]]:
        """Its elements, in order."""
        with _failing(self._path):
            for batch in self._file.iter_batches(batch_size=AT_ONCE):
                if batch.num_rows:
                    yield self._incoming(batch)

    def _incoming(self, batch: Any) -> list[Incoming]:
        names = self._names
        vectors = _vectors(batch.column(batch.schema.get_field_index(names.of["embedding"])), self._path.name)
        self.dim = len(vectors[0])
        wanted = {ours: theirs for ours, theirs in names.of.items() if ours != "embedding"}
        known = {ours: _values(batch, theirs) for ours, theirs in wanted.items()}
        self._check_versions(known.pop("embedding_version", []))
        rest = {name: _values(batch, name) for name in names.rest}
        return [self._element(i, vectors[i], known, rest) for i in range(batch.num_rows)]

    def _element(self, i: int, vector: np.ndarray, known: _Columns, rest: _Columns) -> Incoming:
        self._read += 1
        try:
            return element(vector, {k: v[i] for k, v in known.items()}, {k: v[i] for k, v in rest.items()})
        except (ValueError, TypeError, OverflowError) as error:
            raise InvalidInput(
                f"element {self._read:,} of {self._path.name} has a value of another kind: {error}"
            ) from error

    def _check_versions(self, versions: Sequence[Any]) -> None:
        """The column, where there is one: the file may have been put together from several."""
        found = {str(each) for each in versions if each}
        if found - {self.said.embedding_version}:
            raise InvalidInput(
                f"{self._path.name} holds vectors of several embedding versions: {', '.join(sorted(found))}",
                hint="Export each to a file of its own.",
            )


@contextmanager
def open_parquet(path: Path, columns: Mapping[str, str]) -> Iterator[Reader]:
    """Open a file for reading. columns: what it calls ours."""
    _, pq = _pyarrow()
    with _failing(path):
        file = pq.ParquetFile(path, pre_buffer=False)  # which would hold the whole file
    with file:
        yield Reader(path, file, columns)


@contextmanager
def _failing(path: Path) -> Iterator[None]:
    """What pyarrow says of a file that it can't read."""
    pa, _ = _pyarrow()
    with reader_failed(path, "Parquet", (pa.ArrowException, OSError)):
        yield


def _vectors(column: Any, name: str) -> list[np.ndarray]:
    """(d,) float32 each. InvalidInput for what is no list of numbers."""
    if column.null_count:
        raise InvalidInput(f"{name} has elements without a vector")
    try:
        return [np.asarray(each.values.to_numpy(zero_copy_only=False), np.float32) for each in column]
    except (AttributeError, TypeError, ValueError):
        raise InvalidInput(f"the vectors of {name} are of the type {column.type}, not lists of numbers") from None


def _values(batch: Any, name: str) -> list[Any]:
    pa, _ = _pyarrow()
    column = batch.column(batch.schema.get_field_index(name))
    if pa.types.is_timestamp(column.type):  # one without a zone is UTC
        exact = column.cast(pa.timestamp("ns", column.type.tz)).cast(pa.int64())
        return [None if each is None else _unix(each) for each in exact.to_pylist()]
    values: list[Any] = column.to_pylist()
    return values


def _unix(nanoseconds: int) -> float:
    """The inverse of `_nanoseconds`."""
    return nanoseconds // _NS + (nanoseconds % _NS) / _NS


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise NotSetUp("Parquet files need pyarrow", hint="Install it: pip install 'bowerbird[exchange]'") from None
    return pyarrow, pyarrow.parquet
