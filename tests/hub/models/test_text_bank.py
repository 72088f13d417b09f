"""Ready-made text vectors: exact for their names, honest about everything else."""

from pathlib import Path

import numpy as np
import pytest

from hub.models.text_bank import TextBank
from shared.errors import ModelError


@pytest.fixture(scope="module")
def bank(models_dir: Path) -> TextBank:
    return TextBank(models_dir / "clip-student" / "text_bank.npz")


@pytest.mark.parametrize("text", ["tow truck", "a tow truck", "an tow truck", "A Tow  Truck", " tow truck\n"])
def test_a_name_is_found_with_and_without_an_article(bank: TextBank, text: str, models_dir: Path) -> None:
    stored = np.load(models_dir / "clip-student" / "text_bank.npz")
    row = stored["vecs"][list(stored["names"]).index("tow truck")].astype(np.float32)
    np.testing.assert_allclose(bank.embed([text])[0], row / np.linalg.norm(row), atol=1e-6)


def test_every_name_is_found_as_a_prompt(bank: TextBank) -> None:
    assert len(bank.names) == 1454
    vectors = bank.embed([f"a {name}" for name in bank.names])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert vectors.dtype == np.float32


@pytest.mark.parametrize(
    ("text", "nearest"),
    [("toe truck", "tow truck"), ("pickup", "pickup truck"), ("a photo of an owl", "owl"), ("red car", "car")],
)
def test_any_other_text_is_an_error_that_names_the_nearest(bank: TextBank, text: str, nearest: str) -> None:
    with pytest.raises(ModelError, match="none of the 1,454") as caught:
        bank.embed(["owl", text])
    assert nearest in caught.value.hint
    assert "hub models fetch" in caught.value.hint


@pytest.mark.parametrize("text", ["", "a ", "猫", "x" * 5000])
def test_text_that_is_near_nothing_is_an_error_too(bank: TextBank, text: str) -> None:
    with pytest.raises(ModelError, match="none of the 1,454"):
        bank.embed([text])


def test_a_file_that_is_no_bank_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "text_bank.npz"
    broken.write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(ModelError, match="no bank"):
        TextBank(broken)
    np.savez(broken, names=np.array(["owl"]))
    with pytest.raises(ModelError, match="no bank"):
        TextBank(broken)
    np.savez(broken, names=np.array(["owl", "cat"]), vecs=np.ones((1, 4)))
    with pytest.raises(ModelError, match="2 names"):
        TextBank(broken)
    np.savez(broken, names=np.array(["owl"]), vecs=np.full((1, 4), np.nan))
    with pytest.raises(ModelError, match="not a number"):
        TextBank(broken)
