"""How commands print: tables for people, JSON for scripts, errors with the next step."""

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table
from rich.text import Text

from shared.errors import BowerbirdError
from shared.log import redact


def print_rows(rows: Sequence[Mapping[str, Any]], *, as_json: bool, empty: str) -> None:
    """Rows with the same keys, as a table or as JSON. empty: what to say, with the next step, for none."""
    if as_json:
        print_json(rows)
        return
    if not rows:
        click.echo(empty)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in rows[0]:
        table.add_column(name.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row.values()))
    width = None if sys.stdout.isatty() else 240
    Console(width=width, highlight=False, soft_wrap=not sys.stdout.isatty()).print(table)


def print_json(data: Any) -> None:
    """JSON on standard output."""
    click.echo(json.dumps(data, indent=2, ensure_ascii=False, default=str))


def print_facts(facts: Mapping[str, Any], *, as_json: bool) -> None:
    """One thing, a fact a line."""
    if as_json:
        print_json(facts)
        return
    width = max(len(name) for name in facts)
    for name, value in facts.items():
        click.echo(f"{name.replace('_', ' '):<{width}}  {_cell(value)}")


def say(message: str) -> None:
    """A note to the person, on standard error, so that piped output stays clean."""
    click.echo(redact(message), err=True)


def say_error(error: BowerbirdError) -> None:
    """What is wrong and what to do next."""
    click.echo(click.style("error: ", fg="red") + redact(error.message), err=True)
    if error.hint:
        click.echo(redact(error.hint), err=True)


def when(unix_s: float) -> str:
    """ISO 8601 UTC, or "" for never."""
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if unix_s else ""


@contextmanager
def download_bar() -> Iterator[Callable[[str, int, int | None], None]]:
    """A bar on a terminal, a line every ten seconds elsewhere. Gives a function of (file, bytes done, in all)."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    live = sys.stderr.isatty()
    said_at = time.monotonic()
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), disable=not live) as bar:
        task = bar.add_task("", total=None)

        def show(what: str, done: int, total: int | None) -> None:
            nonlocal said_at
            bar.update(task, description=what, completed=done, total=total)
            if not live and time.monotonic() > said_at + 10:
                said_at = time.monotonic()
                say(f"{what}: {done / 1e6:.0f} of {total / 1e6:.0f} MB" if total else f"{what}: {done / 1e6:.0f} MB")

        yield show


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1e4 else f"{value:.0f}"
    if isinstance(value, Iterable) and not isinstance(value, str | Mapping):
        return ", ".join(_cell(item) for item in value)
    return str(value)
