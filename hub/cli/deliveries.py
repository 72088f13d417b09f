"""`hub deliveries`: samples on their way to destinations."""

import time

import click

from hub.cli.context import Context, json_option, pass_context
from hub.cli.output import print_rows, when
from hub.deliveries import DeliveryState
from shared.log import redact

_STATES = {"pending": DeliveryState.PENDING, "sent": DeliveryState.SENT, "failed": DeliveryState.PARKED}


@click.group()
def deliveries() -> None:
    """Deliveries: samples on their way to destinations."""


@deliveries.command("list")
@click.option("--state", type=click.Choice(sorted(_STATES)))
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 100_000))
@json_option
@pass_context
def list_(ctx: Context, state: str | None, limit: int, as_json: bool) -> None:
    """The newest deliveries first; failed ones wait for you."""
    names = {value: name for name, value in _STATES.items()}
    rows = [
        {
            "id": delivery.id,
            "sample": delivery.sample_id,
            "destination": delivery.sink,
            "state": names[delivery.state],
            "attempts": delivery.attempts,
            "due": when(delivery.due_at) if delivery.state is DeliveryState.PENDING else "",
            "error": redact(delivery.error),
        }
        for delivery in ctx.hub.store.deliveries(state=_STATES[state] if state else None, limit=limit)
    ]
    print_rows(rows, as_json=as_json, empty="No deliveries in that state.")


@deliveries.command("retry")
@click.argument("ids", nargs=-1, type=int)
@pass_context
def retry(ctx: Context, ids: tuple[int, ...]) -> None:
    """Try failed deliveries again at once: those named, or all."""
    count = ctx.hub.store.retry(list(ids) or None, now=time.time())
    click.echo(f"{count} deliveries are due now.")
