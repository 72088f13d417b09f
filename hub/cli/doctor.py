"""`hub doctor`: what is wrong, and what to do about it."""

from dataclasses import asdict

import click

from hub.cli.context import Context, json_option
from hub.cli.output import print_rows
from hub.doctor import examine


@click.command()
@json_option
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Look at disk, database, models, cameras and deliveries. Exit code 1 when there is a fault."""
    context = ctx.find_object(Context)
    assert context is not None
    findings = examine(context.hub)
    print_rows([asdict(finding) for finding in findings], as_json=as_json, empty="Nothing to look at.")
    if any(finding.state == "fault" for finding in findings):
        ctx.exit(1)
