"""`hub samples`: what was collected."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from hub.cli.context import Context, json_option, pass_context
from hub.cli.output import print_facts, print_json, print_rows, say, when
from hub.explain import explain
from hub.export import FORMATS, export_samples
from hub.search import files_of
from hub.types import Sample, SampleStatus
from shared.errors import InvalidInput

_PAGE = 500
UNASKED = 20
"""So many samples are reviewed at once without a question."""


@click.group()
def samples() -> None:
    """Samples: frames that campaigns selected."""


@samples.command("list")
@click.option("--campaign", help="Only of this campaign.")
@click.option("--camera", help="Only of this camera.")
@click.option("--status", type=click.Choice([s.value for s in SampleStatus]), help="Only those that are this.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 100_000), help="At most so many.")
@json_option
@pass_context
def list_(
    ctx: Context, campaign: str | None, camera: str | None, status: str | None, limit: int, as_json: bool
) -> None:
    """The newest samples first."""
    found = _samples(ctx, campaign, camera, status, limit + 1)
    shown, rows = found[:limit], [_row(sample) for sample in found[:limit]]
    if as_json:
        files = files_of([sample.frame_id for sample in shown], ctx.hub.store)
        rows = [row | {"source": files.get(each.frame_id, "")} for row, each in zip(rows, shown, strict=True)]
    if len(found) > limit:
        say(f"the newest {limit:,}; more: --limit")
    print_rows(
        rows,
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
        "control": sample.control,
        "linked": len(sample.linked),
        "reason": sample.reason,
    }


def _chosen(ctx: Context, ids: tuple[str, ...], given: dict[str, Any]) -> list[str]:
    """The samples that the options of accept and discard mean."""
    narrowed = any(given[name] is not None for name in ("camera", "above", "below"))
    if ids:
        if narrowed or given["campaign"]:
            raise InvalidInput("give ids, or --campaign and what narrows it down, not both")
        return [ctx.hub.store.sample_id(each) for each in ids]
    if given["campaign"] is None:
        raise InvalidInput(
            "which samples?", hint="Give their ids (hub samples list), or --campaign NAME for all unsorted ones."
        )
    low = given["above"] if given["above"] is not None else float("-inf")
    high = given["below"] if given["below"] is not None else float("inf")
    found = _samples(ctx, given["campaign"], given["camera"], given["status"], None)
    chosen = [sample.id for sample in found if low <= sample.score.value < high]
    if len(chosen) > UNASKED and sys.stdin.isatty() and not given["yes"]:
        click.confirm(f"{len(chosen):,} samples of {given['campaign']}. Go on?", abort=True, err=True)
    return chosen


def _review_options(command: Any) -> Any:
    for option in reversed(
        (
            click.argument("ids", nargs=-1),
            click.option("--campaign", help="All unsorted samples of this campaign."),
            click.option("--camera", help="… of this camera."),
            click.option("--above", type=float, help="… with at least this score."),
            click.option("--below", type=float, help="… with less than this score."),
            click.option(
                "--status",
                type=click.Choice([s.value for s in SampleStatus]),
                default="unsorted",
                show_default=True,
                help="… that are this now.",
            ),
            click.option("--yes", is_flag=True, help="Do not ask before many are changed."),
        )
    ):
        command = option(command)
    return command


@samples.command("accept")
@_review_options
@pass_context
def accept(ctx: Context, /, ids: tuple[str, ...], **given: Any) -> None:
    """Say that samples are what the campaign wants."""
    changed = ctx.hub.store.review(_chosen(ctx, ids, given), SampleStatus.ACCEPTED)
    click.echo(f"Accepted {changed}.")


@samples.command("discard")
@_review_options
@pass_context
def discard(ctx: Context, /, ids: tuple[str, ...], **given: Any) -> None:
    """Say that samples are not what the campaign wants."""
    changed = ctx.hub.store.review(_chosen(ctx, ids, given), SampleStatus.DISCARDED)
    click.echo(f"Discarded {changed}.")


@samples.command("unsort")
@_review_options
@pass_context
def unsort(ctx: Context, /, ids: tuple[str, ...], **given: Any) -> None:
    """Take back what was said of samples."""
    changed = ctx.hub.store.review(_chosen(ctx, ids, given), SampleStatus.UNSORTED)
    click.echo(f"Unsorted {changed}.")


@samples.command("explain")
@click.argument("sample_id", metavar="ID")
@json_option
@pass_context
def explain_(ctx: Context, sample_id: str, as_json: bool) -> None:
    """Why a sample was taken: nearest seeds, its group of seeds, and how rare such a score is."""
    store = ctx.hub.store
    found = explain(store, store.sample_id(sample_id))
    frame = store.sample(found.sample).frame_id
    file = files_of([frame], store).get(frame, "")
    if as_json:
        print_json(asdict(found) | {"file": file})
        return
    facts = {
        "sample": found.sample,
        "campaign": f"{found.campaign}, version {found.version}",
        "score": f"{found.score:.3f}, threshold {found.threshold:.3f}",
        "why": found.reason,
        "scorer": f"{found.scorer}; {found.source}" if found.source else found.scorer,
    }
    if file:
        facts["file"] = file
    if found.rarity is not None:
        facts["rarity"] = f"1 in {found.rarity:,.0f} of {found.background:,} background frames scores as high"
    if found.nearest:
        near = [f"{s.name} {s.cosine:.3f}{' (not wanted)' if s.negative else ''}" for s in found.nearest]
        facts["nearest_seeds"], facts["group"] = ", ".join(near), ", ".join(found.microcluster)
    print_facts(facts, as_json=False)


@samples.command("export")
@click.option("--campaign", required=True, help="Samples of this campaign.")
@click.option(
    "--format", "fmt", type=click.Choice(FORMATS), default="coco", show_default=True, help="How labels are written."
)
@click.option("--status", type=click.Choice([s.value for s in SampleStatus]), help="Only those that are this.  [all]")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="The folder.")
@pass_context
def export(ctx: Context, campaign: str, fmt: str, status: str | None, out: Path) -> None:
    """Write samples and their labels to a folder."""
    found = _samples(ctx, campaign, None, status, None)
    written = export_samples(found, ctx.hub.blobs, out, fmt, ctx.hub.store.provenance)
    click.echo(f"Wrote {written} samples to {out}.")
