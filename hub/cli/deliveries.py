"""`hub deliveries`: samples on their way to destinations."""

import sys
import time

import click

from hub.cli.context import Context, json_option, pass_context
from hub.cli.output import print_rows, when
from hub.deliveries import DeliveryState, SinkHealth
from shared.errors import InvalidInput, NotFound
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
    print_rows(rows, as_json=as_json, empty="No such deliveries.")


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
    if ids and not count:
        raise NotFound("delivery that waits or failed", " ".join(map(str, ids)), hint="See: hub deliveries list")
    click.echo(f"{count} deliveries are due now. A running hub sends them.")


@deliveries.command("discard")
@click.argument("ids", nargs=-1, type=int)
@click.option("--destination", help="All that wait for this one, or that it refused.")
@click.option("--yes", is_flag=True, help="Do not ask first.")
@pass_context
def discard(ctx: Context, ids: tuple[int, ...], destination: str | None, yes: bool) -> None:
    """Give up deliveries that were not sent. Their samples stay."""
    if bool(ids) == bool(destination):
        raise InvalidInput("which deliveries?", hint="Give their ids (hub deliveries list), or --destination NAME.")
    if destination and sys.stdin.isatty() and not yes:
        click.confirm(f"Give up everything that waits for {destination}?", abort=True, err=True)
    count = ctx.hub.store.discard(list(ids) or None, sink=destination)
    click.echo(f"{count} deliveries were given up.")
