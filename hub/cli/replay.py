"""`hub campaigns run`: campaigns over what was seen before."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from hub import campaigns as life
from hub.appraise import Statistics
from hub.cli.context import Context, json_option, pass_context
from hub.cli.output import print_json, print_rows, say, when
from hub.cli.search import write_file
from hub.contact_sheet import Entry, contact_sheet
from hub.filters import check_cameras, parse_filter
from hub.replay import Models, Places, Replayed, Rules, Span, replay
from hub.types import Sample
from hub.vision import decode
from shared.errors import InvalidInput, NotFound

_SHOWN = 12
"""Samples listed on a terminal."""

_DRAWN = 100
"""Pictures on a sheet at most."""


@click.command("run")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--since", metavar="TIME", help="Frames taken from then on: 7d, 24h (ago), 2026-11-20T18:00 (UTC).")
@click.option("--until", metavar="TIME", help="Frames taken before.")
@click.option("--camera", "cameras", multiple=True, metavar="NAME", help="Only frames of this camera.")
@click.option("--threshold", type=click.FloatRange(0.0, 1.0), help="In place of the campaigns' own.")
@click.option("--target", "best", type=click.IntRange(1, 100_000), help="The best N frames, whatever their score.")
@click.option("--dry-run", "dry", is_flag=True, help="Say what would come of it; takes nothing.")
@click.option("--look-again", is_flag=True, help="Detect and embed what was not, in frames whose picture is kept.")
@click.option("--sheet", type=click.Path(path_type=Path, dir_okay=False), help="Draw the best frames on one PNG.")
@json_option
@pass_context
def run(
    ctx: Context, /, names: tuple[str, ...], since: str | None, until: str | None, cameras: tuple[str, ...],
    sheet: Path | None, as_json: bool, **rules: Any,
) -> None:  # fmt: skip
    """Run campaigns over what was seen before, as if they had been active then.

    What fits becomes samples, as far as its picture is kept; running again takes nothing twice. A campaign is run by
    its newest version, active or not; one that was never committed is committed first, for a dry run too.
    """
    hub = ctx.hub
    asked = Rules(**rules)
    where = parse_filter(since=since, until=until, cameras=cameras, now=time.time())
    check_cameras(where.cameras, hub.store)
    span = Span(where.since or 0.0, float("inf") if where.until is None else where.until, where.cameras)
    ends = hub.store.archive.first_and_last(span.cameras)
    if ends is None:
        by = f" by {', '.join(cameras)}" if cameras else ""
        raise InvalidInput(
            f"nothing was seen yet{by}", hint="Let a hub run on your cameras, or scan files: hub scan PATH"
        )
    for name in dict.fromkeys(names):
        _commit(ctx, name)
    targets = hub.targets(list(dict.fromkeys(names)))
    of = Places(hub.store, hub.pictures)
    with _bar(max(span.since, ends[0]), min(span.until, ends[1])) as progress:
        found = replay(
            targets,
            of,
            hub.embedder().version,
            span,
            asked,
            models=Models(hub.detector, hub.embedder),
            progress=progress,
        )
    if as_json:
        print_json(as_data(found))
    else:
        _print(found, asked)
    if sheet is not None:
        _draw(found, of, sheet)
        say(f"Drew {sheet}.")


def _commit(ctx: Context, name: str) -> None:
    """Its first version, of a campaign that has none."""
    hub = ctx.hub
    if hub.store.campaign(name).version == 0:
        life.commit(hub.store, hub.blobs, name, hub.embedder, now=time.time(), re_embed=True)
        say(f"Committed {name}.")


def as_data(found: Replayed) -> dict[str, Any]:
    """What came of it, as JSON values."""
    return {
        "frames": found.frames,
        "statistics": [asdict(each) for each in found.statistics],
        "taken": found.taken,
        "samples": [_row(each) for each in found.samples],
        "known": found.known,
        "gone": found.gone_count,
        "gone_samples": [_row(each) for each in found.gone],
        "lacking": dict(found.lacking),
        "looked_again": found.looked_again,
    }


def _row(sample: Sample) -> dict[str, Any]:
    return {
        "id": sample.id,
        "campaign": sample.campaign,
        "camera": sample.camera,
        "taken_at": when(sample.taken_at),
        "score": round(sample.score.value, 4),
        "reason": sample.reason,
    }


def _statistics_row(each: Statistics, dry: bool) -> dict[str, Any]:
    return {
        "campaign": each.campaign,
        "version": each.version,
        "would_take" if dry else "collected": each.collected,
        "seen": each.seen,
        "least": each.least,
        "most": each.most,
        "mean": each.mean,
        "deviation": each.deviation,
        "best": each.best,
    }


def _print(found: Replayed, rules: Rules) -> None:
    print_rows([_statistics_row(each, rules.dry) for each in found.statistics], as_json=False, empty="")
    if found.samples:
        click.echo()
        print_rows([_row(each) for each in found.samples[:_SHOWN]], as_json=False, empty="")
        if found.taken > _SHOWN:
            click.echo(f"… and {found.taken - _SHOWN:,} more.")
    click.echo()
    say(f"{found.frames:,} frames; {'would take' if rules.dry else 'took'} {found.taken:,}.")
    if found.known:
        say(f"{found.known:,} that fit were taken before.")
    if found.gone_count:
        say(f"{found.gone_count:,} more fit, but their pictures are no longer kept.")
    if found.looked_again:
        say(f"Looked again at {found.looked_again:,}.")
    for what, n in sorted(found.lacking.items()):
        say(f"{n:,} could not be judged for want of {what}." + ("" if rules.look_again else " Try --look-again."))


@contextmanager
def _bar(first: float, last: float) -> Iterator[Callable[[int, float], None]]:
    """A bar on a terminal, a line every ten seconds elsewhere. first, last: capture times, Unix seconds."""
    live, said_at = sys.stderr.isatty(), time.monotonic()
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not live, transient=True) as bar:
        task = bar.add_task("", total=max(1.0, last - first))

        def show(frames: int, taken_at: float) -> None:
            nonlocal said_at
            bar.update(task, description=f"{frames:,} frames, up to {when(taken_at)}", completed=taken_at - first)
            if not live and time.monotonic() > said_at + 10:
                said_at = time.monotonic()
                say(f"{frames:,} frames, up to {when(taken_at)}")

        yield show


def _draw(found: Replayed, of: Places, file: Path) -> None:
    """The best frames whose picture is kept, on one picture."""
    entries = []
    for sample in found.samples[:_DRAWN]:
        try:
            image = decode(of.pictures.picture(sample.frame_id))
        except NotFound:
            continue
        box = sample.box if sample.score.row else None
        name = f"{sample.campaign} {sample.camera} {when(sample.taken_at)}"
        entries.append(Entry(image, sample.score.value, name, box))
    write_file(file, contact_sheet(f"{found.taken:,} of {found.frames:,} frames", entries))
