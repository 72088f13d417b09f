"""Which models a hub uses, and that it can change its embedder while it runs."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hub.app import open_hub
from hub.loading import Loading
from hub.settings import read_settings
from shared.errors import NotFound


def loading(tmp_path: Path, models_dir: Path, chosen: list[str], **env: str) -> Loading:
    given = {"HUB_DATA_DIR": str(tmp_path), "HUB_MODELS_DIR": str(models_dir), "HUB_DEVICE": "cpu", **env}
    return Loading(read_settings(given), lambda: chosen[-1])


def test_the_embedder_that_was_switched_to_is_used_from_then_on(tmp_path: Path, models_dir: Path) -> None:
    chosen = [""]
    models = loading(tmp_path, models_dir, chosen)
    first = models.embedder()
    assert models.embedder() is first
    chosen.append("mobilenetv2_imagenet")
    assert models.embedder().name.startswith("mobilenetv2")
    assert models.embedder().version != first.version
    found = models.found("embedder")
    assert found is not None
    assert found.name == "mobilenetv2_imagenet"


def test_what_the_settings_name_counts_more(tmp_path: Path, models_dir: Path) -> None:
    models = loading(tmp_path, models_dir, ["mobilenetv2_imagenet"], HUB_EMBEDDER="clip-student")
    assert models.embedder().name.startswith("clip-student")


def test_another_embedder_can_be_loaded_beside_the_one_in_use(tmp_path: Path, models_dir: Path) -> None:
    models = loading(tmp_path, models_dir, ["clip-student"])
    assert models.embedder("mobilenetv2_imagenet").name.startswith("mobilenetv2")
    assert models.embedder().name.startswith("clip-student")


def test_an_embedder_that_was_switched_to_and_is_gone_is_no_silent_fallback(tmp_path: Path, models_dir: Path) -> None:
    with pytest.raises(NotFound):
        loading(tmp_path, models_dir, ["clip-of-yesterday"]).embedder()


def test_the_built_in_one_can_be_switched_to(tmp_path: Path, models_dir: Path) -> None:
    models = loading(tmp_path, models_dir, ["built-in colour and edge descriptor"])
    assert models.embedder().name.startswith("built-in")


def test_threads_that_ask_for_the_store_at_once_get_the_same(tmp_path: Path) -> None:
    hub = open_hub(read_settings({"HUB_DATA_DIR": str(tmp_path)}))
    ready = threading.Barrier(8)

    def ask(_: int) -> int:
        ready.wait(10)
        return id(hub.store)

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(ask, range(8)))) == 1
    hub.close()
