"""What goes along with a picture."""

import json
from dataclasses import replace
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.deliveries import Provenance
from hub.sinks.facts import counted, facts_of, flat_facts, iso_time
from hub.types import Score
from tests.hub.delivering import parcel


def _why():
    what = parcel(tags=("night", "wet"), score=Score(0.7345678, 1, "s1", 0.8123456, "exemplar 1", "like magpie.jpg"))
    why = Provenance("birds", 3, "similarity", None, "magpie.jpg", "clip 1", "yolo 1")
    return replace(what, provenance=why, redaction="1 person")


def test_the_facts_say_why_a_sample_was_taken_and_by_what():
    facts = facts_of(_why())
    assert (facts["trigger"], facts["threshold"], facts["nearest_seed"]) == ("similarity", None, "magpie.jpg")
    assert (facts["score"], facts["cosine"], facts["scorer"]) == (0.73457, 0.81235, "exemplar 1")
    assert (facts["embedding_version"], facts["detector"], facts["redaction"]) == ("clip 1", "yolo 1", "1 person")
    assert (facts["element"], facts["size"], facts["tags"]) == ("crop", [640, 480], ["night", "wet"])
    assert facts["detections"][0] == {"label": "bird", "confidence": 0.9, "box": [0.0, 0.0, 8.0, 8.0]}
    assert (facts["camera"], facts["taken_at"]) == ("porch", "1970-01-01T00:01:40.000Z")


def test_they_are_json():
    facts = facts_of(_why())
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts


def test_flat_they_are_plain_and_leave_out_what_is_not_there():
    flat = flat_facts(_why())
    assert all(isinstance(value, str | float | int | bool) for value in flat.values())
    assert (flat["tags"], flat["size"], flat["detections"]) == ("night wet", "640 480", "1 bird, 1 cat")
    assert "threshold" not in flat and flat["control"] is False
    assert "redaction" not in flat_facts(parcel())


@pytest.mark.parametrize(
    ("labels", "expected"), [((), ""), (("a",), "1 a"), (("car", "person", "person"), "2 person, 1 car")]
)
def test_labels_are_counted(labels, expected):
    assert counted(labels) == expected


@settings(deadline=None)
@given(st.floats(0, 4e9))
def test_times_are_iso_8601_in_utc(at):
    text = iso_time(at)
    assert text.endswith("Z") and len(text) == 24
    assert abs(datetime.fromisoformat(text).timestamp() - at) < 0.001
