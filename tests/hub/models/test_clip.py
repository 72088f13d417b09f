"""Embedders with weights: CLIP's towers, features of classifiers, and files that are neither."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from hub.models.builtin_embedder import BuiltinEmbedder
from hub.models.embedder import load_embedder
from shared.errors import ModelError
from tests.hub.models.clip_pictures import FIXTURES, TINY, joint, pictures
from tests.hub.models.onnx_maker import constant_model

PREPROCESSING = TINY / "preprocessor_config.json"


def test_towers_of_clips_architecture_match_the_implementation_that_made_them() -> None:
    expected = np.load(TINY / "expected.npz")
    embedder = load_embedder(TINY, device="cpu")
    np.testing.assert_allclose(embedder.embed(list(expected["pixels"])), expected["image"], atol=1e-4)
    texts = [str(text) for text in expected["texts"]]
    np.testing.assert_allclose(embedder.embed_text(texts), expected["text"], atol=1e-4)


def test_pictures_go_through_the_whole_chain_as_they_did_there() -> None:
    ours = load_embedder(TINY, device="cpu").embed(pictures())
    cosines = (ours * np.load(TINY / "expected.npz")["image"]).sum(axis=1)
    assert cosines.min() > 0.9995


def test_both_towers_in_one_file_give_what_two_files_give(tmp_path: Path) -> None:
    one, two = load_embedder(joint(tmp_path / "j"), device="cpu"), load_embedder(TINY, device="cpu")
    np.testing.assert_allclose(one.embed(pictures()), two.embed(pictures()), atol=1e-5)
    texts = ["a photo of a cat", "", "owl " * 100]
    np.testing.assert_allclose(one.embed_text(texts), two.embed_text(texts), atol=1e-5)


def test_no_texts_give_no_vectors() -> None:
    assert load_embedder(TINY, device="cpu").embed_text([]).shape == (0, 12)


def test_one_text_and_many_give_the_same_vectors() -> None:
    embedder = load_embedder(TINY, device="cpu")
    texts = [f"{'a ' * n}cat" for n in range(16)]
    alone = np.concatenate([embedder.embed_text([text]) for text in texts])
    np.testing.assert_allclose(alone, embedder.embed_text(texts), atol=1e-5)


def test_towers_in_an_onnx_folder_are_found(tmp_path: Path) -> None:
    (tmp_path / "hf" / "onnx").mkdir(parents=True)
    for file in TINY.iterdir():
        shutil.copy(file, tmp_path / "hf" / "onnx" if file.suffix == ".onnx" else tmp_path / "hf")
    embedder = load_embedder(tmp_path / "hf", device="cpu")
    assert embedder.name == "hf"
    assert embedder.embed_text(["a cat"]).shape == (1, 12)


def test_the_same_model_in_another_folder_is_the_same_version(tmp_path: Path) -> None:
    copy = shutil.copytree(TINY, tmp_path / "elsewhere")
    (copy / "text_model.onnx").unlink()  # where text comes from does not change what pictures become
    assert load_embedder(copy, device="cpu").version == load_embedder(TINY, device="cpu").version


def test_another_preprocessing_is_another_version(tmp_path: Path) -> None:
    copy = shutil.copytree(TINY, tmp_path / "elsewhere")
    file = copy / "preprocessor_config.json"
    file.write_text(file.read_text().replace('"resample": 3', '"resample": 2'))
    assert load_embedder(copy, device="cpu").version != load_embedder(TINY, device="cpu").version


def test_other_weights_are_another_version(models_dir: Path) -> None:
    versions = {load_embedder(p, device="cpu").version for p in (TINY, models_dir / "clip-student")}
    assert len({*versions, BuiltinEmbedder.version}) == 3


def test_the_student_says_that_it_is_not_clip(models_dir: Path, tmp_path: Path) -> None:
    assert load_embedder(models_dir / "clip-student", device="cpu").name == (
        "clip-student (stand-in for CLIP ViT-B/32, not CLIP)"
    )
    (tmp_path / "clip-vit-b32").mkdir()
    for name in ("visual.onnx", "preprocessor_config.json"):
        shutil.copy(models_dir / "clip-student" / name, tmp_path / "clip-vit-b32")
    assert "not CLIP" in load_embedder(tmp_path / "clip-vit-b32", device="cpu").name


def test_the_student_knows_the_words_of_its_bank(models_dir: Path, data_dir: Path) -> None:
    embedder = load_embedder(models_dir / "clip-student", device="cpu")
    owl = cv2.cvtColor(cv2.imread(str(data_dir / "photos" / "owl.jpg")), cv2.COLOR_BGR2RGB)
    names = ["owl", "a tow truck", "pizza", "piano", "airplane"]
    cosines = embedder.embed_text(names) @ embedder.embed([owl])[0]
    assert cosines.argmax() == 0
    with pytest.raises(ModelError, match="'a photo of an owl'"):
        embedder.embed_text(["a photo of an owl"])


def test_more_pictures_than_one_run_takes_are_no_trouble(tmp_path: Path) -> None:
    for folder in (TINY, joint(tmp_path / "j")):
        embedder = load_embedder(folder, device="cpu")
        many = embedder.embed(pictures() * 9)
        np.testing.assert_allclose(many, np.tile(embedder.embed(pictures()), (9, 1)), atol=1e-5)


# ── wrong and missing files ──────────────────────────────────────────────────────────────────────────


def lone(tmp_path: Path, *files: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    for file in files:
        shutil.copy(file, folder)
    return folder


def test_a_text_tower_is_no_image_tower() -> None:
    with pytest.raises(ModelError, match="should take pictures, and takes input_ids"):
        load_embedder(TINY / "text_model.onnx", device="cpu")


def test_an_image_tower_is_no_text_tower(tmp_path: Path) -> None:
    folder = lone(tmp_path, *TINY.iterdir())
    shutil.copy(TINY / "vision_model.onnx", folder / "text_model.onnx")
    with pytest.raises(ModelError, match="should take token ids, and takes pixel_values"):
        load_embedder(folder, device="cpu").embed_text(["owl"])


def test_a_detector_is_no_embedder(models_dir: Path) -> None:
    with pytest.raises(ModelError, match=r"no embedding: it takes images .* gives output0"):
        load_embedder(models_dir / "detectors" / "yolov8n_dynamic.onnx", device="cpu")


def test_a_tower_without_a_tokenizer_says_so(tmp_path: Path) -> None:
    folder = lone(tmp_path, TINY / "vision_model.onnx", TINY / "text_model.onnx", PREPROCESSING)
    embedder = load_embedder(folder, device="cpu")
    assert embedder.embed(pictures()[:1]).shape == (1, 12)
    with pytest.raises(ModelError, match=r"no tokenizer\.json"):
        embedder.embed_text(["owl"])


def test_an_image_tower_alone_understands_no_text(tmp_path: Path) -> None:
    embedder = load_embedder(lone(tmp_path, TINY / "vision_model.onnx", PREPROCESSING), device="cpu")
    with pytest.raises(ModelError, match="understands no text") as caught:
        embedder.embed_text(["owl"])
    assert "hub models fetch" in caught.value.hint


def test_towers_of_different_models_are_found_out(tmp_path: Path, models_dir: Path) -> None:
    bank = models_dir / "clip-student" / "text_bank.npz"
    embedder = load_embedder(lone(tmp_path, TINY / "vision_model.onnx", PREPROCESSING, bank), device="cpu")
    with pytest.raises(ModelError, match="512 dimensions and picture vectors 12"):
        embedder.embed_text(["owl"])


def test_preprocessing_of_another_size_is_found_out(tmp_path: Path, models_dir: Path) -> None:
    with pytest.raises(ModelError, match="takes pictures of 224×224, and its preprocessing gives 32×32"):
        load_embedder(lone(tmp_path, models_dir / "clip-student" / "visual.onnx", PREPROCESSING), device="cpu")


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 0.0])
def test_a_vector_that_is_none_is_never_returned(tmp_path: Path, wrong: float) -> None:
    folder = lone(tmp_path, PREPROCESSING)
    answer = np.ones((1, 8))
    answer[0, 3:] = wrong
    constant_model(folder / "broken.onnx", answer * (wrong != 0), input_shape=(1, 3, 32, 32))
    with pytest.raises(ModelError, match="zero or not a number"):
        load_embedder(folder, device="cpu").embed(pictures()[:1])


# ── features ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_classifiers_features_are_taken_and_not_its_scores(models_dir: Path) -> None:
    embedder = load_embedder(models_dir / "mobilenetv2" / "mobilenetv2_imagenet.onnx", device="cpu")
    assert embedder.dim == 1280
    with pytest.raises(ModelError, match="understands no text") as caught:
        embedder.embed_text(["owl"])
    assert "pictures" in caught.value.hint


def test_an_export_without_its_projection_gives_features_only(tmp_path: Path) -> None:
    embedder = load_embedder(lone(tmp_path, FIXTURES / "unprojected.onnx", PREPROCESSING), device="cpu")
    assert embedder.dim == 16
    with pytest.raises(ModelError, match="pooler_output"):
        embedder.embed_text(["owl"])


def test_features_without_preprocessing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="how pictures must be prepared"):
        load_embedder(lone(tmp_path, FIXTURES / "unprojected.onnx"), device="cpu")


def test_a_classifier_with_scores_only_is_refused(tmp_path: Path) -> None:
    path = constant_model(tmp_path / "classifier.onnx", np.ones((1, 1000)), input_shape=(1, 3, 224, 224))
    with pytest.raises(ModelError, match="class scores") as caught:
        load_embedder(path, device="cpu")
    assert "embedding" in caught.value.hint


def test_a_model_we_do_not_know_says_that_its_scale_is_borrowed() -> None:
    assert "not calibrated" in load_embedder(TINY, device="cpu").typical["image"].source
