"""What cameras showed, as vectors with their origin: the values drift is measured on. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hub.types import Vectors


@dataclass(frozen=True, eq=False)
class Snapshots:
    """Frames, in any order.

    vectors: (n, d) unit float32. camera: (n,) names, "" where there is none. taken_at: (n,) float64, Unix seconds; NaN
    for a picture of no time, which counts as independent of all others. id: (n,) of the frame or the sample.
    """

    vectors: Vectors
    camera: NDArray[np.str_]
    taken_at: NDArray[np.float64]
    id: NDArray[np.str_]

    def __post_init__(self) -> None:
        n = len(self.vectors)
        shapes = (self.camera.shape, self.taken_at.shape, self.id.shape)
        if self.vectors.ndim != 2 or shapes != ((n,),) * 3:
            raise ValueError(f"vectors {self.vectors.shape} need camera, taken_at and id ({n},), got {shapes}")

    def __len__(self) -> int:
        return len(self.vectors)

    def pick(self, which: NDArray[Any]) -> Snapshots:
        """Those that an index or a mask names."""
        return Snapshots(self.vectors[which], self.camera[which], self.taken_at[which], self.id[which])


def snapshots(
    vectors: NDArray[Any], *, camera: Sequence[str] = (), taken_at: Sequence[float] = (), id: Sequence[str] = ()
) -> Snapshots:
    """Of plain sequences; what is left out is "" and NaN. Vectors are brought to unit length."""
    rows = np.asarray(vectors, np.float32)
    rows = rows if rows.ndim == 2 else np.zeros((0, 0), np.float32)
    rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    n = len(rows)
    return Snapshots(
        rows,
        np.array(camera if len(camera) else [""] * n, np.str_),
        np.array(taken_at if len(taken_at) else [np.nan] * n, np.float64),
        np.array(id if len(id) else [""] * n, np.str_),
    )


def together(parts: Sequence[Snapshots]) -> Snapshots:
    """All of them in one; none for none."""
    some = [part for part in parts if len(part)]
    if not some:
        return snapshots(np.zeros((0, 0), np.float32))
    return Snapshots(
        np.concatenate([part.vectors for part in some]),
        np.concatenate([part.camera for part in some]),
        np.concatenate([part.taken_at for part in some]),
        np.concatenate([part.id for part in some]),
    )
