"""The TRIGGERS table, and triggers as JSON. A new trigger is a module here and a line in the table."""

import dataclasses
import typing
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from hub.protocols import Trigger
from hub.triggers.change import Change
from hub.triggers.detection import Detection
from hub.triggers.everything import Everything
from hub.triggers.outlier import Outlier
from hub.triggers.random import Random
from hub.triggers.similarity import Similarity
from shared.errors import InvalidInput, NotFound

TRIGGERS: Mapping[str, type[Trigger]] = {
    Similarity.name: Similarity,
    Detection.name: Detection,
    Change.name: Change,
    Outlier.name: Outlier,
    Random.name: Random,
    Everything.name: Everything,
}


def to_json(trigger: Trigger) -> dict[str, Any]:
    """A trigger as plain JSON values: its name and its fields."""
    return {"name": trigger.name, **dataclasses.asdict(trigger)}  # type: ignore[call-overload]


def from_json(data: Mapping[str, Any]) -> Trigger:
    """The inverse of `to_json`. NotFound for an unknown trigger, InvalidInput for an unknown field."""
    name = str(data.get("name", ""))
    if name not in TRIGGERS:
        raise NotFound("trigger", name, TRIGGERS)
    kind = TRIGGERS[name]
    hints = typing.get_type_hints(kind)
    known = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    if unknown := sorted(set(data) - known - {"name"}):
        raise InvalidInput(
            f"trigger {name!r} has no setting {', '.join(unknown)}",
            hint=f"It has: {', '.join(sorted(known))}.",
        )
    return kind(**{key: _typed(value, hints[key]) for key, value in data.items() if key != "name"})


def _typed(value: Any, hint: Any) -> Any:
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return hint(value)
    return _frozen(value)


def _frozen(value: Any) -> Any:
    """Lists as tuples, at every depth: a polygon is a list of points."""
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value
