import json

import numpy as np
import pytest

ANN = "/api/v1/ann"


def ids(results):
    return [each["logo_id"] for each in results]


def nearest(vectors, query, count, first_key=100):
    """Keys and euclidean distances, by brute force."""
    distances = np.linalg.norm(vectors - query, axis=1)
    order = np.argsort(distances)[:count]
    return [first_key + int(i) for i in order], distances[order]


def test_neighbours_are_the_nearest_elements_with_euclidean_distances(client, parts):
    vectors = parts.fill(40)
    said = client.get(f"{ANN}/107?count=5").json
    keys, distances = nearest(vectors, vectors[7], 5)
    assert list(said) == ["results", "count"] and said["count"] == 5
    assert ids(said["results"]) == keys
    assert [each["distance"] for each in said["results"]] == pytest.approx(distances, abs=2e-3)


def test_an_item_is_the_first_of_its_own_neighbours_at_distance_zero(client, parts):
    parts.fill(5)
    assert client.get(f"{ANN}/103").json["results"][0] == {"distance": 0.0, "logo_id": 103}


def test_cosine_distance_is_half_the_square_of_the_euclidean_one(client, parts):
    parts.fill(9)
    euclidean, cosine = (
        [each["distance"] for each in client.get(f"{ANN}/100?metric={metric}").json["results"]]
        for metric in ("euclidean", "cosine")
    )
    assert cosine == pytest.approx([d * d / 2 for d in euclidean])


def test_without_count_there_are_a_hundred_neighbours(client, parts):
    parts.fill(120)
    assert client.get(f"{ANN}/100").json["count"] == 100
    assert client.get(f"{ANN}/100?count=500").json["count"] == 120


def test_a_random_item_is_one_of_those_stored(client, parts):
    parts.fill(3)
    assert client.get(ANN).json["results"][0]["logo_id"] in (100, 101, 102)
    assert client.get(f"{ANN}/?count=2").json["count"] == 2


def test_a_hub_that_stores_nothing_has_no_random_item(client):
    assert client.get(ANN).status_code == 404


@pytest.mark.parametrize("key", ["7", "0", "-5", "9" * 30, "abc"])
def test_an_unknown_item_is_404(client, parts, key):
    parts.fill(1)
    answer = client.get(f"{ANN}/{key}")
    assert answer.status_code == 404 and answer.content_type == "application/problem+json"


@pytest.mark.parametrize(
    "query",
    ["count=0", "count=501", "count=", "count=ten", "count=1.0", "count=1e2", "count=٣", "metric=l1", "index=x"],
)
def test_a_wrong_parameter_is_400_and_says_which(client, parts, query):
    parts.fill(1)
    for path in (f"{ANN}/100", ANN, f"{ANN}/batch?logo_ids=100"):
        answer = client.get(path + ("&" if "?" in path else "?") + query)
        assert answer.status_code == 400 and answer.json["title"]
        assert query.split("=")[0] in answer.json["description"]


def test_an_index_is_a_version_or_the_name_of_its_embedder(client, parts):
    parts.fill(2)
    parts.fill(3, version="another", dim=4, first_key=900)
    parts.store.archive.record_embedder("another", "Fancy CLIP", 4)
    for name, keys in (("another", [900, 901, 902]), ("Fancy CLIP", [900, 901, 902])):
        assert client.get(f"{ANN}/stored", query_string={"index": name}).json == {"stored": keys}
        assert client.get(f"{ANN}/900", query_string={"index": name}).json["count"] == 3
    assert client.get(f"{ANN}/100", query_string={"index": parts.embedder().name}).json["count"] == 2
    assert client.get(f"{ANN}/900").status_code == 404


def test_a_batch_has_a_list_for_each_known_id(client, parts):
    parts.fill(5)
    said = client.get(f"{ANN}/batch?logo_ids=101,7,103,101&count=2").json
    assert said["count"] == 2 and sorted(said["results"]) == ["101", "103"]
    assert said["results"]["103"] == client.get(f"{ANN}/103?count=2").json["results"]


def test_ids_of_a_batch_may_be_repeated_parameters(client, parts):
    parts.fill(3)
    assert sorted(client.get(f"{ANN}/batch?logo_ids=100&logo_ids=102").json["results"]) == ["100", "102"]


def test_a_batch_of_unknown_ids_is_empty(client):
    assert client.get(f"{ANN}/batch?logo_ids=1,2").json == {"results": {}, "count": 0}


@pytest.mark.parametrize("query", ["", "?logo_ids=", "?logo_ids=a", "?logo_ids=1,,2", "?logo_ids=" + "1," * 1000 + "1"])
def test_a_batch_of_no_ids_or_wrong_ones_is_400(client, query):
    assert client.get(f"{ANN}/batch{query}").status_code == 400


def test_a_large_batch_answers_like_single_requests(client, parts):
    parts.fill(60)
    said = client.get(f"{ANN}/batch?count=500&logo_ids=" + ",".join(str(100 + i) for i in range(60))).json
    assert said["count"] == 60
    assert said["results"]["159"] == client.get(f"{ANN}/159?count=500").json["results"]


def test_an_embedding_finds_its_neighbours_whatever_its_length(client, parts):
    vectors = parts.fill(20)
    said = client.post(
        f"{ANN}/from_embedding", json={"embedding": [float(v) * 1e200 for v in vectors[4]], "count": 3}
    ).json
    keys, distances = nearest(vectors, vectors[4], 3)
    assert ids(said["results"]) == keys and said["count"] == 3
    assert [each["distance"] for each in said["results"]] == pytest.approx(distances, abs=2e-3)


def test_an_embedding_alone_finds_one_neighbour(client, parts):
    vectors = parts.fill(3)
    said = client.post(f"{ANN}/from_embedding", json={"embedding": vectors[0].tolist()}).json
    assert said["count"] == 1 and ids(said["results"]) == [100]


def test_several_embeddings_have_a_list_each(client, parts):
    vectors = parts.fill(9)
    said = client.post(f"{ANN}/from_embedding", json={"embeddings": vectors[2:5].tolist(), "count": 2}).json
    assert said["count"] == 3 and [ids(each)[0] for each in said["results"]] == [102, 103, 104]


DIM = 388


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"embedding": [1.0]},
        {"embedding": [0.0] * DIM},
        {"embedding": [float("nan")] * DIM},
        {"embedding": [10**400] * DIM},
        {"embedding": ["1"] * DIM},
        {"embedding": [True] * DIM},
        {"embedding": "1,2"},
        {"embedding": [1.0] * DIM, "count": 0},
        {"embedding": [1.0] * DIM, "count": 2.5},
        {"embedding": [1.0] * DIM, "count": "1"},
        {"embeddings": []},
        {"embeddings": [[1.0] * DIM] * 101},
        {"embedding": [1.0] * DIM, "embeddings": 3, "count": 501},
    ],
)
def test_a_wrong_embedding_is_400(client, parts, body):
    assert parts.embedder().dim == DIM
    assert client.post(f"{ANN}/from_embedding", json=body).status_code == 400


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"embedding": ' + b"1" * 5000 + b"}"])
def test_a_body_that_is_no_json_object_is_400(client, body):
    answer = client.post(f"{ANN}/from_embedding", data=body, content_type="application/json")
    assert answer.status_code == 400 and answer.json["status"] == 400


def test_a_body_of_another_type_is_415_and_of_none_is_taken_as_json(client, parts):
    vectors = parts.fill(1)
    body = json.dumps({"embedding": vectors[0].tolist()})
    assert client.post(f"{ANN}/from_embedding", data=body, content_type="text/plain").status_code == 415
    assert client.post(f"{ANN}/from_embedding", data=body).status_code == 200


def test_a_body_that_is_too_long_is_413(client):
    assert client.post(f"{ANN}/from_embedding", json={"embedding": [1.0] * 800_000}).status_code == 413


def test_a_stored_vector_of_another_embedder_takes_embeddings_of_its_own_length(client, parts):
    parts.fill(3, version="another", dim=4)
    asked = {"embedding": [1.0, 0, 0, 0]}
    assert client.post(f"{ANN}/from_embedding?index=another", json=asked).status_code == 200
    assert client.post(f"{ANN}/from_embedding", json=asked).status_code == 400


def test_everything_stored_is_counted_and_listed(client, parts, monkeypatch):
    assert client.get(f"{ANN}/stored").json == {"stored": []}
    parts.fill(10)
    monkeypatch.setattr("hub.web.ann._KEYS_AT_ONCE", 3)  # several pages
    assert client.get(f"{ANN}/count").json == {"count": 10}
    assert client.get(f"{ANN}/stored").json == {"stored": list(range(100, 110))}


def test_another_method_is_405_and_names_those_that_are(client):
    answer = client.delete(f"{ANN}/count")
    assert answer.status_code == 405 and "GET" in answer.headers["Allow"]
    assert client.get(f"{ANN}/from_embedding").status_code == 405
