"""Where tests find real weights and footage. Absent data skips loudly, except in CI, where it must be there."""

import os
from pathlib import Path

import pytest

_BESIDE_CHECKOUT = Path(__file__).resolve().parents[2] / "shared"


def _pack(setting: str, folder: str) -> Path:
    path = Path(os.environ.get(setting) or _BESIDE_CHECKOUT / folder)
    if path.is_dir():
        return path
    message = f"no {folder} pack: set {setting} or put it at {path}"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def models_dir() -> Path:
    """The folder of real weights."""
    return _pack("HUB_MODELS_DIR", "models")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of footage, labelled images and real CLIP vectors."""
    return _pack("HUB_TEST_DATA_DIR", "data")
