"""The self-test that a model must pass before it is used."""

from pathlib import Path

import numpy as np
import pytest

from hub.models.check import check_model
from tests.hub.models.onnx_maker import constant_model

NAMES = str({0: "cat", 1: "tow truck", 2: "owl"})


@pytest.mark.parametrize(
    "name",
    ["yolov8n_dynamic", "yolov8n_640_static", "yolo11n_dynamic", "yolov8n_int8_dynquant_640", "yolox_nano_416",
     "yolox_nano_416_dynbatch"],
)  # fmt: skip
def test_a_working_detector_passes(models_dir: Path, name: str) -> None:
    report = check_model(models_dir / f"detectors/{name}.onnx")
    assert report.ok and report.kind == "detector", report.message
    assert report.score is not None and report.score > 0.8


def test_the_export_that_runs_and_finds_nothing_fails(models_dir: Path) -> None:
    report = check_model(models_dir / "detectors/broken_yolov8n_quant.onnx")
    assert not report.ok
    assert "finds nothing" in report.message and "float32" in report.hint


@pytest.mark.parametrize("name", ["clip-student", "mobilenetv2/mobilenetv2_imagenet.onnx"])
def test_a_working_embedder_passes(models_dir: Path, name: str) -> None:
    report = check_model(models_dir / name)
    assert report.ok and report.kind == "embedder", report.message


def test_an_own_detector_need_only_see_something(tmp_path: Path) -> None:
    output = np.zeros((1, 7, 84), np.float32)
    path = tmp_path / "own.onnx"
    metadata = {"names": NAMES, "task": "detect"}
    assert not check_model(constant_model(path, output, metadata=metadata)).ok
    output[0, 5, 40] = 0.02
    report = check_model(constant_model(path, output, metadata=metadata))
    assert report.ok and "3 classes" in report.message


def test_a_detector_that_sees_everything_in_the_wrong_place_fails(tmp_path: Path) -> None:
    output = np.zeros((1, 84, 84), np.float32)
    output[0, :4, 0] = [50, 50, 8, 8]
    output[0, 4 + 11, 0] = 0.9  # a stop sign in the corner
    report = check_model(constant_model(tmp_path / "astray.onnx", output))
    assert not report.ok and "it found" in report.message


def test_scores_that_are_no_numbers_fail(tmp_path: Path) -> None:
    output = np.full((1, 84, 84), np.nan, np.float32)
    report = check_model(constant_model(tmp_path / "nan.onnx", output))
    assert not report.ok and "not numbers" in report.message


@pytest.mark.parametrize(
    ("vector", "complaint"), [(np.ones((3, 8)), "same vector"), (np.zeros((3, 8)), "zero")], ids=["same", "zero"]
)
def test_an_embedder_that_cannot_tell_pictures_apart_fails(tmp_path: Path, vector: np.ndarray, complaint: str) -> None:
    report = check_model(constant_model(tmp_path / "e.onnx", vector, input_shape=(3, 3, 8, 8)))
    assert not report.ok and complaint in report.message


def test_what_is_no_model_is_reported_not_raised(tmp_path: Path) -> None:
    path = tmp_path / "notes.onnx"
    path.write_text("nothing of the kind")
    report = check_model(path)
    assert (report.kind, report.ok) == ("unknown", False) and report.hint
    assert not check_model(tmp_path / "absent.onnx").ok


def test_it_is_quick_enough_for_every_start(models_dir: Path) -> None:
    assert check_model(models_dir / "detectors/yolov8n_dynamic.onnx").seconds < 5
