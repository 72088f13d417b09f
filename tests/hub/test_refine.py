"""Review makes a campaign sharper."""

from collections import Counter
from dataclasses import replace

import cv2
import numpy as np
import pytest

from hub import campaigns as life
from hub.blobs import open_blobs
from hub.campaigns import Draft
from hub.models.builtin_embedder import BuiltinEmbedder
from hub.models.embedder import load_embedder
from hub.pipeline import Memory, decode_all, judge, perceive
from hub.refine import recalculate, sample_seed
from hub.scorers.exemplar import Exemplar
from hub.seeds import Pictures, picture_seeds, text_seeds
from hub.store import open_store
from hub.target import SeedTarget
from hub.triggers.detection import Detection
from hub.triggers.similarity import Similarity
from hub.types import Batch, Budget, Detections, ElementKind, Frame, Needs, SampleStatus, Score, SeedKind
from hub.vision import crop, decode
from shared.errors import InvalidInput
from tests.contract.storing import sample
from tests.hub.making import observation, version

ACCEPTED, DISCARDED, UNSORTED = SampleStatus.ACCEPTED, SampleStatus.DISCARDED, SampleStatus.UNSORTED
SIDE = 96
RARE = 200
"""A hue that the background does not have."""


@pytest.fixture
def parts(tmp_path):
    store = open_store(f"sqlite:///{tmp_path / 'hub.sqlite'}")
    yield store, open_blobs(f"file://{tmp_path / 'frames'}")
    store.close()


def look(stripes, number, hue=0):
    """A picture of stripes at an angle (degrees) with noise of its own, as PNG."""
    rng = np.random.default_rng([stripes, number, hue])
    y, x = np.mgrid[:SIDE, :SIDE]
    angle = np.radians(stripes + rng.normal(0, 4))
    wave = 128 + 80 * np.sin((x * np.cos(angle) + y * np.sin(angle)) / 3 + rng.uniform(0, 6))
    picture = np.stack([wave, np.full_like(wave, hue), wave[::-1] if hue else wave], axis=-1)
    noisy = np.clip(picture + rng.normal(0, 25, picture.shape), 0, 255).astype(np.uint8)
    return cv2.imencode(".png", noisy)[1].tobytes()


def see(embedder, pictures, camera="porch"):
    frames = [Frame(camera, i, 1000.0 + i, data) for i, data in enumerate(pictures)]
    return perceive(decode_all(frames)[0], Needs(frame_vector=True), None, embedder)


def show(store, embedder, count=240):
    """Background: so many frames of all kinds of stripes."""
    pictures = [look(15 * (i % 12), 1000 + i) for i in range(count)]
    store.write(Batch(see(embedder, pictures, "yard")))


def create(store, blobs, embedder, pictures, trigger=None, texts=(), name="stripes"):
    found = Pictures([(f"{i}.png", data) for i, data in enumerate(pictures)])
    seeds = [*picture_seeds(found, SeedKind.IMAGE, blobs, embedder), *text_seeds(texts, embedder)]
    draft = Draft(name, trigger or Similarity(), budget=Budget(0.0))
    life.create(store, draft, seeds, known_labels=tuple, sinks=("folder",), now=1.0)
    return life.commit(store, blobs, name, lambda: embedder, now=2.0)


def take(store, blobs, embedder, made, pictures):
    """Samples of the version `made`: everything it is shown."""
    seen = see(embedder, pictures)
    for one in seen:
        blobs.put(one.frame.id, one.frame.jpeg)
    samples = judge(seen, [SeedTarget(made, None)], Memory(), now=5.0).samples
    return store.write(Batch(seen, samples))


def scores(made, embedder, pictures):
    rows = np.concatenate([one.vectors for one in see(embedder, pictures)])
    return SeedTarget(made, None).match(rows).value


def statuses(store):
    return {s.frame_id: s.status for s in store.samples(limit=1000)}


def learned(store, name="stripes"):
    """Names of frames that are seeds, by whether they are wanted."""
    return Counter((s.blob, not s.negative) for s in store.seeds(name) if s.kind is SeedKind.SAMPLE)


def test_accepted_samples_become_seeds_and_discarded_ones_what_is_not_wanted(parts):
    store, blobs = parts
    embedder = BuiltinEmbedder()
    made = create(store, blobs, embedder, [look(0, 1)])
    yes, no, unsaid = take(store, blobs, embedder, made, [look(0, 2), look(45, 3), look(90, 4)])
    store.review([yes.id], ACCEPTED)
    store.review([no.id], DISCARDED)
    before = statuses(store)
    second = recalculate(store, blobs, "stripes", lambda: embedder, now=9.0)
    assert (second.number, second.created_at, store.campaign("stripes").version) == (2, 9.0, 2)
    assert learned(store) == {(yes.frame_id, True): 1, (no.frame_id, False): 1}
    assert {s.id for s in second.seeds} == {s.id for s in store.seeds("stripes")}
    assert second.seeds[0].kind is SeedKind.IMAGE
    assert statuses(store) == before == {yes.frame_id: ACCEPTED, no.frame_id: DISCARDED, unsaid.frame_id: UNSORTED}
    assert len(store.versions("stripes")[0].seeds) == 1


def test_a_sample_whose_status_was_changed_is_no_seed_any_more_or_the_opposite(parts):
    store, blobs = parts
    embedder = BuiltinEmbedder()
    made = create(store, blobs, embedder, [look(0, 1)])
    back, turned = take(store, blobs, embedder, made, [look(0, 2), look(45, 3)])
    store.review([back.id, turned.id], ACCEPTED)
    recalculate(store, blobs, "stripes", lambda: embedder, now=9.0)
    store.review([back.id], UNSORTED)
    store.review([turned.id], DISCARDED)
    third = recalculate(store, blobs, "stripes", lambda: embedder, now=10.0)
    assert learned(store) == {(turned.frame_id, False): 1}
    assert third.number == 3
    again = recalculate(store, blobs, "stripes", lambda: embedder, now=11.0)
    assert [s.id for s in again.seeds] == [s.id for s in third.seeds]


def test_seeds_of_ones_own_are_never_taken_away(parts):
    store, blobs = parts
    embedder = BuiltinEmbedder()
    made = create(store, blobs, embedder, [look(0, 1), look(0, 5)])
    (same, other) = take(store, blobs, embedder, made, [look(0, 1), look(0, 2)])
    store.review([same.id, other.id], DISCARDED)
    second = recalculate(store, blobs, "stripes", lambda: embedder, now=9.0)
    assert sum(s.kind is SeedKind.IMAGE for s in second.seeds) == 2
    assert learned(store)[same.frame_id, False] == 1


@pytest.mark.parametrize("background", [0, 240], ids=["typical", "calibrated"])
def test_what_was_discarded_ranks_lower_than_before_and_what_was_accepted_higher(parts, background):
    store, blobs = parts
    embedder = BuiltinEmbedder()
    if background:
        show(store, embedder, background)
    made = create(store, blobs, embedder, [look(75, 1, RARE)])
    assert (made.scorer.name == Exemplar.name) == bool(background)
    wanted, unwanted = ([look(angle, i, RARE) for i in range(6)] for angle in (30, 120))
    taken = take(store, blobs, embedder, made, wanted[:4] + unwanted[:4])
    store.review([s.id for s in taken[:4]], ACCEPTED)
    store.review([s.id for s in taken[4:]], DISCARDED)
    second = recalculate(store, blobs, "stripes", lambda: embedder, now=9.0)
    assert second.scorer.name == made.scorer.name
    before, after = (scores(v, embedder, wanted[4:] + unwanted[4:]) for v in (made, second))
    assert before[:2].min() < before[2:].max(), "it was all right before"
    assert after[:2].min() > after[2:].max()
    assert (after[2:] < before[2:]).all(), (before, after)


def test_a_sample_of_a_crop_is_learned_with_its_box_and_embedded_anew_from_it(parts, models_dir, data_dir):
    store, blobs = parts
    old, new = BuiltinEmbedder(), load_embedder(models_dir / "mobilenetv2", threads=1)
    jpeg = (data_dir / "photos" / "parrot.jpg").read_bytes()
    picture = decode(jpeg)
    made = create(store, blobs, old, [jpeg], Similarity(ElementKind.CROP))
    box = np.array([40.3, 30.7, 210.2, 190.9], np.float32)
    frame = Frame("porch", 1, 1000.0, jpeg)
    seen = replace(
        observation(("bird", 0.9)),
        frame=frame,
        size_wh=(picture.shape[1], picture.shape[0]),
        detections=Detections(box[None], np.array([0.9], np.float32), ("bird",)),
        vectors=old.embed([picture, crop(picture, box)]),
        embedding_version=old.version,
    )
    blobs.put(frame.id, jpeg)
    (taken,) = store.write(Batch([seen], judge([seen], [SeedTarget(made, None)], Memory(), now=5.0).samples))
    store.review([taken.id], ACCEPTED)
    second = recalculate(store, blobs, "stripes", lambda: old, now=9.0)
    (learned_,) = [s for s in second.seeds if s.kind is SeedKind.SAMPLE]
    assert learned_.box == pytest.approx(tuple(box.tolist()))
    assert learned_.vector @ seen.vectors[1] > 0.999
    third = recalculate(store, blobs, "stripes", lambda: new, now=10.0)
    (anew,) = [s for s in third.seeds if s.kind is SeedKind.SAMPLE]
    assert (anew.embedding_version, third.embedding_version) == (new.version, new.version)
    assert anew.vector @ new.embed([crop(picture, box)])[0] > 0.999
    assert anew.vector @ new.embed([picture])[0] < 0.99


def test_a_frame_that_a_detector_was_unsure_of_is_learned_whole(parts):
    store, blobs = parts
    embedder = BuiltinEmbedder()
    made = create(store, blobs, embedder, [look(0, 1)], Detection(disagreement=("missed", "unsure")))
    (one,) = see(embedder, [look(20, 2)])
    seen = replace(one, detections=Detections(np.array([[5, 5, 50, 50]], np.float32), np.array([0.5]), ("bird",)))
    blobs.put(one.frame.id, one.frame.jpeg)
    (taken,) = store.write(Batch([seen], judge([seen], [SeedTarget(made, None)], Memory(), now=5.0).samples))
    assert (taken.score.row, taken.score.scorer) == (1, "unsure")
    store.review([taken.id], DISCARDED)
    (learned_,) = [s for s in recalculate(store, blobs, "stripes", lambda: embedder, now=9.0).seeds if s.negative]
    assert learned_.box is None
    assert learned_.vector @ one.vectors[0] > 0.999


def test_a_campaign_of_words_alone_learns_from_review(parts, models_dir, data_dir):
    store, blobs = parts
    embedder = load_embedder(models_dir / "clip-student", threads=1)
    photos = [(data_dir / "photos" / name).read_bytes() for name in ("owl.jpg", "parrot.jpg", "pets.jpg")]
    made = create(store, blobs, embedder, [], texts=("a bird",))
    owl, _, pets = take(store, blobs, embedder, made, photos)
    store.review([owl.id], ACCEPTED)
    store.review([pets.id], DISCARDED)
    second = recalculate(store, blobs, "stripes", lambda: embedder, now=9.0)
    assert [s.kind for s in second.seeds] == [SeedKind.TEXT, SeedKind.SAMPLE, SeedKind.SAMPLE]
    before, after = (scores(v, embedder, photos) for v in (made, second))
    assert after[0] > before[0]
    assert after[2] < 0.5 <= after[0]


def test_words_with_only_discarded_samples_are_enough(parts, models_dir, data_dir):
    store, blobs = parts
    embedder = load_embedder(models_dir / "clip-student", threads=1)
    made = create(store, blobs, embedder, [], texts=("a bird",))
    (pets,) = take(store, blobs, embedder, made, [(data_dir / "photos" / "pets.jpg").read_bytes()])
    store.review([pets.id], DISCARDED)
    assert recalculate(store, blobs, "stripes", lambda: embedder, now=9.0).number == 2


def test_where_nothing_was_reviewed_it_says_how_to(parts):
    store, blobs = parts
    embedder = BuiltinEmbedder()
    made = create(store, blobs, embedder, [look(0, 1)])
    take(store, blobs, embedder, made, [look(0, 2)])
    with pytest.raises(InvalidInput, match="no sample of 'stripes' was reviewed") as refusal:
        recalculate(store, blobs, "stripes", lambda: embedder, now=9.0)
    assert "hub samples accept" in refusal.value.hint
    assert store.campaign("stripes").version == 1


def test_when_all_is_taken_back_the_seeds_are_those_of_before(parts):
    store, blobs = parts
    embedder = BuiltinEmbedder()
    made = create(store, blobs, embedder, [look(0, 1)])
    (one,) = take(store, blobs, embedder, made, [look(0, 2)])
    store.review([one.id], ACCEPTED)
    recalculate(store, blobs, "stripes", lambda: embedder, now=9.0)
    store.review([one.id], UNSORTED)
    third = recalculate(store, blobs, "stripes", lambda: embedder, now=10.0)
    assert [s.id for s in third.seeds] == [s.id for s in made.seeds]


def test_a_detection_campaign_learns_nothing(parts):
    store, blobs = parts
    life.create(store, Draft("birds", Detection()), [], known_labels=tuple, sinks=("folder",), now=1.0)
    with pytest.raises(InvalidInput, match="learns nothing from review"):
        recalculate(store, blobs, "birds", BuiltinEmbedder, now=9.0)


def test_more_samples_than_a_page_are_all_learned_from(parts):
    store, blobs = parts
    embedder = BuiltinEmbedder()
    made = create(store, blobs, embedder, [look(0, 1)])
    rng = np.random.default_rng(0)
    seen = [observation(vectors=rng.standard_normal(embedder.dim), content=str(i), at=float(i)) for i in range(1100)]
    samples = [
        replace(sample(made, one), score=Score(0.8), box=one.box(0), embedding_version=embedder.version)
        for one in (replace(o, detections=observation(("bird", 0.9)).detections) for o in seen)
    ]
    store.write(Batch(samples=samples))
    store.review([s.id for s in samples[:600]], ACCEPTED)
    store.review([s.id for s in samples[600:]], DISCARDED)
    second = recalculate(store, blobs, "stripes", lambda: embedder, now=9.0)
    assert Counter(s.negative for s in second.seeds) == {False: 601, True: 500}


def test_a_seed_is_named_after_its_camera_and_sample():
    taken = replace(sample(version(), observation(("bird", 0.9), vectors=[1, 0])), status=ACCEPTED)
    assert sample_seed(taken, ElementKind.FRAME).name == f"porch {taken.id}"
