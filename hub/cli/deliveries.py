"""`hub deliveries`: samples on their way to destinations."""

import time

import click

from hub.cli.context import Context, json_option, pass_context
from hub.cli.output import print_rows, when
from hub.deliveries import DeliveryState, SinkHealth
from shared.log import redact

_STATES = {"pending": DeliveryState.PENDING, "sent": DeliveryState.SENT, "failed": DeliveryState.PARKED}


@click.group()
def deliveries() -> None:
    """Deliveries: samples on their way to destinations."""


@deliveries.command("list")
@click.option("--state", type=click.Choice(sorted(_STATES)))
@click.option("--destination", help="Only those to this one.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 100_000))
@json_option
@pass_context
def list_(ctx: Context, state: str | None, destination: str | None, limit: int, as_json: bool) -> None:
    """The newest deliveries first; failed ones wait for you."""
    wanted = _STATES[state] if state else None
    names = {value: name for name, value in _STATES.items()}
    rows = [
        {
            "id": delivery.id,
            "sample": delivery.sample_id,
            "destination": delivery.sink,
            "state": names[delivery.state],
            "attempts": delivery.attempts,
            "due": when(delivery.due_at) if delivery.state is DeliveryState.PENDING else "",
            "remote_id": delivery.remote_id,
            "redacted": delivery.redaction,
            "error": redact(delivery.error),
        }
        for delivery in ctx.hub.store.deliveries(state=wanted, sink=destination, limit=limit)
    ]
    print_rows(rows, as_json=as_json, empty="No deliveries in that state.")


@deliveries.command("status")
@json_option
@pass_context
def status(ctx: Context, as_json: bool) -> None:
    """Each destination: whether it takes deliveries, and how many wait for it."""
    counts, health = ctx.hub.store.sink_counts(), ctx.hub.store.sink_health()
    rows = [
        {
            "destination": sink,
            "state": health.get(sink, SinkHealth(sink)).state.value,
            **{name: counts.get((sink, state), 0) for name, state in _STATES.items()},
            "since": when(health[sink].since) if sink in health else "",
            "next_try": when(health[sink].until) if sink in health else "",
            "reason": redact(health[sink].reason) if sink in health else "",
        }
        for sink in sorted({sink for sink, _ in counts} | set(health))
    ]
    print_rows(rows, as_json=as_json, empty="Nothing was ever to be delivered.")


@deliveries.command("retry")
@click.argument("ids", nargs=-1, type=int)
@pass_context
def retry(ctx: Context, ids: tuple[int, ...]) -> None:
    """Try failed and waiting deliveries again at once: those named, or all. Destinations at rest are tried, too."""
    count = ctx.hub.store.retry(list(ids) or None, now=time.time())
    click.echo(f"{count} deliveries are due now.")
