"""`/api/v1/search`: everything seen, by text, picture, element or sample; `/api/v1/elements/…`: what was found."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from flask import Blueprint, Response, jsonify, request

from hub.archive import Element, Filter, Stored
from hub.filters import parse_filter
from hub.search import MOST, SAME_SCENE, Examples, Found, Query, files_of, kept_of, search, sources
from hub.search_data import as_data, element_data
from hub.vision import DecodeLimits
from hub.web.parts import Parts
from hub.web.values import json_object
from shared.errors import InvalidInput, ModelError, NotFound

_MOST_EXAMPLES = 20
"""Of each kind in one search."""

_BODY_BYTES = 64 * 2**20
"""Of all pictures in one request."""

_LONGEST_TEXT = 1_000

_HIGHEST_KEY = 2**63 - 1

_FILTERS = ("since", "until", "kind")
_MANY_FILTERS = {"camera": "cameras", "label": "labels"}


def blueprint(parts: Parts) -> Blueprint:
    """All of its routes, to be put under /api/v1."""
    routes = Blueprint("search", __name__)

    @routes.route("/search", methods=["GET", "POST"])
    def search_() -> Response:
        return jsonify(as_data(_found(_query(), parts)))

    @routes.get("/elements/<int:key>")
    def element(key: int) -> Response:
        found = _element(parts, key)
        kept = kept_of([found.frame_id], sources(parts))[found.frame_id]
        source = files_of([found.frame_id], parts.store).get(found.frame_id, "")
        return jsonify(**element_data(found, source), picture=kept.value)

    @routes.get("/elements/<int:key>/image.jpg")
    def image(key: int) -> Response:
        found = _element(parts, key)
        small = request.args.get("thumbnail", "0") not in ("0", "false", "")
        if small:
            data = parts.pictures.thumbnail(found.frame_id)
        elif found.row:
            data = parts.pictures.crop(found)
        else:
            data = parts.pictures.picture(found.frame_id)
        kind = "image/png" if data.startswith(b"\x89PNG") else "image/jpeg"
        # An element's picture never changes; it may go, and then nothing but the browser has it.
        return Response(data, mimetype=kind, headers={"Cache-Control": "private, max-age=3600"})

    return routes


def _element(parts: Parts, key: int) -> Element:
    found: list[Stored] = []
    if key <= _HIGHEST_KEY:
        found = parts.store.archive.by_key([key], parts.embedder().version)
    if not found:
        raise NotFound("element", str(key), hint="Keys come with each result of a search.")
    return found[0].element


def _found(query: Query, parts: Parts) -> Found:
    """A text that the embedder does not understand is the client's mistake; an embedder that can't be loaded is not."""
    of = sources(parts)
    try:
        return search(query, of)
    except ModelError as error:
        if query.like.texts or query.unlike.texts:
            raise InvalidInput(error.message, hint=error.hint) from error
        raise


def _query() -> Query:
    """What a request asks for: a query string, a form with pictures, a JSON object, or a picture as its body."""
    if request.method == "GET":
        return _of(_lists(request.args), ())
    if request.is_json:
        return _of(_json_lists(json_object()), ())
    most = DecodeLimits().max_bytes
    request.max_content_length = _BODY_BYTES
    if request.mimetype.startswith("image/"):
        pictures, said = [request.stream.read(most + 1)], _lists(request.args)
    else:
        pictures, said = [file.stream.read(most + 1) for file in request.files.getlist("image")], _lists(request.form)
    if any(len(data) > most for data in pictures):
        raise InvalidInput(f"a picture has at most {most:,} bytes")
    return _of(said, pictures)


def _lists(values: Any) -> dict[str, list[str]]:
    """All that was said, by name."""
    return {name: list(values.getlist(name)) for name in values}


def _json_lists(body: Mapping[str, Any]) -> dict[str, list[str]]:
    """The same of a JSON object, where a list stands for several."""
    lists: dict[str, list[str]] = {}
    for name, value in body.items():
        some = value if isinstance(value, list) else [value]
        if not all(isinstance(each, str | int | float) for each in some):
            raise InvalidInput(f"{name} is a text, a number, or a list of these")
        lists[name] = [_text(each) for each in some]
    return lists


def _text(value: str | float | bool) -> str:
    return value if isinstance(value, str) else ("1" if value else "0") if isinstance(value, bool) else f"{value}"


_KNOWN = {
    "text", "element_id", "sample_id", "unlike", "unlike_element_id", "unlike_sample_id", "k", "group",
    *_FILTERS, *_MANY_FILTERS,
}  # fmt: skip


def _of(given: Mapping[str, Sequence[str]], pictures: Sequence[bytes]) -> Query:
    for name, values in given.items():
        if name not in _KNOWN:
            unknown = NotFound("parameter", name, _KNOWN)
            raise InvalidInput(unknown.message, hint=unknown.hint)
        if len(values) > _MOST_EXAMPLES:
            raise InvalidInput(f"{name} is given {len(values)} times, at most {_MOST_EXAMPLES} are taken")
    if len(pictures) > _MOST_EXAMPLES:
        raise InvalidInput(f"{len(pictures)} pictures are given, at most {_MOST_EXAMPLES} are taken")
    like = Examples(
        _texts(given.get("text", ())), tuple(pictures), _keys(given.get("element_id", ())),
        tuple(given.get("sample_id", ())),
    )  # fmt: skip
    unlike = Examples(
        _texts(given.get("unlike", ())), (), _keys(given.get("unlike_element_id", ())),
        tuple(given.get("unlike_sample_id", ())),
    )  # fmt: skip
    same = None if _one(given, "group") in ("0", "false", "no") else SAME_SCENE
    return Query(like, unlike, _filter(given), _whole(_one(given, "k") or "20", "k", MOST), same)


def _filter(given: Mapping[str, Sequence[str]]) -> Filter:
    one = {name: _one(given, name) for name in _FILTERS}
    many = {name: [value for value in given.get(asked, ()) if value] for asked, name in _MANY_FILTERS.items()}
    return parse_filter(
        since=one["since"],
        until=one["until"],
        kind=one["kind"],
        cameras=many["cameras"],
        labels=many["labels"],
        now=time.time(),
    )


def _one(given: Mapping[str, Sequence[str]], name: str) -> str:
    values = given.get(name, ())
    if len(values) > 1:
        raise InvalidInput(f"{name} is given {len(values)} times")
    return values[0] if values else ""


def _texts(texts: Sequence[str]) -> tuple[str, ...]:
    if any(len(text) > _LONGEST_TEXT for text in texts):
        raise InvalidInput(f"a text has at most {_LONGEST_TEXT:,} characters")
    return tuple(text.strip() for text in texts if text.strip())


def _keys(texts: Sequence[str]) -> tuple[int, ...]:
    return tuple(_whole(text, "an element's key", _HIGHEST_KEY, low=0) for text in texts)


def _whole(text: str, what: str, high: int, low: int = 1) -> int:
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else -1
    if not low <= number <= high:
        raise InvalidInput(f"{what} is a whole number from {low} to {high}")
    return number
