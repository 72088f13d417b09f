"""`hub index`: everything that was embedded, by embedding version."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from hub import reembed, removal, switch
from hub.archive import ANY, EmbeddingUse
from hub.cli.context import Context, json_option, pass_context
from hub.cli.filter_options import filter_of, filter_options
from hub.cli.output import print_facts, print_json, print_rows, say, when
from hub.cli.search import say_why_no_crops
from hub.filters import check_cameras
from shared.errors import InvalidInput

_EVERY_S = 10.0
_TRIED = 16
"""Pictures embedded to tell how long all will take."""


@click.group()
def index() -> None:
    """Index: everything that was embedded, searchable."""


@contextmanager
def bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal, a line now and then elsewhere. Gives a function of (done, in all)."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    began = said_at = time.monotonic()
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)

        def show(done: int, total: int) -> None:
            nonlocal said_at
            bar.update(task, completed=done, total=total)
            now = time.monotonic()
            if not console.is_terminal and now > said_at + _EVERY_S:
                said_at = now
                left = (now - began) / max(1, done) * (total - done)
                say(f"{what}: {done:,} of {total:,}, about {_duration(left)} to go")

        yield show


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{seconds:.0f} s" if seconds < 90 else f"{minutes} min" if minutes < 90 else f"{minutes / 60:.1f} h"


def embedding_option(command: Any) -> Any:
    """--embedding-version."""
    return click.option(
        "--embedding-version", metavar="UUID", help="Of this embedding version, not of the embedder in use."
    )(command)


@index.command("build")
@embedding_option
@click.option("--force", is_flag=True, help="Build it all anew.")
@json_option
@pass_context
def build(ctx: Context, embedding_version: str | None, force: bool, as_json: bool) -> None:
    """Index what is not indexed yet. A running hub goes on meanwhile, and takes the new index up."""
    corpus = ctx.hub.corpus(embedding_version)
    with bar("Indexing") as show:
        built = corpus.build(progress=show, force=force)
    segments = corpus.stats().segments
    if as_json:
        print_json({**asdict(built), "recall": {each.name: each.recall for each in segments}})
        return
    click.echo(
        f"Indexed {built.elements:,} elements in {_duration(built.seconds)}: "
        f"{built.added:,} new, {built.segments} segments."
    )
    if segments:
        least = min(each.recall for each in segments)
        click.echo(f"Of the 10 nearest, {least:.1%} are found (measured on what is stored; the worst segment).")


@index.command("stats")
@embedding_option
@json_option
@pass_context
def stats(ctx: Context, embedding_version: str | None, as_json: bool) -> None:
    """How much is searchable, and how."""
    found = ctx.hub.corpus(embedding_version).stats()
    if as_json:
        print_json(asdict(found))
        return
    facts = {name: value for name, value in asdict(found).items() if name != "segments"}
    print_facts(facts | {"bytes": f"{found.bytes / 1e6:,.1f} MB"}, as_json=False)
    if found.segments:
        click.echo()
        print_rows([asdict(each) for each in found.segments], as_json=False, empty="")


@index.command("versions")
@json_option
@pass_context
def versions(ctx: Context, as_json: bool) -> None:
    """The embedding versions: which model's vectors are stored, and what goes by them."""
    current = ctx.hub.embedder()
    uses = ctx.hub.store.archive.embedding_versions()
    if all(each.version != current.version for each in uses):
        uses = [EmbeddingUse(current.version, current.name, current.dim, 0, 0, 0, (), 0.0, 0.0), *uses]
    print_rows(
        [
            {
                "version": each.version,
                "embedder": each.embedder or (current.name if each.version == current.version else ""),
                "current": each.version == current.version,
                "dim": each.dim,
                "elements": each.elements,
                "seeds": each.seeds,
                "samples": each.samples,
                "campaigns": list(each.campaigns),
                "first": when(each.first_at),
                "last": when(each.last_at),
            }
            for each in uses
        ],
        as_json=as_json,
        empty="",
    )


# ── to another embedder ──────────────────────────────────────────────────────────────────────────────


@index.command("migrate")
@click.option("--to", "name", metavar="EMBEDDER", help="A name of `hub models list`, a file, or built-in.")
@click.option("--from", "old", metavar="UUID", help="The embedding version to leave [that of the newest elements].")
@click.option("--drop-old", is_flag=True, help="Delete the elements of the old version after the switch.")
@click.option("--dry-run", is_flag=True, help="Only say how much there is to do.")
@click.option("--yes", is_flag=True, help="Do not ask before anything is deleted.")
@json_option
@pass_context
def migrate(
    ctx: Context, name: str | None, old: str | None, drop_old: bool, dry_run: bool, yes: bool, as_json: bool
) -> None:
    """Embed kept pictures anew with another embedder, then switch to it.

    The old embedder serves until then. Stop it at any time: running it again goes on.
    """
    hub, wanted = ctx.hub, ctx.settings.embedder
    name = name or wanted
    if not name:
        raise InvalidInput("to which embedder?", hint="--to NAME; see: hub models list")
    loaded_as = str(Path(name).resolve()) if Path(name).exists() else name
    embedder = hub.embedder(loaded_as)
    archive = hub.store.archive
    old = old or switch.version_to_leave(archive, embedder.version)
    task = switch.survey(hub.store, hub.pictures.held, embedder, old)
    if dry_run:
        print_facts(asdict(task) | {"takes": _estimate(hub, embedder, task)}, as_json=as_json)
        return
    if drop_old and not yes:
        gone = task.frames - task.held
        click.confirm(
            f"All {task.elements:,} elements of the old version will be deleted after the switch, also those of "
            f"{gone:,} frames whose picture is gone, which then can't be searched any more. Go on?",
            abort=True,
            err=True,
        )

    def build() -> None:
        with bar("Indexing") as show:
            hub.corpus(embedder.version).build(progress=show)

    with bar(f"Embedding by {embedder.name}") as show:
        done = switch.migrate(
            hub.store,
            hub.blobs,
            hub.pictures,
            embedder,
            loaded_as=loaded_as,
            old=old,
            build=build,
            workers=hub.workers,
            drop_old=drop_old,
            show=lambda progress: show(progress.done, progress.total),
        )
    _say_migrated(done, embedder.name, as_json=as_json)
    if wanted and wanted != name:
        say(f"HUB_EMBEDDER still says {wanted}, and goes before: set it to {name}, or unset it.")


def _say_migrated(done: switch.Migrated, name: str, *, as_json: bool) -> None:
    if as_json:
        print_json(asdict(done))
        return
    went = done.progress
    click.echo(
        f"Switched to {name}: {went.stored:,} elements embedded anew, {went.known:,} were before, {done.seeds:,} seeds."
    )
    if went.gone or went.broken:
        click.echo(
            f"{went.gone:,} could not be: their picture is not kept any more. {went.broken:,} could not be read. "
            + ("They are deleted." if done.dropped else "Their old vectors stay until retention takes them.")
        )
    for each in done.seeds_lost:
        click.echo(f"{name} can't embed the seed {each}. Take it away: hub campaigns seed CAMPAIGN --remove SEED")
    if done.dropped:
        click.echo(f"Deleted {done.dropped:,} elements of the old version.")


def _estimate(hub: Any, embedder: Any, task: switch.Task) -> str:
    """How long it will take, by embedding a few."""
    archive = hub.store.archive
    some = archive.living(task.old, first=1, last=archive.last_id(task.old))[-_TRIED:].tolist()
    began = time.monotonic()
    tried = reembed.try_some(archive, hub.pictures, embedder, some)
    each_s = (time.monotonic() - began) / tried if tried else 0.0
    waiting = max(0, task.elements - task.known) * (task.held / max(1, task.frames))
    return f"about {_duration(each_s * waiting / max(1, hub.workers))}" if tried else "nothing to embed"


@index.command("remove")
@click.option("--yes", is_flag=True, help="Do not ask.")
@embedding_option
@filter_options
@pass_context
def remove(ctx: Context, /, embedding_version: str | None, yes: bool, **given: Any) -> None:
    """Delete elements for good: those of a camera, a scan, a time. Samples and files on the disk stay.

    Those of a scan go by --camera, which is the name of the folder, archive or film scanned, where the scan was given
    no other. What cameras show goes by itself after HUB_RETENTION_DAYS; what was scanned or imported stays until this
    is said.
    """
    where = filter_of(given)
    if where == ANY:
        raise InvalidInput(
            "which elements?", hint="Name a camera, a time, a label or a kind; see: hub index remove --help"
        )
    check_cameras(where.cameras, ctx.hub.store)
    archive, version = ctx.hub.store.archive, embedding_version or ctx.hub.embedder().version
    n = removal.count(archive, version, where)
    if n and not yes:
        click.confirm(f"Delete {n:,} elements for good?", abort=True, err=True)
    click.echo(f"Deleted {sum(removal.remove(archive, version, where)) if n else 0:,} elements.")
    any_one = None if n else archive.random(version)
    if any_one is not None:
        say_why_no_crops(where, any_one.vector, ctx.hub.corpus(version))
