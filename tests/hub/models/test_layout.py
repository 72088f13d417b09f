"""Which file of a model folder plays which part."""

from pathlib import Path

import pytest

from hub.models.layout import find_parts
from shared.errors import ModelError


def folder(tmp_path: Path, *names: str) -> Path:
    root = tmp_path / "some-clip"
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


@pytest.mark.parametrize(
    ("names", "image", "text"),
    [
        (["visual.onnx", "text_bank.npz"], "visual.onnx", None),
        (["vision_model.onnx", "text_model.onnx"], "vision_model.onnx", "text_model.onnx"),
        (["visual.onnx", "textual.onnx"], "visual.onnx", "textual.onnx"),
        (["image_encoder.onnx", "text_encoder.onnx"], "image_encoder.onnx", "text_encoder.onnx"),
        (["model.onnx"], "model.onnx", None),
        (["whatever.onnx"], "whatever.onnx", None),
        (["onnx/vision_model.onnx", "onnx/text_model.onnx"], "onnx/vision_model.onnx", "onnx/text_model.onnx"),
        (["onnx/model.onnx", "onnx/vision_model.onnx", "onnx/text_model.onnx"], "onnx/vision_model.onnx",
         "onnx/text_model.onnx"),
        (["onnx/vision_model.onnx", "onnx/vision_model_fp16.onnx", "onnx/vision_model_int8.onnx",
          "onnx/vision_model_quantized.onnx", "onnx/vision_model_q4f16.onnx", "onnx/vision_model_bnb4.onnx",
          "onnx/text_model_fp16.onnx", "onnx/text_model.onnx"], "onnx/vision_model.onnx", "onnx/text_model.onnx"),
        (["vision_model_fp16.onnx"], "vision_model_fp16.onnx", None),
    ],
)  # fmt: skip
def test_towers_are_found_by_their_names(tmp_path: Path, names: list[str], image: str, text: str | None) -> None:
    root = folder(tmp_path, *names)
    parts = find_parts(root)
    assert parts.image == root / image
    assert parts.text == (root / text if text else None)
    assert parts.folder == root


def test_another_number_format_is_taken_when_it_is_asked_for(tmp_path: Path) -> None:
    names = ("vision_model.onnx", "vision_model_fp16.onnx", "text_model.onnx", "text_model_fp16.onnx")
    root = folder(tmp_path, *(f"onnx/{name}" for name in names), "tokenizer.json")
    parts = find_parts(root / "onnx" / "vision_model_fp16.onnx")
    assert parts.image.name == "vision_model_fp16.onnx"
    assert parts.text == root / "onnx" / "text_model_fp16.onnx"
    (root / "onnx" / "text_model_fp16.onnx").unlink()
    assert find_parts(root / "onnx" / "vision_model_fp16.onnx").text == root / "onnx" / "text_model.onnx"


def test_tokenizer_and_preprocessing_are_found_above_the_onnx_folder(tmp_path: Path) -> None:
    root = folder(tmp_path, "onnx/vision_model.onnx", "tokenizer.json", "preprocessor_config.json", "text_bank.npz")
    parts = find_parts(root)
    assert parts.tokenizer == root / "tokenizer.json"
    assert parts.preprocessing == root / "preprocessor_config.json"
    assert parts.bank == root / "text_bank.npz"


def test_files_further_up_are_not_the_models_own(tmp_path: Path) -> None:
    root = folder(tmp_path, "visual.onnx")
    (tmp_path / "tokenizer.json").touch()
    assert find_parts(root).tokenizer is None


@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        (["readme.txt"], "no .onnx file"),
        (["text_model.onnx"], "only text_model.onnx"),
        (["a.onnx", "b.onnx"], "several models: a.onnx, b.onnx"),
        (["vision_model_fp16.onnx", "vision_model_int8.onnx"], "several models"),
    ],
)
def test_a_folder_without_one_image_tower_says_what_it_holds(tmp_path: Path, names: list[str], complaint: str) -> None:
    with pytest.raises(ModelError, match=complaint):
        find_parts(folder(tmp_path, *names))


def test_a_path_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nowhere"):
        find_parts(tmp_path / "nowhere")
