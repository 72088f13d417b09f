"""`hub index import` and `hub index export`."""

import time
from pathlib import Path
from typing import Any

import click

from hub.cli.context import Context, json_option, pass_context
from hub.cli.filter_options import filter_of, filter_options
from hub.cli.index import bar, embedding_option
from hub.cli.output import print_facts
from hub.cli.search import say_why_no_crops
from hub.exchange import export_coco, export_fiftyone, export_file, import_file
from hub.filters import check_cameras
from shared.errors import InvalidInput


@click.command("import")
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
    with bar(f"Importing {file.name}") as show:
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


@click.command("export")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
@click.option("--format", "fmt", type=click.Choice(["fiftyone", "coco"]), help="A folder with the pictures, instead.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="The folder.")
@click.option("--half", is_flag=True, help="Vectors as float16.")
@embedding_option
@filter_options
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
    _check_place(file, fmt, out)
    hub, where = ctx.hub, filter_of(given)
    check_cameras(where.cameras, hub.store)
    archive, version = hub.store.archive, embedding_version or hub.embedder().version
    with bar("Exporting") as show:
        if out is not None:
            write = export_fiftyone if fmt == "fiftyone" else export_coco
            done = write(archive, hub.pictures, version, out, where, progress=show)
            n = done.pictures + done.missing
            print_facts({"pictures": done.pictures, "not_kept": done.missing, "folder": str(out)}, as_json=as_json)
        elif file is not None:
            n = export_file(archive, version, file, where, half=half, progress=show)
            print_facts({"elements": n, "file": str(file)}, as_json=as_json)
    any_one = None if n else archive.random(version)
    if any_one is not None:
        say_why_no_crops(where, any_one.vector, hub.corpus(version))


def _check_place(file: Path | None, fmt: str | None, out: Path | None) -> None:
    """InvalidInput unless it is either a file or a folder and what to write there."""
    if file is not None and (fmt or out):
        raise InvalidInput(
            "give a file or a folder, not both",
            hint="Embeddings go to a FILE.parquet or FILE.h5; pictures and detections, with --format, to --out FOLDER.",
        )
    if fmt and not out:
        raise InvalidInput("where to?", hint=f"--format {fmt} --out FOLDER")
    if out and not fmt:
        raise InvalidInput(f"what is to go to {out}?", hint="--format coco, or --format fiftyone")
    if file is None and out is None:
        raise InvalidInput("where to?", hint="Give a FILE.parquet or FILE.h5, or --format coco --out FOLDER.")
