"""`hub demo`: replay cameras and the hub, in one command."""

import os
import time
from collections.abc import Sequence

import click

from hub import campaigns as life
from hub.app import Hub
from hub.campaigns import Draft
from hub.cli.context import Context, pass_context
from hub.cli.output import download_bar, say
from hub.cli.run import run_hub
from hub.demo import DemoCamera, demo_cameras, footage
from hub.models.catalog import DEFAULTS, cache_dir, card
from hub.models.fetch import Patience, fetch_model
from hub.seeds import Pictures, picture_seeds
from hub.sinks import SINKS
from hub.triggers.detection import Detection
from hub.triggers.similarity import Similarity
from hub.types import Budget, Camera, CampaignState, RateLimit, SeedKind
from shared.errors import DownloadError, NotFound

INTERVAL_S = 0.5
OBJECTS = ("person", "bicycle", "car", "motorcycle", "bus", "truck", "bird", "cat", "dog", "horse", "sheep", "cow")
BUDGET = Budget(threshold=0.5, limits=(RateLimit(20, 60.0),), duplicate_distance=0.02)


@click.command()
@pass_context
def demo(ctx: Context) -> None:
    """Start three replay cameras, two campaigns and the hub. Ctrl-C stops it all."""
    sources = footage(os.environ)
    with demo_cameras(sources) as cameras:
        hub = ctx.hub
        _fetch_detector(hub)
        for camera, source in zip(cameras, sources, strict=True):
            say(f"{camera.name}    {camera.url}   ({source})")
        try:
            _register(hub, cameras)
            run_hub(ctx)
        finally:
            _unregister(hub, cameras)


def _fetch_detector(hub: Hub) -> None:
    """Without a detector on this machine, get the smallest that anybody may use; without network, do without."""
    if hub.settings.detector or hub.found("detector") is not None:
        return
    smallest = card(DEFAULTS[0])
    say(f"no detector on this machine: fetching {smallest.name} ({smallest.bytes / 1e6:.1f} MB, {smallest.licence})")
    try:
        with download_bar() as progress:
            fetch_model(smallest, cache_dir(), progress=progress, patience=Patience(attempts=1))
        hub.forget_models()
    except DownloadError as error:
        say(f"{error.message}; going on with the built-in one, which finds people only, and roughly")


def _register(hub: Hub, cameras: Sequence[DemoCamera]) -> None:
    known = {camera.name for camera in hub.store.cameras()}
    for started in cameras:
        camera = Camera(started.name, started.url, INTERVAL_S)
        (hub.store.update_camera if camera.name in known else hub.store.add_camera)(camera)
    labels = tuple(label for label in OBJECTS if label in hub.detector().labels)
    _ensure(hub, Draft("demo objects", Detection(labels), budget=BUDGET), ())
    first = hub.fetch_once(Camera(cameras[0].name, cameras[0].url))
    _ensure(hub, Draft("demo look-alikes", Similarity(), budget=BUDGET), [("demo-1.jpg", first.jpeg)])


def _ensure(hub: Hub, draft: Draft, pictures: Sequence[tuple[str, bytes]]) -> None:
    """Create the campaign if it is not there, and activate it."""
    try:
        hub.store.campaign(draft.name)
    except NotFound:
        seeds = picture_seeds(Pictures(pictures), SeedKind.IMAGE, hub.blobs, hub.embedder()) if pictures else []
        life.create(hub.store, draft, seeds, known_labels=lambda: hub.detector().labels, sinks=SINKS, now=time.time())
    life.activate(hub.store, hub.blobs, draft.name, hub.embedder, now=time.time())


def _unregister(hub: Hub, cameras: Sequence[DemoCamera]) -> None:
    """Leave the samples, take away what would fail without the demo's cameras."""
    names = {camera.name for camera in hub.store.cameras()}
    for camera in cameras:
        if camera.name in names:
            hub.store.remove_camera(camera.name)
    for campaign in hub.store.campaigns():
        if campaign.name in ("demo objects", "demo look-alikes"):
            hub.store.set_campaign_state(campaign.name, CampaignState.INACTIVE)
