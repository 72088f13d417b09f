"""The SINKS table: where samples can be delivered. A new destination is a module here and a line in the table.

A campaign names a destination as `kind`, or `kind:argument` where the kind takes one (`roboflow:my-project`).
"""

from collections.abc import Mapping
from typing import ClassVar, Protocol

from hub.protocols import Sink
from hub.sinks.folder import FolderSink
from hub.sinks.options import SinkOptions
from hub.sinks.roboflow import RoboflowSink
from hub.sinks.webhook import WebhookSink
from shared.errors import InvalidInput, NotFound


class SinkClass(Protocol):
    """What stands in the table."""

    name: ClassVar[str]

    @staticmethod
    def check(options: SinkOptions, argument: str) -> None:
        """NotSetUp, naming the setting, where one is missing; InvalidInput for an argument that makes no sense."""

    @staticmethod
    def open(options: SinkOptions, argument: str) -> Sink:
        """A destination, ready to be sent to. InvalidInput as in `check`."""


SINKS: Mapping[str, type[SinkClass]] = {
    FolderSink.name: FolderSink,
    RoboflowSink.name: RoboflowSink,
    WebhookSink.name: WebhookSink,
}

LONGEST = 64
"""Characters of a destination's name."""


def open_sink(destination: str, options: SinkOptions) -> Sink:
    """A destination by its name. InvalidInput when there is no such one, NotSetUp when it lacks a setting."""
    kind, argument = _parts(destination)
    return kind.open(options, argument)


def check_destination(destination: str, options: SinkOptions) -> None:
    """InvalidInput and NotSetUp as in `open_sink`; nothing is opened."""
    kind, argument = _parts(destination)
    kind.check(options, argument)


def _parts(destination: str) -> tuple[type[SinkClass], str]:
    kind, _, argument = destination.partition(":")
    if kind not in SINKS:
        raise NotFound("destination", kind, SINKS)
    if len(destination) > LONGEST:
        raise InvalidInput(f"the destination {destination!r} is longer than {LONGEST} characters")
    return SINKS[kind], argument
