"""Which detection head an ONNX file has, told from the file itself, and how its output becomes boxes.

Formulas: Ultralytics' Detect head (boxes as centre and size in input pixels, class scores after the sigmoid),
its end-to-end form (corner boxes, score, class; at most 300 rows, already rid of duplicates), and Megvii's YOLOX
(raw grid: centre = (xy + cell) · stride, size = exp(wh) · stride, score = objectness · class).
"""

import ast
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hub.models.session import Session
from shared.errors import ModelError

Floats = NDArray[np.float32]

COCO = tuple(
    name.replace("_", " ")
    for name in """
person bicycle car motorcycle airplane bus train truck boat traffic_light fire_hydrant stop_sign
parking_meter bench bird cat dog horse sheep cow elephant bear zebra giraffe backpack umbrella handbag tie
suitcase frisbee skis snowboard sports_ball kite baseball_bat baseball_glove skateboard surfboard
tennis_racket bottle wine_glass cup fork knife spoon bowl banana apple sandwich orange broccoli carrot
hot_dog pizza donut cake chair couch potted_plant bed dining_table toilet tv laptop mouse remote keyboard
cell_phone microwave oven toaster sink refrigerator book clock vase scissors teddy_bear hair_drier
toothbrush
""".split()  # noqa: SIM905  (readable, where 80 quoted words are not)
)
"""COCO's 80 classes, for files with 80 classes and no names."""

DEFAULT_SIZE = 640
_KNOWN_HEADS = "Known heads: Ultralytics YOLOv8/YOLO11 [N, 4+classes, anchors], end-to-end [N, 300, 6] and YOLOX."


class Family(StrEnum):
    """ultralytics: [N, 4+nc, A]. end2end: [N, rows, 6]. yolox: [N, A, 5+nc]."""

    ULTRALYTICS = "ultralytics"
    END_TO_END = "end2end"
    YOLOX = "yolox"


@dataclass(frozen=True)
class Head:
    """What a detector file says of itself.

    size_hw: input pixels, and when `flexible` the largest to use, any multiple of `stride` being fine.
    """

    family: Family
    labels: tuple[str, ...]
    size_hw: tuple[int, int]
    flexible: bool
    stride: int = 32


@dataclass(frozen=True, eq=False)
class Candidates:
    """Boxes above the confidence floor, before duplicates are removed.

    xyxy: (n, 4) input pixels. confidence: (n,). class_id: (n,).
    """

    xyxy: Floats
    confidence: Floats
    class_id: NDArray[np.int64]


def recognise(session: Session) -> Head:
    """The head of an open model. ModelError, saying what it looks like, when it is no detector we know."""
    _check_input(session)
    task = session.metadata.get("task", "detect")
    if task != "detect":
        raise _wrong(session, f"an Ultralytics model for the task {task!r}, not a detector")
    size_hw, flexible = _input_size(session)
    stride = max(32, int(float(session.metadata.get("stride", 32))))
    tried_hw = (2 * stride, 2 * stride) if flexible else size_hw  # small, where any size will do
    shape = _output_shape(session, tried_hw)
    names = _names(session)
    cells = _cells(tried_hw)
    if shape[2] == 6 and shape[1] != cells:
        return Head(Family.END_TO_END, _needed(session, names), size_hw, flexible, stride)
    if shape[1] > 4 and (shape[2] == cells or shape[1] == 4 + len(names)):
        return Head(Family.ULTRALYTICS, _labels(session, names, shape[1] - 4), size_hw, flexible, stride)
    if shape[1] == cells and shape[2] > 5:
        return Head(Family.YOLOX, _labels(session, names, shape[2] - 5), size_hw, flexible, stride)
    if shape[1] == 3 * cells:
        raise _wrong(session, "a YOLOv5 or YOLOv7 head (three anchors a cell)")
    raise _wrong(session, f"a model with output {_shown(shape)}, which is no detection head we know")


def candidates(
    head: Head, output: Floats, input_hw: tuple[int, int], confidence: float, *, every_class: bool = False
) -> Candidates:
    """Boxes of one image above `confidence`. output: its slice of the model's output, without the batch axis.

    every_class: an Ultralytics box comes once for each class above the floor (their val), not for its best only.
    """
    if head.family is Family.ULTRALYTICS:
        return _from_ultralytics(output, confidence, every_class)
    if head.family is Family.YOLOX:
        return _from_yolox(output, input_hw, confidence)
    rows = output[(output[:, 4] > confidence) & (output[:, 5] < len(head.labels))]
    return Candidates(rows[:, :4], rows[:, 4], rows[:, 5].astype(np.int64))


def best_score(head: Head, output: Floats) -> float:
    """The highest class score anywhere in one image's output; NaN when there is one in it."""
    if head.family is Family.ULTRALYTICS:
        return float(output[4:].max())
    if head.family is Family.YOLOX:
        return float((output[:, 4:5] * output[:, 5:]).max())
    return float(output[:, 4].max())


def _from_ultralytics(output: Floats, confidence: float, every_class: bool) -> Candidates:
    scores = output[4:]
    kept = np.flatnonzero(scores.max(axis=0) > confidence)
    scores = scores[:, kept]
    if every_class:
        class_id, column = np.nonzero(scores > confidence)
    else:
        class_id, column = scores.argmax(axis=0), np.arange(len(kept))
    return Candidates(_corners(output[:4, kept[column]].T), scores[class_id, column], class_id)


def _from_yolox(output: Floats, input_hw: tuple[int, int], confidence: float) -> Candidates:
    kept = np.flatnonzero(output[:, 4] > confidence)  # objectness bounds the score from above
    rows = output[kept]
    class_id = rows[:, 5:].argmax(axis=1)
    score = rows[:, 4] * rows[np.arange(len(kept)), 5 + class_id]
    sure = score > confidence
    kept, rows = kept[sure], rows[sure]
    cell, stride = _grid(kept, input_hw)
    boxes = np.hstack([(rows[:, :2] + cell) * stride, np.exp(rows[:, 2:4]) * stride])
    return Candidates(_corners(boxes), score[sure], class_id[sure])


def _grid(index: NDArray[np.intp], input_hw: tuple[int, int]) -> tuple[Floats, Floats]:
    """Cell (n, 2) as x, y and stride (n, 1) of anchors by their index: strides 8, 16, 32 one after the other."""
    cell = np.zeros((len(index), 2), np.float32)
    strides = np.zeros((len(index), 1), np.float32)
    start = 0
    for stride in (8, 16, 32):
        rows, columns = input_hw[0] // stride, input_hw[1] // stride
        here = (index >= start) & (index < start + rows * columns)
        y, x = np.divmod(index[here] - start, columns)
        cell[here] = np.stack([x, y], axis=1)
        strides[here] = stride
        start += rows * columns
    return cell, strides


def _corners(cxcywh: Floats) -> Floats:
    half = cxcywh[:, 2:] / 2
    return np.hstack([cxcywh[:, :2] - half, cxcywh[:, :2] + half])


def _cells(size_hw: tuple[int, int]) -> int:
    return sum((size_hw[0] // s) * (size_hw[1] // s) for s in (8, 16, 32))


def _check_input(session: Session) -> None:
    shapes = [p.shape for p in session.inputs]
    if any(p.dtype.kind == "i" for p in session.inputs):
        raise _wrong(session, "a text model")
    if len(shapes) != 1 or len(shapes[0]) != 4 or shapes[0][1] not in (3, None):
        raise _wrong(session, f"a model with input {', '.join(_shown(s) for s in shapes)}, not one RGB picture")
    if all(len(p.shape) == 2 for p in session.outputs):
        raise _wrong(session, f"an embedder or classifier (its output is {_shown(session.outputs[0].shape)})")


def _input_size(session: Session) -> tuple[tuple[int, int], bool]:
    """(height, width) and whether others are possible: the file's shape, else its imgsz, else 640."""
    height, width = session.inputs[0].shape[2:]
    if height and width:
        return (height, width), False
    said = _literal(session.metadata.get("imgsz", "")) or DEFAULT_SIZE
    sizes = [int(v) for v in said] if isinstance(said, (list, tuple)) else [int(said)]
    return (height or sizes[0], width or sizes[-1]), height is None and width is None


def _output_shape(session: Session, size_hw: tuple[int, int]) -> tuple[int, int, int]:
    """(N, a, b) of the first output; found by running once where the file leaves it open."""
    shape: tuple[int | None, ...] = session.outputs[0].shape
    if len(shape) != 3 or None in shape[1:]:
        shape = session.run_batched(np.zeros((1, 3, *size_hw), np.float32))[0].shape
    if len(shape) != 3:
        raise _wrong(session, f"a model with output {_shown(shape)}, which is no detection head we know")
    return 1, int(shape[1] or 0), int(shape[2] or 0)


def _names(session: Session) -> tuple[str, ...]:
    """Class names from the metadata, in order of class id; () when there are none."""
    names = _literal(session.metadata.get("names", ""))
    if isinstance(names, dict):
        return tuple(str(names[key]) for key in sorted(names))
    return tuple(str(name) for name in names) if isinstance(names, (list, tuple)) else ()


def _labels(session: Session, names: tuple[str, ...], count: int) -> tuple[str, ...]:
    if names and len(names) != count:
        raise _wrong(session, f"a model with {count} classes and {len(names)} names")
    if names:
        return names
    return COCO if count == len(COCO) else tuple(f"class_{i}" for i in range(count))


def _needed(session: Session, names: tuple[str, ...]) -> tuple[str, ...]:
    if not names:
        raise _wrong(session, "an end-to-end detector whose file lacks the class names")
    return names


def _literal(text: str) -> Any:
    """A Python literal in the metadata, None when it is none."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


def _wrong(session: Session, looks_like: str) -> ModelError:
    return ModelError(f"{session.path.name} can't be used as a detector: it looks like {looks_like}", hint=_KNOWN_HEADS)


def _shown(shape: tuple[int | None, ...]) -> str:
    return "[" + ", ".join("?" if d is None else str(d) for d in shape) + "]"
