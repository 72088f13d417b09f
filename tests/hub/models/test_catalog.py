"""Which models there are, and which one is taken."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from hub.models.catalog import CATALOG, DEFAULTS, card, find_model, list_models, search_path
from hub.models.files import models_in
from shared.errors import ModelError, NotFound
from tests.hub.models.onnx_maker import constant_model


def put(models_dir: Path, folder: Path, *names: str) -> Path:
    """Copy models of the pack into a folder of their own."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        source = models_dir / name
        if source.is_dir():
            shutil.copytree(source, folder / source.name)
        else:
            shutil.copyfile(source, folder / source.name)
    return folder


def test_every_file_of_the_catalog_is_pinned_or_says_that_it_is_not() -> None:
    for file in (f for c in CATALOG for f in c.files):
        assert file.url.startswith("https://")
        assert file.sha256 is None or re.fullmatch("[0-9a-f]{64}", file.sha256)
        assert file.sha256 is not None or file.filename.endswith("config.json")
        assert "/resolve/main/" not in file.url


def test_what_is_fetched_by_default_anybody_may_use() -> None:
    assert {card(name).kind for name in DEFAULTS} == {"detector", "embedder"}
    assert {card(name).licence for name in DEFAULTS} <= {"Apache-2.0", "MIT"}


def test_an_unknown_card_names_the_nearest() -> None:
    with pytest.raises(NotFound, match="yolov8n"):
        card("yolo8n")


def test_models_are_looked_for_in_the_given_folder_first(tmp_path: Path) -> None:
    places = search_path(tmp_path)
    assert places[0] == tmp_path and "bowerbird" in str(places[1])
    assert places[2].parts[-2:] == ("shared", "models")


def test_a_detector_with_a_dynamic_batch_comes_first(models_dir: Path) -> None:
    found = find_model("detector", None, [models_dir])
    assert found.dynamic and found.name == "yolo11n_dynamic"


def test_a_broken_model_loses_to_one_that_works(models_dir: Path, tmp_path: Path) -> None:
    broken = put(models_dir, tmp_path / "mine", "detectors/broken_yolov8n_quant.onnx")
    working = put(models_dir, tmp_path / "cache", "detectors/yolox_nano_416.onnx")
    assert find_model("detector", None, [broken, working]).name == "yolox_nano_416"


def test_the_earlier_folder_wins(models_dir: Path, tmp_path: Path) -> None:
    mine = put(models_dir, tmp_path / "mine", "detectors/yolox_nano_416.onnx")
    assert find_model("detector", None, [mine, models_dir]).origin == mine


def test_with_nothing_that_works_the_error_names_what_was_tried_and_what_to_fetch(
    models_dir: Path, tmp_path: Path
) -> None:
    broken = put(models_dir, tmp_path, "detectors/broken_yolov8n_quant.onnx")
    with pytest.raises(ModelError) as caught:
        find_model("detector", None, [broken])
    assert "finds nothing" in caught.value.message
    assert "hub models fetch yolox-nano" in caught.value.hint
    with pytest.raises(ModelError, match="hub models fetch clip-vit-b32"):
        find_model("embedder", None, [tmp_path / "absent"])


def test_a_model_is_found_by_its_name_and_by_its_path(models_dir: Path) -> None:
    by_name = find_model("detector", "yolox_nano_416", [models_dir])
    by_path = find_model("detector", str(by_name.path), [])
    assert by_path.path == by_name.path


def test_a_wanted_model_that_is_broken_is_an_error_not_a_substitute(models_dir: Path) -> None:
    with pytest.raises(ModelError, match="finds nothing"):
        find_model("detector", "broken_yolov8n_quant", [models_dir])


def test_an_embedder_where_a_detector_is_wanted_is_refused(models_dir: Path) -> None:
    with pytest.raises(ModelError, match="is an embedder, and a detector is needed"):
        find_model("detector", "clip-student", [models_dir])


def test_a_model_of_the_catalog_that_is_not_here_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="hub models fetch yolov8n"):
        find_model("detector", "yolov8n", [tmp_path])


def test_an_unknown_name_lists_the_nearest(models_dir: Path) -> None:
    with pytest.raises(NotFound, match="yolox_nano_416"):
        find_model("detector", "yolox_nano", [models_dir])


def test_a_path_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no such model"):
        find_model("detector", str(tmp_path / "none.onnx"), [])


def test_a_users_own_model_comes_before_the_known_ones(models_dir: Path, tmp_path: Path) -> None:
    put(models_dir, tmp_path, "detectors/yolov8n_dynamic.onnx")
    (tmp_path / "yolov8n_dynamic.onnx").rename(tmp_path / "our-birds.onnx")
    put(models_dir, tmp_path, "detectors/yolov8n_dynamic.onnx")
    assert find_model("detector", None, [tmp_path]).name == "our-birds"


def test_the_stand_in_for_clip_says_that_it_is_not_clip(models_dir: Path) -> None:
    found = find_model("embedder", "clip-student", [models_dir])
    assert found.path == models_dir / "clip-student"
    assert "NOT CLIP" in found.note


def test_the_listing_has_what_is_here_and_what_could_be(models_dir: Path) -> None:
    lines = {line.name: line for line in list_models([models_dir])}
    assert lines["yolov8n_dynamic"].status == "here" and "AGPL" in lines["yolov8n_dynamic"].licence
    assert lines["yolox_nano_416"].licence.startswith("Apache-2.0")
    assert lines["clip-vit-b32"].status == "not fetched" and lines["clip-vit-b32"].bytes > 600e6
    assert "NOT CLIP" in lines["clip-student"].note


def test_a_file_that_is_no_model_is_listed_as_broken(tmp_path: Path) -> None:
    (tmp_path / "half.onnx").write_bytes(b"\x08\x08")
    (line,) = (line for line in list_models([tmp_path]) if line.path)
    assert line.status == "broken" and "can't be opened" in line.note


def test_a_fetched_model_is_known_by_the_catalogs_name(models_dir: Path, tmp_path: Path) -> None:
    put(models_dir, tmp_path / "detectors", "detectors/yolox_nano_416.onnx")
    (tmp_path / "detectors/yolox_nano_416.onnx").rename(tmp_path / card("yolox-nano").files[0].filename)
    assert find_model("detector", "yolox-nano", [tmp_path]).licence.startswith("Apache-2.0")
    assert [line.status for line in list_models([tmp_path]) if line.name == "yolox-nano"] == ["here"]


def test_a_folder_full_of_files_is_not_read_for_ever(tmp_path: Path) -> None:
    constant_model(tmp_path / "000.onnx", np.ones((1, 4)))
    for i in range(1, 300):
        (tmp_path / f"{i:03}.onnx").hardlink_to(tmp_path / "000.onnx")
    assert len(models_in(tmp_path)) == 200
