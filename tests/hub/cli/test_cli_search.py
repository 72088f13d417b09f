"""`hub search` and `hub campaigns run`, as a user meets them."""

import json
import time

import click
import pytest
from click.testing import CliRunner

from hub.app import Hub
from hub.cli.context import Context, ErrorGroup
from hub.cli.replay import run as replay_command
from hub.cli.search import search_
from hub.settings import Settings
from tests.hub.seeing import see


class _Parts:
    """A hub's parts, as `see` wants them."""

    def __init__(self, hub):
        self.store, self.detector, self.embedder = hub.store, hub.detector, hub.embedder
        self._recent = hub.recent

    def ring(self, name):
        return self._recent.pictures


@pytest.fixture
def seen(tmp_path, models_dir, data_dir):
    """Three photos, seen an hour, a day and a week ago; the last is no longer held."""
    settings = Settings(data_dir=tmp_path / "data", models_dir=models_dir, detector="built-in")
    settings.data_dir.mkdir()
    hub = Hub(settings)
    now, photos = time.time(), data_dir / "photos"
    files = [next(photos.glob(f"*{name}*.jpg")) for name in ("owl", "cat", "parrot")]
    parts = _Parts(hub)
    for i, (file, ago) in enumerate(zip(files, (3600, 86_400, 7 * 86_400 - 60), strict=True)):
        see(parts, file.read_bytes(), at=now - ago, camera=("porch", "yard", "porch")[i], held=i < 2)
    hub.close()
    return files


@pytest.fixture
def hub(tmp_path, models_dir, monkeypatch, seen):
    """Run a command; what it printed on standard output and on standard error."""
    monkeypatch.setenv("HUB_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("HUB_MODELS_DIR", str(models_dir))
    monkeypatch.setenv("HUB_DETECTOR", "built-in")

    @click.group(cls=ErrorGroup)
    @click.pass_context
    def cli(ctx: click.Context) -> None:
        ctx.obj = Context(None)

    cli.add_command(search_)
    cli.add_command(replay_command)
    from hub.cli.campaigns import campaigns
    from hub.cli.samples import samples

    cli.add_command(campaigns)
    cli.add_command(samples)

    def run(*args, code: int = 0):
        done = CliRunner().invoke(cli, [str(arg) for arg in args])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        assert done.exit_code == code, done.output
        return done

    return run


def test_a_picture_or_a_text_is_searched_for(hub, seen):
    found = json.loads(hub("search", seen[1], "--json").stdout)
    assert found["results"][0]["cosine"] > 0.99 and found["results"][0]["camera"] == "yard"
    assert json.loads(hub("search", "owl", "--k", "1", "--json").stdout)["count"] == 1
    table = hub("search", "owl", "--since", "30d").stdout
    assert "porch" in table and "no longer kept" in table and "cosine" in table


def test_filters_and_elements(hub, seen):
    first = json.loads(hub("search", seen[0], "--json").stdout)["results"][0]["key"]
    others = json.loads(hub("search", "--element", first, "--since", "2d", "--json").stdout)["results"]
    assert [each["camera"] for each in others] == ["yard"]
    assert "Nothing like it" in hub("search", seen[0], "--until", "30d").stdout


def test_what_makes_no_search_says_what_to_do(hub):
    assert "nothing to search for" in hub("search", code=2).stderr
    assert "is no time" in hub("search", "owl", "--since", "soon", code=2).stderr
    assert "no element" in hub("search", "--element", "12345", code=2).stderr


def test_pictures_found_are_copied_and_drawn(hub, seen, tmp_path):
    done = hub("search", seen[0], "--out", tmp_path / "out", "--sheet", tmp_path / "sheet.png")
    copied = sorted((tmp_path / "out").iterdir())
    assert len(copied) == 2 and copied[0].read_bytes() == seen[0].read_bytes()
    assert "Copied 2 pictures" in done.stderr
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")


def test_results_become_seeds_of_a_campaign_which_is_run_over_what_was_seen(hub, seen, tmp_path):
    hub("campaigns", "create", "owls", "--seed-images", seen[0], "--threshold", "0.5")
    assert "1 new seeds" in hub("search", seen[1], "--k", "1", "--seed", "owls").stderr
    dry = json.loads(hub("run", "owls", "--dry-run", "--target", "2", "--json").stdout)
    assert (dry["frames"], dry["taken"]) == (3, 2)
    assert dry["statistics"][0]["seen"] == 3
    done = hub("run", "owls", "--since", "2d", "--sheet", tmp_path / "sheet.png")
    assert "took 2" in done.stderr and (tmp_path / "sheet.png").exists()
    assert len(json.loads(hub("samples", "list", "--json").stdout)) == 2
    assert json.loads(hub("run", "owls", "--json").stdout)["taken"] == 0


def test_results_become_seeds_by_their_keys(hub, seen):
    hub("campaigns", "create", "owls", "--seed-images", seen[0])
    best = json.loads(hub("search", seen[1], "--json").stdout)["results"][0]
    assert "1 new seed." in hub("campaigns", "seed", "owls", "--found", best["key"]).stdout
    assert "0 new seeds." in hub("campaigns", "seed", "owls", "--found", best["key"]).stdout
    assert "no element named '999'" in hub("campaigns", "seed", "owls", "--found", "999", code=2).stderr


def test_a_run_over_nothing_says_so(hub, tmp_path, monkeypatch):
    monkeypatch.setenv("HUB_DATA_DIR", str(tmp_path / "empty"))
    assert "nothing was seen" in hub("run", "owls", code=2).stderr
