"""Committing a campaign: what is frozen, and what happens when the embedder changes."""

import pytest

from hub import campaigns as life
from hub.blobs import open_blobs
from hub.campaigns import Draft
from hub.models.builtin_embedder import BuiltinEmbedder
from hub.models.embedder import load_embedder
from hub.store import open_store
from hub.triggers.similarity import Similarity
from hub.types import SeedKind
from shared.errors import ModelError


@pytest.fixture
def parts(tmp_path):
    store = open_store(f"sqlite:///{tmp_path / 'hub.sqlite'}")
    yield store, open_blobs(f"file://{tmp_path / 'frames'}")
    store.close()


def _create(store, blobs, data_dir, embedder):
    found = life.read_pictures([data_dir / "photos" / "owl.jpg"])
    seeds = life.picture_seeds(found, SeedKind.IMAGE, blobs, embedder)
    life.create(store, Draft("owls", Similarity()), seeds, known_labels=tuple, sinks=("folder",), now=1.0)


def test_seeds_of_another_embedder_are_embedded_anew_from_their_kept_pictures(parts, data_dir, models_dir):
    store, blobs = parts
    old, new = BuiltinEmbedder(), load_embedder(models_dir / "mobilenetv2", threads=1)
    _create(store, blobs, data_dir, old)
    first = life.commit(store, blobs, "owls", lambda: old, now=2.0)
    with pytest.raises(ModelError, match="another model") as refusal:
        life.commit(store, blobs, "owls", lambda: new, now=3.0)
    assert "--re-embed" in refusal.value.hint
    second = life.commit(store, blobs, "owls", lambda: new, now=3.0, re_embed=True)
    assert (second.number, second.embedding_version) == (2, new.version)
    assert second.seeds[0].vector.shape == (new.dim,)
    (kept, _) = store.versions("owls")
    assert (kept.embedding_version, kept.seeds[0].vector.shape) == (first.embedding_version, (old.dim,))


def test_activating_commits_once_and_says_when_something_is_not_committed(parts, data_dir):
    store, blobs = parts
    embedder = BuiltinEmbedder()
    _create(store, blobs, data_dir, embedder)
    assert life.uncommitted(store, store.campaign("owls"))
    for _ in range(2):
        campaign = life.activate(store, blobs, "owls", lambda: embedder, now=2.0)
    assert campaign.version == 1
    assert not life.uncommitted(store, campaign)
    more = life.read_pictures([data_dir / "photos" / "parrot.jpg"])
    store.add_seeds("owls", life.picture_seeds(more, SeedKind.IMAGE, blobs, embedder))
    assert life.uncommitted(store, campaign)
