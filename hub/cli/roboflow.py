"""`hub roboflow`: what is set up, seeds from there, and what became of the pictures that were sent there."""

import time
from typing import Any

import click

from hub.cli.context import Context, json_option, pass_context
from hub.cli.output import print_json, print_rows, say
from hub.outcomes import ROUND, read_outcomes, yields
from hub.roboflow_check import check_roboflow
from hub.sync import SyncReport
from shared.errors import BowerbirdError

FRESH_S = 5.0
"""What was read so lately is not read again."""


@click.group()
def roboflow() -> None:
    """Roboflow: as a destination, and as a source of seeds."""


@roboflow.command("check")
@json_option
@pass_context
def check(ctx: Context, as_json: bool) -> None:
    """Whether key, workspace and the projects of all campaigns are right, and what to do where they are not."""
    named = {each for campaign in ctx.hub.store.campaigns() for each in campaign.destinations}
    projects = sorted(each.partition(":")[2] for each in named if each.startswith("roboflow:"))
    findings = check_roboflow(ctx.settings.sinks.roboflow, projects)
    rows = [{"ok": each.ok, "found": each.what, "next_step": each.hint} for each in findings]
    print_rows(rows, as_json=as_json, empty="")
    if not all(each.ok for each in findings):
        raise click.exceptions.Exit(1)


@roboflow.command("sync")
@json_option
@pass_context
def sync(ctx: Context, as_json: bool) -> None:
    """Make campaigns of the images tagged sample-more, sample-threshold:PERCENT and sample-tag:TAG, now.

    A running hub does it by itself every HUB_ROBOFLOW_MINUTES.
    """
    report = ctx.hub.sync_seeds()
    if as_json:
        print_json(_facts(report))
    else:
        _say_report(report)


def _facts(report: SyncReport) -> dict[str, Any]:
    facts: dict[str, Any] = {name: list(getattr(report, name)) for name in _CHANGES}
    return {**facts, "problems": [{"image": image, "problem": what} for image, what in report.problems]}


_CHANGES = ("created", "updated", "reactivated", "deactivated", "unchanged")


def _say_report(report: SyncReport) -> None:
    for change in _CHANGES:
        for name in getattr(report, change):
            click.echo(f"{change:<12} {name}")
    if not any(getattr(report, change) for change in _CHANGES):
        click.echo("No image of the project is tagged sample-more, sample-threshold:PERCENT and sample-tag:TAG.")
    for image, what in report.problems:
        say(f"left out {image}: {what}")


@roboflow.command("outcomes")
@click.option("--campaign", help="Only of this campaign.")
@click.option("--read/--no-read", default=True, help="Ask Roboflow first, or show what was read before.")
@json_option
@pass_context
def outcomes(ctx: Context, campaign: str | None, read: bool, as_json: bool) -> None:
    """How many of the pictures sent were annotated or deleted there: each campaign's precision, by camera."""
    hub = ctx.hub
    if campaign is not None:
        hub.store.campaign(campaign)
    if read:
        _read(ctx)
    rows = [
        {
            "campaign": each.campaign,
            "camera": each.camera or "all",
            "annotated": each.annotated,
            "deleted": each.deleted,
            "waiting": each.waiting,
            "precision": None if each.precision is None else round(each.precision, 4),
        }
        for each in yields(hub.store.fates(campaign))
    ]
    print_rows(rows, as_json=as_json, empty="Nothing that was sent to Roboflow has been read back yet.")


def _read(ctx: Context) -> None:
    try:
        with ctx.hub.roboflow() as api:
            now, store = time.time(), ctx.hub.store
            while read_outcomes(store, api, now=now, older_than_s=FRESH_S) == ROUND:
                say(f"{ROUND} read, going on …")
    except BowerbirdError as error:
        if not ctx.hub.store.fates():
            raise
        say(f"These are the last ones read: {error.message}")
