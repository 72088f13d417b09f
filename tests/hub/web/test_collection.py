"""The collection routes refuse what no client of ours would send, and store nothing of it."""

import base64
import copy
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.collection.answers import state_of
from hub.collection.values import BOXES, MARKS, PICTURES
from hub.packed import unpack
from hub.triggers.similarity import Similarity
from hub.types import Campaign, CampaignState
from tests.hub.making import seed, version
from tests.hub.web.making import jpeg

DIM = 4
AXIS = np.eye(DIM, dtype="<f4")[0]
FRAME_ID = "0" * 32

NEEDS = {
    "detections": False,
    "frame_vector": True,
    "crop_vectors": False,
    "confidence": 1.0,
    "crop_confidence": 1.0,
}


@pytest.fixture
def trucks(parts):
    """An active campaign of embedding version v1."""
    made = parts.store.add_campaign(Campaign(0, "trucks", Similarity()), [])
    seeds = (replace(seed(AXIS, "a truck"), id="seed-1"),)
    committed = parts.store.commit(version(Similarity(), seeds, campaign_id=made.id, campaign="trucks"))
    parts.store.set_campaign_state("trucks", CampaignState.ACTIVE)
    return committed


def base64_of(vectors):
    return base64.b64encode(np.asarray(vectors, "<f4").tobytes()).decode()


def frame(**changes):
    """A frame with a box, as the client would say it."""
    score = {"value": 0.9, "row": 0, "seed": "seed-1", "cosine": 0.9, "scorer": "calibrated", "why": "like a truck"}
    whole = {
        "camera": "front",
        "taken_at": 1000.0,
        "xyxy": [[1, 2, 20, 30]],
        "confidence": [0.5],
        "label": ["truck"],
        "dim": DIM,
        "vectors": base64_of([AXIS, AXIS]),
        "embedding_version": "v1",
        "detector": "",
        "taken": [{"campaign_id": 1, "number": 1, "reason": "it fits", "score": score}],
        "metadata": {"0": {"weather": "rain"}},
    }
    return copy.deepcopy(whole) | changes


def taken(**changes):
    """`taken` of a frame, with a score that is another."""
    score = {"value": 0.9, "row": 0, "seed": "seed-1", "cosine": 0.9, "scorer": "calibrated", "why": "like a truck"}
    of_score = {name: changes.pop(name) for name in list(changes) if name in score}
    return [{"campaign_id": 1, "number": 1, "reason": "it fits", "score": score | of_score} | changes]


def post(client, path, said, pictures=(), **more):
    text = said if isinstance(said, bytes) else json.dumps(said).encode()
    data = {"request": (io.BytesIO(text), "request.json"), "picture": [(io.BytesIO(p), "p") for p in pictures]}
    return client.post(f"/api/v1/collection/{path}", data=data, content_type="multipart/form-data", **more)


def send(client, *frames, processed=()):
    return post(client, "samples", {"frames": frames, "processed": processed}, [jpeg(i) for i in range(len(frames))])


def is_problem(answer, status=400):
    assert answer.status_code == status, answer.text
    assert answer.mimetype == "application/problem+json"
    return answer.json["detail"]


def test_state_is_packed_versions(client, trucks):
    answer = client.get("/api/v1/collection/state")
    assert answer.status_code == 200
    (only,) = state_of(unpack(answer.data)).versions
    assert (only.campaign, only.number, only.seeds[0].id) == ("trucks", 1, "seed-1")


def test_state_of_an_unknown_campaign_is_404(client, trucks):
    assert "no campaign named 'vans'" in is_problem(client.get("/api/v1/collection/state?campaign=vans"), 404)


def test_the_routes_ask_for_the_token(guarded):
    for method, path in (("get", "state"), ("post", "embed"), ("post", "samples")):
        is_problem(getattr(guarded, method)(f"/api/v1/collection/{path}"), 401)


def test_a_frame_is_stored_once_however_often_it_is_sent(client, parts, trucks):
    mark = [FRAME_ID, "front", 1000.0, [[1, 1]]]
    assert send(client, frame(), processed=[mark]).json == {"new": 1, "known": 0, "refused": 0}
    assert send(client, frame(), processed=[mark]).json == {"new": 0, "known": 1, "refused": 0}
    (sample,) = parts.store.samples()
    assert sample.score.why == "like a truck"
    assert [each.element.row for each in parts.store.archive.of_frames([sample.frame_id], "v1")[sample.frame_id]] == [
        0,
        1,
    ]
    (count,) = parts.store.counts()
    assert (count.processed, count.collected) == (1, 1)


def test_processed_frames_leave_a_count_and_nothing_else(client, parts, trucks):
    marks = [[f"{i:032x}", "front", 1000.0 + i, [[1, 1]]] for i in range(50)]
    for _ in range(2):
        assert post(client, "samples", {"frames": [], "processed": marks}).status_code == 200
    assert parts.store.counts()[0].processed == 50
    assert parts.store.archive.usage().frames == 0


def test_retention_does_not_make_old_frames_count_again(client, parts, trucks):
    mark = [FRAME_ID, "front", 1000.0, [[1, 1]]]
    for _ in range(2):
        send(client, processed=[mark])
        parts.store.prune(2000.0, limit=99)
    assert parts.store.counts()[0].processed == 1


def test_each_frame_counts_for_the_campaigns_that_judged_it(client, parts, trucks):
    other = parts.store.add_campaign(Campaign(0, "vans", Similarity()), [])
    parts.store.commit(version(Similarity(), (seed(AXIS),), campaign_id=other.id, campaign="vans"))
    of_both, of_one = [FRAME_ID, "front", 1.0, [[1, 1], [2, 1]]], ["1" * 32, "front", 1.0, [[2, 1]]]
    for marks in ([of_one], [of_both, of_one], [of_both, of_one]):
        post(client, "samples", {"frames": [], "processed": marks})
    assert {each.campaign_id: each.processed for each in parts.store.counts()} == {1: 1, 2: 2}


WRONG_FRAMES = {
    "no camera": {"camera": ""},
    "a camera with a line break": {"camera": "a\nb"},
    "a long camera": {"camera": "x" * 101},
    "a time before 1970": {"taken_at": -1.0},
    "a time that is no number": {"taken_at": float("nan")},
    "a time that is text": {"taken_at": "now"},
    "a time far off": {"taken_at": 1e14},
    "a box out of the picture": {"xyxy": [[0, 0, 100, 10]]},
    "a box upside down": {"xyxy": [[20, 30, 1, 2]]},
    "a box without width": {"xyxy": [[5, 5, 5, 9]]},
    "a box of three": {"xyxy": [[0, 0, 1]]},
    "a box of text": {"xyxy": [["a", 0, 1, 1]]},
    "a box of infinity": {"xyxy": [[0, 0, float("inf"), 1]]},
    "boxes that are none": {"xyxy": 7},
    "more boxes than confidences": {"xyxy": [[0, 0, 1, 1]] * 2},
    "too many boxes": {
        "xyxy": [[0, 0, 1, 1]] * (BOXES + 1),
        "confidence": [1] * (BOXES + 1),
        "label": [""] * (BOXES + 1),
    },
    "a confidence above 1": {"confidence": [1.5]},
    "a label that is a number": {"label": [7]},
    "a long label": {"label": ["x" * 201]},
    "boxes in another order": {"xyxy": [[0, 0, 1, 1]] * 2, "confidence": [0.1, 0.9], "label": ["a", "b"]},
    "more vectors than boxes": {"vectors": base64_of([AXIS] * 3)},
    "a vector of another length": {"vectors": base64_of([2 * AXIS])},
    "a vector with NaN": {"vectors": base64_of([AXIS * float("nan")])},
    "vectors cut short": {"vectors": base64_of([AXIS])[:-6] + "=="},
    "vectors that are no base64": {"vectors": "*"},
    "a dimension of 0": {"dim": 0},
    "a dimension below 0": {"dim": -4},
    "an embedding version with spaces": {"embedding_version": "a b"},
    "no embedding version": {"embedding_version": ""},
    "a detector that is a list": {"detector": []},
    "nobody who took it": {"taken": 1},
    "taken twice by one": {"taken": taken() * 2},
    "an unknown seed": {"taken": taken(seed="seed-9")},
    "a score above 1": {"taken": taken(value=1.1)},
    "a score that is NaN": {"taken": taken(value=float("nan"))},
    "a row that is not there": {"taken": taken(row=2)},
    "a row below 0": {"taken": taken(row=-1)},
    "a cosine of 3": {"taken": taken(cosine=3.0)},
    "a long reason": {"taken": taken(reason="x" * 401)},
    "a reason with a control character": {"taken": taken(why="\x1b[2J")},
    "metadata of a row that is not there": {"metadata": {"2": {}}},
    "metadata of no row": {"metadata": {"x": {}}},
    "metadata that is a list": {"metadata": []},
    "much metadata": {"metadata": {"0": {"a": "x" * 20_000}}},
}


@pytest.mark.parametrize("changes", WRONG_FRAMES.values(), ids=WRONG_FRAMES)
def test_a_frame_that_can_not_be_is_refused_and_nothing_stored(client, parts, trucks, changes):
    status = 404 if "seed-9" in str(changes) else 400
    is_problem(send(client, frame(), frame(**changes)), status)
    assert parts.store.samples() == []
    assert not parts.blobs.keys()


@pytest.mark.parametrize("where", [{"campaign_id": 9}, {"number": 7}])
def test_a_version_that_is_not_there_is_404(client, parts, trucks, where):
    is_problem(send(client, frame(taken=taken(**where))), 404)
    mark = [FRAME_ID, "front", 1.0, [[where.get("campaign_id", 1), where.get("number", 1)]]]
    is_problem(post(client, "samples", {"frames": [], "processed": [mark]}), 404)
    assert parts.store.counts() == []


def test_a_vector_of_another_length_than_those_stored_is_refused(client, parts, trucks):
    send(client, frame())
    wrong = frame(dim=2, vectors=base64_of([[1, 0]]), xyxy=[], confidence=[], label=[], metadata={})
    answer = post(client, "samples", {"frames": [wrong], "processed": []}, [jpeg(9)])
    is_problem(answer)
    assert len(parts.store.samples()) == 1


@pytest.mark.parametrize("picture", [b"", b"<html>", jpeg()[:100], b"\xff\xd8\xff" + b"\0" * 500])
def test_what_is_no_picture_is_refused(client, parts, trucks, picture):
    assert "picture 0 is refused" in is_problem(post(client, "samples", {"frames": [frame()]}, [picture]))
    said = {"needs": NEEDS, "embedding_version": parts.embedder().version, "pictures": [{"xyxy": None}]}
    assert "picture 0 is refused" in is_problem(post(client, "embed", said, [picture]))
    assert not parts.blobs.keys()


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"{",
        b"[]",
        b"[" * 100_000,
        b'{"frames": 1}',
        b'{"frames": [], "processed": {}}',
        b'{"processed": [1]}',
        b'{"processed": [["z", "front", 1, []]]}',
        b'{"processed": [["00000000000000000000000000000000", "front", 1, [[1]]]]}',
        b'{"processed": [["00000000000000000000000000000000", "front", null, []]]}',
        b'{"processed": [["00000000000000000000000000000000", "front", 1, [[-1, 1]]]]}',
        b'{"processed": [["00000000000000000000000000000000", "front", 1, [[1, 99999999999999]]]]}',
    ],
)
def test_what_is_no_request_is_refused(client, trucks, said):
    is_problem(post(client, "samples", said))


def test_counts_of_parts_are_bounded(client, trucks):
    is_problem(send(client, *[frame()] * (PICTURES + 1)))
    is_problem(post(client, "samples", {"frames": []}, [jpeg()] * (PICTURES + 1)))
    marks = [[FRAME_ID, "front", 1.0, []]] * (MARKS + 1)
    is_problem(post(client, "samples", {"frames": [], "processed": marks}))
    is_problem(post(client, "samples", {"frames": [frame()], "processed": []}))


def test_a_request_that_says_it_is_too_large_is_not_read(client, trucks):
    answer = client.post(
        "/api/v1/collection/samples",
        data=b"",
        headers={"Content-Length": str(10**12), "Content-Type": "multipart/form-data; boundary=x"},
    )
    assert answer.status_code in (400, 413)


def test_a_request_without_parts_is_refused(client):
    is_problem(client.post("/api/v1/collection/samples", json={}))


def test_embed_gives_vectors_of_pictures_and_boxes(client, parts):
    embedder = parts.embedder()
    pictures = [{"xyxy": None}, {"xyxy": [[0, 0, 30, 20], [5, 5, 60, 40]]}]
    said = {"needs": NEEDS, "embedding_version": embedder.version, "pictures": pictures}
    answer = post(client, "embed", said, [jpeg(1), jpeg(2)])
    whole, boxed = unpack(answer.data)["pictures"]
    assert whole["vectors"].shape == (1, embedder.dim)
    assert boxed["vectors"].shape == (3, embedder.dim)
    assert np.linalg.norm(boxed["vectors"], axis=1) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize(
    "changes",
    [
        {"needs": None},
        {"needs": NEEDS | {"detections": 1}},
        {"needs": NEEDS | {"confidence": "high"}},
        {"embedding_version": None},
        {"embedding_version": "another"},
        {"pictures": []},
        {"pictures": [7]},
        {"pictures": [{"xyxy": [[0, 0, 900, 20]]}]},
        {"pictures": [{"xyxy": [[0, 0, 1, 1]] * (BOXES + 1)}]},
    ],
)
def test_embed_refuses_what_can_not_be(client, parts, changes):
    said = {"needs": NEEDS, "embedding_version": parts.embedder().version, "pictures": [{"xyxy": None}]}
    is_problem(post(client, "embed", said | changes, [jpeg()]))


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(sorted(frame())), value=_json)
def test_any_value_anywhere_is_an_answer_and_never_a_fault(client, trucks, name, value):
    assert send(client, frame(**{name: value})).status_code in (200, 400, 404)
