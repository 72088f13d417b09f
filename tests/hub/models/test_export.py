"""From a .pt to an ONNX file. The real export runs where ultralytics is installed: pytest -m export."""

import importlib.util
from pathlib import Path

import pytest

from hub.models.check import check_model
from hub.models.export import export_pt
from hub.models.yolo import load_detector
from hub.vision import decode
from shared.errors import ModelError

INSTALLED = importlib.util.find_spec("ultralytics") is not None


def test_a_missing_checkpoint_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such file"):
        export_pt(tmp_path / "best.pt", tmp_path)


@pytest.mark.skipif(INSTALLED, reason="ultralytics is installed")
def test_without_ultralytics_the_error_has_the_commands_to_install_it(models_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not installed") as caught:
        export_pt(models_dir / "detectors/yolov8n_dequantised.pt", tmp_path)
    assert "bowerbird[hub,ultralytics]" in caught.value.hint
    assert not list(tmp_path.iterdir())


@pytest.mark.export
@pytest.mark.skipif(not INSTALLED, reason="needs the optional ultralytics packages")
@pytest.mark.filterwarnings("default")
@pytest.mark.timeout(600)
def test_an_exported_checkpoint_is_a_working_detector_of_any_batch_and_size(
    models_dir: Path, data_dir: Path, tmp_path: Path
) -> None:
    made = export_pt(models_dir / "detectors/yolov8n_dequantised.pt", tmp_path)
    assert made == tmp_path / "yolov8n_dequantised.onnx" and check_model(made).ok
    assert [p.name for p in tmp_path.iterdir()] == [made.name]
    detector = load_detector(made, confidence=0.5)
    assert detector.session.fixed_batch is None and detector.head.flexible
    owl = decode((data_dir / "photos/owl.jpg").read_bytes())
    assert [seen.label[0] for seen in detector.detect([owl, owl])] == ["bird", "bird"]


@pytest.mark.export
@pytest.mark.skipif(not INSTALLED, reason="needs the optional ultralytics packages")
@pytest.mark.filterwarnings("default")
def test_a_file_that_is_no_checkpoint_leaves_nothing_behind(tmp_path: Path) -> None:
    weights = tmp_path / "photo.pt"
    weights.write_bytes(b"\x80\x02 not a checkpoint")
    with pytest.raises(ModelError, match="can't be exported"):
        export_pt(weights, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["photo.pt"]
