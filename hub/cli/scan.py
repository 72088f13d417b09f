"""`hub scan`: score a local corpus of pictures and films."""

import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from hub.cli.context import Context, json_option, pass_context
from hub.cli.output import print_json, print_rows, say, when
from hub.contact_sheet import Entry, check_form, contact_sheet
from hub.footage.files import PICTURES, measure
from hub.loading import inference_plan
from hub.pictures import Pictures
from hub.scan import Best, Models, Places, Rules, Scanned, scan
from hub.scan import Progress as Done
from hub.vision import decode
from shared.errors import BowerbirdError, ImageError, InvalidInput, NotFound

SHOWN = 20
"""Unreadable files that are listed."""

INTERRUPTED = 130
"""Exit code of what Ctrl-C ended, as shells have it."""

ON_SHEET = 30
LINE_S = 10.0


@click.command("scan")
@click.argument("paths", nargs=-1, required=True)
@click.option("--campaign", "names", multiple=True, help="Judge by this campaign, active or not. Repeatable.  [active]")
@click.option("--dry-run", "dry", is_flag=True, help="Take nothing; print statistics, and draw the best frames.")
@click.option("--threshold", type=click.FloatRange(0, 1), help="In place of the campaigns' own.")
@click.option("--target", type=click.IntRange(1), metavar="N", help="The N best of all, whatever their score.")
@click.option("--every", default=1.0, show_default=True, type=click.FloatRange(0.04), help="Seconds, for films.")
@click.option("--camera", default="", help="Camera to name them by.  [the folder, archive or film given]")
@click.option("--crops", is_flag=True, help="Look for objects and make them searchable, even if no campaign asks.")
@click.option(
    "--sheet", type=click.Path(path_type=Path, dir_okay=False), help="Draw the best frames into this .png or .jpg."
)
@json_option
@pass_context
def scan_command(
    ctx: Context,
    paths: tuple[str, ...],
    names: tuple[str, ...],
    dry: bool,
    threshold: float | None,
    target: int | None,
    every: float,
    camera: str,
    crops: bool,
    sheet: Path | None,
    as_json: bool,
) -> None:
    """Embed and score pictures and films on this machine.

    PATHs are files, folders, globs in quotes, and zip or tar archives. What was scanned before is not looked at again,
    so a scan can be stopped (Ctrl-C) and begun again at any time. Samples that are taken go the campaigns' usual way.

    Without a campaign everything is embedded, so that hub search finds it. A dry run takes no samples; it stores what
    was seen, which makes the scan after it cheap.

    A picture was taken when its EXIF says, or else when its file was last written; a film began when it says, or else
    its length before its file was last written. hub search --since goes by these times.
    """
    if threshold is not None and target is not None:
        raise click.UsageError("--threshold and --target exclude each other")
    if len(camera) > 100:
        raise click.UsageError("a camera's name has at most 100 characters")
    if sheet is not None:
        check_form(sheet.suffix)
    hub = ctx.hub
    targets = hub.targets(names)
    if not targets:
        say("No campaign is active: everything is embedded, so that it can be searched, and nothing is taken.")
    batch, workers, _ = inference_plan(ctx.settings.device, ctx.settings.batch, ctx.settings.threads)
    top = ON_SHEET if targets and (dry or sheet) else 0
    rules = Rules(every, camera, threshold, target, dry, crops, top)
    places = Places(hub.store, hub.blobs, hub.pictures)
    with _stoppable() as stop, _bar(paths) as show:
        done = scan(
            paths, targets, places, Models(hub.detector, hub.embedder, batch, workers), rules, stop=stop, progress=show
        )
    if not (done.stopped or done.progress.frames or done.unreadable):
        raise InvalidInput(
            f"no pictures or films in {', '.join(paths[:3])}{' …' if len(paths) > 3 else ''}",
            hint=f"They are known by their names: {' '.join(sorted(PICTURES))} …, films, zip and tar archives.",
        )
    sheets = [
        _draw(places.pictures, name, best, _sheet_path(sheet, name, len(targets))) for name, best in done.best.items()
    ]
    print_json(_facts(done, sheets)) if as_json else _print(done, dry, sheets)
    if done.unreadable and not done.progress.frames and not done.stopped:
        raise BowerbirdError("nothing could be read", hint="See the list above for what is wrong with each file.")
    if done.stopped:
        raise click.exceptions.Exit(INTERRUPTED)


@contextmanager
def _stoppable() -> Iterator[threading.Event]:
    """The first Ctrl-C asks to stop, the second one insists."""
    stop = threading.Event()

    def ask(*_: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        say("\nStopping. What was seen is stored, and the next scan goes on from here.")

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = signal.signal(signal.SIGINT, ask)
    try:
        yield stop
    except KeyboardInterrupt:
        raise click.exceptions.Exit(INTERRUPTED) from None
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _bar(paths: Sequence[str]) -> Iterator[Callable[[Done], None]]:
    """A bar on a terminal, a line every ten seconds elsewhere."""
    total = _Total(paths)
    live = sys.stderr.isatty()
    said_at = began = time.monotonic()
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with total, Progress(*columns, console=Console(stderr=True), disable=not live) as bar:
        task = bar.add_task("reading", total=None)

        def show(done: Done) -> None:
            nonlocal said_at
            now = time.monotonic()
            if live:
                bar.update(task, description=_said(done), completed=done.bytes, total=total.bytes)
            elif now > said_at + LINE_S:
                said_at = now
                say(f"{_said(done)}{_left(done, total.bytes, now - began)}")

        yield show


class _Total:
    """Adds up the bytes to be read, in a thread. bytes: None until it is done."""

    def __init__(self, paths: Sequence[str]) -> None:
        self.bytes: int | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._add, args=(paths,), name="measure", daemon=True)

    def __enter__(self) -> "_Total":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _add(self, paths: Sequence[str]) -> None:
        total = 0
        try:
            for size in measure(paths):
                total += size
                if self._stop.is_set():
                    return
        except InvalidInput:
            return  # the scan says so
        self.bytes = total


def _said(done: Done) -> str:
    if done.settling:
        return f"judging in the order of time: {done.settled:,} of {done.frames:,} frames, {done.samples:,} samples"
    known = f" ({done.known:,} known)" if done.known else ""
    unreadable = f", {done.unreadable:,} unreadable" if done.unreadable else ""
    return f"{done.frames:,} frames{known}, {done.samples:,} samples{unreadable}"


def _left(done: Done, total: int | None, took: float) -> str:
    if not total or not done.bytes or done.settling:
        return ""
    left = took * max(0, total - done.bytes) / done.bytes
    return f"; {100 * min(1.0, done.bytes / total):.0f} %, {_span(left)} left"


def _span(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.0f} h"


# ── what came of it ──────────────────────────────────────────────────────────────────────────────────


def _sheet_path(given: Path | None, campaign: str, campaigns: int) -> Path:
    name = re.sub(r"[^\w.-]+", "-", campaign)
    if given is None:
        return Path(f"scan-{name}.png")
    return given if campaigns == 1 else given.with_name(f"{given.stem}-{name}{given.suffix}")


def _draw(pictures: Pictures, campaign: str, best: Sequence[Best], path: Path) -> str:
    """Where the sheet is, "" where there is nothing to draw."""
    if not best:
        return ""
    entries = [_entry(pictures, each) for each in best]
    drawn = contact_sheet(f"{campaign}: the best {len(best)}", entries, form=path.suffix)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(drawn)
    except OSError as error:
        raise InvalidInput(
            f"{path} can't be written: {error.strerror}", hint="Choose another place: --sheet"
        ) from error
    return str(path)


def _entry(pictures: Pictures, best: Best) -> Entry:
    sample = best.sample
    try:
        image = decode(pictures.picture(sample.frame_id))
    except (NotFound, ImageError):
        image = None
    whole = sample.box == (0.0, 0.0, float(sample.size_wh[0]), float(sample.size_wh[1]))
    return Entry(image, sample.score.value, best.source or sample.frame_id, None if whole else sample.box)


def _taken(first: float, last: float) -> str:
    days = [time.strftime("%Y-%m-%d", time.localtime(at)) for at in (first, last)]
    return f"Taken {days[0]} to {days[1]}." if days[0] != days[1] else f"Taken on {days[0]}."


def _facts(done: Scanned, sheets: Sequence[str]) -> dict[str, Any]:
    return {
        **{name: getattr(done.progress, name) for name in ("frames", "known", "renamed", "repeated", "samples")},
        "first": when(done.span[0]) if done.span else None,
        "last": when(done.span[1]) if done.span else None,
        "stopped": done.stopped,
        "unsettled": done.unsettled,
        "campaigns": [asdict(each) for each in done.statistics],
        "sheets": [each for each in sheets if each],
        "unreadable": [{"source": each.source, "reason": each.reason} for each in done.unreadable],
    }


def _print(done: Scanned, dry: bool, sheets: Sequence[str]) -> None:
    now = done.progress
    repeated = f", {now.repeated:,} seen twice" if now.repeated else ""
    took = "would be taken by a scan that is not dry" if dry else f"{now.samples:,} new samples"
    click.echo(f"{now.frames:,} frames, {now.known:,} of them known{repeated}" + ("." if dry else f"; {took}."))
    if done.span:
        click.echo(_taken(*done.span))
    if now.renamed:
        click.echo(f"{now.renamed:,} of them were known under another camera's name, which they keep.")
    rows = [
        {
            "campaign": each.campaign,
            "collected / seen": f"{each.collected:,} / {each.seen:,}",
            "min": f"{each.least:.3f}",
            "max": f"{each.most:.3f}",
            "mean": f"{each.mean:.3f}",
            "std": f"{each.deviation:.3f}",
        }
        for each in done.statistics
    ]
    if rows:
        click.echo("")
        print_rows(rows, as_json=False, empty="")
    if dry:
        click.echo("\nNothing was taken. What was seen is stored, so that the scan itself need not look again.")
    for path in (each for each in sheets if each):
        click.echo(f"The best frames: {path}")
    if done.unsettled:
        click.echo(
            f"Not judged yet: {', '.join(done.unsettled)}. Campaigns with limits, windows or bursts are judged when "
            "all is seen: run the scan again."
        )
    if done.unreadable:
        click.echo(f"\n{len(done.unreadable):,} could not be read:", err=True)
        for each in done.unreadable[:SHOWN]:
            click.echo(f"  {each.source}: {each.reason}", err=True)
        if len(done.unreadable) > SHOWN:
            click.echo(f"  … and {len(done.unreadable) - SHOWN:,} more (--json lists all)", err=True)
