"""`hub drift`: whether the cameras still show what they, or the training set, showed before."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click
import numpy as np

from hub.cli.context import Context, json_option, pass_context
from hub.cli.output import print_json, print_rows, say, when
from hub.drift import ALL_TIME, CameraDrift, DriftReport, FrameDrift, measure
from hub.drift_groups import MIN_FRAMES
from hub.drift_periods import Increment
from hub.drift_plot import plot
from hub.drift_sources import FOLDER, Sides, Wanted, from_roboflow, from_store, random_campaign
from hub.scope import check_timezone
from shared.errors import BowerbirdError, InvalidInput

DRIFTED = 3
"""Exit code past a limit."""


@click.command()
@click.option("--campaign", help="Compare its samples  [the only active random campaign; else all stored frames]")
@click.option("--increment", type=click.Choice([i.value for i in Increment]), default="month", show_default=True)
@click.option(
    "--reference",
    default="",
    help="A period (2026-09) or a folder of pictures  [the earliest full period, else the earliest]",
)
@click.option("--from", "source", type=click.Choice(["store", "roboflow"]), default="store", show_default=True)
@click.option("--camera", help="Only this camera.")
@click.option("--timezone", default="", help="Whose days and months, such as Europe/Berlin  [UTC]")
@click.option("--plot", "picture", type=click.Path(path_type=Path, dir_okay=False), help="Write a chart here, a PNG.")
@click.option(
    "--max-drift", type=click.FloatRange(0, 2), help="Exit with 3 when the newest period's distance is above."
)
@click.option("--max-p", type=click.FloatRange(0, 1), help="Exit with 3 when the newest period's p is below.")
@click.option("--seed", default=0, help="Of the random draws: the same seed, the same report.")
@json_option
@pass_context
def drift(
    ctx: Context, source: str, picture: Path | None, max_drift: float | None, max_p: float | None, as_json: bool,
    increment: str, campaign: str | None, camera: str | None, reference: str, timezone: str, seed: int,
) -> None:  # fmt: skip
    """Whether the cameras still show what they, or the training set, showed before.

    Each day, month or year is compared with a reference, in two ways. distance (MMD², the squared maximum mean
    discrepancy): 0 for no change, 2 for nothing in common; it sees any change, and chance may put it a little below 0.
    cosine: how alike the average pictures are, 1 for the same; to be read against "if unchanged", its value for so few
    frames had nothing changed.

    p: how often chance alone gives such a distance. drifted: what chance hardly explains. Of the periods so marked, 5 %
    at most are expected to be false alarms (Benjamini-Hochberg), so a p below 0.05 may not do among many; All time is
    marked where its own p is 0.05 or less.

    Limits are of the newest period that can be compared and has not just begun. With both --max-drift and --max-p both
    must be passed: large, and not by chance. Exit code 3: past the limits. 1: limits are given, and nothing can be
    compared.
    """
    wanted = Wanted(Increment(increment), check_timezone(timezone), reference, campaign, camera, seed, say)
    sides = _sides(ctx, source, wanted)
    report = measure(
        sides.reference,
        sides.now,
        increment=wanted.increment,
        timezone=timezone,
        rng=np.random.default_rng(seed),
        reference_name=sides.name,
    )
    report = replace(report, notes=(*sides.notes, *report.notes))
    print_json(_facts(report)) if as_json else _print(report, source)
    if picture:
        _draw(picture, report, as_json)
    if max_drift is None and max_p is None:
        return
    if report.now is None:
        raise BowerbirdError(
            f"it can't be told whether the cameras drifted: {report.cannot_tell}", hint=_advice(report, source)
        )
    past = is_past(report, max_drift, max_p)
    if not as_json:
        click.echo(f"\n{report.latest} is {'past' if past else 'within'} the limits.")
    if past:
        raise click.exceptions.Exit(DRIFTED)


def _sides(ctx: Context, source: str, wanted: Wanted) -> Sides:
    if source == "store":
        campaign = wanted.campaign or random_campaign(ctx.hub.store)
        return from_store(ctx.hub.store, ctx.hub.blobs, ctx.hub.embedder(), replace(wanted, campaign=campaign))
    if wanted.campaign or wanted.camera:
        raise InvalidInput(
            "Roboflow's images are of no campaign or camera here", hint="Leave --campaign and --camera out."
        )
    with ctx.hub.roboflow() as api:
        return from_roboflow(api, ctx.settings.roboflow_project, ctx.settings.drift_project, wanted)


def is_past(report: DriftReport, max_drift: float | None, max_p: float | None) -> bool:
    """Whether the newest period is past every limit that is given, and one is."""
    row = report.now
    if row is None or row.mmd2 is None or row.p is None:
        return False
    past = [row.mmd2 > max_drift] if max_drift is not None else []
    past += [row.p < max_p] if max_p is not None else []
    return bool(past) and all(past)


def _advice(report: DriftReport, source: str) -> str:
    """What to do where nothing can be compared."""
    if report.reference_frames < MIN_FRAMES and report.reference.startswith(FOLDER):
        return f"Give a folder with at least {MIN_FRAMES} pictures, the more the better, or compare with a period."
    if report.rows or report.reference_frames < MIN_FRAMES:
        ways = ["wait for more frames"]
        ways += ["compare longer periods (--increment)"] if report.increment is not Increment.YEAR else []
    else:
        ways = [f"wait for the next {report.increment}"]
        ways += ["compare days (--increment day)"] if report.increment is not Increment.DAY else []
    another = "pictures (--reference FOLDER)" if source == "store" else "another period (--reference)"
    text = f"{', '.join(ways)}, or compare with {another}."
    return text[0].upper() + text[1:]


def _draw(path: Path, report: DriftReport, as_json: bool) -> None:
    if report.now is not None:
        _write(path, plot(report))
        return
    click.echo(f"{path} was not written: there is nothing to draw.", err=as_json)


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise InvalidInput(f"{path} can't be written: {error.strerror}", hint="Choose another place.") from error


def _facts(report: DriftReport) -> dict[str, Any]:
    facts = asdict(report)
    facts["frames"] = [{**asdict(frame), "taken_at": when(frame.taken_at)} for frame in report.frames]
    return facts


def _print(report: DriftReport, source: str) -> None:
    frames = f"{report.reference_frames:,} {'frame' if report.reference_frames == 1 else 'frames'}"
    click.echo(f"Compared with {report.reference} ({frames}).\n")
    if report.rows:
        print_rows([_row(row) for row in map(asdict, report.rows)], as_json=False, empty="")
    if report.cannot_tell:
        click.echo(f"Nothing to compare: {report.cannot_tell}.\n{_advice(report, source)}")
    if report.cameras:
        click.echo(f"\nThe most drifted cameras in {report.latest}:\n")
        print_rows([_camera(camera) for camera in report.cameras[:10]], as_json=False, empty="")
    if report.frames:
        click.echo(f"\nFrames that are usual in {report.latest} and were not in the reference:\n")
        print_rows([_frame(frame) for frame in report.frames], as_json=False, empty="")
    if any(row.p is not None for row in report.rows):
        click.echo(f"\n{_legend(report)}")
    for note in report.notes:
        click.echo(f"note: {note}")


def _legend(report: DriftReport) -> str:
    lines = [
        "distance: 0 for no change, 2 for nothing in common (MMD²). p: how often chance alone gives as much.",
        'cosine: 1 where the average pictures are the same; below "if unchanged" where they changed.',
        f"drifted: more than chance, at 5 % false alarms among the marked {report.increment}s (Benjamini-Hochberg); "
        f"{ALL_TIME} by its own p, 0.05 or less, so it may say no where one {report.increment} says yes.",
    ]
    if report.frames:
        lines.append("novelty: how much more usual such a frame is now than in the reference, from 0 to 1.")
    return "\n".join(lines)


def _camera(camera: CameraDrift) -> dict[str, Any]:
    return {
        "camera": camera.camera,
        "frames": camera.frames,
        "compared with": "itself" if camera.own else "all of the reference",
        "distance": f"{camera.mmd2:.4f}",
        "p": f"{camera.p:.3f}",
        "drifted": camera.drifted,
    }


def _frame(frame: FrameDrift) -> dict[str, Any]:
    named = {"camera": frame.camera} if frame.camera else {}
    return {**named, "taken at": when(frame.taken_at), "id": frame.id, "novelty": f"{frame.witness:.3f}"}


def _row(row: dict[str, Any]) -> dict[str, Any]:
    """As a person reads it."""

    def number(name: str, digits: int) -> str:
        return "" if row[name] is None else f"{row[name]:.{digits}f}"

    interval = "" if row["low"] is None else f"{row['low']:.4f} to {row['high']:.4f}"
    return {
        "period": row["period"],
        "frames": row["frames"],
        "cosine": number("cosine", 4),
        "95 % interval": interval,
        "if unchanged": number("expected", 4),
        "distance": number("mmd2", 4),
        "p": number("p", 3),
        "drifted": "" if row["p"] is None else row["drifted"],
    }
