"""CollectionClient gives the same against a hub in the process and one over HTTP."""

import json
import os
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest
from werkzeug.serving import make_server

from hub.appraise import Appraiser
from hub.client import CollectionClient, LabeledFrame
from hub.client.remote import RemoteCollection
from hub.collection.local import LocalCollection
from hub.target import SeedTarget
from hub.triggers.change import Change
from hub.triggers.detection import Detection
from hub.triggers.similarity import Similarity
from hub.types import Budget, Campaign, CampaignState, Detections, ElementKind, Frame, Observation, RateLimit, Scope
from hub.vision import crop, decode
from hub.web import create_app
from shared.errors import AlreadyExists, BowerbirdError, ImageError, InvalidInput, NotFound, NotSetUp
from tests.hub.making import seed, unit, version
from tests.hub.web.making import TOKEN, Parts, jpeg
from tests.hub.web.serving import serving

DIM = 8
AXES = np.eye(DIM, dtype=np.float32)


@pytest.fixture
def parts(tmp_path):
    made = Parts(tmp_path, TOKEN)
    yield made
    made.store.close()


@contextmanager
def served(parts):
    server = make_server("127.0.0.1", 0, create_app(parts), threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(params=["in process", "remote"])
def client(request, parts):
    if request.param == "in process":
        with CollectionClient(hub=parts) as made:
            yield made
        return
    with served(parts) as url, CollectionClient() as made:
        made.set_credentials(api_key=TOKEN, api_url=url)
        yield made


def campaign(parts, name="trucks", vector=AXES[0], trigger=None, active=True, **changes):
    """A committed campaign whose one seed is a vector of embedding version v1."""
    trigger = trigger or Similarity()
    made = parts.store.add_campaign(Campaign(0, name, trigger), [])
    of = changes.get("embedding_version", "v1")
    own = replace(seed(vector, f"{name} seed"), id=f"seed-{name}", embedding_version=of)
    seeds = (own,) if trigger.wants_seeds else ()
    committed = version(trigger, seeds, campaign_id=made.id, campaign=name, **changes)
    kept = parts.store.commit(replace(committed, number=1))
    if active:
        parts.store.set_campaign_state(name, CampaignState.ACTIVE)
    return kept


def like(cosine, axis=0, other=7):
    """A unit vector at a cosine to an axis."""
    return cosine * AXES[axis] + np.sqrt(1 - cosine**2) * AXES[other]


def offered(i, vector, at=None, **more):
    frame = LabeledFrame(frame_id=f"frame-{i}", date_captured=1000.0 + i if at is None else at, **more)
    frame.add_image(jpeg(i))
    frame.add_frame_embedding(embedding=vector * 3, model_id="v1")
    return frame


def frames_like(*cosines, axis=0):
    return [offered(i, like(cosine, axis)) for i, cosine in enumerate(cosines)]


def taken_ids(report):
    return [each.probability.frame_id for each in report.frames]


# ── syncing ──────────────────────────────────────────────────────────────────────────────────────────


def test_sync_takes_the_active_campaigns_with_scorer_and_seeds(client, parts):
    made = campaign(parts)
    campaign(parts, "asleep", active=False)
    (synced,) = client.sync_state()
    assert (synced.id, synced.campaign, synced.number) == (made.id, "trucks", 1)
    assert (synced.trigger, synced.scope, synced.budget) == (made.trigger, made.scope, made.budget)
    assert synced.scorer.name == made.scorer.name
    assert np.array_equal(synced.seeds[0].vector, AXES[0])


@pytest.mark.parametrize("said", [{"target_project_names": ["b"]}, {"target_segment_uuids": ["2"]}])
def test_projects_and_segments_are_campaigns_by_name_or_id(client, parts, said):
    for name in "abc":
        campaign(parts, name)
    assert [each.campaign for each in client.sync_state(**said)] == ["b"]


def test_a_campaign_that_is_unknown_or_asleep_is_an_error(client, parts):
    campaign(parts, "asleep", active=False)
    with pytest.raises(InvalidInput, match="no campaign named 'trukcs'"):
        client.sync_state(["trukcs"])
    with pytest.raises(InvalidInput, match="'asleep' is not active"):
        client.sync_state(["asleep"])


def test_a_name_in_place_of_a_list_is_an_error(client):
    with pytest.raises(InvalidInput, match="list of names"):
        client.sync_state("trucks")


def test_sync_is_a_moment_and_what_changes_later_waits_for_the_next(client, parts):
    campaign(parts)
    client.sync_state()
    parts.store.set_campaign_state("trucks", CampaignState.INACTIVE)
    client.sample_probabilities(frames_like(0.9), "v1")
    assert client.save_for_collection(dry_run=True).statistics[0].collected == 1
    assert client.sync_state() == []


def test_nothing_is_sampled_or_saved_before_a_sync(client):
    with pytest.raises(NotSetUp, match="not fetched"):
        client.sample_probabilities([])
    with pytest.raises(NotSetUp, match="not fetched"):
        client.save_for_collection()


# ── scoring ──────────────────────────────────────────────────────────────────────────────────────────


def test_probabilities_name_what_won_and_why(client, parts):
    campaign(parts)
    client.sync_state()
    (score,) = client.sample_probabilities(frames_like(0.6), "v1")["trucks"]
    assert score.similarity_score == pytest.approx(0.5, abs=0.01)
    assert (score.frame_id, score.sampled_element_id, score.version) == ("frame-0", "frame-0", 1)
    assert score.closest_seed == "trucks seed"
    assert score.cosine == pytest.approx(0.6, abs=1e-3)


def test_the_best_crop_wins_a_crop_campaign(client, parts):
    campaign(parts, trigger=Similarity(element=ElementKind.CROP))
    client.sync_state()
    frame = offered(0, AXES[5])
    for label, cosine in (("left", 0.3), ("right", 0.9)):
        frame.add_label_2d_bbox(
            label_id=label, classification="truck", top=1, left=2, width=20, height=10, confidence=cosine
        )
        frame.add_crop_embedding(label_id=label, embedding=like(cosine))
    (score,) = client.sample_probabilities([frame], "v1")["trucks"]
    assert score.sampled_element_id == "right"
    client.save_for_collection()
    (sample,) = parts.store.samples()
    assert sample.box == (2.0, 1.0, 22.0, 11.0)
    assert sample.detections.label == ("truck", "truck")


def test_a_frame_out_of_scope_has_no_score(client, parts):
    campaign(parts, scope=Scope(cameras=("front",)))
    client.sync_state()
    inside, outside = offered(0, AXES[0], device_id="front"), offered(1, AXES[0], device_id="rear")
    scores = client.sample_probabilities([outside, inside], "v1")["trucks"]
    assert scores[0] is None
    assert scores[1].similarity_score == pytest.approx(1.0)
    assert client.save_for_collection(dry_run=True).statistics[0].seen == 1


def test_embeddings_of_another_model_are_refused_by_both_names(client, parts):
    parts.store.archive.record_embedder("v1", "clip-b32", DIM)
    campaign(parts)
    client.sync_state()
    with pytest.raises(InvalidInput, match=r"'resnet', and the campaigns go by clip-b32 \(v1\)"):
        client.sample_probabilities(frames_like(0.9), "resnet")
    client.sample_probabilities(frames_like(0.9)[:0], "clip-b32")


def test_campaigns_of_two_models_do_not_mix(client, parts):
    campaign(parts, "a")
    campaign(parts, "b", embedding_version="v2")
    client.sync_state()
    with pytest.raises(InvalidInput, match="'b' goes by the embedding model v2, and not by v1"):
        client.sample_probabilities(frames_like(0.9), "v1")
    client.sync_state(["a"])
    assert client.sample_probabilities(frames_like(0.9), "v1")["a"]


def test_an_embedding_of_the_wrong_length_names_its_frame(client, parts):
    campaign(parts)
    client.sync_state()
    with pytest.raises(InvalidInput, match="'frame-3' has an embedding of 5 numbers, and those of v1 have 8"):
        client.sample_probabilities([offered(3, np.ones(5))], "v1")


def test_own_embeddings_need_a_model_name(client, parts):
    campaign(parts)
    client.sync_state()
    frame = LabeledFrame(frame_id="a")
    frame.add_frame_embedding(embedding=AXES[0])
    with pytest.raises(InvalidInput, match="no model is named"):
        client.sample_probabilities([frame])


def test_a_frame_without_embedding_and_picture_is_refused(client, parts):
    campaign(parts)
    client.sync_state()
    with pytest.raises(InvalidInput, match="'bare' has no picture"):
        client.sample_probabilities([LabeledFrame(frame_id="bare")], "v1")


# ── pictures that the hub embeds ─────────────────────────────────────────────────────────────────────


def test_pictures_are_embedded_by_the_hub(client, parts, tmp_path):
    """From bytes, a file and pixels alike."""
    embedder = parts.embedder()
    vector = embedder.embed([decode(jpeg(1))])[0]
    campaign(parts, "pictures", vector, embedding_version=embedder.version)
    client.sync_state()
    (tmp_path / "same.jpg").write_bytes(jpeg(1))
    frames = [LabeledFrame(frame_id=name) for name in ("bytes", "file", "pixels", "other")]
    for frame, image in zip(frames, (jpeg(1), tmp_path / "same.jpg", decode(jpeg(1)), jpeg(2)), strict=True):
        frame.add_image(image)
    scores = client.sample_probabilities(frames)["pictures"]
    assert [round(score.similarity_score, 3) for score in scores[:2]] == [1.0, 1.0]
    assert scores[2].similarity_score > 0.9 > scores[3].similarity_score
    assert client.sample_probabilities(frames, embedder.name)["pictures"] == scores


def test_more_pictures_than_one_request_takes(client, parts):
    embedder = parts.embedder()
    campaign(parts, "pictures", np.ones(embedder.dim), embedding_version=embedder.version)
    client.sync_state()
    frames = [LabeledFrame(frame_id=str(i), date_captured=1.0) for i in range(40)]
    for i, frame in enumerate(frames):
        frame.add_image(jpeg(i))
    assert len(client.sample_probabilities(frames)["pictures"]) == 40
    report = client.save_for_collection(override_sampling_threshold=0.0)
    assert report.receipt.new == 40
    assert len(parts.store.samples(limit=100)) == 40


def test_what_is_no_picture_is_refused_by_name(client, parts):
    embedder = parts.embedder()
    campaign(parts, "pictures", np.ones(embedder.dim), embedding_version=embedder.version)
    client.sync_state()
    frame = LabeledFrame(frame_id="broken")
    frame.add_image(b"<html>")
    with pytest.raises(ImageError, match="frame 'broken'"):
        client.sample_probabilities([frame])


def test_a_picture_that_breaks_off_is_named_among_others(client, parts):
    embedder = parts.embedder()
    campaign(parts, "pictures", np.ones(embedder.dim), embedding_version=embedder.version)
    client.sync_state()
    frames = [LabeledFrame(frame_id=str(i)) for i in range(3)]
    for i, frame in enumerate(frames):
        frame.add_image(jpeg(i)[:200] if i == 1 else jpeg(i))
    with pytest.raises(ImageError, match="frame '1'"):
        client.sample_probabilities(frames)
    assert client.save_for_collection(dry_run=True).statistics[0].seen == 0


class TwoBirds:
    """Finds the same two in every picture."""

    name, version, labels = "two-birds", "1", ("bird",)

    def detect(self, images):
        boxes = np.array([[0, 0, 20, 20], [20, 10, 60, 40]], np.float32)
        return [Detections(boxes, np.array([0.9, 0.6], np.float32), ("bird", "bird")) for _ in images]


def test_crops_that_the_hubs_detector_finds_are_scored(client, parts, monkeypatch):
    embedder, found = parts.embedder(), TwoBirds().detect([0])[0]
    monkeypatch.setattr(parts, "detector", TwoBirds)
    second = embedder.embed([crop(decode(jpeg(1)), found.xyxy[1])])[0]
    trigger = Similarity(element=ElementKind.CROP)
    campaign(parts, "crops", second, trigger, embedding_version=embedder.version)
    client.sync_state()
    frames = [LabeledFrame(frame_id=str(i), date_captured=float(i)) for i in range(3)]
    for i, frame in enumerate(frames):
        frame.add_image(jpeg(i))
    scores = client.sample_probabilities(frames)["crops"]
    assert scores[1].sampled_element_id == "box 2"
    assert scores[1].similarity_score == pytest.approx(1.0, abs=1e-3)
    client.save_for_collection(target_sample_count=1)
    (sample,) = parts.store.samples()
    assert (sample.box, sample.detector) == ((20.0, 10.0, 60.0, 40.0), "two-birds 1")


def test_boxes_of_ones_own_are_embedded_where_no_embedding_comes_along(client, parts):
    embedder = parts.embedder()
    vector = embedder.embed([crop(decode(jpeg(1)), (20.0, 10.0, 60.0, 40.0))])[0]
    trigger = Similarity(element=ElementKind.CROP)
    campaign(parts, "crops", vector, trigger, embedding_version=embedder.version)
    client.sync_state()
    frame = LabeledFrame(frame_id="a")
    frame.add_image(jpeg(1))
    for label, left, top, width, height in (("x", 0, 0, 9, 9), ("y", 20, 10, 40, 30)):
        frame.add_label_2d_bbox(label_id=label, classification="car", left=left, top=top, width=width, height=height)
    (score,) = client.sample_probabilities([frame])["crops"]
    assert score.sampled_element_id == "y"
    assert score.similarity_score == pytest.approx(1.0, abs=1e-3)


def test_a_hub_of_another_embedder_says_so(client, parts):
    campaign(parts)
    client.sync_state()
    frame = LabeledFrame(frame_id="a")
    frame.add_image(jpeg())
    with pytest.raises(InvalidInput, match=rf"embeds by .*{parts.embedder().version}.*, and not by v1"):
        client.sample_probabilities([frame])


def test_a_campaign_of_labels_goes_by_the_boxes_that_frames_bring(client, parts):
    campaign(parts, "birds", trigger=Detection(("bird",)))
    client.sync_state()
    frame = LabeledFrame(frame_id="a")
    frame.add_image(jpeg())
    frame.add_label_2d_bbox(label_id="1", classification="bird", top=0, left=0, width=9, height=9, confidence=0.8)
    (score,) = client.sample_probabilities([frame])["birds"]
    assert score.similarity_score > 0.5
    client.save_for_collection()
    assert parts.store.samples()[0].score.why.startswith("bird")


def test_a_campaign_of_changes_goes_by_the_hubs_embedder(client, parts):
    campaign(parts, "changes", trigger=Change())
    client.sync_state()
    frames = [LabeledFrame(frame_id=str(i), date_captured=float(i)) for i in range(5)]
    for frame in frames:
        frame.add_image(jpeg())
    assert len(client.sample_probabilities(frames)["changes"]) == 5


# ── saving ───────────────────────────────────────────────────────────────────────────────────────────


def test_thresholds_are_the_calls_or_the_campaigns_or_one_half(client, parts):
    campaign(parts, "half")
    campaign(parts, "strict", budget=Budget(threshold=0.9))
    client.sync_state()
    client.sample_probabilities(frames_like(0.5, 0.7, 0.99), "v1")
    collected = {each.campaign: each.collected for each in client.save_for_collection(dry_run=True).statistics}
    assert collected == {"half": 2, "strict": 1}
    loose = client.save_for_collection(override_sampling_threshold=0.1, dry_run=True)
    assert [each.collected for each in loose.statistics] == [3, 3]


def test_a_dry_run_says_aquariums_statistics_and_shows_the_best(client, parts):
    campaign(parts)
    client.sync_state()
    scores = [p.similarity_score for p in client.sample_probabilities(frames_like(0.3, 0.9, 0.7), "v1")["trucks"]]
    report = client.save_for_collection(dry_run=True)
    (stats,) = report.statistics
    assert (stats.collected, stats.seen, stats.best) == (2, 3, "frame-1")
    assert [stats.least, stats.most] == [min(scores), max(scores)]
    assert [stats.mean, stats.deviation] == pytest.approx([np.mean(scores), np.std(scores)])
    assert report.best.picture == jpeg(1)
    assert report.best.probability.similarity_score == max(scores)
    assert "dry run: nothing was uploaded" in str(report)
    assert parts.store.samples() == [] and parts.store.counts() == [] and not parts.blobs.keys()


def test_the_best_of_all_are_taken_each_by_the_campaign_it_fits_best(client, parts):
    campaign(parts, "a", AXES[0])
    campaign(parts, "b", AXES[1])
    client.sync_state()
    frames = [offered(0, like(0.9, 0)), offered(1, like(0.95, 1)), offered(2, like(0.4, 0)), offered(3, like(0.3, 1))]
    client.sample_probabilities(frames, "v1")
    report = client.save_for_collection(target_sample_count=3)
    assert [(f.probability.campaign, f.probability.frame_id) for f in report.frames] == [
        ("b", "frame-1"),
        ("a", "frame-0"),
        ("a", "frame-2"),
    ]
    assert sorted((s.campaign, s.taken_at) for s in parts.store.samples()) == [("a", 1000), ("a", 1002), ("b", 1001)]


def test_a_sample_remembers_score_element_version_seed_and_metadata(client, parts):
    campaign(parts)
    client.sync_state()
    frame = offered(0, like(0.9), device_id="front")
    frame.add_user_metadata("weather", "rain")
    client.sample_probabilities([frame], "v1")
    report = client.save_for_collection()
    (sample,) = parts.store.samples()
    assert sample.score.value == report.frames[0].probability.similarity_score
    assert (sample.campaign, sample.version, sample.camera, sample.taken_at) == ("trucks", 1, "front", 1000.0)
    assert (sample.score.row, sample.score.seed, sample.size_wh) == (0, "seed-trucks", (64, 48))
    assert sample.reason == report.frames[0].reason
    assert parts.blobs.get(sample.frame_id) == jpeg(0)
    (stored,) = parts.store.archive.of_frames([sample.frame_id], "v1")[sample.frame_id]
    assert stored.element.metadata == {"weather": "rain", "frame_id": "frame-0"}
    assert np.dot(stored.vector, like(0.9)) > 0.999
    assert len(parts.store.deliveries()) == 1


def test_saving_twice_keeps_one_and_counts_once(client, parts):
    made = campaign(parts)
    client.sync_state()
    for _ in range(2):
        client.sample_probabilities(frames_like(0.9, 0.2, 0.8), "v1")
        report = client.save_for_collection()
    assert (report.receipt.new, report.receipt.known) == (0, 2)
    assert len(parts.store.samples()) == 2
    (count,) = parts.store.counts()
    assert (count.campaign_id, count.processed, count.collected) == (made.campaign_id, 3, 2)


def test_a_frame_id_given_twice_is_one_frame(client, parts):
    campaign(parts)
    client.sync_state()
    frame = offered(0, like(0.9))
    assert len(client.sample_probabilities([frame, frame], "v1")["trucks"]) == 2
    client.sample_probabilities([frame], "v1")
    assert client.save_for_collection().statistics[0].seen == 1


def test_what_was_saved_is_not_offered_again(client, parts):
    campaign(parts)
    client.sync_state()
    client.sample_probabilities(frames_like(0.9), "v1")
    client.save_for_collection()
    assert client.save_for_collection().statistics[0].seen == 0


def test_statistics_are_a_clients_own(parts):
    campaign(parts)
    one, other = CollectionClient(hub=parts), CollectionClient(hub=parts)
    one.sync_state()
    other.sync_state()
    one.sample_probabilities(frames_like(0.9), "v1")
    assert other.save_for_collection(dry_run=True).statistics[0].seen == 0


def test_budgets_hold_for_what_is_saved(client, parts):
    campaign(parts, budget=Budget(limits=(RateLimit(1, 3600.0),)))
    client.sync_state()
    client.sample_probabilities(frames_like(0.8, 0.9), "v1")
    assert taken_ids(client.save_for_collection()) == ["frame-0"]


def test_a_campaign_that_has_enough_refuses(client, parts):
    campaign(parts, budget=Budget(stop_after=2))
    for start in (0, 1):
        client.sync_state()
        client.sample_probabilities([offered(i, like(0.9)) for i in range(start, start + 2)], "v1")
        report = client.save_for_collection()
    assert (report.receipt.new, report.receipt.known, report.receipt.refused) == (0, 1, 1)
    assert len(parts.store.samples()) == 2
    assert "has enough" in str(report)


def test_two_that_save_at_once_do_not_both_fill_the_last_place(parts, monkeypatch):
    campaign(parts, budget=Budget(stop_after=1))
    hub, both_are_at_it = LocalCollection(parts), threading.Barrier(2)
    put = parts.blobs.put

    def slowly(*args, **options):
        with suppress(threading.BrokenBarrierError):
            both_are_at_it.wait(0.3)
        put(*args, **options)

    monkeypatch.setattr(parts.blobs, "put", slowly)
    monkeypatch.setattr("hub.client.collection_client.LocalCollection", lambda *_, **__: hub)
    clients = [CollectionClient(hub=parts) for _ in range(2)]
    for i, each in enumerate(clients):
        each.sync_state()
        each.sample_probabilities([offered(i, like(0.9))], "v1")
    threads = [threading.Thread(target=each.save_for_collection) for each in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(parts.store.samples()) == 1


def test_a_frame_without_picture_can_be_tried_but_not_saved(client, parts):
    campaign(parts)
    client.sync_state()
    frame = LabeledFrame(frame_id="blind")
    frame.add_frame_embedding(embedding=AXES[0])
    client.sample_probabilities([frame], "v1")
    report = client.save_for_collection(dry_run=True)
    assert (report.statistics[0].collected, report.best.picture) == (1, None)
    with pytest.raises(InvalidInput, match="'blind' has no picture"):
        client.save_for_collection()


def test_a_file_that_changed_since_it_was_sampled_is_not_uploaded(client, parts, tmp_path):
    campaign(parts)
    client.sync_state()
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg(1))
    frame = LabeledFrame(frame_id="a")
    frame.add_image(path)
    frame.add_frame_embedding(embedding=AXES[0])
    client.sample_probabilities([frame], "v1")
    path.write_bytes(jpeg(2))
    with pytest.raises(InvalidInput, match="another than when it was sampled"):
        client.save_for_collection()


@pytest.mark.parametrize(
    "wrong",
    [
        {"override_sampling_threshold": 1.5},
        {"override_sampling_threshold": float("nan")},
        {"target_sample_count": 0},
        {"override_sampling_threshold": 0.5, "target_sample_count": 3},
    ],
)
def test_what_can_not_be_asked_is_an_error(client, parts, wrong):
    campaign(parts)
    client.sync_state()
    with pytest.raises(InvalidInput):
        client.save_for_collection(**wrong)


@pytest.mark.parametrize("how", [{}, {"threshold": 0.3}, {"best": 7}])
def test_choices_and_statistics_are_the_appraisers(client, parts, how):
    """What scans and runs over the corpus would say of the same vectors."""
    versions = [campaign(parts, name, AXES[i], budget=Budget(threshold=0.6)) for i, name in enumerate("ab")]
    vectors = unit(np.random.default_rng(4).normal(size=(60, DIM)))
    appraiser = Appraiser([SeedTarget(v, None) for v in parts.store.active_versions()], clock=lambda: 0.0, **how)
    seen = [
        Observation(Frame("collection-client", 0, 1000.0 + i, jpeg(i)), (64, 48), Detections.empty(), v[None], "v1")
        for i, v in enumerate(vectors)
    ]
    chosen = appraiser.add(seen) + appraiser.finish()
    client.sync_state()
    client.sample_probabilities([offered(i, v) for i, v in enumerate(vectors)], "v1")
    names = {"threshold": "override_sampling_threshold", "best": "target_sample_count"}
    report = client.save_for_collection(**{names[key]: value for key, value in how.items()})
    assert len(versions) == len(report.statistics)
    for ours, theirs in zip(report.statistics, appraiser.statistics, strict=True):
        assert (ours.campaign, ours.seen, ours.collected) == (theirs.campaign, theirs.seen, theirs.collected)
        assert [ours.least, ours.most, ours.mean, ours.deviation] == pytest.approx(
            [theirs.least, theirs.most, theirs.mean, theirs.deviation], abs=1e-6
        )
    assert sorted(s.id for s in parts.store.samples(limit=500)) == sorted(s.id for s in chosen)


# ── frames ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("embedding", [[], [0.0, 0.0], [float("nan"), 1.0], [[1.0, 2.0]], "abc", [float("inf")]])
def test_an_embedding_without_direction_is_refused(embedding):
    with pytest.raises(InvalidInput, match="frame 'a'"):
        LabeledFrame(frame_id="a").add_frame_embedding(embedding=embedding)


def test_an_embedding_of_any_length_becomes_a_unit_vector():
    frame = LabeledFrame(frame_id="a")
    for scale in (1e-300, 1.0, 1e308):
        frame.add_frame_embedding(embedding=[0.6 * scale, -0.8 * scale])
        assert frame.embedding.vector == pytest.approx([0.6, -0.8])


@pytest.mark.parametrize("frame_id", ["", "x" * 201, "a\nb", 7])
def test_a_frame_id_is_short_printable_text(frame_id):
    with pytest.raises(InvalidInput, match="frame_id"):
        LabeledFrame(frame_id=frame_id)


@pytest.mark.parametrize(
    "when", ["2026-05-01T12:00:00Z", "2026-05-01T12:00:00", "2026-05-01T14:00:00+02:00", 1777636800]
)
def test_times_are_utc_unless_they_say_a_zone(when):
    assert LabeledFrame(frame_id="a", date_captured=when).taken_at == 1777636800.0


def test_times_that_are_none_are_refused():
    for when in ("yesterday", float("nan"), -5):
        with pytest.raises(InvalidInput):
            LabeledFrame(frame_id="a", date_captured=when)


def test_boxes_are_checked_when_they_are_added():
    frame = LabeledFrame(frame_id="a")
    box = {"classification": "car", "top": 0, "left": 0, "width": 5, "height": 5}
    frame.add_label_2d_bbox(label_id="1", **box)
    with pytest.raises(AlreadyExists):
        frame.add_label_2d_bbox(label_id="1", **box)
    for wrong in ({"width": 0}, {"top": float("inf")}, {"confidence": 1.5}, {"classification": "a\n"}):
        with pytest.raises(InvalidInput):
            frame.add_label_2d_bbox(label_id="2", **box | wrong)
    with pytest.raises(NotFound):
        frame.add_crop_embedding(label_id="9", embedding=[1.0])


def test_a_box_out_of_its_picture_is_refused_with_its_frame(client, parts):
    campaign(parts)
    client.sync_state()
    frame = offered(0, AXES[0])
    frame.add_label_2d_bbox(label_id="1", classification="car", top=0, left=60, width=30, height=5)
    with pytest.raises(InvalidInput, match="frame 'frame-0': a box lies not in its picture of 64×48"):
        client.sample_probabilities([frame], "v1")


def test_metadata_is_bounded_json():
    frame = LabeledFrame(frame_id="a")
    for key, value in (("frame_id", 1), ("big", "x" * 20_000), ("nan", float("nan")), ("object", object())):
        with pytest.raises(InvalidInput):
            frame.add_user_metadata(key, value)
    assert frame.user_metadata == {}


# ── the way to a hub elsewhere ───────────────────────────────────────────────────────────────────────


class Flaky(httpx.BaseTransport):
    """Fails so often, in turn, then lets through."""

    def __init__(self, app, failures):
        self.inner, self.failures, self.asked = httpx.WSGITransport(app=app), list(failures), 0

    def handle_request(self, request):
        self.asked += 1
        if not self.failures:
            return self.inner.handle_request(request)
        failure = self.failures.pop(0)
        if failure == "lost":  # the hub did it, and its answer never came
            self.inner.handle_request(request).read()
            raise httpx.ReadTimeout("no answer")
        if isinstance(failure, int):
            return httpx.Response(failure, headers={"Retry-After": "7"}, json={"detail": "busy"})
        raise httpx.ConnectError("refused")


def test_uploads_are_tried_again_and_never_double(parts):
    campaign(parts)
    waits = []
    transport = Flaky(create_app(parts), [])
    client = CollectionClient(hub=parts)
    client._hub = RemoteCollection("http://localhost", TOKEN, transport=transport, sleep=waits.append)
    client.sync_state()
    client.sample_probabilities(frames_like(0.9, 0.8), "v1")
    transport.failures = ["down", 429, "lost", 503, "lost"]
    report = client.save_for_collection()
    assert report.receipt.new + report.receipt.known == 2
    assert len(parts.store.samples()) == 2
    assert len(parts.store.deliveries()) == 2
    assert parts.store.counts()[0].processed == 2
    assert waits[1] >= 7 and waits[3] >= 7


def test_what_failed_for_good_can_be_saved_again(parts):
    campaign(parts)
    transport = Flaky(create_app(parts), [])
    client = CollectionClient(hub=parts)
    client._hub = RemoteCollection("http://localhost", TOKEN, transport=transport, sleep=lambda _: None)
    client.sync_state()
    client.sample_probabilities(frames_like(0.9, 0.8), "v1")
    transport.failures = ["down"] * 6
    with pytest.raises(BowerbirdError, match="can't be reached"):
        client.save_for_collection()
    assert client.save_for_collection().receipt.new == 2


def test_a_wrong_token_is_said_at_once_and_never_shown(parts):
    transport = Flaky(create_app(parts), [])
    hub = RemoteCollection("http://localhost", "wrong-secret", transport=transport)
    with pytest.raises(NotSetUp, match="refuses") as caught:
        hub.state(())
    assert transport.asked == 1
    assert "wrong-secret" not in str(caught.value) + repr(hub) + repr(caught.value)


@pytest.mark.parametrize("url", ["ftp://a", "localhost:8000", "http://", "http://user:secret@a", "http://a?key=secret"])
def test_what_is_no_address_of_a_hub_is_refused_without_its_secrets(url):
    with pytest.raises(InvalidInput) as caught:
        CollectionClient().set_credentials(api_url=url, api_key="k")
    assert "secret" not in str(caught.value)


def test_a_client_that_knows_no_hub_says_what_to_do():
    with pytest.raises(NotSetUp, match="set_credentials"):
        CollectionClient().sync_state()


def test_another_server_is_not_taken_for_a_hub():
    page = httpx.MockTransport(lambda _: httpx.Response(200, text="<html>"))
    with pytest.raises(BowerbirdError, match="no answer of a hub"):
        RemoteCollection("http://localhost", transport=page).state(())
    missing = httpx.MockTransport(lambda _: httpx.Response(404, text="<html>"))
    with pytest.raises(BowerbirdError, match="not as a hub does"):
        RemoteCollection("http://localhost", transport=missing).state(())


def test_a_client_opens_a_data_directory_by_itself(tmp_path, monkeypatch):
    monkeypatch.setenv("HUB_EMBEDDER", "built-in")
    with CollectionClient(hub=tmp_path / "data") as client:
        assert client.sync_state() == []
    assert (tmp_path / "data" / "hub.sqlite").exists()


def test_pictures_behind_a_url_are_fetched_without_the_token(client, parts):
    """And only those that are chosen, when frames bring their embeddings."""
    asked = []

    def web(request):
        asked.append((request.url.path, request.headers.get("Authorization")))
        return httpx.Response(200, content=jpeg(int(request.url.path[1])))

    campaign(parts)
    client.sync_state()
    client._fetcher = httpx.Client(transport=httpx.MockTransport(web))
    frames = []
    for i, cosine in enumerate((0.9, 0.1)):
        frame = LabeledFrame(frame_id=str(i), date_captured=1.0)
        frame.add_image(image_url=f"https://pictures.example/{i}.jpg?sig=secret")
        frame.add_frame_embedding(embedding=like(cosine))
        frames.append(frame)
    client.sample_probabilities(frames, "v1")
    for _ in range(2):
        client.save_for_collection()
    assert asked == [("/0.jpg", None)] * len(asked)
    assert len(parts.store.samples()) == 1


def test_a_url_that_fails_is_named_without_what_is_secret_in_it(client, parts):
    campaign(parts)
    client.sync_state()
    client._fetcher = httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(403)))
    frame = LabeledFrame(frame_id="a")
    frame.add_image("https://pictures.example/1.jpg?sig=secret")
    with pytest.raises(InvalidInput, match=r"frame 'a': https://pictures.example/1.jpg answers 403") as caught:
        client.sample_probabilities([frame], "v1")
    assert "secret" not in str(caught.value)


def test_importing_the_client_is_light():
    heavy = [
        "sqlalchemy",
        "alembic",
        "onnxruntime",
        "flask",
        "annoy",
        "usearch",
        "fsspec",
        "sklearn",
        "aiohttp",
    ]
    code = f"import sys, json, hub.client; print(json.dumps([m for m in {heavy!r} if m in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


def test_the_two_ways_to_a_hub_are_one_seam():
    names = ("state", "look", "add", "close")
    assert all(hasattr(kind, name) for kind in (LocalCollection, RemoteCollection) for name in names)


def test_the_readmes_example_runs_against_a_hub_process(tmp_path):
    data_dir, pictures = tmp_path / "data", tmp_path / "pictures"
    data_dir.mkdir()
    pictures.mkdir()
    for i in range(5):
        (pictures / f"{i}.jpg").write_bytes(jpeg(i))
    parts = Parts(data_dir, TOKEN)
    embedder = parts.embedder()
    like_the_third = embedder.embed([decode(jpeg(3))])[0]
    campaign(parts, "tow-trucks", like_the_third, embedding_version=embedder.version)
    root = Path(__file__).resolve().parents[2]
    with serving(data_dir, TOKEN) as (url, _):
        done = subprocess.run(
            [sys.executable, str(root / "tests" / "readme_client.py")],
            env={**os.environ, "HUB_URL": url, "HUB_API_TOKEN": TOKEN, "PYTHONPATH": str(root)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
    assert "dry run: nothing was uploaded" in done.stdout
    assert "best: 1.000  3.jpg" in done.stdout
    assert "uploaded 3, there already 0" in done.stdout
    assert {sample.camera for sample in parts.store.samples()} == {"dashcam"}
    parts.store.close()
