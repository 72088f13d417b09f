"""`hub cameras`: the registry, and a test of one camera."""

import time
from pathlib import Path

import click

from hub.addresses import AddressRules, check_url, shown
from hub.cli.context import Context, json_option, pass_context
from hub.cli.output import print_facts, print_rows, say, when
from hub.types import Camera, CameraHealth
from shared.errors import InvalidInput, NotFound
from shared.image import image_facts
from shared.log import redact


@click.group()
def cameras() -> None:
    """Cameras: any URL that answers with a JPEG or PNG."""


@cameras.command("add")
@click.argument("name")
@click.argument("url")
@click.option("--interval", default=1.0, show_default=True, help="Seconds between polls.")
@click.option("--token", default="", help="The node's CAMERA_TOKEN, sent as a Bearer token.")
@pass_context
def add(ctx: Context, name: str, url: str, interval: float, token: str) -> None:
    """Register a camera. A running hub polls it within two seconds."""
    check_url(url, AddressRules())
    if not name.strip() or len(name) > 100 or not name.isprintable():
        raise InvalidInput("a camera needs a name of 1 to 100 printable characters")
    if not 0.01 <= interval <= 86400:
        raise InvalidInput(f"an interval lies between 0.01 s and a day, not at {interval:g} s")
    ctx.hub.store.add_camera(Camera(name, url, interval, token))
    click.echo(f"Added {name}. See whether it answers: hub cameras test {name!r}")


@cameras.command("list")
@json_option
@pass_context
def list_(ctx: Context, as_json: bool) -> None:
    """Every camera and how polling it goes."""
    health = ctx.hub.store.health()
    now = time.time()
    rows = [_row(camera, health.get(camera.name, CameraHealth(camera.name)), now) for camera in ctx.hub.store.cameras()]
    print_rows(rows, as_json=as_json, empty="No cameras yet. Add one: hub cameras add NAME http://HOST:5000/image.jpg")


def _row(camera: Camera, health: CameraHealth, now: float) -> dict[str, object]:
    fresh = health.updated_at > now - 10
    return {
        "name": camera.name,
        "state": health.state if fresh or health.state == "new" else f"{health.state} (hub not running)",
        "reason": health.reason,
        "message": redact(health.message),
        "last_frame": when(health.last_frame_at),
        "latency_ms": round(health.latency_ms, 1),
        "polled": health.polled,
        "unchanged": health.unchanged,
        "dropped": health.dropped,
        "failed": health.failed,
        "interval_s": camera.interval_s,
        "url": shown(camera.url),
    }


@cameras.command("test")
@click.argument("name")
@click.option("--save", type=click.Path(path_type=Path, dir_okay=False), help="Keep the picture here.")
@json_option
@pass_context
def test(ctx: Context, name: str, save: Path | None, as_json: bool) -> None:
    """Ask a camera for one picture and say what came."""
    known = {camera.name: camera for camera in ctx.hub.store.cameras()}
    if name not in known:
        raise NotFound("camera", name, known)
    start = time.monotonic()
    frame = ctx.hub.fetch_once(known[name])
    took = time.monotonic() - start
    facts = image_facts(frame.jpeg)
    if save:
        save.write_bytes(frame.jpeg)
        say(f"Saved {save}.")
    print_facts(
        {
            "camera": name,
            "picture": f"{facts.format} {facts.width}×{facts.height}",
            "bytes": len(frame.jpeg),
            "taken_at": when(frame.taken_at),
            "age_s": round(max(0.0, time.time() - frame.taken_at), 3),
            "took_ms": round(took * 1000, 1),
        },
        as_json=as_json,
    )


@cameras.command("remove")
@click.argument("name")
@pass_context
def remove(ctx: Context, name: str) -> None:
    """Forget a camera. Its samples stay."""
    ctx.hub.store.remove_camera(name)
    click.echo(f"Removed {name}.")
