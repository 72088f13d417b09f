"""Ready-made vectors of prompts, where a text tower is too heavy: exact for its names, and nothing else."""

import difflib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hub.models.vectors import unit
from hub.types import Vectors
from shared.errors import ModelError

_ARTICLES = ("a ", "an ", "the ")


class TextBank:
    """An .npz of `names` and `vecs`, the vectors of "a <name>"."""

    def __init__(self, path: Path) -> None:
        try:
            with np.load(path) as bank:
                names, vectors = [str(name) for name in bank["names"]], bank["vecs"].astype(np.float32)
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(f"{path} is no bank of text vectors: {error}") from error
        self._vectors = unit(vectors, path.name)
        self._row = {name.lower(): i for i, name in enumerate(names)}

    @property
    def names(self) -> tuple[str, ...]:
        """What it knows."""
        return tuple(self._row)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """(n, d) for names it knows, with or without an article. ModelError lists the nearest of another."""
        return self._vectors[[self._find(text) for text in texts]]

    def _find(self, text: str) -> int:
        name = " ".join(text.lower().split())
        for article in _ARTICLES:
            name = name.removeprefix(article)
        if name in self._row:
            return self._row[name]
        near = difflib.get_close_matches(name, self._row, n=5, cutoff=0.4)
        words = [known for known in self._row if set(name.split()) & set(known.split())][:5]
        hint = f"Nearest: {', '.join(dict.fromkeys(near + words))}. " if near or words else ""
        raise ModelError(
            f"this embedder knows the words of {len(self._row):,} things only, and {text!r} is not among them",
            hint=hint + "A CLIP with a text tower understands any: hub models fetch clip-vit-b32",
        )
