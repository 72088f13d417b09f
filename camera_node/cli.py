"""`camera-node serve` and `camera-node check`."""

import dataclasses
import importlib.metadata
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import click

from camera_node.camera import Camera, Opener, Patience
from camera_node.server import Server, listen, url
from camera_node.settings import Settings
from camera_node.sources import prepare
from shared import config, log
from shared.errors import BowerbirdError, InvalidInput
from shared.image import image_facts

CHECK_TIMEOUT_S = 25.0


def main() -> None:
    """The console script. Exit codes: 0 done, 1 failed, 2 usage."""
    try:
        cli.main(prog_name="camera-node", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.exceptions.Abort:
        sys.exit(130)
    except BowerbirdError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(2 if isinstance(error, InvalidInput) else 1)


def _settings_flags(command: Callable[..., Any]) -> Callable[..., Any]:
    """A flag for each setting; its help names the environment variable."""
    for field in reversed(dataclasses.fields(Settings)):
        flag = f"--{field.name.replace('_', '-')}"
        default = "" if field.metadata["secret"] or field.default is None else f", default {field.default}"
        text = f"{field.metadata['help']} [{field.metadata['env']}{default}]"
        command = click.option(flag, field.name, help=text, metavar=field.name.split("_")[-1].upper())(command)
    return command


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(importlib.metadata.version("bowerbird"), prog_name="camera-node")
def cli() -> None:
    """Serve one camera as one URL: GET /image.jpg."""


@cli.command()
@_settings_flags
@click.option("-v", "--verbose", is_flag=True, help="Log more.")
def serve(verbose: bool, **flags: Any) -> None:
    """Serve the camera until Ctrl-C."""
    log.setup("INFO" if verbose else "WARNING")
    settings, opener = _prepare(flags)
    listener = listen(settings.host, settings.port)
    click.echo(f"{settings.name} ({log.redact(settings.source)}) is at {url(listener)}")
    if not settings.token and settings.host not in ("127.0.0.1", "::1", "localhost"):
        click.echo("Everybody on this network can see it; --token keeps others out.", err=True)
    patience = Patience(idle_s=settings.idle_seconds)
    Server(lambda: Camera(opener, settings.wanted, patience), listener, name=settings.name, token=settings.token).run()


@cli.command()
@_settings_flags
@click.option("--save", type=click.Path(dir_okay=False, writable=True), help="Write the picture to this file.")
def check(save: str | None, **flags: Any) -> None:
    """Open the camera, take one picture and say what came."""
    log.setup("INFO")
    settings, opener = _prepare(flags)
    camera = Camera(opener, settings.wanted, Patience(answer_s=CHECK_TIMEOUT_S))
    began = time.monotonic()
    try:
        shot = camera.snapshot()
    finally:
        camera.stop()
    facts = image_facts(shot.jpeg)
    click.echo(
        f"{log.redact(settings.source)}: {facts.width}×{facts.height} JPEG of {len(shot.jpeg):,} bytes "
        f"after {time.monotonic() - began:.1f} s"
    )
    if save:
        with click.open_file(save, "wb") as file:
            file.write(shot.jpeg)


def _prepare(flags: dict[str, Any]) -> tuple[Settings, Opener]:
    settings = config.load(Settings, env=os.environ, flags=flags)
    return settings, prepare(settings.source, settings.wanted)
