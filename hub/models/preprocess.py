"""From a picture to what an image tower takes, as its own preprocessing file says."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from hub.types import Image
from shared.errors import ModelError

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class Preprocessing:
    """Resize so that the shorter side is `shortest`, cut `crop_hw` from the middle, scale, normalise.

    shortest: 0 squeezes the whole picture into crop_hw instead. resample: Pillow's number (3 bicubic, 2 bilinear).
    mean, std: per channel, RGB, after multiplying by `scale`.
    """

    shortest: int = 224
    crop_hw: tuple[int, int] = (224, 224)
    mean: tuple[float, ...] = CLIP_MEAN
    std: tuple[float, ...] = CLIP_STD
    scale: float = 1 / 255
    resample: int = 3

    @property
    def identity(self) -> str:
        """Canonical text: two preprocessings are the same when these are."""
        return json.dumps(asdict(self), sort_keys=True)

    def __call__(self, images: Sequence[Image]) -> NDArray[np.float32]:
        """(n, 3, h, w) float32 for RGB uint8 pictures of any size.

        The arithmetic is that of the reference image processor of CLIP (Pillow's antialiased resize; sizes rounded
        down; the crop centred by (side − crop) // 2, padded with black where the picture is too small).
        """
        height, width = self.crop_hw
        out = np.empty((len(images), 3, height, width), np.float32)
        factor = np.float32(self.scale) / np.array(self.std, np.float32)
        offset = np.array(self.mean, np.float32) / np.array(self.std, np.float32)
        for i, image in enumerate(images):
            pixels = self._cut(image)
            np.multiply(pixels.transpose(2, 0, 1), factor[:, None, None], out=out[i])
            out[i] -= offset[:, None, None]
        return out

    def _cut(self, image: Image) -> Image:
        """The (h, w, 3) pixels the model looks at. Only what is kept is resized, which long strips need."""
        height, width = self.crop_hw
        picture = PIL.Image.fromarray(np.ascontiguousarray(image))
        if not self.shortest:
            return np.asarray(picture.resize((width, height), PIL.Image.Resampling(self.resample)))
        new_w, new_h = self._resized(picture.width, picture.height)
        left, top = (new_w - width) // 2, (new_h - height) // 2
        inner = (max(left, 0), max(top, 0), min(left + width, new_w), min(top + height, new_h))
        sx, sy = picture.width / new_w, picture.height / new_h
        box = (inner[0] * sx, inner[1] * sy, inner[2] * sx, inner[3] * sy)
        size = (inner[2] - inner[0], inner[3] - inner[1])
        kept = np.asarray(picture.resize(size, PIL.Image.Resampling(self.resample), box=box))
        if size == (width, height):
            return kept
        canvas = np.zeros((height, width, 3), np.uint8)
        y, x = max(-top, 0), max(-left, 0)
        canvas[y : y + size[1], x : x + size[0]] = kept
        return canvas

    def _resized(self, width: int, height: int) -> tuple[int, int]:
        if width <= height:
            return self.shortest, int(self.shortest * height / width)
        return int(self.shortest * width / height), self.shortest


def read_preprocessing(path: Path) -> Preprocessing:
    """From a `preprocessor_config.json`, as Hugging Face models carry one. ModelError when it can't be used."""
    try:
        said: Mapping[str, Any] = json.loads(path.read_text("utf-8"))
        size, crop = said.get("size", 224), said.get("crop_size", 224)
        shortest = size if isinstance(size, int) else size.get("shortest_edge", 0)
        target = crop if said.get("do_center_crop", True) else size
        return Preprocessing(
            shortest=shortest if said.get("do_center_crop", True) else 0,
            crop_hw=_height_width(target),
            mean=tuple(said.get("image_mean", CLIP_MEAN)) if said.get("do_normalize", True) else (0.0, 0.0, 0.0),
            std=tuple(said.get("image_std", CLIP_STD)) if said.get("do_normalize", True) else (1.0, 1.0, 1.0),
            scale=said.get("rescale_factor", 1 / 255) if said.get("do_rescale", True) else 1.0,
            resample=said.get("resample", 3),
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelError(
            f"{path} is no preprocessing file: {error}", hint="Take the one that belongs to the model."
        ) from error


def _height_width(size: Any) -> tuple[int, int]:
    if isinstance(size, int):
        return size, size
    if "height" in size:
        return size["height"], size["width"]
    return size["shortest_edge"], size["shortest_edge"]
