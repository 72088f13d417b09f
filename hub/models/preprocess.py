"""From pictures to what an image tower takes, exactly as the reference CLIP image processor does it.

Reference: `CLIPImageProcessor` of Hugging Face transformers on its Pillow backend. A picture is resized so that its
shorter side has `resize` pixels (the longer one rounded down), bicubic with antialiasing, horizontally first, bytes
in between; then the middle is cut out (offsets rounded down), scaled and normalised.

Only the pixels that end up in the crop are computed, so a 31×4000 strip costs no more than a square, and two thirds
of what resizing the whole takes. Sources eight times the target or larger (4K) are averaged over whole blocks first.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from hub.types import Image
from shared.errors import ModelError

Triple = tuple[float, float, float]

CLIP_MEAN: Triple = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD: Triple = (0.26862954, 0.26130258, 0.27577711)

_RESAMPLE = {1: Pillow.Resampling.LANCZOS, 2: Pillow.Resampling.BILINEAR, 3: Pillow.Resampling.BICUBIC}
_WIDEST = 3
"""Source pixels that a filter reaches to either side (Lanczos; at a scale of 1)."""

_GAP = 4
"""Block averaging leaves at least this many times the target's pixels. Cosine to the exact result through a tower, on
walls of photos with much detail: ≥ 0.9998; with 3 it is 0.9988, with 2 (a common choice for viewing) 0.997."""


@dataclass(frozen=True)
class Preprocessing:
    """What to do with a picture. Pixels are scaled by `scale`, then (x − mean) / std for each of R, G, B.

    resize: pixels of the shorter side, or (height, width) regardless of aspect. crop_hw: cut from the middle, None
    for all of it. resample: Pillow's code of the filter (1 Lanczos, 2 bilinear, 3 bicubic).
    """

    resize: int | tuple[int, int] = 224
    crop_hw: tuple[int, int] | None = (224, 224)
    resample: int = 3
    scale: float = 1 / 255
    mean: Triple = CLIP_MEAN
    std: Triple = CLIP_STD

    def __post_init__(self) -> None:
        least = (self.resize, self.resize) if isinstance(self.resize, int) else self.resize
        if self.crop_hw is None and isinstance(self.resize, int):
            raise ModelError("preprocessing keeps the aspect ratio and does not crop: no fixed input size")
        if min(least) < 1 or (self.crop_hw and not all(0 < c <= s for c, s in zip(self.crop_hw, least, strict=True))):
            raise ModelError(f"preprocessing can't cut {self.crop_hw} from pictures resized to {self.resize}")
        if self.resample not in _RESAMPLE:
            raise ModelError(f"preprocessing asks for Pillow's filter {self.resample}; known: 1, 2, 3")
        if 0 in self.std:
            raise ModelError(f"preprocessing divides by a standard deviation of zero: {self.std}")

    @property
    def input_hw(self) -> tuple[int, int]:
        """(height, width) of what comes out."""
        if self.crop_hw is not None:
            return self.crop_hw
        assert not isinstance(self.resize, int)
        return self.resize

    def canonical(self) -> dict[str, Any]:
        """Plain values that decide what comes out, for the embedding version."""
        return asdict(self)

    def __call__(self, images: Sequence[Image]) -> NDArray[np.float32]:
        """(n, 3, height, width) float32, RGB planes. Images may differ in size."""
        batch = np.empty((len(images), 3, *self.input_hw), np.float32)
        for planes, image in zip(batch, images, strict=True):
            self._normalise(self.resized(image), planes)
        return batch

    def resized(self, image: Image) -> Image:
        """The picture resized and cropped, (height, width, 3) uint8."""
        height, width = image.shape[:2]
        full_h, full_w = self._full_hw(height, width)
        out_h, out_w = self.input_hw
        ys = _span((full_h - out_h) // 2, out_h, height / full_h, height)
        xs = _span((full_w - out_w) // 2, out_w, width / full_w, width)
        part = Pillow.fromarray(np.ascontiguousarray(image[ys.first : ys.last, xs.first : xs.last]))
        block = max(1, int(min(ys.scale, xs.scale) / _GAP))
        if block > 1:
            part = part.reduce(block)
        method = _RESAMPLE[self.resample]
        left, right = xs.within(block, part.width)
        top, bottom = ys.within(block, part.height)
        # Two passes, since Pillow runs them the other way round for some boxes and bytes in between are clipped.
        wide = part.resize((out_w, part.height), method, box=(left, 0, right, part.height))
        return np.asarray(wide.resize((out_w, out_h), method, box=(0, top, out_w, bottom)))

    def _full_hw(self, height: int, width: int) -> tuple[int, int]:
        """Size of the whole picture after resizing, before the crop."""
        if not isinstance(self.resize, int):
            return self.resize
        if width <= height:
            return int(self.resize * height / width), self.resize
        return self.resize, int(self.resize * width / height)

    def _normalise(self, pixels: Image, planes: NDArray[np.float32]) -> None:
        for plane, channel, mean, std in zip(planes, cv2.split(pixels), self.mean, self.std, strict=True):
            np.multiply(channel, np.float32(self.scale / std), out=plane, dtype=np.float32)
            plane -= np.float32(mean / std)


@dataclass(frozen=True)
class _Span:
    """What of one axis is needed. first, last: whole pixels, filter's reach included. start, stop: exact edges.

    scale: source pixels for one of the target.
    """

    first: int
    last: int
    start: float
    stop: float
    scale: float

    def within(self, block: int, length: int) -> tuple[float, float]:
        """The exact edges in pixels of the part that was cut out and reduced by `block` to `length`."""
        return (self.start - self.first) / block, min((self.stop - self.first) / block, length)


def _span(offset: int, out: int, scale: float, length: int) -> _Span:
    reach = math.ceil(_WIDEST * max(scale, 1.0)) + 1
    start, stop = offset * scale, min((offset + out) * scale, float(length))
    return _Span(max(0, int(start) - reach), min(length, math.ceil(stop) + reach), start, stop, scale)


def read_preprocessing(path: Path) -> Preprocessing:
    """What a `preprocessor_config.json` says; CLIP's own values where it says nothing. ModelError when it can't be
    read, or asks for what is not done here."""
    try:
        config = json.loads(path.read_text("utf-8"))
        if not isinstance(config, dict):
            raise ValueError("not a JSON object")
        return _from_config(config)
    except ModelError as error:
        raise ModelError(f"{path}: {error.message}", hint=error.hint) from error
    except (OSError, ValueError, TypeError, KeyError, ArithmeticError) as error:
        raise ModelError(
            f"{path} can't be used as preprocessing: {error}", hint="Fetch the file again with the model."
        ) from error


def _from_config(config: Mapping[str, Any]) -> Preprocessing:
    if not config.get("do_resize", True):
        raise ModelError("preprocessing without resizing is not supported")
    resize = _resize(config.get("size", 224))
    crop = _height_width(config.get("crop_size", 224)) if config.get("do_center_crop", True) else None
    if not isinstance(resize, int) and "crop_size" not in config:
        crop = None
    plain = not config.get("do_normalize", True)
    return Preprocessing(
        resize,
        crop,
        int(config.get("resample", 3)),
        float(config.get("rescale_factor", 1 / 255)) if config.get("do_rescale", True) else 1.0,
        (0.0, 0.0, 0.0) if plain else _triple(config.get("image_mean", CLIP_MEAN)),
        (1.0, 1.0, 1.0) if plain else _triple(config.get("image_std", CLIP_STD)),
    )


def _resize(size: Any) -> int | tuple[int, int]:
    if not isinstance(size, Mapping):
        return int(size)
    if "shortest_edge" in size and "longest_edge" not in size:
        return int(size["shortest_edge"])
    if {"height", "width"} <= set(size):
        return _height_width(size)
    raise ModelError(f"preprocessing asks for the size {dict(size)}, which is not supported")


def _height_width(size: Any) -> tuple[int, int]:
    if isinstance(size, Mapping):
        return int(size["height"]), int(size["width"])
    return int(size), int(size)


def _triple(values: Any) -> Triple:
    red, green, blue = (float(v) for v in values)
    return red, green, blue
