"""Does a model work? One run on a picture whose answer is known.

A file can load and run and still be useless: a static int8 export was met whose class scores are all 0. So a
detector is shown a drawn stop sign and clock, which every COCO detector tried finds with 0.85 or more. One trained
on other classes must at least give some class a score above `LEAST_SCORE` somewhere in it: working ones do so even
for a grey wall, where the best of all boxes gets 1e-4. An embedder must tell the picture from itself turned upside
down, and give one picture one vector.
"""

import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from hub.models.files import Kind, image_tower, kind_of
from hub.models.heads import Head, best_score, recognise
from hub.models.session import Session, open_session
from hub.models.yolo import YoloDetector, fill
from hub.types import Box, Image
from shared.errors import ModelError

LEAST_SCORE = 1e-5
LEAST_CONFIDENCE = 0.3
LEAST_OVERLAP = 0.5

SIGN: Box = (106, 66, 274, 234)
CLOCK: Box = (364, 94, 556, 286)
_DRAWN: dict[str, Box] = {"stop sign": SIGN, "clock": CLOCK}


@dataclass(frozen=True)
class CheckReport:
    """How the self-test of a model ended. score: best class score (detectors) or None. seconds: the whole test.

    message: one line. hint: the next step when not ok.
    """

    path: Path
    kind: Kind
    ok: bool
    message: str
    hint: str = ""
    score: float | None = None
    seconds: float = 0.0


def check_model(path: Path, *, device: str = "cpu", threads: int = 0) -> CheckReport:
    """Open a model and try it once. Never raises for a model that is bad: that is what the report is for."""
    start = time.perf_counter()
    kind: Kind = "unknown"
    score = None
    try:
        session = open_session(image_tower(path), device=device, threads=threads)
        kind = kind_of(session)
        if kind == "embedder":
            message = _check_embedder(session)
        else:
            score, message = _check_detector(session)
    except ModelError as error:
        seconds = time.perf_counter() - start
        return CheckReport(path, kind, False, error.message, error.hint, score, seconds)
    return CheckReport(path, kind, True, message, "", score, time.perf_counter() - start)


def _check_detector(session: Session) -> tuple[float, str]:
    head = recognise(session)
    picture = drawn_scene()
    detector = YoloDetector(session, head, confidence=LEAST_CONFIDENCE)
    input_hw = detector.input_hw(picture.shape[1], picture.shape[0])
    blob = np.empty((1, 3, *input_hw), np.float32)
    placed = fill(blob[0], picture, head.family)
    output = np.asarray(session.run_batched(blob)[0][0], np.float32)
    score = best_score(head, output)
    if not np.isfinite(score):
        raise ModelError("its scores are not numbers", hint=_REPLACE)
    if score < LEAST_SCORE:
        raise ModelError(f"it runs but finds nothing: its best class score is {score:g}", hint=_REPLACE)
    found = detector.finish(output, placed, picture)
    _expect_drawn(head, {label: found.box(i) for i, label in reversed(list(enumerate(found.label)))})
    return score, f"{head.family} detector, {len(head.labels)} classes, input {_size(head)}, score {score:.2f}"


def _expect_drawn(head: Head, found: dict[str, Box]) -> None:
    """A detector that knows both drawn things must find at least one of them, in its place."""
    if not set(_DRAWN) <= set(head.labels):
        return
    if not any(label in found and _overlap(found[label], box) > LEAST_OVERLAP for label, box in _DRAWN.items()):
        seen = ", ".join(found) or "nothing"
        raise ModelError(f"shown a stop sign and a clock it found {seen}", hint=_REPLACE)


def _check_embedder(session: Session) -> str:
    port = next(p for p in session.inputs if len(p.shape) == 4)
    if len(session.inputs) > 1:
        return "image and text towers in one file; opened, not run"
    height, width = (d or 224 for d in port.shape[2:])
    first = cv2.resize(drawn_scene(), (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
    second = np.ascontiguousarray(first[::-1, ::-1])
    rows = np.stack([first, second, first]).transpose(0, 3, 1, 2) / 127.5 - 1
    which = next(i for i, p in enumerate(session.outputs) if len(p.shape) == 2)
    vectors = np.asarray(session.run_batched(rows)[which], np.float64)
    lengths = np.linalg.norm(vectors, axis=1)
    if not np.isfinite(lengths).all() or lengths.min() == 0:
        raise ModelError("its vectors are zero or not numbers", hint=_REPLACE)
    unit = vectors / lengths[:, None]
    if unit[0] @ unit[1] > 0.9999:
        raise ModelError("it gives every picture the same vector", hint=_REPLACE)
    if unit[0] @ unit[2] < 0.999:
        raise ModelError("it gives one picture two vectors", hint=_REPLACE)
    return f"embedder, {vectors.shape[1]} dimensions, input {width}×{height}"


_REPLACE = "The file is broken, often by quantisation: fetch or export it again, in float32."


def drawn_scene() -> Image:
    """A stop sign and a clock in a landscape, 640×480 RGB, drawn."""
    height = np.linspace(0, 1, 480)[:, None, None]
    sky = np.array([150, 190, 230]) * (1 - height) + np.array([200, 215, 225]) * height
    picture = np.ascontiguousarray(np.broadcast_to(sky, (480, 640, 3)).astype(np.uint8))
    picture[326:] = (110, 125, 90)
    _draw_sign(picture)
    _draw_clock(picture)
    return picture


def _draw_sign(picture: Image) -> None:
    cv2.rectangle(picture, (186, 200), (194, 420), (120, 120, 120), -1)
    angles = np.deg2rad(22.5 + 45 * np.arange(8))
    around = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    for radius, colour in ((92, (245, 245, 245)), (84, (190, 20, 30))):
        cv2.fillPoly(picture, [(around * radius + (190, 150)).astype(np.int32)], colour)
    font = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(picture, "STOP", (124, 170), font, 1.75, (245, 245, 245), 9, cv2.LINE_AA)


def _draw_clock(picture: Image) -> None:
    ink, centre = (20, 20, 20), (460, 190)
    cv2.circle(picture, centre, 96, (60, 45, 35), -1, cv2.LINE_AA)
    cv2.circle(picture, centre, 84, (250, 250, 245), -1, cv2.LINE_AA)
    for hour in range(1, 13):
        across, up = np.sin(hour * np.pi / 6), np.cos(hour * np.pi / 6)
        inner, outer = ((int(460 + r * across), int(190 - r * up)) for r in (70, 80))
        cv2.line(picture, inner, outer, ink, 5 if hour % 3 == 0 else 2, cv2.LINE_AA)
        x, y = int(460 + 57 * across) - 6 * len(str(hour)), int(190 - 57 * up) + 6
        cv2.putText(picture, str(hour), (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.6, ink, 2, cv2.LINE_AA)
    cv2.line(picture, centre, (430, 150), ink, 6, cv2.LINE_AA)
    cv2.line(picture, centre, (505, 150), ink, 4, cv2.LINE_AA)


def _overlap(a: Box, b: Box) -> float:
    """Intersection over union."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0.0) * max(height, 0.0)
    areas = sum((x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in (a, b))
    return shared / (areas - shared)


def _size(head: Head) -> str:
    return f"{head.size_hw[1]}×{head.size_hw[0]}{' or any' if head.flexible else ''}"
