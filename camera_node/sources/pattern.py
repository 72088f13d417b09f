"""A scene that draws itself: `pattern`, or `pattern?scene=N`. For demonstrations and tests without a camera.

Scene 1 is a road with cars, 2 a garden with birds, 3 a doorway with people; 4 is a road again, with other colours
and other times, and so on. Now and then nothing moves, as in front of a real camera.
"""

import time
from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np

from camera_node.camera import Opener
from camera_node.picture import Picture, Pixels, Wanted
from camera_node.sources import query
from camera_node.sources.pace import Pace

DEFAULT_SIZE = (1280, 720)
DEFAULT_FPS = 10.0

Colour = tuple[int, int, int]


def prepare(argument: str, wanted: Wanted) -> Opener:
    """argument: `?scene=` from 1."""
    _, options = query.split(argument, ("scene",))
    scene = int(query.number(options, "scene", least=1, most=1000) or 1)
    return lambda: Pattern(scene, wanted)


class Pattern:
    """A scene, going on for ever."""

    live = True

    def __init__(self, scene: int, wanted: Wanted) -> None:
        self._scene = scene
        self._size = wanted.width or DEFAULT_SIZE[0], wanted.height or DEFAULT_SIZE[1]
        self._pace = Pace()
        self.fps = wanted.fps or DEFAULT_FPS

    def grab(self) -> float:
        return self._pace.wait(self.fps)

    def retrieve(self) -> Picture:
        return draw(self._scene, time.monotonic(), self._size)

    def close(self) -> None:
        pass


def draw(scene: int, at_s: float, size_wh: tuple[int, int]) -> Pixels:
    """The scene at a moment. The same arguments give the same picture."""
    kind = (scene - 1) % len(_SCENES)
    pixels = _backdrop(kind, scene, size_wh).copy()
    period_s = 9.0 + scene % 3
    passage, moment = divmod(at_s + 2.5 * scene, period_s)
    way = moment / (0.7 * period_s)  # 0…1 while the mover crosses the picture, more while nothing happens
    if way <= 1:
        rng = np.random.default_rng((scene, int(passage)))
        colour: Colour = tuple(int(c) for c in rng.integers(30, 230, 3))  # type: ignore[assignment]
        _SCENES[kind][1](pixels, way, moment, colour)
    return pixels


@lru_cache(maxsize=8)
def _backdrop(kind: int, scene: int, size_wh: tuple[int, int]) -> Pixels:
    width, height = size_wh
    rng = np.random.default_rng(scene)
    top, bottom = rng.integers(120, 235, (2, 1, 1, 3))
    fade = np.linspace(0, 1, height)[:, None, None]
    pixels = np.broadcast_to(top * (1 - fade) + bottom * fade, (height, width, 3)).astype(np.uint8)
    grain = rng.integers(0, 9, (height, width, 1), np.uint8)
    pixels = np.ascontiguousarray(pixels + grain)
    _SCENES[kind][0](pixels)
    cv2.putText(
        pixels, f"scene {scene}", (width // 40, height // 12), cv2.FONT_HERSHEY_SIMPLEX, height / 720,
        (40, 40, 40), max(1, height // 360), cv2.LINE_AA,
    )  # fmt: skip
    return pixels


def _road(pixels: Pixels) -> None:
    h, w = pixels.shape[:2]
    cv2.rectangle(pixels, (0, h * 6 // 10), (w, h * 9 // 10), (90, 90, 90), -1)
    for x in range(0, w, w // 8):
        cv2.rectangle(pixels, (x, h * 74 // 100), (x + w // 16, h * 76 // 100), (225, 225, 225), -1)


def _car(pixels: Pixels, way: float, moment: float, colour: Colour) -> None:
    h, w = pixels.shape[:2]
    x, y, unit = round((way * 1.4 - 0.3) * w), h * 70 // 100, h // 24
    cv2.rectangle(pixels, (x, y - 2 * unit), (x + 9 * unit, y + unit), colour, -1)
    cv2.rectangle(pixels, (x + 2 * unit, y - 4 * unit), (x + 7 * unit, y - 2 * unit), colour, -1)
    cv2.rectangle(
        pixels, (x + 5 * unit // 2, y - 7 * unit // 2), (x + 13 * unit // 2, y - 2 * unit), (230, 220, 200), -1
    )
    for wheel in (2, 7):
        cv2.circle(pixels, (x + wheel * unit, y + unit), unit, (25, 25, 25), -1, cv2.LINE_AA)


def _garden(pixels: Pixels) -> None:
    h, w = pixels.shape[:2]
    cv2.rectangle(pixels, (0, h * 8 // 10), (w, h), (60, 140, 80), -1)
    cv2.rectangle(pixels, (w * 78 // 100, h * 4 // 10), (w * 82 // 100, h * 85 // 100), (40, 70, 110), -1)
    cv2.circle(pixels, (w * 8 // 10, h * 35 // 100), h // 4, (50, 120, 60), -1, cv2.LINE_AA)


def _bird(pixels: Pixels, way: float, moment: float, colour: Colour) -> None:
    h, w = pixels.shape[:2]
    unit = h // 18
    x, y = round((way * 1.3 - 0.15) * w), round(h * (0.4 + 0.1 * np.sin(6 * way)))
    wing = round(2 * unit * np.sin(12 * moment))
    cv2.ellipse(pixels, (x, y), (2 * unit, unit), 0, 0, 360, colour, -1, cv2.LINE_AA)
    cv2.circle(pixels, (x + 2 * unit, y - unit // 2), unit * 2 // 3, colour, -1, cv2.LINE_AA)
    beak = [(x + 5 * unit // 2, y - unit * 2 // 3), (x + 7 * unit // 2, y - unit // 3), (x + 5 * unit // 2, y)]
    cv2.fillPoly(pixels, [np.array(beak, np.int32)], (30, 160, 240), cv2.LINE_AA)
    wings = [(x - unit, y), (x + unit, y), (x - unit // 2, y - wing)]
    cv2.fillPoly(pixels, [np.array(wings, np.int32)], tuple(c // 2 for c in colour), cv2.LINE_AA)


def _doorway(pixels: Pixels) -> None:
    h, w = pixels.shape[:2]
    cv2.rectangle(pixels, (0, h * 85 // 100), (w, h), (130, 140, 150), -1)
    cv2.rectangle(pixels, (w * 4 // 10, h * 2 // 10), (w * 6 // 10, h * 85 // 100), (50, 70, 95), -1)
    cv2.circle(pixels, (w * 57 // 100, h * 55 // 100), h // 60, (90, 200, 220), -1, cv2.LINE_AA)


def _person(pixels: Pixels, way: float, moment: float, colour: Colour) -> None:
    h, w = pixels.shape[:2]
    x, unit = round((way * 1.2 - 0.1) * w), h // 20
    hip, step = h * 70 // 100, round(unit * 1.5 * np.sin(7 * moment))
    for foot in (x - step, x + step):
        cv2.line(pixels, (x, hip), (foot, h * 92 // 100), (60, 50, 45), unit, cv2.LINE_AA)
    cv2.line(pixels, (x, hip - 4 * unit), (x + 2 * step, hip - unit), colour, unit * 2 // 3, cv2.LINE_AA)
    cv2.ellipse(pixels, (x, hip - 3 * unit), (3 * unit // 2, 3 * unit), 0, 0, 360, colour, -1, cv2.LINE_AA)
    cv2.circle(pixels, (x, hip - 7 * unit), unit * 5 // 4, (140, 175, 220), -1, cv2.LINE_AA)


_SCENES: tuple[tuple[Callable[[Pixels], None], Callable[[Pixels, float, float, Colour], None]], ...] = (
    (_road, _car),
    (_garden, _bird),
    (_doorway, _person),
)
