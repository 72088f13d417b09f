"""`hub drift`: whether the cameras still show what they, or the training set, showed before."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click
import numpy as np

from hub.cli.context import Context, json_option, pass_context
from hub.cli.output import print_json, print_rows, say, when
from hub.drift import DriftReport, measure
from hub.drift_periods import Increment
from hub.drift_plot import plot
from hub.drift_sources import Sides, Wanted, from_roboflow, from_store, random_campaign
from hub.scope import check_timezone
from shared.errors import InvalidInput

DRIFTED = 3
"""Exit code past a limit."""


@click.command()
@click.option("--campaign", help="Compare its samples  [the only active random campaign; else all stored frames]")
@click.option("--increment", type=click.Choice([i.value for i in Increment]), default="month", show_default=True)
@click.option("--reference", default="", help="A period (2026-09) or a folder of pictures  [the earliest full period]")
@click.option("--from", "source", type=click.Choice(["store", "roboflow"]), default="store", show_default=True)
@click.option("--camera", help="Only this camera.")
@click.option("--timezone", default="", help="Whose days and months, such as Europe/Berlin  [UTC]")
@click.option("--plot", "picture", type=click.Path(path_type=Path, dir_okay=False), help="Write a PNG here.")
@click.option("--max-drift", type=click.FloatRange(0, 2), help="Exit with 3 when the newest period's MMD² is above.")
@click.option("--max-p", type=click.FloatRange(0, 1), help="Exit with 3 when the newest period's p is below.")
@click.option("--seed", default=0, help="Of the random draws.")
@json_option
@pass_context
def drift(
    ctx: Context, source: str, picture: Path | None, max_drift: float | None, max_p: float | None, as_json: bool,
    increment: str, campaign: str | None, camera: str | None, reference: str, timezone: str, seed: int,
) -> None:  # fmt: skip
    """Whether the cameras still show what they, or the training set, showed before.

    cosine: of the mean vectors, to be read against expected, its value without drift for so few frames. MMD²: 0 for no
    drift, 2 for nothing in common; it sees spread, too. p: how often chance gives as much. With both --max-drift and
    --max-p both must be passed: large, and not by chance.
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
    if picture:
        _write(picture, plot(report))
    print_json(_facts(report)) if as_json else _print(report)
    if is_past(report, max_drift, max_p):
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


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise InvalidInput(f"{path} can't be written: {error.strerror}", hint="Choose another place.") from error


def _facts(report: DriftReport) -> dict[str, Any]:
    facts = asdict(report)
    facts["frames"] = [{**asdict(frame), "taken_at": when(frame.taken_at)} for frame in report.frames]
    return facts


def _print(report: DriftReport) -> None:
    click.echo(f"Compared with {report.reference} ({report.reference_frames:,} frames).\n")
    print_rows([_row(row) for row in map(asdict, report.rows)], as_json=False, empty="Nothing to compare.")
    if report.cameras:
        click.echo(f"\nThe most drifted cameras in {report.latest}:\n")
        cameras = [
            {
                "camera": camera.camera or "(no name)",
                "frames": camera.frames,
                "compared with": "itself" if camera.own else "all of the reference",
                "MMD²": f"{camera.mmd2:.4f}",
                "p": f"{camera.p:.3f}",
                "drifted": camera.drifted,
            }
            for camera in report.cameras[:10]
        ]
        print_rows(cameras, as_json=False, empty="")
    if report.frames:
        click.echo(f"\nThe frames that are most of {report.latest} and least of the reference:\n")
        frames = [
            {
                "camera": frame.camera,
                "taken at": when(frame.taken_at),
                "id": frame.id,
                "witness": f"{frame.witness:.3f}",
            }
            for frame in report.frames
        ]
        print_rows(frames, as_json=False, empty="")
    for note in report.notes:
        say(f"note: {note}")


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
        "expected": number("expected", 4),
        "MMD²": number("mmd2", 4),
        "p": number("p", 3),
        "drifted": "" if row["p"] is None else row["drifted"],
    }
