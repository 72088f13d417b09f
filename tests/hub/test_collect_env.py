"""Roboflow Collect's environment: what it means, and the campaigns it becomes."""

from dataclasses import replace

import numpy as np
import pytest

from hub import campaigns as life
from hub.blobs import open_blobs
from hub.collect_env import Applied, CollectEnv, apply, camera_source
from hub.models.builtin_embedder import BuiltinEmbedder
from hub.models.remote import RemoteClip
from hub.seeds import text_seeds
from hub.settings import read_settings
from hub.store import open_store
from hub.triggers.everything import Everything
from hub.triggers.random import Random
from hub.triggers.similarity import Similarity
from hub.types import Budget, Camera, Campaign, CampaignState, RateLimit
from shared.errors import ConfigError
from tests.roboflow_server import KEY, RoboflowServer

GIVEN = {"ROBOFLOW_KEY": KEY, "ROBOFLOW_WORKSPACE": "bower", "ROBOFLOW_PROJECT": "birds"}
INFER = {"INFER_SERVER_DESTINATION": "http://localhost:9001"}


def _env(**variables: str) -> CollectEnv:
    return CollectEnv.of(read_settings({**GIVEN, **variables}))


class Site:
    def __init__(self, store, blobs, embedder, server):
        self.store, self.blobs, self.embedder, self.server = store, blobs, embedder, server
        self.asked = 0

    def model(self):
        self.asked += 1
        return self.embedder

    def apply(self, **variables: str) -> Applied:
        return apply(self.store, self.blobs, _env(**variables), self.model, now=1000.0)

    def newest(self, name: str):
        return self.store.versions(name)[-1]

    def states(self) -> dict[str, str]:
        return {campaign.name: campaign.state.value for campaign in self.store.campaigns()}


@pytest.fixture
def site(tmp_path):
    store = open_store(f"sqlite:///{tmp_path / 'hub.sqlite'}")
    with RoboflowServer() as server, RemoteClip(server.url, KEY) as clip:
        yield Site(store, open_blobs(f"file://{tmp_path / 'frames'}"), clip, server)
    store.close()


def test_a_prompt_is_a_campaign_by_raw_cosine_that_tags_with_it(site):
    assert site.apply(CLIP_TEXT_PROMPT="a grey cat, asleep").created == ("collect-prompt",)
    version = site.newest("collect-prompt")
    assert (version.trigger, version.budget) == (Similarity(scorer="cosine"), Budget(threshold=0.2))
    assert (version.tags, version.destinations) == (("a grey cat, asleep",), ("roboflow",))
    assert np.allclose(version.seeds[0].vector, site.embedder.embed_text(["a grey cat, asleep"])[0], atol=1e-3)
    assert site.states() == {"collect-prompt": "active"}


def test_everything_and_drift_are_campaigns_of_their_own(site):
    site.apply(COLLECT_ALL="True", DRIFT_PROJECT="drifting", CLIP_TEXT_PROMPT="cat")
    everything, drift = site.newest("collect-all"), site.newest("collect-drift")
    assert (everything.trigger, everything.destinations, everything.tags) == (Everything(), ("roboflow",), ())
    assert (drift.trigger, drift.destinations) == (Random(100), ("roboflow:drifting",))
    assert set(site.states().values()) == {"active"}
    assert len(site.states()) == 3


@pytest.mark.parametrize("word", ["False", "false", "0", "no", "off", ""])
def test_collect_all_can_be_false(site, word):
    site.apply(COLLECT_ALL=word)
    assert site.states() == {}


def test_collect_all_that_is_neither_is_refused():
    with pytest.raises(ConfigError, match="COLLECT_ALL"):
        _env(COLLECT_ALL="maybe")


def test_starting_again_changes_nothing_and_embeds_nothing(site):
    variables = {"CLIP_TEXT_PROMPT": "cat", "COLLECT_ALL": "1", "DRIFT_PROJECT": "d", "UNIQUE_FRAME_BUFFER": "5"}
    site.apply(**variables)
    revision, asked = site.store.revision(), site.asked
    assert site.apply(**variables) == Applied()
    assert (site.store.revision(), site.asked) == (revision, asked)


def test_a_variable_that_is_gone_deactivates_its_campaign_and_one_that_is_back_activates_it(site):
    site.apply(CLIP_TEXT_PROMPT="cat", COLLECT_ALL="1")
    assert site.apply(CLIP_TEXT_PROMPT="cat").deactivated == ("collect-all",)
    assert site.states() == {"collect-prompt": "active", "collect-all": "inactive"}
    assert site.apply(COLLECT_ALL="yes").updated == ("collect-all",)
    assert site.states() == {"collect-prompt": "inactive", "collect-all": "active"}
    assert site.newest("collect-all").number == 1


def test_a_variable_that_changed_makes_a_new_version(site):
    site.apply(CLIP_TEXT_PROMPT="cat", DRIFT_PROJECT="old")
    report = site.apply(CLIP_TEXT_PROMPT="dog", CLIP_TEXT_PROMPT_THRESHOLD="0.27", DRIFT_PROJECT="new")
    assert report.updated == ("collect-prompt", "collect-drift")
    version = site.newest("collect-prompt")
    assert (version.number, version.tags, version.budget.threshold) == (2, ("dog",), 0.27)
    assert [seed.name for seed in version.seeds] == ["dog"]
    assert site.newest("collect-drift").destinations == ("roboflow:new",)


def test_what_a_person_set_stays(site):
    site.apply(CLIP_TEXT_PROMPT="cat")
    campaign = site.store.campaign("collect-prompt")
    budget = replace(campaign.budget, limits=(RateLimit(5, 60.0),), duplicate_distance=0.1)
    site.store.update_campaign(replace(campaign, budget=budget, destinations=("folder", "roboflow")))
    site.store.add_seeds("collect-prompt", text_seeds(["a kitten"], site.embedder))
    life.commit(site.store, site.blobs, "collect-prompt", site.model, now=2.0)
    assert site.apply(CLIP_TEXT_PROMPT="cat") == Applied()
    site.apply(CLIP_TEXT_PROMPT="dog", STOP_COLLECTING_AFTER="9")
    version = site.newest("collect-prompt")
    assert version.budget == Budget(0.2, (RateLimit(5, 60.0),), 0.1, stop_after=9)
    assert version.destinations == ("folder", "roboflow")
    assert sorted(seed.name for seed in version.seeds) == ["a kitten", "dog"]


def test_a_campaign_that_a_person_stops_is_started_by_the_next_start_and_not_before(site):
    site.apply(COLLECT_ALL="1")
    site.store.set_campaign_state("collect-all", CampaignState.INACTIVE)
    again = apply(site.store, site.blobs, _env(COLLECT_ALL="1"), site.model, now=1000.0, starting=False)
    assert (again, site.states()) == (Applied(), {"collect-all": "inactive"})
    assert site.apply(COLLECT_ALL="1").updated == ("collect-all",)


def test_an_archived_campaign_stays_archived(site):
    site.apply(COLLECT_ALL="1")
    site.store.set_campaign_state("collect-all", CampaignState.ARCHIVED)
    assert site.apply(COLLECT_ALL="1") == Applied()
    assert site.states() == {"collect-all": "archived"}


def test_a_persons_campaign_of_that_name_is_left_alone_and_told(site):
    site.store.add_campaign(Campaign(0, "collect-all", Everything(), destinations=("folder",)), [])
    report = site.apply(COLLECT_ALL="1")
    assert "by hand" in report.problems[0]
    assert not site.apply().deactivated
    assert site.states() == {"collect-all": "draft"}


def test_a_prompt_that_is_not_understood_is_told_and_the_others_go_on(site):
    site.embedder = BuiltinEmbedder()
    report = site.apply(CLIP_TEXT_PROMPT="cat", COLLECT_ALL="1")
    assert report.created == ("collect-all",)
    assert "understands no text" in report.problems[0]


def test_a_prompt_that_the_server_did_not_embed_is_tried_again(site):
    site.server.fail("refused", route="clip_text", times=2)
    assert "refused" in site.apply(CLIP_TEXT_PROMPT="cat").problems[0]
    again = apply(site.store, site.blobs, _env(CLIP_TEXT_PROMPT="cat"), site.model, now=1000.0, starting=False)
    assert again.problems
    again = apply(site.store, site.blobs, _env(CLIP_TEXT_PROMPT="cat"), site.model, now=1000.0, starting=False)
    assert again.created == ("collect-prompt",)


def test_frames_alike_within_the_buffer_are_near_duplicates(site):
    env = _env(UNIQUE_FRAME_BUFFER="5", SAMPLE_RATE="2", COLLECT_ALL="1", DRIFT_PROJECT="d")
    budget = env.rules(Budget())
    assert 5 * 2.0 < budget.duplicate_s < 6 * 2.0
    assert budget.duplicate_distance > 0
    site.apply(UNIQUE_FRAME_BUFFER="5", SAMPLE_RATE="2", COLLECT_ALL="1", DRIFT_PROJECT="d")
    assert site.newest("collect-all").budget == budget
    assert site.newest("collect-drift").budget == Budget(), "drift is measured by lot and nothing else"
    site.apply(COLLECT_ALL="1")
    assert site.newest("collect-all").budget == Budget()


def test_collecting_stops_and_goes_on_as_the_variable_says(site):
    site.apply(STOP_COLLECTING_AFTER="50", COLLECT_ALL="1")
    assert site.newest("collect-all").budget.stop_after == 50
    site.apply(COLLECT_ALL="1")
    assert site.newest("collect-all").budget.stop_after is None


def test_budgets_are_left_as_they_are_where_roboflow_is_just_a_destination():
    budget = Budget(stop_after=3, duplicate_distance=0.02, duplicate_s=5.0)
    assert _env().rules(budget) == budget


@pytest.mark.parametrize(
    ("variables", "source"),
    [
        (INFER, "auto"),
        ({"SAMPLE_RATE": "5"}, "auto"),
        ({"CLIP_TEXT_PROMPT": "cat"}, "auto"),
        ({"STREAM_URL": "rtsp://user:pw@cam/1"}, "rtsp://user:pw@cam/1"),
        ({"STREAM_URL": "https://www.youtube.com/watch?v=x"}, "https://www.youtube.com/watch?v=x"),
        ({"STREAM_URL": "0"}, "opencv:0"),
        ({"STREAM_URL": "/dev/video2"}, "opencv:/dev/video2"),
        ({"STREAM_URL": "/films/gate.mp4"}, "folder:/films/gate.mp4"),
        ({"STREAM_URL": "gate.mp4"}, "folder:gate.mp4"),
        ({"STREAM_URL": "file:///films/gate.mp4"}, "folder:/films/gate.mp4"),
        ({"STREAM_URL": "folder:films?fps=5"}, "folder:films?fps=5"),
        ({"STREAM_URL": "pattern?scene=1"}, "pattern?scene=1"),
        ({}, None),
    ],
)
def test_the_camera_shows_the_stream_or_else_the_webcam_but_only_where_collect_is_meant(variables, source):
    assert camera_source(_env(**variables), []) == source


def test_a_hub_with_cameras_of_its_own_starts_none():
    env = _env(STREAM_URL="rtsp://cam/1")
    assert camera_source(env, [Camera("porch", "http://porch/image.jpg")]) is None
    assert camera_source(env, [Camera("collect", "http://elsewhere/image.jpg")]) is None
    assert camera_source(env, [Camera("collect", "http://127.0.0.1:5/image.jpg")]) == "rtsp://cam/1"


def test_without_a_key_or_project_nothing_happens_and_it_is_said(site):
    settings = read_settings({"CLIP_TEXT_PROMPT": "cat", "STREAM_URL": "0", "ROBOFLOW_KEY": KEY})
    env = CollectEnv.of(settings)
    report = apply(site.store, site.blobs, env, site.model, now=1.0)
    assert camera_source(env, []) is None
    assert site.states() == {}
    assert "ROBOFLOW_PROJECT is not set" in report.notes[0]


def test_tagged_images_are_looked_for_without_a_prompt():
    assert _env().syncs
    assert _env(COLLECT_ALL="1").syncs
    assert not _env(CLIP_TEXT_PROMPT="cat").syncs
    assert not CollectEnv.of(read_settings(INFER)).syncs


def test_a_camera_left_over_from_before_is_switched_off_once_it_is_not_wanted(site):
    site.store.add_camera(Camera("collect", "http://127.0.0.1:4711/image.jpg"))
    site.apply(STREAM_URL="0")
    assert site.store.cameras()[0].enabled
    site.apply()
    assert not site.store.cameras()[0].enabled


def test_secrets_are_not_shown():
    shown = repr(_env(STREAM_URL="rtsp://user:hunter2@cam/1"))
    assert KEY not in shown
    assert "hunter2" not in shown
