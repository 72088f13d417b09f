"""Pictures drawn by formula, the same on every machine: what the tiny towers were shown when they were exported."""

import shutil
from pathlib import Path

import numpy as np

FIXTURES = Path(__file__).parent / "fixtures"
TINY = FIXTURES / "tiny-clip"

SIZES_HW = ((48, 64), (64, 48), (33, 32), (20, 90), (200, 31), (1, 1), (300, 401), (32, 32))


def pictures() -> list[np.ndarray]:
    """RGB uint8, one of each size: waves with a corner of noise, so that orientation, colours and detail matter."""
    return [_picture(height, width, seed) for seed, (height, width) in enumerate(SIZES_HW)]


def _picture(height: int, width: int, seed: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width].astype(np.int64)
    red = (x * 255) // max(width - 1, 1)
    green = (y * 255) // max(height - 1, 1)
    blue = ((x // 5 + y // 7) % 2) * 200
    image = np.stack([red, green, blue], axis=-1)
    noise = (x * 7919 + y * 104729 + seed * 15485863) % 251
    image[: height // 2, : width // 2] = noise[: height // 2, : width // 2, None]
    return image.astype(np.uint8)


def joint(folder: Path) -> Path:
    """A model folder with both tiny towers in one file."""
    folder.mkdir(exist_ok=True)
    shutil.copy(FIXTURES / "tiny-joint" / "model.onnx", folder)
    for name in ("tokenizer.json", "preprocessor_config.json"):
        shutil.copy(TINY / name, folder)
    return folder
