"""`hub models`: what detects and embeds."""

from pathlib import Path
from typing import Any

import click

from hub.cli.context import Context, json_option, pass_context
from hub.cli.output import download_bar, print_rows, say
from hub.models.catalog import DEFAULTS, cache_dir, card, list_models, search_path
from hub.models.check import check_model
from hub.models.export import export_pt
from hub.models.fetch import fetch_model
from hub.models.files import models_in
from shared.errors import ModelError


@click.group()
def models() -> None:
    """Models: what detects and embeds."""


@models.command("list")
@json_option
@pass_context
def list_(ctx: Context, as_json: bool) -> None:
    """What is on this machine, what is used, and what can be fetched."""
    used = {model.path: kind for kind, model in ctx.used_models().items() if model}
    rows = [
        {
            "name": found.name,
            "kind": found.kind,
            "status": "used" if found.path in used else found.status,
            "licence": found.licence,
            "mb": round(found.bytes / 1e6, 1),
            "note": found.note,
            "path": str(found.path or ""),
        }
        for found in list_models(search_path(ctx.settings.models_dir))
    ]
    for kind, model in ctx.used_models().items():
        if model is None:
            rows.append(_built_in(kind))
    print_rows(rows, as_json=as_json, empty="No models.")


def _built_in(kind: str) -> dict[str, Any]:
    name, note = {
        "detector": ("built-in people detector", "finds people only, and roughly: hub models fetch yolox-nano"),
        "embedder": ("built-in descriptor", "colours and edges, no text: hub models fetch clip-vit-b32"),
    }[kind]
    return {"name": name, "kind": kind, "status": "used", "licence": "MIT", "mb": 0.0, "note": note, "path": ""}


@models.command("fetch")
@click.argument("names", nargs=-1)
@pass_context
def fetch(ctx: Context, names: tuple[str, ...]) -> None:
    """Download models of the catalog, verified; a broken download is resumed.

    Without NAMES: one detector and one embedder that anybody may use.
    """
    cards = [card(name) for name in names or DEFAULTS]
    into = ctx.settings.models_dir or cache_dir()
    for each in cards:
        say(f"{each.name}: {each.licence} ({each.licence_url}). {each.note}")
        with download_bar() as progress:
            fetch_model(each, into, progress=progress)
        click.echo(f"{each.name} is in {into}.")


@models.command("check")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@json_option
@pass_context
def check(ctx: Context, paths: tuple[Path, ...], as_json: bool) -> None:
    """Try models on a known picture: PATHS, or every one on this machine. Exit code 1 when one does not work."""
    folders = search_path(ctx.settings.models_dir)
    wanted = list(paths) or [model.path for folder in folders for model in models_in(folder)]
    reports = [check_model(path) for path in wanted]
    print_rows(
        [
            {
                "model": str(report.path),
                "kind": report.kind,
                "ok": report.ok,
                "message": report.message,
                "next_step": report.hint,
                "seconds": round(report.seconds, 2),
            }
            for report in reports
        ],
        as_json=as_json,
        empty="No models on this machine. Get some: hub models fetch",
    )
    if not all(report.ok for report in reports):
        raise ModelError("not every model works")


@models.command("export")
@click.argument("weights", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Where to write; HUB_MODELS_DIR or the cache by default.")
@pass_context
def export(ctx: Context, weights: Path, out: Path | None) -> None:
    """Turn Ultralytics weights (.pt) into ONNX with a dynamic batch."""
    written = export_pt(weights, out or (ctx.settings.models_dir or cache_dir()) / "detectors")
    click.echo(f"Wrote {written}. Use it: HUB_DETECTOR={written.stem} hub run")
