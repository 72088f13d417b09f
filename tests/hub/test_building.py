"""The index is built beside a running hub: by a process of its own, when it is worth it; its faults are told."""

from pathlib import Path

import numpy as np
import pytest

from hub import building
from hub.archive import Newcomer
from hub.building import build_if_worth_it
from hub.corpus import IndexStats, SegmentStats
from hub.models.builtin_embedder import BuiltinEmbedder
from hub.store import open_store
from shared.errors import BowerbirdError


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With a dozen elements of the built-in embedder."""
    monkeypatch.setenv("HUB_EMBEDDER", "built-in")
    monkeypatch.setattr(building, "WORTH_BUILDING", 10)
    store, embedder = open_store(f"sqlite:///{tmp_path / 'hub.sqlite'}"), BuiltinEmbedder()
    vectors = np.random.default_rng(0).standard_normal((12, embedder.dim)).astype(np.float32)
    whole = (0.0, 0.0, 64.0, 48.0)
    store.archive.add([Newcomer(f"f{i}", 0, embedder.version, "porch", 1.0, whole, v) for i, v in enumerate(vectors)])
    store.close()
    return tmp_path


def test_few_elements_are_not_worth_a_process(data_dir: Path) -> None:
    assert not build_if_worth_it(lambda: 9, data_dir)
    assert not (data_dir / "indexes").exists()


def test_enough_of_them_are_indexed(data_dir: Path) -> None:
    assert build_if_worth_it(lambda: 10, data_dir)
    assert list((data_dir / "indexes" / "corpus").iterdir())


def test_a_build_that_fails_says_why(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_EMBEDDER", "no-such-model")
    with pytest.raises(BowerbirdError, match="no-such-model"):
        build_if_worth_it(lambda: 10, data_dir)


def test_what_a_search_wrote_down_without_an_index_waits_for_one() -> None:
    segments = tuple(
        SegmentStats(name, n, 0, kind, asked, 1.0, 0, 0)
        for name, n, kind, asked in (
            ("small", 9_000, "exact", "exact"),
            ("spilt", 21_000, "exact", "exact"),
            ("built", 50_000, "annoy", "annoy"),
            ("without structure", 60_000, "exact", "annoy"),
        )
    )
    assert IndexStats(140_500, 140_000, 500, 0, "annoy", 0, segments).waiting == 21_500
