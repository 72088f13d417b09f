"""Which format a file is of, by its name."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hub.archive import ANY, Archive, EmbeddingUse, Filter
from hub.exchange.hdf5 import open_hdf5, write_hdf5
from hub.exchange.intake import Imported, Incoming, Intake, Said, version_of
from hub.exchange.parquet import open_parquet, write_parquet
from hub.exchange.walk import Item, Progress, use_of, walk
from shared.errors import InvalidInput


class Reader(Protocol):
    """A file being read. said: what it says of itself. dim: length of its vectors, known once a batch was read."""

    said: Said
    dim: int

    def batches(self) -> Iterator[list[Incoming]]:
        """Its elements, in order."""


class Write(Protocol):
    """Writes elements to a file; returns how many."""

    def __call__(self, path: Path, batches: Iterable[Sequence[Item]], use: EmbeddingUse, *, half: bool) -> int: ...


@dataclass(frozen=True)
class Format:
    """How files of a format are written and read."""

    write: Write
    read: Callable[[Path, Mapping[str, str]], AbstractContextManager[Reader]]


_HDF5 = Format(write_hdf5, open_hdf5)
FORMATS: Mapping[str, Format] = {".parquet": Format(write_parquet, open_parquet), ".h5": _HDF5, ".hdf5": _HDF5}
"""By the end of a file's name."""


def export_file(
    archive: Archive,
    embedding_version: str,
    path: Path,
    where: Filter = ANY,
    *,
    half: bool = False,
    progress: Progress | None = None,
) -> int:
    """Write the elements of an embedding version to a new .parquet, .h5 or .hdf5 file; returns how many.

    half: vectors as float16, which loses nothing (they are stored so), and which not every reader understands.
    InvalidInput when the file exists, NotFound for an unknown version, NotSetUp without the library.
    """
    write = _format(path).write
    use = use_of(archive, embedding_version)
    if path.exists():
        raise InvalidInput(f"{path} exists already", hint="Write to a new file: nothing is overwritten.")
    return write(path, walk(archive, embedding_version, where, progress=progress), use, half=half)


def import_file(
    archive: Archive,
    path: Path,
    *,
    embedding_version: str = "",
    columns: Mapping[str, str] | None = None,
    new_ids: bool = False,
    now: float,
    progress: Progress | None = None,
) -> Imported:
    """Store what a .parquet, .h5 or .hdf5 file holds: ours, Robotoff-ANN's, or any with a column of vectors.

    embedding_version: of its vectors, where it does not say. columns: what it calls ours, such as
    {"embedding": "clip_vector"}. new_ids: as in `Intake`. Importing again stores nothing twice.
    InvalidInput, saying which element, for what can't be right; what came before it stays stored.
    """
    if not path.is_file():
        raise InvalidInput(f"there is no file {path}")
    with _format(path).read(path, columns or {}) as file:
        version = version_of(file.said, embedding_version, path.name)
        intake = Intake(archive, version, now=now, new_ids=new_ids)
        for batch in file.batches():
            intake.add(batch)
            if progress is not None:
                progress(intake.result.read, file.said.elements)
        _remember(archive, version, file.said.embedder, file.dim)
    return intake.result


def _remember(archive: Archive, version: str, embedder: str, dim: int) -> None:
    known = {each.version: each.embedder for each in archive.embedding_versions()}
    if embedder and not known.get(version):
        archive.record_embedder(version, embedder, dim)


def _format(path: Path) -> Format:
    found = FORMATS.get(path.suffix.lower())
    if found is None:
        raise InvalidInput(
            f"{path.name} is of no format that can be exchanged", hint=f"Its name must end in {', '.join(FORMATS)}."
        )
    return found
