"""Robotoff-ANN's API over the hub's corpus: same routes, parameters, defaults, shapes and status codes.

A logo there is an element here, known by its key. As there, the item asked for is itself the first of its neighbours.
Read from its source (2.0 of Falcon, Annoy, euclidean), and where this differs on purpose:

- distances are between unit vectors, √(2(1−cos)); there vectors are as the network gave them. `metric=cosine`: 1−cos.
- items added since the last build are found as results too; there only as queries.
- `index` is an embedding version, or the name of an embedder; an error names those there are.
- numbers are checked everywhere: `count` of `from_embedding` too, and missing members are 400 (there 500).
- errors are problem+json with Falcon's `title`, and its `description` beside `detail`; also 404 has a body.
- `from_embedding` takes `embeddings`, a list of them, too, and gives a list of results for each.
- `batch`, `add` and request bodies have limits; nothing is answered to pages of other origins (no CORS).
- a random item, where there is none, is 404 (there 500).
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from flask import Blueprint, Response, jsonify, request
from werkzeug.exceptions import HTTPException

from hub.archive import Stored
from hub.types import Vectors
from hub.web import problems
from hub.web.ann_add import Adding
from hub.web.parts import Parts
from hub.web.values import json_object, numbers, parameter, whole, whole_text
from shared.errors import BowerbirdError, InvalidInput, NotFound

COUNT, MOST = 100, 500
MOST_IDS = 1_000
MOST_EMBEDDINGS = 100
HIGHEST_KEY = 2**63 - 1

_HITS_AT_ONCE = 5_000
"""A result is a vector until it is a distance: so many are held at a time."""
_KEYS_AT_ONCE = 50_000


@dataclass(frozen=True)
class Asked:
    """What the query says for every search. metric: euclidean or cosine."""

    version: str
    count: int
    metric: str


def blueprint(parts: Parts) -> Blueprint:
    """All of its routes, to be put under /api/v1/ann."""
    routes = Blueprint("ann", __name__)
    adding = Adding(parts)

    @routes.get("/<int:logo_id>")
    def neighbours(logo_id: int) -> Response:
        asked = _asked(parts)
        return _answer(parts, asked, _by_key(parts, asked, [logo_id]))

    @routes.get("")
    def of_a_random_item() -> Response:
        asked = _asked(parts)
        item = parts.store.archive.random(asked.version)
        return _answer(parts, asked, [item] if item else [])

    @routes.get("/batch")
    def batch() -> Response:
        asked = _asked(parts)
        items = _by_key(parts, asked, _logo_ids())
        at_once = max(1, _HITS_AT_ONCE // asked.count)
        some = (items[i : i + at_once] for i in range(0, len(items), at_once))
        results = {
            i.element.key: r for each in some for i, r in zip(each, _neighbours(parts, asked, each), strict=True)
        }
        return jsonify(results=results, count=len(results))

    @routes.post("/from_embedding")
    def from_embedding() -> Response:
        body = json_object()
        count = whole(body.get("count", 1), "count", 1, MOST)
        asked = Asked(_version(parts), count, _metric())
        queries, is_one = _embeddings(parts, asked, body)
        at_once = max(1, _HITS_AT_ONCE // count)
        some = (queries[i : i + at_once] for i in range(0, len(queries), at_once))
        results = list(chain.from_iterable(_search(parts, asked, each) for each in some))
        return jsonify(results=results[0] if is_one else results, count=len(results[0] if is_one else results))

    @routes.post("/add")
    def add() -> Response:
        return jsonify(added=adding.add(json_object()))

    @routes.get("/count")
    def count() -> Response:
        return jsonify(count=parts.store.archive.count(_version(parts)))

    @routes.get("/stored")
    def stored() -> Response:
        return Response(_stored_json(parts, _version(parts)), mimetype="application/json")

    routes.register_error_handler(BowerbirdError, lambda error: _described(problems.of_error(error)))
    routes.register_error_handler(HTTPException, lambda error: _described(problems.of_http(error)))
    return routes


# ── what is asked ────────────────────────────────────────────────────────────────────────────────────


def _asked(parts: Parts) -> Asked:
    count = parameter("count", COUNT, 1, MOST)
    return Asked(_version(parts), count, _metric())


def _metric() -> str:
    metric = request.args.get("metric", "euclidean")
    if metric not in ("euclidean", "cosine"):
        raise InvalidInput("metric must be euclidean or cosine")
    return metric


def _version(parts: Parts) -> str:
    """The embedding version that `index` means. InvalidInput for one that nothing is stored of."""
    wanted = request.args.get("index")
    current = parts.embedder()
    if wanted is None or wanted in (current.version, current.name):
        return current.version
    uses = [use for use in parts.store.archive.embedding_versions() if use.elements]
    for use in uses:  # newest first
        if wanted in (use.version, use.embedder):
            return use.version
    known = sorted({current.name, *(use.embedder or use.version for use in uses if use.version != current.version)})
    raise InvalidInput(f"unknown index: {wanted[:100]}", hint=f"There are: {', '.join(known)}.")


def _logo_ids() -> list[int]:
    """`logo_ids`, comma-separated or repeated, each once."""
    given = request.args.getlist("logo_ids")
    if not given:
        raise InvalidInput("the parameter logo_ids is missing")
    texts = ",".join(given).split(",")
    if len(texts) > MOST_IDS:
        raise InvalidInput(f"{len(texts)} logo_ids, the most is {MOST_IDS}")
    return list(dict.fromkeys(whole_text(text, "each of logo_ids", -HIGHEST_KEY, HIGHEST_KEY) for text in texts))


def _embeddings(parts: Parts, asked: Asked, body: dict[str, Any]) -> tuple[Vectors, bool]:
    """Queries (n, d) of unit length, and whether there was one alone."""
    is_one = "embedding" in body
    given = [body["embedding"]] if is_one else body.get("embeddings")
    if not isinstance(given, list) or not 1 <= len(given) <= MOST_EMBEDDINGS:
        raise InvalidInput(f"embedding is missing, or embeddings are not 1 to {MOST_EMBEDDINGS}")
    dim = _dim(parts, asked.version)
    rows = np.array([numbers(each, "embedding", dim) for each in given], np.float64)
    largest = np.abs(rows).max(axis=1, keepdims=True)
    if not largest.all():
        raise InvalidInput("embedding has no direction: it is all zeros")
    rows = rows / largest  # or the squares of large numbers would be infinite
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32), is_one


def _dim(parts: Parts, version: str) -> int:
    current = parts.embedder()
    if version == current.version:
        return current.dim
    return next(use.dim for use in parts.store.archive.embedding_versions() if use.version == version)


# ── what is answered ─────────────────────────────────────────────────────────────────────────────────


def _by_key(parts: Parts, asked: Asked, keys: Sequence[int]) -> list[Stored]:
    possible = [key for key in keys if 0 <= key <= HIGHEST_KEY]
    return parts.store.archive.by_key(possible, asked.version)


def _answer(parts: Parts, asked: Asked, items: Sequence[Stored]) -> Response:
    """Of one item. NotFound when there is none."""
    if not items:
        raise NotFound("item", str((request.view_args or {}).get("logo_id", "at random")))
    results = _neighbours(parts, asked, items)[0]
    return jsonify(results=results, count=len(results))


def _neighbours(parts: Parts, asked: Asked, items: Sequence[Stored]) -> list[list[dict[str, Any]]]:
    """A list for each item, which is itself the first: an approximate index may miss even that."""
    found = _search(parts, asked, np.stack([item.vector for item in items]))
    return [
        [{"distance": 0.0, "logo_id": item.element.key}, *(r for r in results if r["logo_id"] != item.element.key)][
            : asked.count
        ]
        for item, results in zip(items, found, strict=True)
    ]


def _search(parts: Parts, asked: Asked, queries: Vectors) -> list[list[dict[str, Any]]]:
    """For each query, neighbours by growing distance."""
    answers = []
    for query, hits in zip(queries, parts.corpus(asked.version).search(queries, asked.count), strict=True):
        distances = _distances(query, np.stack([hit.vector for hit in hits]) if hits else query[:0], asked.metric)
        order = np.argsort(distances, kind="stable")
        answers.append([{"distance": float(distances[i]), "logo_id": hits[i].element.key} for i in order])
    return answers


def _distances(query: Any, rows: Any, metric: str) -> Any:
    """(n,) float64. Of differences, not of 1−cos: that loses what is near 0, and equal vectors would be apart."""
    if not len(rows):
        return np.zeros(0)
    squares = np.square(rows.astype(np.float64) - query).sum(axis=1)
    return squares / 2 if metric == "cosine" else np.sqrt(squares)


def _stored_json(parts: Parts, version: str) -> Iterator[str]:
    """Page by page, for there may be millions."""
    yield '{"stored":['
    after, separator = -1, ""
    while keys := parts.store.archive.keys(version, after=after, limit=_KEYS_AT_ONCE):
        yield separator + json.dumps(keys, separators=(",", ":"))[1:-1]
        after, separator = keys[-1], ","
    yield "]}\n"


def _described(answer: Response | HTTPException) -> Response | HTTPException:
    """With Falcon's name for what went wrong, too."""
    if isinstance(answer, HTTPException):
        return answer
    said = answer.get_json(silent=True)
    if isinstance(said, dict) and "detail" in said:
        answer.set_data(json.dumps({**said, "description": said["detail"]}, ensure_ascii=False) + "\n")
    return answer
