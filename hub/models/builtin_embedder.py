"""An embedder that needs no weights: how colours and edges are laid out in a picture."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hub.models.vectors import embedding_version, unit
from hub.types import Calibration, Image, Vectors
from shared.errors import ModelError

SIDE = 96
GRID = 4
BINS = 9
HUES = 8

_PARAMETERS = f"side={SIDE} grid={GRID} bins={BINS} hues={HUES} v1"


class BuiltinEmbedder:
    """Colour and edge histograms over a 4 × 4 grid. It tells scenes apart, and knows nothing of what things are.

    1-nearest-neighbour accuracy on the 100 classes of Caltech-101's validation split, leave one out: see
    hub/models/README.md, beside MobileNetV2's.
    """

    name = "built-in colour and edge descriptor"
    dim = GRID * GRID * (BINS + HUES + 4)
    version = embedding_version("builtin", _PARAMETERS)
    typical = {  # noqa: RUF012
        "image": Calibration(0.75, 0.93, "typical of the built-in descriptor; it only sees colours and edges"),
        "text": Calibration(0.0, 0.5, "the built-in descriptor understands no text"),
    }

    def embed(self, images: Sequence[Image]) -> Vectors:
        """(n, dim) unit float32, a row per picture."""
        if not images:
            return np.zeros((0, self.dim), np.float32)
        return unit(np.stack([_describe(image) for image in images]), self.name)

    def embed_text(self, texts: Sequence[str]) -> Vectors:
        """Always a ModelError."""
        raise ModelError(
            "the built-in embedder understands no text",
            hint="Seed with pictures (--seed-images), or get a real one: hub models fetch clip-vit-b32",
        )


def _describe(image: Image) -> NDArray[np.float32]:
    small = np.asarray(cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)
    cells = [*_edges(small), *_colours(small)]
    return np.concatenate(cells)


def _edges(small: Image) -> list[NDArray[np.float32]]:
    """Per cell, gradient orientations weighted by strength; square root, so that one strong edge is not all."""
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
    dx, dy = cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)
    strength = np.sqrt(dx * dx + dy * dy)
    which = np.minimum((np.mod(np.arctan2(dy, dx), np.pi) / np.pi * BINS).astype(int), BINS - 1)
    cells = [np.bincount(b.ravel(), s.ravel(), BINS) for b, s in zip(_cells(which), _cells(strength), strict=True)]
    rows = np.sqrt(np.stack(cells))
    total = np.linalg.norm(rows) + 1e-6
    return list((rows / total).astype(np.float32))


def _colours(small: Image) -> list[NDArray[np.float32]]:
    """Per cell, hues weighted by saturation, and four levels of brightness."""
    hsv = cv2.cvtColor(small, cv2.COLOR_RGB2HSV).astype(np.float32)
    hue = np.minimum((hsv[..., 0] / 180 * HUES).astype(int), HUES - 1)
    level = np.minimum((hsv[..., 2] / 256 * 4).astype(int), 3)
    rows = [
        np.concatenate([np.bincount(h.ravel(), s.ravel() / 255, HUES), np.bincount(v.ravel(), minlength=4)])
        for h, s, v in zip(_cells(hue), _cells(hsv[..., 1]), _cells(level), strict=True)
    ]
    found = np.sqrt(np.stack(rows))
    return list((found / (np.linalg.norm(found) + 1e-6)).astype(np.float32))


def _cells(plane: NDArray[Any]) -> list[NDArray[Any]]:
    side = SIDE // GRID
    return [plane[y : y + side, x : x + side] for y in range(0, SIDE, side) for x in range(0, SIDE, side)]
