"""The options that say which elements are meant, the same everywhere."""

import time
from collections.abc import Mapping
from typing import Any

import click

from hub.archive import Filter
from hub.filters import parse_filter
from hub.types import ElementKind


def filter_options(command: Any) -> Any:
    """--since, --until, --camera, --label, --kind."""
    for option in reversed(
        (
            click.option("--since", metavar="TIME", help="Taken from then on: 7d, 24h (ago), 2026-11-20T18:00 (UTC)."),
            click.option("--until", metavar="TIME", help="Taken before."),
            click.option("--camera", "cameras", multiple=True, metavar="NAME", help="Only of this camera."),
            click.option(
                "--label",
                "labels",
                multiple=True,
                metavar="LABEL",
                help="Only crops of this label; whole frames have none.",
            ),
            click.option(
                "--kind", type=click.Choice([each.value for each in ElementKind]), help="Whole frames or crops only."
            ),
        )
    ):
        command = option(command)
    return command


def filter_of(given: Mapping[str, Any]) -> Filter:
    """What they say."""
    return parse_filter(
        since=given["since"],
        until=given["until"],
        cameras=given["cameras"],
        labels=given["labels"],
        kind=given["kind"],
        now=time.time(),
    )
