"""To another embedder, with two real ones over a real store."""

from pathlib import Path

import numpy as np
import pytest

from hub.archive import SeenFrame
from hub.blobs import open_blobs
from hub.campaigns import commit
from hub.corpus import Corpus
from hub.models.builtin_embedder import BuiltinEmbedder
from hub.models.embedder import load_embedder
from hub.reembed import re_embed
from hub.seeds import text_seeds
from hub.store import open_store
from hub.switch import migrate, survey, version_to_leave
from hub.triggers.similarity import Similarity
from hub.types import Campaign, CampaignState, Detections, Frame, Observation, Seed, SeedKind
from hub.vision import crop, decode
from shared.errors import InvalidInput, ModelError
from tests.hub.exchange.corpora import Pictures, frame_id, jpeg
from tests.hub.making import unit, version

TINY = Path(__file__).parent / "models/fixtures/tiny-clip"
FRAMES = 12


@pytest.fixture(scope="module")
def new():
    """A CLIP of few weights."""
    return load_embedder(TINY, device="cpu", threads=1)


@pytest.fixture(scope="module")
def old():
    return BuiltinEmbedder()


@pytest.fixture
def store(tmp_path, old):
    """Twelve frames with a crop each, embedded by the old embedder."""
    opened = open_store(f"sqlite:///{tmp_path / 'hub.sqlite'}")
    add(opened.archive, old, range(FRAMES))
    opened.archive.record_embedder(old.version, old.name, old.dim)
    yield opened
    opened.close()


@pytest.fixture
def pictures():
    """All but that of frame 0, and that of frame 1 is damaged."""
    return Pictures({frame_id(i): jpeg(i) for i in range(2, FRAMES + 20)} | {frame_id(1): b"damaged"})


def add(archive, embedder, numbers):
    seen = [observed(embedder, i) for i in numbers]
    archive.add_frames([SeenFrame(s.frame.id, s.frame.camera, s.frame.taken_at, s.size_wh) for s in seen], seen)


def observed(embedder, i):
    box = np.array([[8, 8, 40, 40]], np.float32)
    image = decode(jpeg(i))
    vectors = embedder.embed([image, crop(image, box[0])])
    found = Detections(box, np.array([0.9], np.float32), ("bird",))
    frame = Frame("porch", 0, 1000.0 + i, b"", digest=frame_id(i))
    return Observation(frame, (64, 48), found, vectors, embedder.version, "yolo 1")


def switch(store, blobs, pictures, new, old, **changes):
    settings = {"loaded_as": "tiny-clip", "old": old.version, "build": lambda: None}
    return migrate(store, blobs, pictures, new, **(settings | changes))


@pytest.fixture
def blobs(tmp_path):
    return open_blobs(f"file://{tmp_path / 'frames'}")


@pytest.mark.parametrize("workers", [1, 3])
def test_every_kept_picture_is_embedded_as_the_new_embedder_would_have(store, pictures, new, old, workers):
    progress, _ = re_embed(store.archive, pictures, new, old.version, workers=workers)
    assert (progress.stored, progress.gone, progress.broken, progress.known) == (20, 2, 2, 0)
    got = store.archive.of_frames([frame_id(i) for i in range(FRAMES)], new.version)
    assert got.keys() == {frame_id(i) for i in range(2, FRAMES)}
    for i in range(2, FRAMES):
        wanted = observed(new, i)
        for stored, vector in zip(got[frame_id(i)], wanted.vectors, strict=True):
            assert stored.vector @ vector > 0.999
        assert [(s.element.row, s.element.box, s.element.label) for s in got[frame_id(i)]] == [
            (0, (0, 0, 64, 48), ""),
            (1, (8, 8, 40, 40), "bird"),
        ]


def test_a_search_finds_the_same_picture_after_the_switch(store, blobs, pictures, new, old):
    switch(store, blobs, pictures, new, old)
    corpus = Corpus(store.archive, new.version, None)
    ((hit, *_),) = corpus.search(new.embed([decode(jpeg(7))]), 1)
    assert (hit.element.frame_id, hit.element.row) == (frame_id(7), 0)


def test_one_that_is_stopped_leaves_all_as_it_was_and_goes_on_the_next_time(store, blobs, pictures, new, old):
    def stop(progress):
        if progress.stored >= 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        switch(store, blobs, pictures, new, old, show=stop)
    assert store.archive.chosen_embedder() == ""
    done = store.archive.count(new.version)
    assert 8 <= done < 20
    ((hit, *_),) = Corpus(store.archive, old.version, None).search(old.embed([decode(jpeg(7))]), 1)
    assert hit.element.frame_id == frame_id(7)
    rest = switch(store, blobs, pictures, new, old).progress
    assert (rest.known, rest.stored) == (done, 20 - done)


def test_what_is_seen_meanwhile_is_caught_up_with_before_and_after_the_switch(store, blobs, pictures, new, old):
    waiting = [range(FRAMES, FRAMES + 6), range(FRAMES + 6, FRAMES + 7)]

    def meanwhile(progress):
        if waiting and progress.done >= 20:
            add(store.archive, old, waiting.pop(0))

    def build():
        assert store.archive.count(new.version) == 2 * (FRAMES - 2 + 7)
        add(store.archive, old, [FRAMES + 7])

    switch(store, blobs, pictures, new, old, show=meanwhile, build=build)
    assert store.archive.count(new.version) == 2 * (FRAMES - 2 + 8)


def test_the_switch_tells_a_running_hub_and_comes_after_the_index(store, blobs, pictures, new, old):
    before, chosen = store.revision(), []
    switch(store, blobs, pictures, new, old, build=lambda: chosen.append(store.archive.chosen_embedder()))
    assert (chosen, store.archive.chosen_embedder()) == ([""], "tiny-clip")
    assert store.revision() > before
    assert {use.version: use.embedder for use in store.archive.embedding_versions()}[new.version] == new.name


def test_what_was_old_stays_unless_it_is_to_be_dropped(store, blobs, pictures, new, old):
    assert switch(store, blobs, pictures, new, old).dropped == 0
    assert store.archive.count(old.version) == 2 * FRAMES
    assert switch(store, blobs, pictures, new, old, drop_old=True).dropped == 2 * FRAMES
    assert (store.archive.count(old.version), store.archive.count(new.version)) == (0, 20)


def test_seeds_are_embedded_anew(store, blobs, pictures, new, old):
    key = "a" * 32
    blobs.put(key, jpeg(5))
    picture = Seed(key, SeedKind.IMAGE, "five.jpg", key, old.embed([decode(jpeg(5))])[0], old.version)
    campaign(store, "birds", picture)
    assert switch(store, blobs, pictures, new, old).seeds == 1
    (seed,) = store.seeds("birds")
    assert seed.embedding_version == new.version
    assert seed.vector @ new.embed([decode(jpeg(5))])[0] > 0.999


def test_a_seed_that_can_not_be_embedded_is_said_before_anything_is_done(store, blobs, pictures, new, old):
    campaign(store, "words", *text_seeds(["a bird"], new))
    add(store.archive, new, range(2, 4))
    with pytest.raises(ModelError, match="'words'"):
        switch(store, blobs, pictures, old, new, loaded_as="built-in")
    assert store.archive.chosen_embedder() == ""


def test_a_campaign_that_is_not_active_does_not_hold_the_others_up(store, blobs, pictures, new, old):
    campaign(store, "words", *text_seeds(["a bird"], new), active=False)
    add(store.archive, new, range(2, 4))
    assert switch(store, blobs, pictures, old, new, loaded_as="built-in").left == ("words",)


def test_the_pictures_of_an_inactive_campaign_are_embedded_though_its_text_is_not(store, blobs, pictures, new, old):
    key = "a" * 32
    blobs.put(key, jpeg(5))
    picture = Seed(key, SeedKind.IMAGE, "five.jpg", key, new.embed([decode(jpeg(5))])[0], new.version)
    campaign(store, "cars", picture, *text_seeds(["a bird"], new), active=False)
    add(store.archive, new, range(2, 4))
    done = switch(store, blobs, pictures, old, new, loaded_as="built-in")
    assert (done.seeds, done.left, done.seeds_lost) == (1, ("cars",), ("cars: a bird",))
    assert {seed.name: seed.embedding_version for seed in store.seeds("cars")} == {
        "five.jpg": old.version, "a bird": new.version,
    }  # fmt: skip


def test_a_picture_that_is_gone_is_named_and_the_others_are_embedded(store, blobs, pictures, new, old):
    keys = ["a" * 32, "b" * 32]
    blobs.put(keys[0], jpeg(5))
    vector = old.embed([decode(jpeg(5))])[0]
    seeds = [Seed(key, SeedKind.IMAGE, f"{key[0]}.jpg", key, vector, old.version) for key in keys]
    campaign(store, "birds", *seeds, active=False)
    done = switch(store, blobs, pictures, new, old)
    assert (done.seeds, done.seeds_lost) == (1, ("birds: b.jpg",))


def test_a_survey_names_the_seeds_that_would_be_lost(store, pictures, new, old):
    campaign(store, "words", *text_seeds(["a bird", "a fox"], new), active=False)
    task = survey(store, pictures.held, old, new.version)
    assert (task.seeds, task.seeds_lost) == (2, ("words: a bird", "words: a fox"))
    assert survey(store, pictures.held, new, old.version).seeds_lost == ()


def test_after_the_removal_that_the_error_names_the_migration_goes_on(store, blobs, pictures, new, old):
    key = "a" * 32
    blobs.put(key, jpeg(5))
    picture = Seed(key, SeedKind.IMAGE, "five.jpg", key, new.embed([decode(jpeg(5))])[0], new.version)
    campaign(store, "cars", picture, *text_seeds(["a car"], new))
    add(store.archive, new, range(2, 4))
    with pytest.raises(ModelError, match="'a car'") as error:
        switch(store, blobs, pictures, old, new, loaded_as="built-in")
    assert "hub campaigns seed 'cars' --remove 'a car'" in error.value.hint
    store.remove_seeds("cars", [seed.id for seed in store.seeds("cars") if seed.kind is SeedKind.TEXT])
    commit(store, blobs, "cars", lambda: new, now=2000.0)
    assert switch(store, blobs, pictures, old, new, loaded_as="built-in").seeds == 1


def campaign(store, name, *seeds, active=True):
    """One with seeds, committed as they are."""
    made = store.add_campaign(Campaign(0, name, Similarity()), seeds)
    if active:
        changes = {"campaign_id": made.id, "campaign": name, "embedding_version": seeds[0].embedding_version}
        store.commit(version(Similarity(), seeds, **changes))
        store.set_campaign_state(name, CampaignState.ACTIVE)


def test_a_survey_says_what_there_is_to_do(store, pictures, new, old):
    task = survey(store, pictures.held, new, old.version)
    assert (task.elements, task.frames, task.held, task.known, task.seeds) == (24, 12, 11, 0, 0)


def test_the_version_to_leave_is_that_of_the_newest_elements(store, new, old):
    assert version_to_leave(store.archive, new.version) == old.version
    with pytest.raises(InvalidInput, match="nothing to embed anew"):
        version_to_leave(store.archive, old.version)


def test_the_embedder_in_use_is_not_migrated_to(store, blobs, pictures, old):
    with pytest.raises(InvalidInput, match="used already"):
        switch(store, blobs, pictures, old, old)


def test_a_flat_picture_without_a_vector_is_counted_and_not_stored(store, new):
    class Blind:
        version, name, dim = new.version, new.name, new.dim

        def embed(self, images):
            vectors = unit(np.ones((len(images), new.dim)))
            vectors[0] = 0
            return vectors

    progress, _ = re_embed(store.archive, Pictures({frame_id(3): jpeg(3)}), Blind(), BuiltinEmbedder().version)
    assert (progress.stored, progress.broken, progress.gone) == (1, 1, 22)
