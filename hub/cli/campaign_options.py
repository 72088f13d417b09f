"""The options of `hub campaigns create` and `edit`, and what they make of a trigger, a scope and a budget."""

import dataclasses
import os
import typing
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import UnionType
from typing import Any

import click

from hub.budget import parse_limit
from hub.protocols import Trigger
from hub.scope import check_timezone, parse_hours, parse_weekdays
from hub.scorers import SCORERS
from hub.triggers import TRIGGERS, from_json, to_json
from hub.types import Budget, ElementKind, Scope
from shared.errors import InvalidInput

CLEARED = object()
"""What an empty value says: the default again."""


class _OrNothing(click.ParamType):  # type: ignore[type-arg]
    """A number, or nothing to have the default again."""

    def __init__(self, kind: type[int] | type[float], what: str) -> None:
        self.kind, self.name = kind, what

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number, or CLEARED."""
        if value == "":
            return CLEARED
        try:
            return self.kind(value)
        except (TypeError, ValueError):
            return self.fail(f"{value!r} is not {self.name.lower()}", param, ctx)


_NUMBER = _OrNothing(float, "a number")
_WHOLE = _OrNothing(int, "a whole number")
_SECONDS = _OrNothing(float, "a number of seconds")

_OF_WHAT = (
    click.option(
        "--trigger", type=click.Choice(sorted(TRIGGERS)), help="What makes a frame interesting.  [similarity]"
    ),
    click.option(
        "--element",
        type=click.Choice([kind.value for kind in ElementKind]),
        help="Compare whole frames, or the crops of what the detector finds.  [frame]",
    ),
    click.option("--labels", help="Comma list of the detector's labels, such as bird,cat."),
    click.option("--scorer", type=click.Choice(sorted(SCORERS)), help="How likeness becomes a score.  [calibrated]"),
    click.option(
        "--threshold-kind",
        type=click.Choice(["score", "cosine"]),
        help="score is calibrated so that 0.5 is the boundary; cosine is --scorer cosine.",
    ),
    click.option(
        "--disagreement",
        metavar="KINDS",
        help="For detection: comma list of missed (seeds say yes, the detector nothing), unsure, flicker.",
    ),
    click.option(
        "--region", metavar='"X,Y X,Y X,Y"', help="For detection: a polygon in shares of width and height, in quotes."
    ),
    click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Any other setting of the trigger."),
)
_WHERE = (
    click.option("--camera", "cameras", multiple=True, help="Only this camera. Repeatable."),
    click.option("--hours", help="Only these hours of the day, such as 22:00-06:00."),
    click.option("--weekdays", help="Only these days, such as mon-fri."),
    click.option("--timezone", help="Of hours, weekdays and windows, such as Europe/Berlin.  [this machine's]"),
)
_HOW_MUCH = (
    click.option("--threshold", type=_NUMBER, metavar="N", help="Lowest score taken.  [0.5; 0 with --target]"),
    click.option("--limit", "limits", multiple=True, metavar="N/PERIOD", help="Such as 20/hour or 5/hour/camera."),
    click.option("--target", metavar="N/PERIOD", help="The N best of each period, such as 40/day, when it is over."),
    click.option("--per-camera", type=_WHOLE, metavar="N", help="At most so many of a target from one camera."),
    click.option("--variety", type=_NUMBER, metavar="N", help="0 to 1: prefer what is unlike the others of a target."),
    click.option("--alarms", metavar="N/PERIOD", help="So many per camera, at once; the threshold follows."),
    click.option("--stop-after", type=_WHOLE, metavar="N", help="Total samples."),
    click.option(
        "--duplicate-distance",
        type=_NUMBER,
        metavar="N",
        help="Leave out what is nearer than this (cosine distance) to a sample taken before.",
    ),
    click.option(
        "--duplicate-seconds", "duplicate_s", type=_SECONDS, metavar="S", help="… but only within this time of it."
    ),
    click.option(
        "--burst",
        "burst_s",
        type=_SECONDS,
        metavar="S",
        help="Frames so many seconds apart are one event, and one sample.",
    ),
    click.option(
        "--control", type=_NUMBER, metavar="N", help="Share of all frames drawn at random beside it, such as 0.01."
    ),
    click.option(
        "--destination",
        "destinations",
        multiple=True,
        metavar="NAME",
        help="folder, roboflow, roboflow:PROJECT or webhook. Repeatable.  [folder]",
    ),
    click.option("--tag", "tags", multiple=True, help="A tag its samples carry. Repeatable."),
)
_SEEDS = (
    click.option(
        "--seed-images",
        "pictures",
        multiple=True,
        type=click.Path(path_type=Path),
        help="A picture of what you want, or a folder of them. Repeatable.",
    ),
    click.option("--text", "texts", multiple=True, help="What you want, in words. Repeatable."),
    click.option(
        "--not-like",
        "unlike",
        multiple=True,
        type=click.Path(path_type=Path),
        help="A picture of what you do not want, or a folder of them. Repeatable.",
    ),
)

Command = Callable[..., Any]


def _with(options: tuple[Callable[[Command], Command], ...]) -> Callable[[Command], Command]:
    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


seed_options = _with(_SEEDS)
setting_options = _with((*_OF_WHAT, *_WHERE, *_HOW_MUCH))


def trigger_of(given: Mapping[str, Any], before: Trigger | None = None) -> Trigger:
    """The trigger that the options describe, on top of the one before. InvalidInput for what does not fit it."""
    name = given["trigger"] or (before.name if before else "similarity")
    data = to_json(before) if before and before.name == name else {"name": name}
    hints = typing.get_type_hints(TRIGGERS[name])
    for key, value in _said(given).items():
        if key not in hints:
            raise InvalidInput(
                f"a {name} campaign has no {key.replace('_', ' ')}",
                hint=f"{_who_has(key)}A {name} campaign has: {', '.join(sorted(_fields(name))) or 'no settings'}.",
            )
        data[key] = _typed(key, value, hints[key]) if isinstance(value, str) else value
    if name == "detection" and "confidence" not in _said(given) and isinstance(given["threshold"], float):
        data["confidence"] = min(given["threshold"], 0.1) or 0.1
    if name == "similarity" and data.get("labels") and data.get("element", "frame") == ElementKind.FRAME:
        raise InvalidInput("labels choose among crops", hint="Add --element crop, or leave --labels out.")
    return from_json(data)


def _who_has(key: str) -> str:
    others = [name for name in TRIGGERS if key in _fields(name)]
    return f"It is a setting of --trigger {' and '.join(others)}. " if others else ""


def _fields(name: str) -> list[str]:
    return [field.name for field in dataclasses.fields(TRIGGERS[name])]  # type: ignore[arg-type]


def _said(given: Mapping[str, Any]) -> dict[str, Any]:
    """The trigger's settings among the options, by field."""
    said: dict[str, Any] = {}
    if given["labels"] is not None:
        said["labels"] = _words(given["labels"])
    if given["disagreement"] is not None:
        said["disagreement"] = _words(given["disagreement"])
    if given["region"] is not None:
        said["region"] = _polygon(given["region"])
    if given["element"] is not None:
        said["element"] = given["element"]
    if given["scorer"] or given["threshold_kind"]:
        said["scorer"] = given["scorer"] or ("cosine" if given["threshold_kind"] == "cosine" else "calibrated")
    for setting in given["settings"]:
        key, equals, value = setting.partition("=")
        if not equals:
            raise InvalidInput(f"--set {setting!r} has no value", hint="Write it as --set one_in=50.")
        said[key.strip()] = value.strip()
    return said


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _polygon(text: str) -> tuple[tuple[float, ...], ...]:
    try:
        return tuple(tuple(float(number) for number in point.split(",")) for point in text.split())
    except ValueError:
        raise InvalidInput(
            f"{text!r} is no region", hint='Write corners as shares of width and height: "0,0.5 1,0.5 1,1 0,1".'
        ) from None


def _typed(key: str, text: str, hint: Any) -> Any:
    kinds = typing.get_args(hint) if isinstance(hint, UnionType) else (hint,)
    try:
        if int in kinds:
            return int(text)
        if float in kinds:
            return float(text)
    except ValueError:
        raise InvalidInput(f"{key} is a number, not {text!r}") from None
    return _words(text) if typing.get_origin(hint) is tuple else text


def scope_of(given: Mapping[str, Any], before: Scope | None = None) -> Scope:
    """The scope the options describe, on top of the one before."""
    scope = before or Scope()
    if given["cameras"]:
        scope = replace(scope, cameras=tuple(given["cameras"]))
    if given["hours"] is not None:
        scope = replace(scope, hours=parse_hours(given["hours"]))
    if given["weekdays"] is not None:
        scope = replace(scope, weekdays=parse_weekdays(given["weekdays"]))
    if given["timezone"] is not None:
        return replace(scope, timezone=check_timezone(given["timezone"]))
    timed = scope.hours or scope.weekdays or given["target"]
    return replace(scope, timezone=local_timezone()) if timed and not scope.timezone else scope


def local_timezone() -> str:
    """The IANA name of this machine's timezone, "" where it can't be told."""
    name = os.environ.get("TZ", "").lstrip(":")
    if not name:
        _, _, name = str(Path("/etc/localtime").resolve()).partition("zoneinfo/")
    try:
        return "" if name in ("Etc/UTC", "UTC") else check_timezone(name)
    except InvalidInput:
        return ""


def budget_of(given: Mapping[str, Any], before: Budget | None = None) -> Budget:
    """The budget the options describe, on top of the one before."""
    budget = before or Budget(threshold=0.0 if given["target"] else 0.5)
    plain = ("threshold", "stop_after", "duplicate_distance", "duplicate_s", "burst_s", "control", "variety")
    changed: dict[str, Any] = {key: given[key] for key in (*plain, "per_camera") if given[key] is not None}
    if given["target"] == "":  # what only a target can have goes with it
        changed = {"threshold": budget.threshold or CLEARED, "variety": CLEARED, "per_camera": CLEARED} | changed
    changed = {key: getattr(Budget(), key) if value is CLEARED else value for key, value in changed.items()}
    for key in ("target", "alarms"):
        if given[key] is not None:
            changed[key] = parse_limit(given[key]) if given[key] else None
    if given["limits"]:
        changed["limits"] = tuple(parse_limit(limit) for limit in given["limits"] if limit)
    return replace(budget, **changed)
