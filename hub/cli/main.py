"""`hub`: each command parses, calls one function, prints."""

import os
import sys
from importlib.metadata import version
from pathlib import Path

import click

from hub.cli import (
    cameras,
    campaigns,
    completion,
    deliveries,
    demo,
    doctor,
    drift,
    index,
    index_files,
    models,
    replay,
    roboflow,
    run,
    samples,
    scan,
    search,
    web,
)
from hub.cli.context import Context, ErrorGroup
from shared import log


@click.group(cls=ErrorGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the database, frames and datasets live [env HUB_DATA_DIR].",
)
@click.option("-v", "--verbose", is_flag=True, help="Log more of what happens.")
@click.version_option(version("bowerbird"), prog_name="hub")
@click.pass_context
def cli(ctx: click.Context, data_dir: Path | None, verbose: bool) -> None:
    """Find the few frames worth labelling in everything your cameras see.

    A first run: hub cameras add, hub campaigns create, hub campaigns activate, hub run.
    Or watch it work at once: hub demo.
    """
    log.setup("DEBUG" if verbose else "WARNING")
    ctx.obj = Context(data_dir, verbose)


for command in (
    run.run,
    run.collect,
    demo.demo,
    cameras.cameras,
    campaigns.campaigns,
    samples.samples,
    deliveries.deliveries,
    roboflow.roboflow,
    drift.drift,
    search.search_,
    scan.scan_command,
    index.index,
    web.web,
    models.models,
    doctor.doctor,
    completion.completion,
):
    cli.add_command(command)
campaigns.campaigns.add_command(replay.run)
index.index.add_command(index_files.import_)
index.index.add_command(index_files.export)


def main() -> None:
    """The console script."""
    try:
        cli(prog_name="hub")
    except BrokenPipeError:
        # Somebody piped us into head and went away: not an error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
