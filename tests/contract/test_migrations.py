"""A database of the first hub, with rows in every table, becomes one of today's, and nothing in it is lost."""

import json
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext

import hub.store
from hub.store import open_store
from hub.store.engine import Database
from hub.store.tables import metadata
from hub.triggers.detection import Detection
from hub.triggers.similarity import Similarity
from hub.types import (
    Batch,
    Budget,
    CampaignState,
    Counts,
    ElementKind,
    Fitted,
    Held,
    RateLimit,
    Remembered,
    SampleStatus,
    Scope,
    Stage,
)
from tests.contract.storing import frames, judged, sample, write

_CALIBRATIONS = {"image": {"floor": 0.2, "boundary": 0.6, "source": "of 1000 frames"}}
_WHOLE = np.array([0.6, 0.8], "<f4").tobytes()
_HALF = np.array([0.6, 0.8], "<f2").tobytes()

_SEED = {"kind": "image", "name": "an owl", "blob": "b1", "vector": _WHOLE, "embedding_version": "v1"}
_SETTINGS = {
    "scope": json.dumps({"cameras": ["porch"]}),
    "budget": json.dumps(
        {
            "threshold": 0.4,
            "limits": [{"count": 20, "per_s": 3600.0}],
            "duplicate_distance": 0.1,
            "stop_after": None,
        }
    ),
    "destinations": json.dumps(["folder"]),
    "tags": json.dumps(["night"]),
}
_SIMILARITY = json.dumps({"name": "similarity", "element": "crop", "labels": ["bird"], "scorer": "calibrated"})
_DETECTION = json.dumps({"name": "detection", "labels": ["bird"], "confidence": 0.5})
_CAMPAIGN = {**_SETTINGS, "created_at": 1.0, "version": 1}
_VERSION = {**_SETTINGS, "number": 1, "created_at": 2.0, "calibrations": "{}", "embedding_version": None}

_OLD = {
    "facts": [{"name": "revision", "value": 41}],
    "cameras": [{"name": "porch", "url": "http://a/", "interval_s": 1.0, "token": "t", "enabled": True}],
    "camera_health": [
        {"camera": "porch", "state": "up", "reason": "", "message": "", "since": 1.0, "last_frame_at": 2.0}
        | {"latency_ms": 3.0, "polled": 4, "unchanged": 1, "dropped": 0, "failed": 0, "updated_at": 5.0}
    ],
    "campaigns": [
        {"id": 1, "name": "owls", "trigger": _SIMILARITY, "state": "active", **_CAMPAIGN},
        {"id": 2, "name": "birds", "trigger": _DETECTION, "state": "inactive", **_CAMPAIGN},
    ],
    "versions": [
        {"id": 1, "campaign_id": 1, "trigger": _SIMILARITY, **_VERSION}
        | {"calibrations": json.dumps(_CALIBRATIONS), "embedding_version": "v1"},
        {"id": 2, "campaign_id": 2, "trigger": _DETECTION, **_VERSION},
    ],
    "seeds": [{"position": 1, "campaign_id": 1, "id": "s1", **_SEED}],
    "version_seeds": [{"position": 1, "version_id": 1, "id": "s1", **_SEED}],
    "elements": [
        {"id": 1, "frame_id": "f1", "row": 0, "embedding_version": "v1", "camera": "porch", "taken_at": 3.0}
        | {"box": "[0, 0, 640, 480]", "label": "", "confidence": 1.0, "vector": _HALF}
    ],
    "samples": [
        {"position": 1, "id": "1:f1", "campaign_id": 1, "version": 1, "frame_id": "f1", "camera": "porch"}
        | {"taken_at": 3.0, "width": 640, "height": 480, "box": "[1, 2, 3, 4]", "value": 0.7}
        | {"score": json.dumps({"value": 0.7, "row": 1, "seed": "s1", "cosine": 0.5, "scorer": "x", "why": "owl"})}
        | {"reason": "owl 0.7", "detections": '{"xyxy": [[1, 2, 3, 4]], "confidence": [0.9], "label": ["bird"]}'}
        | {"vector": _HALF, "embedding_version": "v1", "status": "accepted", "created_at": 4.0}
        | {"destinations": '["folder"]', "tags": '["night"]'}
    ],
    "deliveries": [
        {"id": 1, "sample_id": "1:f1", "sink": "folder", "state": "pending", "attempts": 2, "due_at": 5.0}
        | {"claimed_until": 0.0, "remote_id": "", "error": "busy", "updated_at": 6.0}
    ],
    "counts": [{"campaign_id": 1, "version": 1, "camera": "porch", "processed": 9, "collected": 1}],
}


def _alembic(url, revision):
    """Bring a database to a revision, as the hub of that time did."""
    config = Config()
    config.set_main_option("script_location", str(Path(hub.store.__file__).parent / "migrations"))
    database = Database(url)
    with database.writing() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    database.close()


def _fill(url):
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        for table, rows in _OLD.items():
            for row in rows:
                names = [engine.dialect.identifier_preparer.quote(name) for name in row]
                values = ", ".join(f":{name}" for name in row)
                connection.execute(sa.text(f"insert into {table} ({', '.join(names)}) values ({values})"), row)
                if engine.dialect.name == "postgresql" and ("id" in row or "position" in row):
                    _advance(connection, table)
    engine.dispose()


def _advance(connection, table):
    """A row with a key of its own making leaves a sequence behind."""
    for column in ("id", "position"):
        serial = f"{table}_{column}_seq"
        if connection.scalar(sa.text(f"select to_regclass('{serial}') is not null")):
            connection.execute(sa.text(f"select setval('{serial}', (select max({column}) from {table}))"))


@pytest.fixture
def upgraded(url):
    """The store of a database that the first hub had made and filled."""
    _alembic(url, "0001")
    _fill(url)
    opened = open_store(url)
    yield opened
    opened.close()


def test_every_table_of_the_first_hub_is_filled_here(url):
    _alembic(url, "0001")
    engine = sa.create_engine(url)
    assert set(sa.inspect(engine).get_table_names()) == {*_OLD, "alembic_version"}
    engine.dispose()


def test_campaigns_and_their_settings_are_as_they_were(upgraded):
    owls, birds = upgraded.campaigns()
    assert (owls.name, owls.state, owls.version) == ("owls", CampaignState.ACTIVE, 1)
    assert owls.trigger == Similarity(ElementKind.CROP, ("bird",), scorer="calibrated")
    assert birds.trigger == Detection(("bird",), confidence=0.5)
    assert owls.budget == Budget(0.4, (RateLimit(20, 3600.0),), 0.1)
    assert (owls.scope, owls.tags) == (Scope(("porch",)), ("night",))
    assert upgraded.revision() == 41


def test_a_version_with_calibrations_has_the_scorer_that_they_are(upgraded):
    (owls,) = upgraded.active_versions()
    assert isinstance(owls.scorer, Fitted)
    assert (owls.scorer.name, dict(owls.scorer.facts)) == ("typical-1", {"calibrations": _CALIBRATIONS})
    assert dict(owls.scorer.arrays) == {}
    (birds,) = upgraded.versions("birds")
    assert birds.scorer is None


def test_seeds_are_positive_and_keep_their_vectors(upgraded):
    for (kept,) in (upgraded.seeds("owls"), upgraded.active_versions()[0].seeds):
        assert (kept.id, kept.name, kept.blob, kept.negative, kept.box) == ("s1", "an owl", "b1", False, None)
        assert kept.vector.tobytes() == _WHOLE


def test_samples_are_of_the_campaign_and_stand_alone(upgraded):
    kept = upgraded.sample("1:f1")
    assert (kept.control, kept.linked, kept.status) == (False, (), SampleStatus.ACCEPTED)
    assert (kept.score.value, kept.detections.label, kept.box) == (0.7, ("bird",), (1, 2, 3, 4))
    assert kept.vector == pytest.approx([0.6, 0.8], abs=1e-3)
    assert upgraded.samples(control=False)[0].id == "1:f1"


def test_cameras_counts_deliveries_and_elements_are_as_they_were(upgraded):
    assert [(c.name, c.token) for c in upgraded.cameras()] == [("porch", "t")]
    assert upgraded.health()["porch"].polled == 4
    assert upgraded.counts() == [Counts(1, 1, "porch", 9, 1)]
    (delivery,) = upgraded.deliveries()
    assert (delivery.attempts, delivery.error) == (2, "busy")
    assert upgraded.background("v1", ElementKind.FRAME, limit=5).vectors.shape == (1, 2)
    assert upgraded.blob_keys() == {"f1", "b1"}


def test_frames_that_were_looked_at_are_those_that_have_elements(upgraded):
    (seen,) = upgraded.archive.observations("v1")
    assert (seen.frame.id, seen.frame.camera, seen.frame.taken_at, seen.size_wh) == ("f1", "porch", 3.0, (640, 480))
    assert seen.vectors == pytest.approx(np.array([[0.6, 0.8]]), abs=1e-3)
    assert upgraded.archive.keys("v1") == [1]


def test_it_goes_on_being_written(upgraded):
    (owls,) = upgraded.active_versions()
    assert len(write(upgraded, owls, 3)) == 3
    (seen,) = frames(1, start=9)
    upgraded.write(Batch([seen], held=[Held(sample(owls, seen), Stage.BURST, 1.0)], counts=judged(owls, [seen])))
    upgraded.remember([Remembered(owls.campaign_id, "porch", {"n": 1})])
    assert upgraded.counts() == [Counts(1, 1, "porch", 9 + 4, 1 + 3)]
    assert len(upgraded.held()) == len(upgraded.remembered(1)) == 1


@pytest.mark.parametrize("first", ["0001", "head"])
def test_the_migrations_make_the_tables_that_the_statements_expect(url, first):
    _alembic(url, first)
    open_store(url).close()
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()
