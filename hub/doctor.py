"""What is wrong with this hub, and what to do about it."""

import os
import resource
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from hub.app import Hub
from hub.deliveries import DeliveryState, SinkState
from hub.models.check import check_model
from hub.models.files import Kind
from hub.room import Filled, budget_bytes, size_of, space_at
from hub.settings import misspelt
from hub.sinks import check_destination
from hub.types import CampaignState
from shared.errors import BowerbirdError, InvalidInput

LEAST_FREE_GB = 2.0
FILES_A_CAMERA = 2


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's report."""

    check: str
    state: Literal["ok", "warning", "fault"]
    found: str
    next_step: str = ""


def examine(hub: Hub, now: float | None = None) -> list[Finding]:
    """Look at everything; a check that fails is a finding, and never ends the examination."""
    at = time.time() if now is None else now
    checks: tuple[tuple[str, Callable[[], Iterator[Finding]]], ...] = (
        ("settings", lambda: _settings(hub)),
        ("disk", lambda: _disk(hub)),
        ("database", lambda: _database(hub)),
        ("memory", lambda: _memory(hub)),
        ("detector", lambda: _model(hub, "detector")),
        ("embedder", lambda: _model(hub, "embedder")),
        ("cameras", lambda: _cameras(hub, at)),
        ("campaigns", lambda: _campaigns(hub)),
        ("deliveries", lambda: _deliveries(hub)),
        ("destinations", lambda: _destinations(hub)),
        ("redaction", lambda: _redaction(hub)),
    )
    findings: list[Finding] = []
    for name, check in checks:
        try:
            findings += check()
        except BowerbirdError as error:
            findings.append(Finding(name, "fault", error.message, error.hint))
    return findings


def _disk(hub: Hub) -> Iterator[Finding]:
    free_gb = shutil.disk_usage(hub.settings.data_dir).free / 1e9
    where = f"{free_gb:.1f} GB free at {hub.settings.data_dir}"
    if free_gb < LEAST_FREE_GB:
        yield Finding("disk", "warning", where, "Free some space, or lower HUB_RETENTION_DAYS.")
    else:
        yield Finding("disk", "ok", where)


def _database(hub: Hub) -> Iterator[Finding]:
    kind = "SQLite" if hub.settings.database.startswith("sqlite") else "PostgreSQL"
    yield Finding("database", "ok", f"{kind}, schema up to date, revision {hub.store.revision()}")


def _memory(hub: Hub) -> Iterator[Finding]:
    """What is kept of what was seen: how much, and since when."""
    archive, space = hub.store.archive, space_at(hub.settings.data_dir)
    usage, budget = archive.usage(), budget_bytes(hub.settings.max_disk_gb, space)
    filled = Filled(
        budget,
        usage.pictures,
        usage.picture_bytes,
        usage.thumbnails,
        usage.thumbnail_bytes,
        usage.database_bytes,
        size_of(hub.settings.indexes),
    )
    said = f"{filled.total / 1e9:.1f} of {budget / 1e9:.1f} GB: {usage.elements:,} vectors, {usage.pictures:,} pictures"
    if oldest := archive.oldest_pictures(1):
        said += f" since {time.strftime('%Y-%m-%d %H:%M', time.localtime(oldest[0].taken_at))}"
    said += f", {usage.thumbnails:,} thumbnails"
    if space.free <= space.least_free:
        yield Finding("memory", "warning", f"{said}; the disk is too full for more", "Free some space.")
    elif filled.of_vectors > budget:
        yield Finding("memory", "warning", said, "Raise HUB_MAX_DISK_GB: there is no room for pictures.")
    else:
        yield Finding("memory", "ok", said)


def _model(hub: Hub, kind: Kind) -> Iterator[Finding]:
    found = hub.found(kind)
    if found is None:
        said = hub.detector().name if kind == "detector" else hub.embedder().name
        name = "yolox-nano" if kind == "detector" else "clip-vit-b32"
        limits = "it finds people only, and roughly" if kind == "detector" else "it sees no meaning and reads no text"
        yield Finding(kind, "warning", f"{said}: {limits}", f"Get a real one: hub models fetch {name}")
        return
    report = check_model(found.path, device=hub.settings.device)
    note = f" {found.note}" if found.note else ""
    state: Literal["ok", "fault"] = "ok" if report.ok else "fault"
    yield Finding(kind, state, f"{found.name}: {report.message}.{note} Licence: {found.licence}", report.hint)


def _cameras(hub: Hub, now: float) -> Iterator[Finding]:
    cameras = hub.store.cameras()
    if not cameras:
        yield Finding("cameras", "warning", "none", "Add one: hub cameras add NAME http://HOST:5000/image.jpg")
        return
    polled = {camera.name for camera in cameras if camera.enabled}
    health = hub.store.health()
    fresh = [h for h in health.values() if h.updated_at > now - 10]
    if not fresh:
        yield Finding("cameras", "warning", f"{len(cameras)}, and no hub is polling them", "Start it: hub run")
    for each in fresh:
        if each.state == "failing" and each.camera in polled:
            step = f"Try it: hub cameras test {each.camera!r}"
            yield Finding("cameras", "fault", f"{each.camera}: {each.reason}: {each.message}", step)
    up = sum(each.state == "up" and each.camera in polled for each in fresh)
    if fresh:
        paused = f", {len(cameras) - len(polled)} disabled" if len(polled) < len(cameras) else ""
        said = f"{up} of {len(polled)} up{paused}"
        if up == len(polled):
            yield Finding("cameras", "ok", said)
        else:
            yield Finding("cameras", "warning", said, "See each: hub cameras list")
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < FILES_A_CAMERA * len(cameras) + 200:
        step = f"Raise it: ulimit -n {FILES_A_CAMERA * len(cameras) + 1024}"
        yield Finding("open files", "warning", f"the limit of {soft} is low for {len(cameras)} cameras", step)


def _campaigns(hub: Hub) -> Iterator[Finding]:
    campaigns = hub.store.campaigns()
    active = [c for c in campaigns if c.state is CampaignState.ACTIVE]
    if not active:
        step = "Start one: hub campaigns activate NAME" if campaigns else "Create one: hub campaigns create --help"
        yield Finding("campaigns", "warning", f"{len(campaigns)}, none of them active", step)
        return
    yield Finding("campaigns", "ok", f"{len(active)} active")
    versions = {v.embedding_version for v in hub.store.active_versions()} - {None}
    if (versions and hub.embedder().version not in versions) or len(versions) > 1:
        step = "Commit them again: hub campaigns commit NAME"
        yield Finding("campaigns", "fault", "some were committed with another embedder and judge nothing", step)


def _destinations(hub: Hub) -> Iterator[Finding]:
    """Those of active campaigns, as far as can be told without asking them."""
    for each in sorted({each for version in hub.store.active_versions() for each in version.destinations}):
        try:
            check_destination(each, hub.settings.sinks)
        except InvalidInput as error:
            yield Finding("destinations", "fault", f"{each}: {error.message}", error.hint)


def _settings(hub: Hub) -> Iterator[Finding]:
    for said in misspelt(os.environ):
        yield Finding("settings", "warning", said, "It has no effect.")


def _redaction(hub: Hub) -> Iterator[Finding]:
    hub.check_redaction()
    if hub.redactor is not None:
        yield Finding("redaction", "ok", "set up: its labels and cameras are known")


def _deliveries(hub: Hub) -> Iterator[Finding]:
    for each in hub.store.sink_health().values():
        if each.state is not SinkState.OPEN:
            found = f"{each.sink} is {each.state}: {each.reason}"
            fault: Literal["warning", "fault"] = "fault" if each.state is SinkState.PAUSED else "warning"
            yield Finding("destination", fault, found, "When it is mended: hub deliveries retry")
    counts = hub.store.delivery_counts()
    parked = counts[DeliveryState.PARKED]
    said = f"{counts[DeliveryState.SENT]} sent, {counts[DeliveryState.PENDING]} pending, {parked} failed"
    if parked:
        yield Finding("deliveries", "fault", said, "See why: hub deliveries list --state failed")
    else:
        yield Finding("deliveries", "ok", said)
