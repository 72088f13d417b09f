"""Tagged images of a Roboflow project as campaigns, against a server on loopback."""

from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np
import pytest

from hub.blobs import open_blobs
from hub.models.builtin_embedder import BuiltinEmbedder
from hub.roboflow import Roboflow
from hub.store import open_store
from hub.sync import SyncReport, sync
from hub.triggers.everything import Everything
from hub.triggers.similarity import Similarity
from hub.types import Budget, Campaign, CampaignState, RateLimit, Seed, SeedKind
from shared.errors import DeliveryError
from tests.hub.making import unit
from tests.roboflow_server import KEY, RoboflowServer, Stored


def _jpeg(number: int) -> bytes:
    pixels = np.random.default_rng(number).integers(0, 255, (24, 32, 3), np.uint8)
    return cv2.imencode(".jpg", pixels)[1].tobytes()


class Site:
    """A hub's store beside a Roboflow project."""

    def __init__(self, server, store, blobs, api):
        self.server, self.store, self.blobs, self.api = server, store, blobs, api
        self.embedder = BuiltinEmbedder()
        self.now = 100.0

    def tag(self, number: int, *tags: str, percent: str = "80", data: bytes | None = None) -> Stored:
        marks = [f"sample-tag:{tag}" for tag in tags] + [f"sample-threshold:{percent}"] * bool(percent)
        picture = _jpeg(number) if data is None else data
        return self.server.add("birds", picture, name=f"picture {number}.jpg", tags=["sample-more", *marks])

    def sync(self, **more) -> SyncReport:
        self.now += 60.0
        return sync(self.store, self.blobs, self.api, "birds", lambda: self.embedder, now=self.now, **more)

    def downloads(self) -> int:
        return len(self.server.asked("download"))

    def campaign(self, tag: str) -> Campaign:
        return self.store.campaign(f"roboflow/{tag}")

    def newest(self, tag: str):
        return self.store.versions(f"roboflow/{tag}")[-1]


@pytest.fixture
def site(tmp_path) -> Iterator[Site]:
    store = open_store(f"sqlite:///{tmp_path / 'hub.sqlite'}")
    with RoboflowServer() as server, Roboflow(KEY, url=server.url) as api:
        yield Site(server, store, open_blobs(f"file://{tmp_path / 'frames'}"), api)
    store.close()


def test_each_tag_becomes_an_active_campaign_with_its_images_as_seeds(site):
    site.tag(1, "fork:lift")
    site.tag(2, "fork:lift", "dog")
    site.server.add("birds", _jpeg(3), tags=["unrelated"])
    report = site.sync()
    assert report == SyncReport(created=("roboflow/dog", "roboflow/fork:lift"))
    version = site.newest("fork:lift")
    assert version.trigger == Similarity(scorer="cosine")
    assert (version.budget.threshold, version.tags, version.destinations) == (0.8, ("fork:lift",), ("roboflow",))
    assert {seed.name.split(" ", 1)[1] for seed in version.seeds} == {"picture 1.jpg", "picture 2.jpg"}
    assert all(seed.vector.shape == (site.embedder.dim,) and seed.blob in site.blobs for seed in version.seeds)
    assert site.campaign("dog").state is CampaignState.ACTIVE
    assert site.downloads() == 2


def test_nothing_is_downloaded_or_committed_when_nothing_changed(site):
    site.tag(1, "a")
    site.tag(2, "a", "b")
    site.sync()
    before, revision = site.downloads(), site.store.revision()
    assert site.sync() == SyncReport(unchanged=("roboflow/a", "roboflow/b"))
    assert (site.downloads(), site.store.revision()) == (before, revision)


def test_another_set_of_images_or_another_threshold_makes_a_new_version(site):
    first = site.tag(1, "a")
    site.sync()
    site.tag(2, "a")
    assert site.sync().updated == ("roboflow/a",)
    assert len(site.newest("a").seeds) == 2
    site.server.remove(first.id)
    assert site.sync().updated == ("roboflow/a",)
    assert [seed.name.split(" ", 1)[1] for seed in site.newest("a").seeds] == ["picture 2.jpg"]
    (left,) = site.server.images()
    left.tags = ["sample-more", "sample-tag:a", "sample-threshold:55.5"]
    before = site.downloads()
    assert site.sync().updated == ("roboflow/a",)
    assert (site.newest("a").number, site.newest("a").budget.threshold) == (4, 0.555)
    assert site.downloads() == before == 2


def test_a_tag_that_is_gone_deactivates_and_one_that_is_back_reactivates(site):
    image = site.tag(1, "a")
    site.sync()
    tags, image.tags = image.tags, []
    assert site.sync().deactivated == ("roboflow/a",)
    assert site.campaign("a").state is CampaignState.INACTIVE
    assert not site.sync().changed
    image.tags = tags
    assert site.sync().reactivated == ("roboflow/a",)
    assert site.campaign("a").state is CampaignState.ACTIVE
    assert site.sync() == SyncReport(unchanged=("roboflow/a",))
    assert (site.newest("a").number, site.downloads()) == (1, 1)


def test_a_tag_that_is_back_with_other_images_has_those(site):
    image = site.tag(1, "a")
    site.sync()
    site.server.remove(image.id)
    site.sync()
    site.tag(2, "a")
    assert site.sync().reactivated == ("roboflow/a",)
    assert [seed.name.split(" ", 1)[1] for seed in site.newest("a").seeds] == ["picture 2.jpg"]


def test_a_campaign_that_a_person_stopped_or_archived_is_not_started(site):
    site.tag(1, "a")
    site.sync()
    for state in (CampaignState.INACTIVE, CampaignState.ARCHIVED):
        site.store.set_campaign_state("roboflow/a", state)
        assert site.sync() == SyncReport(unchanged=("roboflow/a",))
        assert site.campaign("a").state is state


def test_what_a_person_set_stays(site):
    site.tag(1, "a")
    site.sync()
    campaign = site.campaign("a")
    budget = replace(campaign.budget, limits=(RateLimit(20, 3600.0),), threshold=0.1)
    site.store.update_campaign(replace(campaign, budget=budget, destinations=("roboflow", "folder"), tags=("x",)))
    own = Seed("own", SeedKind.IMAGE, "own picture.jpg", "", unit([1.0] * site.embedder.dim)[0], site.embedder.version)
    site.store.add_seeds("roboflow/a", [own])
    site.tag(2, "a")
    assert site.sync().updated == ("roboflow/a",)
    version = site.newest("a")
    assert (version.budget.limits, version.budget.threshold) == ((RateLimit(20, 3600.0),), 0.8)
    assert (version.destinations, version.tags, len(version.seeds)) == (("roboflow", "folder"), ("a",), 3)


def test_bad_images_are_named_and_others_go_on(site):
    site.tag(1, "a")
    site.tag(2, "a", percent="")
    site.tag(3)
    site.tag(4, "a", percent="lots")
    site.tag(5, "a", data=b"no picture at all")
    report = site.sync()
    assert report.created == ("roboflow/a",)
    assert sorted(p.image for p in report.problems) == [f"picture {n}.jpg" for n in (2, 3, 4, 5)]
    assert len(site.newest("a").seeds) == 1


def test_a_tag_that_no_campaign_can_be_named_by_is_told_and_others_go_on(site):
    site.tag(1, "a" * 200, "b")
    report = site.sync()
    assert report.created == ("roboflow/b",)
    assert "100" in report.problems[0].what


def test_a_campaign_of_that_name_that_a_person_made_is_left_alone(site):
    site.store.add_campaign(Campaign(0, "roboflow/a", Everything()), [])
    site.store.add_campaign(Campaign(0, "roboflow/gone", Everything()), [])
    site.tag(1, "a")
    report = site.sync()
    assert not report.changed
    assert "by hand" in report.problems[0].what
    assert site.campaign("a").state is CampaignState.DRAFT


def test_the_lowest_of_different_thresholds_is_used_and_told(site):
    site.tag(1, "a", percent="90")
    site.tag(2, "a", percent="70")
    report = site.sync()
    assert site.newest("a").budget.threshold == 0.7
    assert [p.image for p in report.problems] == ["picture 2.jpg"]


def test_every_page_is_read(site):
    for n in range(251):
        site.server.add("birds", f"{n}".encode(), name=f"{n}.jpg", tags=["sample-more"])
    site.tag(1, "a")  # newest first: so the oldest of these is the one on the next page
    assert len(site.sync().problems) == 2 * 251
    assert len(site.server.asked("search")) == 2


@pytest.mark.parametrize("kind", ["broken", "garbage", "revoked", "forbidden", "unsuccessful"])
def test_a_list_that_can_not_be_had_whole_changes_nothing(site, kind):
    image = site.tag(1, "a")
    site.sync()
    site.server.remove(image.id)
    revision = site.store.revision()
    site.server.fail(kind, route="search")
    with pytest.raises(DeliveryError) as error:
        site.sync()
    assert KEY not in str(error.value)
    assert site.store.revision() == revision


def test_an_image_that_can_not_be_downloaded_is_tried_again_next_time(site):
    old = site.tag(1, "a")
    site.sync()
    site.server.remove(old.id)
    site.tag(2, "a", "b")
    site.server.fail("broken", route="download")
    report = site.sync()
    assert [p.image for p in report.problems] == ["picture 2.jpg"]
    assert not report.changed
    assert [seed.name.split(" ", 1)[1] for seed in site.store.seeds("roboflow/a")] == ["picture 1.jpg"]
    report = site.sync()
    assert (report.updated, report.created, report.problems) == (("roboflow/a",), ("roboflow/b",), ())


def test_a_server_that_answers_no_downloads_is_not_asked_for_each(site):
    for n in range(8):
        site.tag(n, "a")
    site.server.fail("broken", route="download", times=100)
    assert len(site.sync().problems) == 8
    assert site.downloads() == 3


def test_a_sync_that_was_cut_short_is_completed_by_the_next(site, monkeypatch):
    site.tag(1, "a")
    site.sync()
    site.tag(2, "a")

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(type(site.store), "commit", killed)
        with pytest.raises(KeyboardInterrupt):
            site.sync()
    assert site.sync().updated == ("roboflow/a",)
    assert len(site.newest("a").seeds) == 2
    assert site.downloads() == 2


def test_a_picture_that_is_there_twice_is_downloaded_once(site):
    # The project itself recognises the same bytes, but two projects in one listing, or a restored image, do not.
    image = site.tag(1, "a")
    twin = replace(image, id="twin", name="twin.jpg")
    site.server._images["twin"] = twin
    assert len(site.sync().problems) == 0
    assert site.downloads() == 2
    assert site.sync() == SyncReport(unchanged=("roboflow/a",))
    site.server.remove(image.id)
    assert not site.sync().changed
    assert site.downloads() == 2


def test_further_rules_of_budgets_hold_for_new_and_known_campaigns(site):
    site.tag(1, "a")
    site.sync()

    def rules(budget: Budget) -> Budget:
        return replace(budget, stop_after=7)

    assert site.sync(rules=rules).updated == ("roboflow/a",)
    assert site.newest("a").budget.stop_after == 7
    assert site.sync(rules=rules) == SyncReport(unchanged=("roboflow/a",))
