"""Where in a frame a box is, and how large: relative to the frame, so that it holds at any resolution. Pure."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.errors import InvalidInput

Polygon = tuple[tuple[float, float], ...]
"""Corners (x, y) in turn, 0 … 1 from the left and the top of the upright frame; the last joins the first."""

ANCHORS = ("bottom", "center")
"""Where a thing is: the middle of its box's bottom edge (where it stands), or the middle of its box."""

EDGE = 1e-6
"""Nearer to an edge than this share of the frame is on it. Boxes are float32: they know no better."""


def check_region(region: Any) -> None:
    """InvalidInput unless this is a polygon with an area."""
    hint = (
        "Give three or more corners as (x, y), 0 to 1 from the left and the top: ((0, 0.5), (1, 0.5), (1, 1), (0, 1))."
    )
    if not isinstance(region, tuple) or len(region) < 3:
        raise InvalidInput("a region needs at least three corners", hint=hint)
    for corner in region:
        if not isinstance(corner, tuple) or len(corner) != 2 or not all(_is_share(value) for value in corner):
            raise InvalidInput(f"{corner!r} is no corner of a region", hint=hint)
    spans = np.asarray(region, np.float64) - region[0]
    longest = spans[np.argmax((spans * spans).sum(axis=1))]
    if not np.any(np.abs(spans[:, 0] * longest[1] - spans[:, 1] * longest[0]) > EDGE**2):
        raise InvalidInput("the region's corners lie on one line, so nothing can be inside", hint=hint)


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0.0 <= value <= 1.0


def shares(xyxy: NDArray[np.float32], size_wh: tuple[int, int]) -> NDArray[np.float64]:
    """The share of the frame each of (n, 4) boxes covers, (n,) in [0, 1]; 0 for a frame without pixels."""
    width, height = size_wh
    if width <= 0 or height <= 0:
        return np.zeros(len(xyxy))
    x1, y1, x2, y2 = _within(xyxy, width, height).T
    share: NDArray[np.float64] = np.maximum(x2 - x1, 0.0) * np.maximum(y2 - y1, 0.0) / (width * height)
    return share


def anchors(xyxy: NDArray[np.float32], size_wh: tuple[int, int], anchor: str = "bottom") -> NDArray[np.float64]:
    """Where (n, 4) boxes are, (n, 2) relative; by the part within the frame. NaN for a frame without pixels."""
    width, height = size_wh
    if width <= 0 or height <= 0:
        return np.full((len(xyxy), 2), np.nan)
    x1, y1, x2, y2 = _within(xyxy, width, height).T
    return np.stack([(x1 + x2) / 2 / width, (y2 if anchor == "bottom" else (y1 + y2) / 2) / height], axis=1)


def _within(xyxy: NDArray[np.float32], width: int, height: int) -> NDArray[np.float64]:
    """The part of each box within the frame, pixels."""
    part: NDArray[np.float64] = np.clip(xyxy.astype(np.float64), 0.0, [width, height, width, height])
    return part


def contains(region: Polygon, points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which of (n, 2) points lie inside or on the edge, (n,). Where edges cross each other, by the even-odd rule.

    A point is inside when a ray to its right crosses an odd number of edges.
    """
    a = np.asarray(region, np.float64)
    b = np.roll(a, -1, axis=0)
    side, to = b - a, points[:, None, :] - a
    y = points[:, None, 1]
    crossed = (y < a[:, 1]) != (y < b[:, 1])
    # Cross product: on which side of the edge, looked along it, the point is.
    turn = side[:, 0] * to[..., 1] - side[:, 1] * to[..., 0]
    right = crossed & ((turn > 0) == (side[:, 1] > 0))
    inside: NDArray[np.bool_] = np.count_nonzero(right, axis=1) % 2 == 1
    along = np.clip((to * side).sum(axis=2) / np.maximum((side * side).sum(axis=1), EDGE**2), 0.0, 1.0)
    off = to - along[..., None] * side
    inside |= np.any((off * off).sum(axis=2) <= EDGE**2, axis=1)
    return inside
