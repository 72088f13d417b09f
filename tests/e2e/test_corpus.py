"""A hub watches, and afterwards a person finds, replays, scans and collects what it saw."""

import urllib.request
from pathlib import Path

import httpx
import pytest

from hub.client import CollectionClient, LabeledFrame
from tests.e2e.processes import Hub, camera, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

TOKEN = "a-token-of-the-test"


@pytest.fixture(scope="module")
def hub(tmp_path_factory, models_dir, data_dir):
    """One that ran beside a camera, with no campaign at all, until it had seen some frames; its web app goes on."""
    root = tmp_path_factory.mktemp("corpus")
    hub = Hub(root / "data", models_dir)
    hub.data_dir.mkdir()
    hub.env |= {"HUB_API_TOKEN": TOKEN, "HUB_PORT": "0"}
    with camera(data_dir / "photos", 4.0) as url:
        hub("cameras", "add", "porch", url, "--interval", "0.2")
        hub.start()
        try:
            wait_for(lambda: hub.json("index", "stats")["elements"] >= 6, 60, "elements are stored")
            yield hub
        finally:
            assert hub.stop() == 0


def test_what_was_seen_without_any_campaign_is_found_by_its_picture(hub, data_dir):
    picture = next(iter(sorted((data_dir / "photos").glob("*.jpg"))))
    best = hub.json("search", str(picture), "--k", "3")["results"][0]
    assert best["camera"] == "porch"
    assert best["cosine"] > 0.9


def test_a_campaign_made_afterwards_takes_what_was_seen_before(hub, data_dir, tmp_path):
    picture = sorted((data_dir / "photos").glob("*.jpg"))[0]
    hub("campaigns", "create", "afterwards", "--seed-images", str(picture), "--threshold", "0.9")
    dry = hub.json("campaigns", "run", "afterwards", "--dry-run")
    assert dry["statistics"][0]["seen"] == dry["frames"] > 0
    assert hub.json("samples", "list", "--campaign", "afterwards") == []
    hub("campaigns", "run", "afterwards")
    taken = hub.json("samples", "list", "--campaign", "afterwards")
    assert len(taken) == dry["taken"] > 0
    wait_for(
        lambda: list((hub.data_dir / "datasets" / "afterwards" / "images").rglob("*.jpg")), 30, "its pictures arrive"
    )
    again = len(taken)
    hub("campaigns", "run", "afterwards")
    assert len(hub.json("samples", "list", "--campaign", "afterwards")) == again


def test_the_index_is_built_while_the_hub_runs_and_finds_the_same(hub, data_dir):
    picture = sorted((data_dir / "photos").glob("*.jpg"))[0]
    before = _keys(hub, picture)
    assert len(before) == 3
    hub("index", "build")
    stats = hub.json("index", "stats")
    assert stats["indexed"] > 0
    assert _keys(hub, picture) == before


def _keys(hub, picture) -> list[int]:
    """Of what was seen before the hub went on, since it goes on seeing."""
    found = hub.json("search", str(picture), "--k", "3", "--no-group", "--until", "5s")
    return [each["key"] for each in found["results"]]


def _url(hub) -> str:
    """Where the web app of `hub run` listens."""
    for line in hub.log().splitlines():
        if "http://127.0.0.1:" in line and "/image.jpg" not in line:
            return "http://127.0.0.1:" + line.split("http://127.0.0.1:")[1].split()[0].strip("/,.;'\"")
    return ""


def test_the_web_process_answers_with_the_token_and_only_then(hub):
    url = wait_for(lambda: _url(hub), 30, "the web app says where it is")
    with httpx.Client(base_url=url, trust_env=False) as anybody:
        wait_for(lambda: anybody.get("/healthz").status_code == 200, 30, "it is alive")
        assert anybody.get("/api/v1/ann/count").status_code == 401
        known = {"Authorization": f"Bearer {TOKEN}"}
        count = anybody.get("/api/v1/ann/count", headers=known).json()["count"]
        some = anybody.get("/api/v1/ann", params={"count": 2}, headers=known).json()
        assert count >= some["count"] >= 1


def test_a_client_elsewhere_collects_by_the_campaigns_of_this_hub(hub, data_dir):
    url = wait_for(lambda: _url(hub), 30, "the web app says where it is")
    assert urllib.request.urlopen(url + "/healthz").status == 200
    hub("campaigns", "activate", "afterwards")
    before = len(hub.json("samples", "list", "--campaign", "afterwards"))
    with CollectionClient(url) as client:
        client.set_credentials(api_key=TOKEN)
        client.sync_state(target_project_names=["afterwards"])
        frames = []
        for path in sorted((data_dir / "photos").glob("*.jpg"))[:3]:
            frame = LabeledFrame(frame_id=path.name, device_id="dashcam")
            frame.add_image(path)
            frames.append(frame)
        client.sample_probabilities(frames)
        saved = client.save_for_collection(target_sample_count=2)
    # The camera showed the very pictures: one is a sample already, whoever offers it again.
    assert saved.receipt is not None
    assert (saved.receipt.new, saved.receipt.known) == (1, 1)
    assert len(hub.json("samples", "list", "--campaign", "afterwards")) == before + 1


def test_a_folder_that_is_scanned_twice_costs_only_hashing_the_second_time(hub, data_dir: Path):
    first = hub.json("scan", str(data_dir / "photos"), "--camera", "archive")
    again = hub.json("scan", str(data_dir / "photos"), "--camera", "archive")
    assert first["frames"] == again["frames"] > 0
    assert again["known"] == again["frames"]
