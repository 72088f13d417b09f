"""From a trained Ultralytics checkpoint (.pt) to the ONNX file the hub runs. Needs the optional `ultralytics` extra."""

import contextlib
import importlib
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hub.models.check import check_model
from shared.errors import ModelError

OPSET = 17
"""Understood by every onnxruntime since 1.12."""

INSTALL = (
    "In a virtual environment of its own, first PyTorch's CPU builds (https://pytorch.org/get-started/locally),\n"
    "without which several GB of CUDA come along:  torch==2.13.0 torchvision==0.28.0\n"
    "then:  pip install 'bowerbird[hub,ultralytics]'"
)

_QUIET = {"YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false", "YOLO_VERBOSE": "false"}


def export_pt(weights: Path, out: Path) -> Path:
    """Export `weights` to the ONNX file `out`, with dynamic batch and size, and test that it works.

    out: a file, or a folder to put <weights' name>.onnx into. ModelError when ultralytics is not installed, the
    checkpoint is not one, or the result fails its self-test; then nothing is left at `out`.
    """
    if not weights.is_file():
        raise ModelError(f"{weights}: there is no such file", hint="Give the .pt file your training wrote.")
    target = out / f"{weights.stem}.onnx" if out.is_dir() else out
    ultralytics = _ultralytics()
    with tempfile.TemporaryDirectory(prefix="bowerbird-export-") as folder:
        copy = Path(folder) / f"{weights.stem}.pt"  # the exporter writes beside its input
        shutil.copyfile(weights, copy)
        made = _export(ultralytics, copy, weights)
        report = check_model(made)
        if not report.ok:
            raise ModelError(f"{weights} exports to a model that fails: {report.message}", hint=report.hint)
        return _put(made, target)


def _put(made: Path, target: Path) -> Path:
    part = target.with_name(f"{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(made, part)
        part.replace(target)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise ModelError(f"can't write {target}: {error.strerror}", hint="Choose another --out.") from error
    return target


def _export(ultralytics: Any, copy: Path, weights: Path) -> Path:
    try:
        model = ultralytics.YOLO(copy, task="detect")
        return Path(model.export(format="onnx", dynamic=True, opset=OPSET, simplify=False, verbose=False))
    except Exception as error:  # it raises whatever torch, pickle or onnx raise
        raise ModelError(
            f"{weights} can't be exported: {type(error).__name__}: {error}",
            hint="It must be a checkpoint of an Ultralytics detector (yolov8, yolo11, …), trained to its end.",
        ) from error


def _ultralytics() -> Any:
    with _environment(_QUIET):  # read once, when it is imported
        if importlib.util.find_spec("ultralytics") is None:
            raise ModelError("the exporter, ultralytics, is not installed", hint=INSTALL)
        try:
            return importlib.import_module("ultralytics")
        except ImportError as error:
            raise ModelError(f"ultralytics is installed but incomplete: {error}", hint=INSTALL) from error


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value
