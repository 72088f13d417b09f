"""Opening and running ONNX files."""

from pathlib import Path

import numpy as np
import pytest

from hub.models.session import open_session, providers
from shared.errors import ModelError
from tests.hub.models.onnx_maker import constant_model


def test_any_number_of_rows_goes_through_a_model_of_fixed_batch(models_dir: Path) -> None:
    fixed = open_session(models_dir / "detectors/yolox_nano_416.onnx", device="cpu")
    free = open_session(models_dir / "detectors/yolox_nano_416_dynbatch.onnx", device="cpu")
    assert (fixed.fixed_batch, free.fixed_batch) == (1, None)
    rows = np.random.default_rng(0).uniform(0, 255, (3, 3, 416, 416)).astype(np.float32)
    one_by_one, together = fixed.run_batched(rows)[0], free.run_batched(rows)[0]
    assert one_by_one.shape == (3, 3549, 85)
    np.testing.assert_allclose(one_by_one, together, atol=1e-3)


def test_a_batch_above_the_most_is_cut_and_joined(models_dir: Path) -> None:
    tower = open_session(models_dir / "clip-student/visual.onnx", device="cpu")
    rows = np.random.default_rng(0).normal(0, 1, (5, 3, 224, 224)).astype(np.float32)
    np.testing.assert_allclose(
        tower.run_batched(rows, max_batch=2)[0], tower.run_batched(rows, max_batch=32)[0], atol=1e-5
    )


def test_no_rows_give_no_rows(models_dir: Path) -> None:
    tower = open_session(models_dir / "clip-student/visual.onnx", device="cpu")
    assert tower.run_batched(np.zeros((0, 3, 224, 224), np.float32))[0].shape == (0, 512)


def test_rows_are_cast_to_what_the_model_takes(models_dir: Path) -> None:
    tower = open_session(models_dir / "clip-student/visual.onnx", device="cpu")
    assert tower.run_batched(np.zeros((1, 3, 224, 224), np.float64))[0].dtype == np.float32


def test_a_model_with_a_batch_of_four_is_padded(tmp_path: Path) -> None:
    answer = np.arange(4 * 6, dtype=np.float32).reshape(4, 6)
    session = open_session(constant_model(tmp_path / "four.onnx", answer, input_shape=(4, 3, 8, 8)))
    assert session.run_batched(np.zeros((6, 3, 8, 8)))[0].shape == (6, 6)


def test_what_a_file_says_of_itself_is_there(models_dir: Path) -> None:
    session = open_session(models_dir / "detectors/yolov8n_dynamic.onnx", device="cpu")
    assert session.inputs[0].shape == (None, 3, None, None)
    assert session.metadata["task"] == "detect"
    assert len(session.sha256) == 64


def test_a_wrong_shape_names_what_is_wanted_and_what_was_given(models_dir: Path) -> None:
    session = open_session(models_dir / "detectors/yolox_nano_416.onnx", device="cpu")
    with pytest.raises(ModelError, match=r"1×3×416×416.*1×3×416×400"):
        session.run({"images": np.zeros((1, 3, 416, 400), np.float32)})


@pytest.mark.parametrize(
    ("content", "hint"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "git lfs pull"),
        (b"<!DOCTYPE html><html>Not found</html>", "web page"),
        (b"\x08\x08garbage" * 9, "hub models fetch"),
        (b"", "hub models fetch"),
    ],
    ids=["lfs", "html", "garbage", "empty"],
)
def test_a_file_that_is_no_model_says_what_it_is(tmp_path: Path, content: bytes, hint: str) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError) as caught:
        open_session(path)
    assert "can't be opened as a model" in caught.value.message
    assert hint in caught.value.hint


def test_a_model_cut_short_is_refused(tmp_path: Path, models_dir: Path) -> None:
    whole = (models_dir / "detectors/yolox_nano_416.onnx").read_bytes()
    path = tmp_path / "half.onnx"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match="can't be opened"):
        open_session(path)


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no such model file"):
        open_session(tmp_path / "none.onnx")


def test_a_device_that_is_not_there_names_what_to_install(tmp_path: Path) -> None:
    path = constant_model(tmp_path / "m.onnx", np.zeros((1, 4)))
    absent = next(name for name in ("openvino", "tensorrt") if name not in providers())
    with pytest.raises(ModelError, match=f"can't use {absent}") as caught:
        open_session(path, device=absent)
    assert "nstall" in caught.value.hint


def test_an_unknown_device_lists_the_known_ones(tmp_path: Path) -> None:
    path = constant_model(tmp_path / "m.onnx", np.zeros((1, 4)))
    with pytest.raises(ModelError, match="tensorrt, cuda, openvino, cpu"):
        open_session(path, device="tpu")


def test_opening_a_broken_file_prints_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"garbage")
    with pytest.raises(ModelError):
        open_session(path)
    assert capfd.readouterr() == ("", "")
