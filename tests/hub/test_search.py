"""Searching everything seen, over a real store and real embedders."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.archive import Element, Filter, Hit
from hub.campaigns import Draft, create
from hub.element_seeds import as_seeds
from hub.filters import parse_filter, parse_time
from hub.models.embedder import load_embedder
from hub.replay import Places, replay
from hub.search import Examples, Kept, Query, group, search, sources
from hub.search_data import as_data
from hub.seeds import Pictures as SeedPictures
from hub.seeds import embed_stale, picture_seeds
from hub.sinks import SINKS
from hub.target import SeedTarget
from hub.triggers.similarity import Similarity
from hub.types import ElementKind, Needs, SeedKind
from shared.errors import ImageError, InvalidInput, ModelError, NotFound
from tests.hub.making import unit, version
from tests.hub.seeing import near, see, see_vector
from tests.hub.web.making import Parts, jpeg

NOW = 1_780_000_000.0


class SeenParts(Parts):
    """With an embedder of one's own, and the ring."""

    def use(self, embedder):
        self._embedder = embedder
        self._corpora.clear()

    def ring(self, name):
        return self._ring(name)


@pytest.fixture
def parts(tmp_path):
    made = SeenParts(tmp_path)
    yield made
    made.store.close()


@pytest.fixture(scope="session")
def clip(models_dir):
    return load_embedder(models_dir / "clip-student", device="cpu", threads=1)


def hit(vector, cosine=0.5, frame="f", row=0, id=1):
    element = Element(id, f"{frame}{id}", row, "v1", "porch", float(id), (0, 0, 9, 9))
    return Hit(element, cosine, unit(vector)[0])


def found(parts, k=20, same=0.97, where=None, unlike=None, **like):
    return search(Query(Examples(**like), unlike or Examples(), where or Filter(), k, same), sources(parts))


def best(of):
    return [each.best.element.frame_id for each in of.groups]


# ── what is found ────────────────────────────────────────────────────────────────────────────────────


def test_a_picture_finds_itself_first(parts):
    seen = [see(parts, jpeg(i), at=NOW + i) for i in range(6)]
    answer = found(parts, pictures=(jpeg(3),))
    assert best(answer)[0] == seen[3].frame.id
    assert answer.groups[0].best.cosine == pytest.approx(1.0, abs=1e-3)
    assert answer.groups[0].kept is Kept.PICTURE


def test_a_text_finds_what_it_names(parts, clip, data_dir):
    parts.use(clip)
    photos = {path.stem: path.read_bytes() for path in sorted((data_dir / "photos").glob("*.jpg"))}
    seen = {see(parts, data, at=NOW + i).frame.id: name for i, (name, data) in enumerate(photos.items())}
    names = [seen[each] for each in best(found(parts, texts=("owl",)))]
    assert "owl" in names[0]


def test_a_text_that_the_embedder_does_not_understand_is_said_so(parts):
    see(parts, jpeg(), at=NOW)
    with pytest.raises(ModelError):
        found(parts, texts=("owl",))


def test_an_element_finds_others_like_it_and_not_itself(parts):
    seen = [see(parts, jpeg(i), at=NOW + i) for i in range(4)]
    key = parts.store.archive.of_frames([seen[2].frame.id], parts.embedder().version)[seen[2].frame.id][0].element.key
    answer = found(parts, elements=(key,))
    assert len(answer.groups) == 3 and seen[2].frame.id not in best(answer)


def test_several_examples_together_find_what_lies_between_them(parts):
    a, b = np.eye(parts.embedder().dim)[:2]
    for i, vector in enumerate((a, b, unit(a + b)[0])):
        see_vector(parts, vector, at=NOW + i, name=f"{i}" * 8)
    keys = parts.store.archive.keys(parts.embedder().version)
    assert best(found(parts, elements=tuple(keys[:2]))) == ["2" * 8]


def test_what_is_not_wanted_goes_down(parts):
    a, b = np.eye(parts.embedder().dim)[:2]
    see_vector(parts, unit(a + 0.5 * b)[0], at=NOW, name="both" * 2)
    see_vector(parts, near(a, 0.8, 1), at=NOW + 1, name="only" * 2)
    see_vector(parts, a, at=NOW + 2, name="wanted00")
    see_vector(parts, b, at=NOW + 3, name="unlike00")
    keys = dict(zip(("both", "only", "a", "b"), parts.store.archive.keys(parts.embedder().version), strict=True))
    alone = best(found(parts, elements=(keys["a"],)))
    against = best(found(parts, elements=(keys["a"],), unlike=Examples(elements=(keys["b"],))))
    assert alone[0] == "both" * 2 and against[0] == "only" * 2


def test_examples_that_cancel_out_are_refused(parts):
    vector = np.eye(parts.embedder().dim)[0]
    for i in range(2):
        see_vector(parts, vector if i else -vector, at=NOW + i)
    with pytest.raises(InvalidInput, match="cancel out"):
        found(parts, elements=tuple(parts.store.archive.keys(parts.embedder().version)))


@pytest.mark.parametrize(
    ("like", "error"),
    [
        ({}, InvalidInput),
        ({"elements": (99,)}, NotFound),
        ({"samples": ("1:abc",)}, NotFound),
        ({"pictures": (b"no picture",)}, ImageError),
    ],
)
def test_what_can_not_be_searched_for_is_said(parts, like, error):
    see(parts, jpeg(), at=NOW)
    with pytest.raises(error):
        found(parts, **like)


def test_filters_leave_out(parts):
    for i, camera in enumerate(("porch", "yard", "porch")):
        see(parts, jpeg(i), at=NOW + 100 * i, camera=camera)
    assert len(found(parts, pictures=(jpeg(9),), where=Filter(cameras=("porch",))).groups) == 2
    assert len(found(parts, pictures=(jpeg(9),), where=Filter(since=NOW + 50)).groups) == 2
    assert len(found(parts, pictures=(jpeg(9),), where=Filter(kind=ElementKind.CROP)).groups) == 0


def test_nothing_seen_gives_nothing(parts):
    answer = found(parts, pictures=(jpeg(),))
    assert answer.groups == () and answer.complete


# ── near-duplicates ──────────────────────────────────────────────────────────────────────────────────


def test_a_still_scene_is_one_result_with_its_count_and_span(parts):
    scene, other = unit(np.random.default_rng(1).normal(size=(2, parts.embedder().dim)))
    for i in range(120):
        see_vector(parts, near(scene, 0.995, i), at=NOW + i)
    see_vector(parts, other, at=NOW + 999, name="other000")
    see_vector(parts, scene, at=NOW + 120, name="scene000")
    key = parts.store.archive.keys(parts.embedder().version)[0]
    answer = found(parts, k=2, elements=(key,))
    assert [each.count for each in answer.groups] == [120, 1]
    assert (answer.groups[0].first_at, answer.groups[0].last_at) == (NOW + 1, NOW + 120)
    assert best(answer)[1] == "other000"


def test_a_crop_and_its_whole_frame_are_one_result():
    a, b, c = np.eye(3)
    groups = group([hit(a, 0.9, row=1, id=1), replace(hit(b, 0.8, row=0, id=2))], 0.97)
    assert len(groups) == 2
    whole = Hit(replace(hit(b).element, frame_id="f1"), 0.8, unit(b)[0])
    crop = Hit(replace(hit(a).element, frame_id="f1", row=1), 0.9, unit(a)[0])
    other_crop = Hit(replace(hit(c).element, frame_id="f1", row=2), 0.7, unit(c)[0])
    assert [each.count for each in group([crop, whole, other_crop], 0.97)] == [2, 1]


@given(st.lists(st.tuples(*[st.floats(-1, 1, width=32)] * 3).filter(any), max_size=30), st.floats(0.1, 0.999))
def test_grouping_loses_nothing_and_leaders_differ(rows, same):
    hits = [hit(row, id=i) for i, row in enumerate(rows) if np.linalg.norm(row) > 1e-3]
    groups = group(hits, same)
    assert sorted(h.element.id for g in groups for h in (g.best, *g.others)) == [h.element.id for h in hits]
    leaders = [each.best.vector for each in groups]
    assert all(a @ b < same for i, a in enumerate(leaders) for b in leaders[:i])
    assert all(each.vector @ g.best.vector >= same - 1e-6 for g in groups for each in g.others)


def test_ungrouped_every_hit_is_a_result(parts):
    for i in range(5):
        see_vector(parts, near(np.eye(parts.embedder().dim)[0], 0.999, i), at=NOW + i)
    assert len(found(parts, same=None, k=3, pictures=(jpeg(),)).groups) == 3


def test_a_cosine_comes_with_its_rarity_once_enough_was_seen(parts):
    rng = np.random.default_rng(0)
    for i in range(150):
        see_vector(parts, rng.normal(size=parts.embedder().dim), at=NOW + i)
    seen = see(parts, jpeg(1), at=NOW + 999)
    answer = found(parts, pictures=(jpeg(1),))
    assert best(answer)[0] == seen.frame.id
    assert answer.groups[0].rarity == pytest.approx(2 / 152)
    rarities = [each.rarity for each in answer.groups]
    assert rarities == sorted(rarities)


# ── results as seeds ─────────────────────────────────────────────────────────────────────────────────


def _elements(parts, seen):
    stored = parts.store.archive.of_frames([seen.frame.id], parts.embedder().version)[seen.frame.id]
    return [(each.element, each.vector) for each in stored]


def test_a_result_becomes_a_seed_whose_picture_stays(parts):
    seen = see(parts, jpeg(2), at=NOW)
    made = as_seeds(_elements(parts, seen), sources(parts))
    (seed,) = made.seeds
    assert parts.blobs.get(seed.blob) == jpeg(2) and made.notes == ()
    same = picture_seeds(SeedPictures([("x.jpg", jpeg(2))]), SeedKind.IMAGE, parts.blobs, parts.embedder())
    assert seed.id == same[0].id


def test_a_crop_becomes_a_seed_that_another_embedder_sees_the_same_part_of(parts, clip, data_dir):
    picture = data_dir / "photos" / "parrot.jpg"
    data = picture.read_bytes() if picture.exists() else next((data_dir / "photos").glob("*.jpg")).read_bytes()
    seen = see(parts, data, at=NOW, needs=Needs(True, True, True, 0.1, 0.1))
    if len(seen.vectors) < 2:
        vectors = unit(np.random.default_rng(0).normal(size=(2, parts.embedder().dim)))
        box = Element(7, seen.frame.id, 1, parts.embedder().version, "porch", NOW, (10, 20, 90, 80), "bird")
        elements = [(box, vectors[1])]
    else:
        elements = _elements(parts, seen)[1:2]
    (seed,) = as_seeds(elements, sources(parts)).seeds
    assert seed.kind is SeedKind.CROP and seed.box == elements[0][0].box
    anew = embed_stale([seed], parts.blobs, clip)[0]
    assert anew.embedding_version == clip.version and anew.vector.shape == (clip.dim,)


def test_a_result_whose_picture_is_gone_is_a_seed_for_this_embedder_only(parts):
    seen = see_vector(parts, np.eye(parts.embedder().dim)[0], at=NOW)
    made = as_seeds(_elements(parts, seen), sources(parts), negative=True)
    assert made.seeds[0].blob == "" and made.seeds[0].negative and "no longer kept" in made.notes[0]
    store = parts.store
    create(store, Draft("birds", Similarity()), made.seeds, known_labels=tuple, sinks=SINKS, now=NOW)
    assert store.seeds("birds")[0].id == made.seeds[0].id


def test_a_sample_is_searched_for_by_the_beginning_of_its_id(parts):
    seen = [see(parts, jpeg(i), at=NOW + i) for i in range(3)]
    seeds = as_seeds(_elements(parts, seen[0]), sources(parts)).seeds
    campaign = create(parts.store, Draft("birds", Similarity()), seeds, known_labels=tuple, sinks=SINKS, now=NOW)
    frozen = version(Similarity(), seeds, campaign_id=campaign.id, embedding_version=parts.embedder().version)
    replay([SeedTarget(frozen, None)], Places(parts.store, parts.pictures), parts.embedder().version)
    sample = parts.store.samples()[-1]
    answer = found(parts, samples=(sample.id[:8],))
    assert sample.frame_id not in best(answer) and len(answer.groups) == 2


# ── what a person writes ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("7d", NOW - 7 * 86400),
        ("24h", NOW - 86400),
        ("90 minutes ago", NOW - 5400),
        ("1.5w", NOW - 1.5 * 604800),
        ("2026-05-28T20:26:40Z", 1_780_000_000.0),
        ("2026-05-28T22:26:40+02:00", 1_780_000_000.0),
        ("2026-05-28", 1_779_926_400.0),
    ],
)
def test_times_are_ages_or_iso(text, at):
    assert parse_time(text, now=NOW) == pytest.approx(at)


@pytest.mark.parametrize("text", ["", "yesterday", "7", "7y", "2026-13-01", "d"])
def test_what_is_no_time_is_said(text):
    with pytest.raises(InvalidInput):
        parse_time(text, now=NOW)


def test_a_filter_of_no_time_at_all_is_refused():
    with pytest.raises(InvalidInput, match="between"):
        parse_filter(since="1h", until="2h", now=NOW)


def test_answers_are_plain_json_values(parts):
    see(parts, jpeg(1), at=NOW)
    data = as_data(found(parts, pictures=(jpeg(1),)))
    assert json.loads(json.dumps(data)) == data
    assert {"key", "cosine", "rarity", "picture", "count", "others"} <= data["results"][0].keys()
