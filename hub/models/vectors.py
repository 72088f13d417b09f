"""What every embedder does with what comes out of its model."""

import json
import uuid
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hub.types import Vectors
from shared.errors import ModelError

_NAMESPACE = uuid.UUID("4f1a3f0e-6a39-5c0b-9d0e-3a1c7d8e5b21")


def model_version(weights: str, output: str, preprocessing: Mapping[str, Any]) -> str:
    """UUIDv5 of what makes a model's answer. weights: their sha256; output: which of the model's is taken."""
    parts = {"weights": weights, "output": output, "preprocessing": dict(preprocessing)}
    return str(uuid.uuid5(_NAMESPACE, json.dumps(parts, sort_keys=True, separators=(",", ":"))))


def unit(rows: NDArray[Any], name: str) -> Vectors:
    """Rows of unit length, float32. ModelError when one is zero or not a number: such a model is broken."""
    vectors = np.asarray(rows, np.float32)
    # In double: a float32 sum of squares overflows long before the values do.
    lengths = np.sqrt(np.square(vectors, dtype=np.float64).sum(axis=1, keepdims=True))
    bad = np.flatnonzero(~np.isfinite(lengths) | (lengths < 1e-12))
    if bad.size:
        raise ModelError(
            f"{name} gave a vector that is zero or not a number (for item {bad[0] + 1} of {len(vectors)})",
            hint="The model is broken, often by quantisation: run `hub models check`, or take it in float32.",
        )
    return np.asarray(vectors / lengths, np.float32)
