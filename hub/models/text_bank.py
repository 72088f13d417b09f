"""Ready-made vectors of prompts, where a text tower is too heavy: exact for its names, and nothing else."""

import difflib
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hub.models.vectors import unit
from hub.types import Vectors
from shared.errors import ModelError

ARTICLES = ("a ", "an ")


class TextBank:
    """An .npz of `names` (n,) and `vecs` (n, dim), the vectors of the prompts "a <name>"."""

    def __init__(self, path: Path) -> None:
        """ModelError when the file is no such thing."""
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as bank:
                names, vectors = [str(name) for name in bank["names"]], np.asarray(bank["vecs"], np.float32)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise ModelError(f"{path} is no bank of text vectors: {error}", hint="It needs names and vecs.") from error
        if vectors.ndim != 2 or len(names) != len(vectors):
            raise ModelError(f"{path} has {len(names)} names and vectors of shape {vectors.shape}")
        self._vectors = unit(vectors, path.name)
        self._row = {_plain(name): i for i, name in enumerate(names)}

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self._vectors.shape[1])

    @property
    def vectors(self) -> Vectors:
        """(n, dim) of all it knows."""
        return self._vectors

    @property
    def names(self) -> tuple[str, ...]:
        """What it knows."""
        return tuple(self._row)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """(n, dim) for "tow truck" or "a tow truck". ModelError, naming the nearest, for anything else."""
        return self._vectors[[self._find(text) for text in texts]]

    def _find(self, text: str) -> int:
        name = _plain(text)
        without = next((name[len(a) :] for a in ARTICLES if name.startswith(a)), name)
        for candidate in (name, without):
            if candidate in self._row:
                return self._row[candidate]
        near = ", ".join(self._nearest(without))
        raise ModelError(
            f"{text!r} is none of the {len(self._row):,} things whose text vector is at hand",
            hint=(f"Nearest: {near}. " if near else "")
            + "Any text is understood by a CLIP with a text tower: `hub models fetch clip-vit-b32`.",
        )

    def _nearest(self, name: str) -> list[str]:
        """Names that share a word with it, then those spelt alike."""
        words = set(name.split())
        sharing = sorted((n for n in self._row if words & set(n.split())), key=lambda n: (len(n.split()), n))
        alike = difflib.get_close_matches(name, self._row, n=5, cutoff=0.6)
        return list(dict.fromkeys([*alike[:3], *sharing, *alike]))[:6]


def _plain(text: str) -> str:
    return " ".join(text.lower().split())
