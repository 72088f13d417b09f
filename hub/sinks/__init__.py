"""The SINKS table: where samples can be delivered. A new destination is a module here and a line in the table."""

from collections.abc import Callable, Mapping
from pathlib import Path

from hub.protocols import Sink
from hub.sinks.folder import FolderSink

SINKS: Mapping[str, Callable[[Path], Sink]] = {
    FolderSink.name: FolderSink,
}


def open_sinks(datasets: Path) -> dict[str, Sink]:
    """Every destination, by name. datasets: where the local ones write."""
    return {name: make(datasets) for name, make in SINKS.items()}
