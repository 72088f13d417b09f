"""Whether what a client says of a frame can be: everything here is of unknown origin. Pure."""

import json
import math
import re
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from hub.collection.values import BOXES, CAMERA_NAME, CAMPAIGNS, METADATA_BYTES, NAME, Mark, Upload
from hub.types import Detections, Score
from shared.errors import InvalidInput

TAKEN_BEFORE = 4e9
"""No frame is taken later than this, Unix seconds (the year 2096)."""

UNIT = 1e-3
"""How far from 1 the length of a unit vector may be."""

EDGE_PX = 1.0
"""How far a box may reach over the picture's edge: detectors round."""

_FRAME_ID = re.compile(r"[0-9a-f]{32}")
_VERSION = re.compile(r"[!-~]{1,36}")


def check_upload(upload: Upload, size_wh: tuple[int, int], i: int) -> None:
    """InvalidInput, naming upload `i`, for what no client of ours would send."""
    try:
        check_camera(upload.camera)
        check_time(upload.taken_at)
        check_detections(upload.detections, size_wh)
        check_vectors(upload.vectors, len(upload.detections))
        if not _VERSION.fullmatch(upload.embedding_version):
            raise InvalidInput("its embedding version is no name of one")
        if not _is_text(upload.detector, NAME):
            raise InvalidInput(f"its detector's name is longer than {NAME} characters, or not printable")
        _check_taken(upload)
        for row, said in upload.metadata.items():
            if not 0 <= row <= len(upload.detections):
                raise InvalidInput(f"it has metadata of row {row}, and no such row")
            check_metadata(said)
    except InvalidInput as error:
        raise InvalidInput(f"frame {i} is refused: {error.message}", hint=error.hint) from error


def check_mark(mark: Mark) -> None:
    """InvalidInput for a processed frame that can't be."""
    if not _FRAME_ID.fullmatch(mark.frame_id):
        raise InvalidInput(f"{mark.frame_id[:40]!r} is no frame id: 32 hexadecimal digits are")
    if len(mark.versions) > CAMPAIGNS:
        raise InvalidInput(f"frame {mark.frame_id} was judged by {len(mark.versions)} campaigns: too many")
    check_camera(mark.camera)
    check_time(mark.taken_at)


def check_camera(name: str) -> None:
    """A camera's name: 1 to 100 printable characters."""
    if not name or not _is_text(name, CAMERA_NAME):
        raise InvalidInput(f"the camera's name {name[:40]!r} must be 1 to {CAMERA_NAME} printable characters")


def check_time(taken_at: float) -> None:
    """Unix seconds, from 1970 on."""
    if not (math.isfinite(taken_at) and 0.0 <= taken_at <= TAKEN_BEFORE):
        raise InvalidInput(f"the time {taken_at} is no Unix time in seconds")


def check_detections(found: Detections, size_wh: tuple[int, int]) -> None:
    """Boxes in the picture, of some size; confidence in [0, 1], best first; labels that can be shown."""
    if len(found) > BOXES:
        raise InvalidInput(f"it has {len(found)} boxes, and {BOXES} is the most")
    check_boxes(found.xyxy, size_wh)
    confidence = found.confidence
    if not (np.isfinite(confidence).all() and (confidence >= 0).all() and (confidence <= 1).all()):
        raise InvalidInput("a box has a confidence that lies not between 0 and 1")
    if (np.diff(confidence) > 1e-6).any():
        raise InvalidInput("its boxes are not in the order of their confidence, best first")
    for label in found.label:
        if not _is_text(label, NAME):
            raise InvalidInput(f"a box has a label longer than {NAME} characters, or not printable")


def check_boxes(xyxy: NDArray[np.float32], size_wh: tuple[int, int]) -> None:
    """(n, 4) pixels of a picture of (width, height)."""
    if not np.isfinite(xyxy).all():
        raise InvalidInput("a box has a corner that is not a finite number")
    width, height = size_wh
    low, high = xyxy[:, :2], xyxy[:, 2:]
    if (low < -EDGE_PX).any() or (high > np.array([width, height]) + EDGE_PX).any():
        raise InvalidInput(f"a box lies not in its picture of {width}×{height} pixels")
    if (high - low <= 0).any():
        raise InvalidInput("a box has no width or no height")


def check_vectors(vectors: NDArray[np.float32], boxes: int) -> None:
    """(rows, d) unit or zero, no more rows than the frame and its boxes."""
    if vectors.ndim != 2 or len(vectors) > 1 + boxes:
        raise InvalidInput(f"its vectors have shape {vectors.shape}, for a frame with {boxes} boxes")
    if not np.isfinite(vectors).all():
        raise InvalidInput("an embedding has a value that is not a finite number")
    length = np.linalg.norm(vectors.astype(np.float64), axis=1)
    if not ((np.abs(length - 1) < UNIT) | (length == 0)).all():
        raise InvalidInput("an embedding is not of unit length")


def check_metadata(said: Mapping[str, object]) -> None:
    """JSON of finite numbers, of bounded size."""
    try:
        text = json.dumps(dict(said), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"metadata can't be written as JSON: {error}") from error
    if len(text) > METADATA_BYTES:
        raise InvalidInput(f"metadata takes {len(text):,} bytes, and {METADATA_BYTES:,} is the most")


def check_score(score: Score, rows: int) -> None:
    """A score in [0, 1] of a row that is there, with a cosine that is one."""
    if not 0.0 <= score.value <= 1.0:
        raise InvalidInput(f"the score {score.value} lies not between 0 and 1")
    if not 0 <= score.row < rows:
        raise InvalidInput(f"row {score.row} won, and there are {rows} rows")
    if score.cosine is not None and not -1.001 <= score.cosine <= 1.001:
        raise InvalidInput(f"{score.cosine} is no cosine")
    if not (_is_text(score.scorer, NAME) and _is_text(score.why, 2 * NAME) and _is_text(score.seed, 64)):
        raise InvalidInput("a score's words are too long, or not printable")


def _check_taken(upload: Upload) -> None:
    if len(upload.taken) > CAMPAIGNS:
        raise InvalidInput(f"{len(upload.taken)} campaigns took it: too many")
    if len({each.campaign_id for each in upload.taken}) < len(upload.taken):
        raise InvalidInput("a campaign took it twice")
    for each in upload.taken:
        check_score(each.score, 1 + len(upload.detections))
        if not _is_text(each.reason, 2 * NAME):
            raise InvalidInput("a reason is too long, or not printable")


def _is_text(text: str, longest: int) -> bool:
    return len(text) <= longest and (text == "" or text.isprintable())
