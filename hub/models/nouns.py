"""The nouns that a text is held against: a text tower embeds them once for each model, and they are kept.

`statistics/nouns.txt` holds the names of Detic's class metadata (Apache-2.0).
"""

import contextlib
import hashlib
import logging
import os
import zipfile
from collections.abc import Callable, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from uuid import uuid4

import numpy as np
import platformdirs

from hub.types import Vectors

_log = logging.getLogger(__name__)

AT_ONCE = 64


@cache
def nouns() -> tuple[str, ...]:
    """1,454 names of things, in alphabetical order."""
    return tuple((files("hub.models") / "statistics" / "nouns.txt").read_text("utf-8").split("\n")[:-1])


def kept_in() -> Path:
    """Where vectors are kept: the user's cache."""
    return Path(platformdirs.user_cache_dir("bowerbird")) / "nouns"


def noun_vectors(tower: str, embed: Callable[[Sequence[str]], Vectors], folder: Path | None = None) -> Vectors:
    """(n, d) unit float32, of "a <noun>". tower: what tells the text tower from others; embed: asked only where its
    vectors are not kept yet. A folder that can't be written costs the next process the same time again.
    """
    prompts = [f"a {noun}" for noun in nouns()]
    identity = hashlib.blake2b("\n".join([tower, *prompts]).encode(), digest_size=16).hexdigest()
    path = (folder or kept_in()) / f"{identity}.npy"
    known = _read(path, len(prompts))
    if known is not None:
        return known
    # A warning, so that a person at a terminal knows what the minute goes by with.
    _log.warning("embedding %d nouns, once for this model: on a small machine this takes a minute", len(prompts))
    vectors = np.concatenate([embed(prompts[i : i + AT_ONCE]) for i in range(0, len(prompts), AT_ONCE)])
    try:
        _write(path, vectors)
    except OSError as error:
        _log.warning("vectors of nouns can't be kept in %s: %s", path.parent, error.strerror)
    return vectors


def _read(path: Path, count: int) -> Vectors | None:
    with contextlib.suppress(OSError, ValueError, EOFError, zipfile.BadZipFile):
        vectors = np.load(path, allow_pickle=False)
        if vectors.dtype == np.float32 and vectors.ndim == 2 and len(vectors) == count and np.isfinite(vectors).all():
            return np.asarray(vectors)
    return None


def _write(path: Path, vectors: Vectors) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{uuid4().hex}.part")
    try:
        with part.open("wb") as file:
            np.save(file, vectors)
        os.replace(part, path)  # noqa: PTH105  # Path.replace is the same call
    finally:
        part.unlink(missing_ok=True)
