"""Campaigns over what was seen before: a real store, real pictures, the built-in embedder."""

from collections.abc import Sequence

import numpy as np
import pytest

from hub.appraise import Appraiser
from hub.campaigns import Draft, commit, create
from hub.deliveries import DeliveryState
from hub.refine import recalculate
from hub.replay import LISTED, Models, Places, Rules, Span, replay, together
from hub.seeds import Pictures as SeedPictures
from hub.seeds import picture_seeds
from hub.sinks import SINKS
from hub.target import SeedTarget
from hub.triggers.detection import Detection
from hub.triggers.everything import Everything
from hub.triggers.similarity import Similarity
from hub.types import Budget, Camera, Counts, Needs, Prior, RateLimit, SampleStatus, Scope, Seed, SeedKind
from shared.errors import InvalidInput
from tests.hub.making import unit
from tests.hub.seeing import see, see_vector
from tests.hub.test_search import NOW, SeenParts
from tests.hub.web.making import jpeg


@pytest.fixture
def parts(tmp_path):
    made = SeenParts(tmp_path)
    yield made
    made.store.close()


def campaign(parts, name="birds", trigger=None, budget=None, scope=None, like: Sequence[bytes] = ()) -> SeedTarget:
    """Committed."""
    draft = Draft(name, trigger or Everything(), scope or Scope(), budget or Budget())
    seeds = picture_seeds(SeedPictures([("x", data) for data in like]), SeedKind.IMAGE, parts.blobs, parts.embedder())
    create(parts.store, draft, seeds, known_labels=lambda: ("bird",), sinks=SINKS, now=NOW)
    return newest(parts, name)


def newest(parts, name="birds") -> SeedTarget:
    return SeedTarget(commit(parts.store, parts.blobs, name, parts.embedder, now=NOW), None)


def run(parts, *targets, span=None, models=None, **rules):
    of = Places(parts.store, parts.pictures)
    version = parts.embedder().version
    return replay(targets, of, version, span or Span(), Rules(**rules), models=models, clock=lambda: NOW + 9e6)


def counted(parts) -> list[Counts]:
    return [each for each in parts.store.counts() if each.processed or each.collected]


def test_frames_seen_before_become_samples_with_their_pictures_and_deliveries(parts):
    seen = [see(parts, jpeg(i), at=NOW + i) for i in range(3)]
    done = run(parts, campaign(parts))
    assert (done.frames, done.taken, done.gone_count, done.lacking) == (3, 3, 0, {})
    assert {sample.frame_id for sample in parts.store.samples()} == {each.frame.id for each in seen}
    assert all(parts.blobs.get(each.frame.id) for each in seen)
    assert len(parts.store.deliveries(state=DeliveryState.PENDING)) == 3


def test_a_second_run_takes_nothing_and_counts_nothing_twice(parts):
    for i in range(4):
        see(parts, jpeg(i), at=NOW + i)
    target = campaign(parts)
    run(parts, target)
    elements = parts.store.archive.count(parts.embedder().version)
    again = run(parts, target)
    assert again.taken == 0 and len(parts.store.samples()) == 4
    assert counted(parts) == [Counts(1, 1, "porch", 4, 4)]
    assert parts.store.archive.count(parts.embedder().version) == elements


def test_retention_does_not_make_what_is_still_there_count_again(parts):
    for i in range(4):
        see(parts, jpeg(i), at=NOW + i)
    target = campaign(parts)
    run(parts, target)
    parts.store.prune(NOW + 100, limit=99)  # what it took stays
    run(parts, target)
    assert counted(parts) == [Counts(1, 1, "porch", 4, 4)]


@pytest.mark.parametrize(
    "budget",
    [
        Budget(stop_after=3),
        Budget(limits=(RateLimit(2, 10.0),)),
        Budget(burst_s=4.0),
        Budget(target=RateLimit(2, 20.0), threshold=0.0),
        Budget(duplicate_distance=0.05),
        Budget(target=RateLimit(2, 20.0), threshold=0.0, duplicate_distance=0.05, burst_s=4.0),
    ],
)
def test_no_budget_is_spent_twice(parts, budget):
    for i in range(12):
        see(parts, jpeg(i), at=NOW + 3 * i)
    target = campaign(parts, budget=budget)
    first = run(parts, target)
    assert 0 < first.taken <= 12
    assert run(parts, target).taken == 0


def test_overlapping_runs_count_each_frame_once(parts):
    for i in range(6):
        see(parts, jpeg(i), at=NOW + i)
    parts.store.add_camera(Camera("porch", "http://porch/image.jpg"))
    target = campaign(parts, scope=Scope(cameras=("porch",)))
    parts_of_it = [Span(NOW, NOW + 4), Span(NOW + 2), Span()]
    for span in parts_of_it:
        run(parts, target, span=span)
    assert counted(parts)[0].processed == 6


def test_frames_outside_a_campaign_s_hours_do_not_count(parts):
    day = 1_780_012_800.0  # midnight, UTC
    for hour in range(0, 24, 2):
        see(parts, jpeg(hour), at=day + 3600 * hour)
    target = campaign(parts, scope=Scope(hours=((360, 720),)))
    assert run(parts, target, span=Span(until=day + 9 * 3600)).taken == 2
    assert run(parts, target).taken == 1
    assert counted(parts)[0].processed == 3


def test_frames_whose_picture_is_gone_are_listed_and_spend_nothing(parts):
    for i in range(6):
        see(parts, jpeg(i), at=NOW + i, held=i >= 3)
    done = run(parts, campaign(parts, budget=Budget(stop_after=2)))
    assert (done.taken, done.gone_count) == (2, 2)
    assert {sample.taken_at for sample in done.samples} == {NOW + 3, NOW + 4}
    assert {sample.taken_at for sample in done.gone} == {NOW, NOW + 1}


def test_a_dry_run_says_all_and_stores_nothing(parts):
    for i in range(5):
        see(parts, jpeg(i), at=NOW + i)
    target = campaign(parts, trigger=Similarity(), like=[jpeg(2)])
    done = run(parts, target, dry=True, best=2)
    (statistics,) = done.statistics
    assert statistics.seen == 5 and statistics.most == pytest.approx(1.0)
    assert done.samples[0].frame_id == statistics.best and done.taken == 2
    assert parts.store.samples() == [] and counted(parts) == []


def test_what_was_taken_before_is_told_in_a_dry_run(parts):
    for i in range(3):
        see(parts, jpeg(i), at=NOW + i)
    target = campaign(parts)
    run(parts, target)
    done = run(parts, target, dry=True, best=3)
    assert (done.taken, done.known) == (0, 3)


def test_span_threshold_and_cameras_narrow_a_run(parts):
    for i, camera in enumerate(("porch", "yard", "porch", "yard")):
        see(parts, jpeg(i), at=NOW + i, camera=camera)
    target = campaign(parts, trigger=Similarity(), like=[jpeg(0)])
    assert run(parts, target, span=Span(NOW + 1, NOW + 3)).frames == 2
    assert run(parts, target, span=Span(cameras=("yard",)), dry=True).frames == 2
    assert run(parts, target, threshold=0.0, dry=True).taken == 4
    assert run(parts, target, threshold=0.999, dry=True).taken == 1


def test_frames_without_what_is_needed_are_counted_and_looked_at_again_on_request(parts):
    bare = Needs()
    for i in range(4):
        see(parts, jpeg(i), at=NOW + i, needs=bare, held=i > 0)
    see(parts, jpeg(9), at=NOW + 9)
    target = campaign(parts, trigger=Similarity(), like=[jpeg(1)], budget=Budget(threshold=0.0))
    assert run(parts, target, dry=True).lacking == {"a vector of this embedder": 4}
    models = Models(parts.detector, parts.embedder)
    done = run(parts, target, look_again=True, models=models)
    assert (done.looked_again, done.lacking, done.taken) == (3, {"a vector of this embedder": 1}, 4)
    assert parts.store.archive.count(parts.embedder().version) == 4
    assert run(parts, target, look_again=True, models=models).looked_again == 0


def test_crops_are_made_when_looked_at_again(parts):
    see(parts, jpeg(1), at=NOW)
    target = campaign(parts, trigger=Detection(("bird",)))
    assert run(parts, target).lacking == {"detections": 1}
    models = Models(parts.detector, parts.embedder)
    done = run(parts, target, look_again=True, models=models)
    assert done.lacking == {} and done.looked_again == 1


def test_seeds_of_another_embedder_are_refused(parts):
    see(parts, jpeg(1), at=NOW)
    target = campaign(parts, trigger=Similarity(), like=[jpeg(1)])
    with pytest.raises(InvalidInput, match="another model"):
        replay([target], Places(parts.store, parts.pictures), "another version")
    with pytest.raises(InvalidInput, match="no campaign"):
        run(parts)


def test_an_answer_is_bounded(parts, monkeypatch):
    monkeypatch.setattr("hub.replay.LISTED", 3)
    assert LISTED > 3
    for i in range(10):
        see(parts, jpeg(i), at=NOW + i)
    done = run(parts, campaign(parts))
    assert done.taken == 10 and len(done.samples) == 3


def test_statistics_of_parts_are_those_of_the_whole(parts):
    for i in range(9):
        see(parts, jpeg(i), at=NOW + i)
    target = campaign(parts, trigger=Similarity(), like=[jpeg(0)])
    seen = parts.store.archive.observations(parts.embedder().version)

    def of(some):
        judged = Appraiser([target], clock=lambda: NOW)
        judged.add(some)
        return judged.statistics[0]

    joined, whole = together(of(seen[:4]), of(seen[4:])), of(seen)
    assert (joined.seen, joined.least, joined.most, joined.best) == (9, whole.least, whole.most, whole.best)
    assert (joined.mean, joined.deviation) == pytest.approx((whole.mean, whole.deviation))
    assert together(of(seen), of([])).mean == whole.mean


def test_rounds_of_review_sharpen_a_campaign_on_real_vectors(parts, data_dir):
    """Run, review, recalculate, run again: what was discarded stays so, and the new samples are purer."""
    with np.load(next((data_dir / "clip_features").glob("*[pP]et*"))) as file:
        vectors, labels = file["feats"].astype(np.float32), file["labels"]
    parts.use(_Known(vectors.shape[1]))
    rng = np.random.default_rng(0)
    few = np.flatnonzero(np.isin(labels, np.unique(labels)[:12]))
    chosen = rng.permutation(few)[:300]
    breed = int(np.bincount(labels[chosen]).argmax())
    is_wanted = {}
    for i, n in enumerate(chosen):
        seen = see_vector(parts, vectors[n], at=NOW + i, picture=jpeg(i))
        is_wanted[seen.frame.id] = labels[n] == breed
    example = next(n for n in few if labels[n] == breed and n not in chosen)
    seeds = _seeds(parts, vectors[example])
    create(parts.store, Draft("breed", Similarity()), seeds, known_labels=tuple, sinks=SINKS, now=NOW)

    run(parts, newest(parts, "breed"), best=20)
    before = parts.store.samples(limit=1000)
    for sample in before:
        right = is_wanted[sample.frame_id]
        parts.store.review([sample.id], SampleStatus.ACCEPTED if right else SampleStatus.DISCARDED)
    target = SeedTarget(recalculate(parts.store, parts.blobs, "breed", parts.embedder, now=NOW), None)
    done = run(parts, target, best=20)

    after = parts.store.samples(limit=1000)
    statuses = {sample.id: sample.status for sample in after}
    assert all(statuses[sample.id] is not SampleStatus.UNSORTED for sample in before)
    assert {sample.version for sample in done.samples} == {2}
    total = sum(is_wanted.values())
    first = sum(is_wanted[sample.frame_id] for sample in before)
    found = sum(is_wanted[sample.frame_id] for sample in after)
    of_best = sum(is_wanted[each] for each in _best(parts, target, 20))
    assert first < found <= total and of_best > first


class _Known:
    """An embedder that nobody asks: vectors are there."""

    name, version, typical = "known", "known-1", {}

    def __init__(self, dim):
        self.dim, self.prior = dim, Prior()

    def embed(self, images):
        raise AssertionError("everything is embedded")


def _seeds(parts, vector):
    return [Seed("example", SeedKind.IMAGE, "example", "", unit(vector)[0], parts.embedder().version)]


def _best(parts, target, n):
    judged = Appraiser([target], clock=lambda: NOW, best=n)
    judged.add(parts.store.archive.observations(parts.embedder().version, limit=10_000))
    return [sample.frame_id for sample in judged.finish()]
