"""What every command shares: settings, the hub, and how our errors end a command."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from hub.app import Hub, open_hub
from hub.cli.output import say_error
from hub.models.files import Kind, LocalModel
from hub.settings import Settings, read_settings
from shared.errors import BowerbirdError, InvalidInput

F = TypeVar("F", bound=Callable[..., object])


class Context:
    """Settings, and the hub once a command asks for it."""

    def __init__(self, data_dir: Path | None, verbose: bool = False) -> None:
        self.verbose = verbose
        self._data_dir = data_dir
        self._hub: Hub | None = None

    @property
    def settings(self) -> Settings:
        """Read from environment and file. ConfigError lists every mistake."""
        return read_settings(os.environ, {"data_dir": self._data_dir} if self._data_dir else {})

    @property
    def hub(self) -> Hub:
        """Opened, and its database migrated, at the first use."""
        if self._hub is None:
            self._hub = open_hub(self.settings)
            click.get_current_context().call_on_close(self._hub.close)
        return self._hub

    def used_models(self) -> dict[Kind, LocalModel | None]:
        """The model of each kind that the hub uses; None for its built-in one."""
        return {kind: self.hub.found(kind) for kind in ("detector", "embedder")}


pass_context = click.make_pass_decorator(Context)


def json_option(command: F) -> F:
    """--json, the same everywhere."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")(command)


class ErrorGroup(click.Group):
    """Turns our errors into a message and an exit code: 2 for bad input, 1 for what failed."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except BowerbirdError as error:
            say_error(error)
            ctx.exit(2 if isinstance(error, InvalidInput) else 1)
