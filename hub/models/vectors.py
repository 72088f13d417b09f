"""What every embedder does with what comes out of its model."""

import uuid

import numpy as np
from numpy.typing import NDArray

from hub.types import Vectors
from shared.errors import ModelError

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://bowerbird.example/embedding-version")


def embedding_version(*parts: str) -> str:
    """UUIDv5 of what makes a vector: weights (their sha256) and preprocessing."""
    return str(uuid.uuid5(_NAMESPACE, "\n".join(parts)))


def unit(rows: NDArray[np.floating], name: str) -> Vectors:
    """Rows of unit length, float32. ModelError when one is zero or not a number: such a model is broken."""
    vectors = np.asarray(rows, np.float32)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not np.isfinite(lengths).all() or (lengths == 0).any():
        raise ModelError(f"{name} gave a vector that is zero or not a number", hint="Check it: hub models check")
    result: Vectors = vectors / lengths
    return result
