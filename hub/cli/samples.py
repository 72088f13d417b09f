"""`hub samples`: what was collected."""

from pathlib import Path
from typing import Any

import click

from hub.cli.context import Context, json_option, pass_context
from hub.cli.output import print_rows, when
from hub.export import export_samples
from hub.types import Sample, SampleStatus
from shared.errors import InvalidInput

_PAGE = 500


@click.group()
def samples() -> None:
    """Samples: frames that campaigns selected."""


@samples.command("list")
@click.option("--campaign", help="Only of this campaign.")
@click.option("--camera", help="Only of this camera.")
@click.option("--status", type=click.Choice([s.value for s in SampleStatus]))
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 100_000))
@json_option
@pass_context
def list_(
    ctx: Context, campaign: str | None, camera: str | None, status: str | None, limit: int, as_json: bool
) -> None:
    """The newest samples first."""
    found = _samples(ctx, campaign, camera, status, limit)
    print_rows(
        [_row(sample) for sample in found],
        as_json=as_json,
        empty="No samples yet. See what your campaigns processed: hub campaigns list",
    )


def _samples(
    ctx: Context, campaign: str | None, camera: str | None, status: str | None, limit: int | None
) -> list[Sample]:
    """Up to `limit` samples (all for None), page by page."""
    store = ctx.hub.store
    if campaign is not None:
        store.campaign(campaign)
    found: list[Sample] = []
    before = None
    while limit is None or len(found) < limit:
        page = store.samples(
            campaign=campaign,
            camera=camera,
            status=SampleStatus(status) if status else None,
            limit=_PAGE if limit is None else min(_PAGE, limit - len(found)),
            before=before,
        )
        found += page
        if not page:
            break
        before = page[-1].id
    return found


def _row(sample: Sample) -> dict[str, Any]:
    return {
        "id": sample.id,
        "campaign": sample.campaign,
        "version": sample.version,
        "camera": sample.camera,
        "taken_at": when(sample.taken_at),
        "score": round(sample.score.value, 4),
        "status": sample.status.value,
        "reason": sample.reason,
    }


def _ids_or_all(ctx: Context, ids: tuple[str, ...], campaign: str | None) -> list[str]:
    if ids:
        return list(ids)
    if campaign is None:
        raise InvalidInput(
            "which samples?", hint="Give their ids (hub samples list), or --campaign NAME for all unsorted ones."
        )
    return [sample.id for sample in _samples(ctx, campaign, None, "unsorted", None)]


@samples.command("accept")
@click.argument("ids", nargs=-1)
@click.option("--campaign", help="All unsorted samples of this campaign.")
@pass_context
def accept(ctx: Context, ids: tuple[str, ...], campaign: str | None) -> None:
    """Say that samples are what the campaign wants."""
    changed = ctx.hub.store.review(_ids_or_all(ctx, ids, campaign), SampleStatus.ACCEPTED)
    click.echo(f"Accepted {changed}.")


@samples.command("discard")
@click.argument("ids", nargs=-1)
@click.option("--campaign", help="All unsorted samples of this campaign.")
@pass_context
def discard(ctx: Context, ids: tuple[str, ...], campaign: str | None) -> None:
    """Say that samples are not what the campaign wants."""
    changed = ctx.hub.store.review(_ids_or_all(ctx, ids, campaign), SampleStatus.DISCARDED)
    click.echo(f"Discarded {changed}.")


@samples.command("export")
@click.option("--campaign", required=True)
@click.option("--format", "fmt", type=click.Choice(["coco", "yolo", "csv"]), default="coco", show_default=True)
@click.option("--status", type=click.Choice([s.value for s in SampleStatus]))
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True)
@pass_context
def export(ctx: Context, campaign: str, fmt: str, status: str | None, out: Path) -> None:
    """Write samples and their labels to a folder."""
    found = _samples(ctx, campaign, None, status, None)
    written = export_samples(found, ctx.hub.blobs, out, fmt)
    click.echo(f"Wrote {written} samples to {out}.")
