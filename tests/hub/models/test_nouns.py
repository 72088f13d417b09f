"""The nouns a text is held against: embedded once for each text tower, and kept."""

from pathlib import Path

import numpy as np
import pytest

from hub.models.embedder import load_embedder
from hub.models.nouns import kept_in, noun_vectors, nouns

TINY = Path(__file__).parent / "fixtures" / "tiny-clip"


class Tower:
    """Counts what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, texts):
        self.asked += texts
        vectors = np.random.default_rng(len(self.asked)).standard_normal((len(texts), 8)).astype(np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_they_are_many_and_each_is_named_once():
    assert len(nouns()) == len(set(nouns())) == 1454


def test_a_tower_is_asked_once(tmp_path):
    tower = Tower()
    first = noun_vectors("a", tower, tmp_path)
    assert tower.asked[:2] == [f"a {noun}" for noun in nouns()[:2]]
    assert len(tower.asked) == len(first) == len(nouns())
    again = noun_vectors("a", tower, tmp_path)
    assert len(tower.asked) == len(nouns())
    np.testing.assert_array_equal(first, again)


def test_another_tower_is_asked_for_itself(tmp_path):
    tower = Tower()
    noun_vectors("a", tower, tmp_path)
    noun_vectors("b", tower, tmp_path)
    assert len(tower.asked) == 2 * len(nouns())


@pytest.mark.parametrize("damage", [b"", b"no array", None])
def test_what_is_damaged_is_embedded_again(tmp_path, damage):
    tower = Tower()
    noun_vectors("a", tower, tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-100] if damage is None else damage)
    assert len(noun_vectors("a", tower, tmp_path)) == len(nouns())
    assert len(tower.asked) == 2 * len(nouns())


def test_where_nothing_can_be_kept_they_are_embedded_all_the_same(tmp_path, caplog):
    (tmp_path / "file").write_bytes(b"")
    assert len(noun_vectors("a", Tower(), tmp_path / "file" / "below")) == len(nouns())
    assert "can't be kept" in caplog.text


def test_a_clip_with_a_text_tower_has_them(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    embedder = load_embedder(TINY, device="cpu")
    assert embedder.nouns().shape == (len(nouns()), embedder.dim)
    np.testing.assert_allclose(embedder.nouns()[3], embedder.embed_text([f"a {nouns()[3]}"])[0], atol=1e-5)
    assert [path.parent for path in kept_in().iterdir()] == [kept_in()]
