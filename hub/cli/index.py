"""`hub index`: everything that was embedded, by embedding version."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from hub import reembed, switch
from hub.archive import EmbeddingUse, Filter
from hub.cli.context import Context, json_option, pass_context
from hub.cli.output import print_facts, print_json, print_rows, say, when
from hub.exchange import export_coco, export_fiftyone, export_file, import_file
from hub.types import ElementKind
from shared.errors import InvalidInput

_EVERY_S = 10.0
_TRIED = 16
"""Pictures embedded to tell how long all will take."""


@click.group()
def index() -> None:
    """Index: everything that was embedded, searchable."""


@contextmanager
def _bar(what: str) -> Iterator[Callable[[int, int], None]]:
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


def _embedding_option(command: Any) -> Any:
    return click.option(
        "--embedding-version", metavar="UUID", help="Of this embedding version, not of the embedder in use."
    )(command)


@index.command("build")
@_embedding_option
@click.option("--force", is_flag=True, help="Build it all anew.")
@json_option
@pass_context
def build(ctx: Context, embedding_version: str | None, force: bool, as_json: bool) -> None:
    """Index what is not indexed yet. A running hub goes on meanwhile, and takes the new index up."""
    corpus = ctx.hub.corpus(embedding_version)
    with _bar("Indexing") as show:
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
@_embedding_option
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
        with _bar("Indexing") as show:
            hub.corpus(embedder.version).build(progress=show)

    with _bar(f"Embedding by {embedder.name}") as show:
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
    for campaign in done.left:
        click.echo(f"A seed of {campaign}, which is not active, can't be embedded by {name}: remove it.")
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


# ── files ────────────────────────────────────────────────────────────────────────────────────────────


@index.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--embedding-version", metavar="UUID", default="", help="What made the vectors, or: current.")
@click.option("--column", "columns", multiple=True, metavar="OURS=THEIRS", help="A column under another name.")
@click.option("--new-ids", is_flag=True, help="Do not take up ids; they are kept as metadata.")
@json_option
@pass_context
def import_(
    ctx: Context, file: Path, embedding_version: str, columns: tuple[str, ...], new_ids: bool, as_json: bool
) -> None:
    """Store the embeddings of a .parquet, .h5 or .hdf5 file: ours, Robotoff-ANN's, or any with a column of vectors."""
    if embedding_version == "current":
        embedding_version = ctx.hub.embedder().version
    with _bar(f"Importing {file.name}") as show:
        done = import_file(
            ctx.hub.store.archive,
            file,
            embedding_version=embedding_version,
            columns=_columns(columns),
            new_ids=new_ids,
            now=time.time(),
            progress=show,
        )
    facts = {"embedding_version": done.embedding_version, "read": done.read, "new": done.added, "known": done.known}
    print_facts(facts, as_json=as_json)


def _columns(given: tuple[str, ...]) -> dict[str, str]:
    columns = {}
    for each in given:
        ours, equals, theirs = each.partition("=")
        if not (ours and equals and theirs):
            raise InvalidInput(f"{each!r} names no column", hint="Write --column embedding=clip_vector.")
        columns[ours] = theirs
    return columns


def _filter_options(command: Any) -> Any:
    for option in reversed(
        (
            click.option("--since", metavar="TIME", help="Taken at or after: 2026-05-01, or 2026-05-01T12:00 (UTC)."),
            click.option("--until", metavar="TIME", help="Taken before."),
            click.option("--camera", "cameras", multiple=True, help="Of this camera; may be given again."),
            click.option("--label", "labels", multiple=True, help="With this label; may be given again."),
            click.option("--kind", type=click.Choice([each.value for each in ElementKind]), help="Frames or crops."),
        )
    ):
        command = option(command)
    return command


def _filter(given: dict[str, Any]) -> Filter:
    kind = given["kind"]
    return Filter(
        _time(given["since"]),
        _time(given["until"]),
        tuple(given["cameras"]),
        tuple(given["labels"]),
        None if kind is None else ElementKind(kind),
    )


def _time(said: str | None) -> float | None:
    if said is None:
        return None
    try:
        at = datetime.fromisoformat(said)
    except ValueError:
        raise InvalidInput(f"{said!r} is no time", hint="Write 2026-05-01, or 2026-05-01T12:00 (UTC).") from None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


@index.command("export")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
@click.option("--format", "fmt", type=click.Choice(["fiftyone", "coco"]), help="A folder with the pictures, instead.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="The folder.")
@click.option("--half", is_flag=True, help="Vectors as float16.")
@_embedding_option
@_filter_options
@json_option
@pass_context
def export(
    ctx: Context,
    /,
    file: Path | None,
    fmt: str | None,
    out: Path | None,
    half: bool,
    embedding_version: str | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Write embeddings to a .parquet, .h5 or .hdf5 file, or pictures and detections to a folder."""
    if (file is None) == (fmt is None) or (fmt is None) != (out is None):
        raise InvalidInput("where to?", hint="Give a FILE.parquet or FILE.h5, or --format fiftyone --out DIR.")
    hub, where = ctx.hub, _filter(given)
    archive, version = hub.store.archive, embedding_version or hub.embedder().version
    with _bar("Exporting") as show:
        if out is not None:
            write = export_fiftyone if fmt == "fiftyone" else export_coco
            done = write(archive, hub.pictures, version, out, where, progress=show)
            print_facts({"pictures": done.pictures, "not_kept": done.missing, "folder": str(out)}, as_json=as_json)
        elif file is not None:
            written = export_file(archive, version, file, where, half=half, progress=show)
            print_facts({"elements": written, "file": str(file)}, as_json=as_json)
