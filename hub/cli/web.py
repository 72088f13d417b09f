"""`hub web`: the web app and the API alone."""

import sys

import click

from hub.app import open_hub
from hub.cli.context import Context, pass_context
from hub.cli.output import say
from hub.web import create_app
from hub.web.auth import check_listening
from hub.web.server import serve
from shared import log


@click.command()
@click.option("--host", help="Address to listen at [env HUB_HOST].")
@click.option("--port", type=click.IntRange(0, 65535), help="Port, 0 for any free one [env HUB_PORT].")
@pass_context
def web(ctx: Context, host: str | None, port: int | None) -> None:
    """Serve the web app and the API, until Ctrl-C. Without a collector: see hub run."""
    settings = ctx.settings
    log.setup("DEBUG" if ctx.verbose else settings.log_level if not sys.stderr.isatty() else "WARNING")
    host = settings.host if host is None else host
    check_listening(host, settings.api_token)
    port = settings.port if port is None else port
    serve(lambda: create_app(open_hub(settings)), host, port, told=lambda url: say(f"web       {url}"))
