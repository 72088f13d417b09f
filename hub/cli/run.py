"""`hub run`: the main job. `hub collect` is the same without the web app."""

import asyncio
import os
import resource
import shutil
import signal
import sys
import threading
import time
from contextlib import nullcontext

import click

from hub.app import Hub
from hub.cli.context import Context, pass_context
from hub.cli.output import say
from hub.collector import Collector
from hub.deliveries import SinkState
from hub.errands import running
from hub.settings import misspelt
from hub.status_line import status_line
from hub.web.auth import check_listening
from hub.web_process import WebProcess
from shared import log

LINE_S = 1.0
PLAIN_LINE_S = 30.0
OPEN_FILES = 32_768


@click.command()
@pass_context
def run(ctx: Context) -> None:
    """Poll, infer, select, deliver and serve the web app, until Ctrl-C."""
    run_hub(ctx)


@click.command()
@pass_context
def collect(ctx: Context) -> None:
    """The same as run, without the web app."""
    run_hub(ctx, web=False)


def run_hub(ctx: Context, *, web: bool = True) -> None:
    """Run the collector and the forwarder in this process, and the web app beside it, until SIGINT or SIGTERM."""
    settings = ctx.settings
    if web:
        check_listening(settings.host, settings.api_token)
    log.setup("DEBUG" if ctx.verbose else settings.log_level if not sys.stderr.isatty() else "WARNING")
    hub = ctx.hub
    _allow_many_connections()
    # Polls are answered within milliseconds beside threads that embed, write and send; the default is to wait for 5.
    sys.setswitchinterval(0.0005)
    hub.check_redaction()
    with hub.single_collector():
        say_where_to_look(hub)
        _say_what_is_to_be_known(hub)
        _say_what_collect_wants(hub)
        serving = WebProcess(settings.data_dir, say) if web else nullcontext()
        with hub.collect_camera(), running(hub.errands()), serving:
            asyncio.run(_until_signalled(hub))
    say("Stopped.")


def _allow_many_connections() -> None:
    """A camera holds a connection; the usual soft limit of 1,024 open files is for other programs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def say_where_to_look(hub: Hub) -> None:
    """What is being used, and where samples go."""
    say(f"data      {hub.settings.data_dir}")
    say(f"samples   {hub.settings.datasets}   ({_own_name()} samples list)")
    for line in hub.model_lines():
        say(line)


def _say_what_is_to_be_known(hub: Hub) -> None:
    """Misspelt settings, and destinations that take nothing."""
    for said in misspelt(os.environ):
        say(f"note      {said}")
    waiting = hub.store.waiting_sinks()
    for each in hub.store.sink_health().values():
        if each.state is not SinkState.OPEN and each.sink in waiting:
            say(f"note      {each.sink} was {each.state} when last tried: {each.reason}")


def _say_what_collect_wants(hub: Hub) -> None:
    """Roboflow Collect's variables become campaigns."""
    applied = hub.collect_campaigns(starting=True)
    for name in applied.created + applied.updated:
        say(f"campaign  {name}, as the variables of Roboflow Collect say")
    for said in applied.notes + applied.problems:
        say(f"note      {said}")


def _own_name() -> str:
    """This command as the person can type it: by its path where it is not on the PATH."""
    if shutil.which("hub"):
        return "hub"
    return "python -m hub" if sys.argv[0].endswith("__main__.py") else os.path.relpath(sys.argv[0])


async def _until_signalled(hub: Hub) -> None:
    stop, halt = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    collector = hub.collector()
    forwarder = threading.Thread(target=hub.forwarder().run, args=(halt,), name="forwarder")
    forwarder.start()
    line = asyncio.create_task(_show(collector))
    try:
        await collector.run(stop)
    finally:
        line.cancel()
        halt.set()
        await asyncio.to_thread(forwarder.join)


async def _show(collector: Collector) -> None:
    live = sys.stderr.isatty()
    before, at = collector.status, time.monotonic()
    while True:
        await asyncio.sleep(LINE_S if live else PLAIN_LINE_S)
        status, now = collector.status, time.monotonic()
        text = status_line(status, before, now - at)
        click.echo(f"\r\x1b[K{text}" if live else text, err=True, nl=not live)
        before, at = status, now
