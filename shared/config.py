"""Settings: flags over environment over a TOML file over defaults, into a frozen dataclass."""

import dataclasses
import math
import tomllib
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from shared.errors import ConfigError, NotFound

T = TypeVar("T")

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off", ""}


def setting(
    default: Any,
    env: str,
    help: str,
    *,
    check: Callable[[Any], str] | None = None,
    secret: bool = False,
    aliases: tuple[str, ...] = (),
) -> Any:
    """A dataclass field that `load` can fill.

    env: its environment variable; aliases: older names of it. check: returns what is wrong, or "".
    secret: never shown, and refused in a file that others can read.
    """
    meta = {"env": env, "help": help, "check": check, "secret": secret, "aliases": aliases}
    return dataclasses.field(default=default, metadata=meta, repr=not secret)


def load(
    cls: type[T],
    *,
    env: Mapping[str, str],
    file: Path | None = None,
    flags: Mapping[str, Any] | None = None,
) -> T:
    """An instance of the dataclass `cls`. Raises one ConfigError that lists every mistake."""
    mistakes: list[str] = []
    table = _read_toml(file, mistakes) if file else {}
    fields: list[dataclasses.Field[Any]] = list(dataclasses.fields(cls))  # type: ignore[arg-type]
    known = {f.name for f in fields}
    hints = typing.get_type_hints(cls)
    for name in sorted(set(table) - known):
        unknown = NotFound("setting", name, known)
        mistakes.append(f"{file}: {unknown.message}. {unknown.hint}")
    values: dict[str, Any] = {}
    for field in fields:
        found = _find(field, env, table, file, flags or {}, mistakes)
        if found is None:
            continue
        raw, origin = found
        try:
            value = _convert(raw, hints[field.name])
        except ValueError as error:
            shown = "***" if field.metadata.get("secret") else repr(raw)
            mistakes.append(f"{origin}: {shown} is not {error}")
            continue
        check = field.metadata.get("check")
        if check and value is not None and (wrong := check(value)):
            mistakes.append(f"{origin}: {wrong}")
        values[field.name] = value
    if mistakes:
        raise ConfigError(mistakes)
    return cls(**values)


def at_least(least: float) -> Callable[[Any], str]:
    """A check: the value is a number ≥ least."""
    return lambda value: "" if value >= least else f"{value} is too small, the least is {least:g}"


def between(least: float, most: float) -> Callable[[Any], str]:
    """A check: least ≤ value ≤ most."""
    return lambda value: "" if least <= value <= most else f"{value} is not between {least:g} and {most:g}"


def one_of(*choices: str) -> Callable[[Any], str]:
    """A check: the value is one of `choices`."""
    return lambda value: "" if value in choices else f"{value!r} is none of {', '.join(choices)}"


def _read_toml(file: Path, mistakes: list[str]) -> dict[str, Any]:
    if not file.exists():
        return {}
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        mistakes.append(f"{file}: not valid TOML: {error}")
    except OSError as error:
        mistakes.append(f"{file}: can't be read: {error.strerror}")
    return {}


def _find(
    field: dataclasses.Field[Any],
    env: Mapping[str, str],
    table: Mapping[str, Any],
    file: Path | None,
    flags: Mapping[str, Any],
    mistakes: list[str],
) -> tuple[Any, str] | None:
    """The value of a field and where it stands, by precedence."""
    if flags.get(field.name) is not None:
        return flags[field.name], f"--{field.name.replace('_', '-')}"
    for name in (field.metadata.get("env"), *field.metadata.get("aliases", ())):
        if name and env.get(name, "") != "":
            return env[name], name
    if field.name in table:
        if field.metadata.get("secret") and file and file.stat().st_mode & 0o077:
            mistakes.append(f"{file}: holds {field.name}, a secret, but others can read the file: run chmod 600 {file}")
        return table[field.name], f"{file}: {field.name}"
    return None


def _convert(raw: Any, hint: Any) -> Any:
    """`raw` as the annotated type; ValueError names what it should have been."""
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if type(None) in options and raw in (None, ""):
        return None
    kind = next(option for option in options if option is not type(None))
    if typing.get_origin(kind) is tuple:
        items = raw.split(",") if isinstance(raw, str) else raw
        return tuple(str(item).strip() for item in items if str(item).strip())
    if kind is bool:
        return _to_bool(raw)
    if kind in (int, float):
        return _to_number(raw, kind)
    if kind is Path:
        return Path(str(raw)).expanduser()
    if isinstance(raw, list | dict):
        raise ValueError("text")
    return str(raw)


def _to_number(raw: Any, kind: type[int] | type[float]) -> int | float:
    """`raw` without losing any of it: 2.5 is no whole number, and infinity is no number."""
    try:
        value = kind(raw)
        exact = not isinstance(raw, bool) and math.isfinite(value) and (isinstance(raw, str) or value == raw)
    except (TypeError, ValueError, OverflowError):
        exact = False
    if not exact:
        raise ValueError("a whole number" if kind is int else "a number")
    return value


def _to_bool(raw: Any) -> bool:
    word = str(raw).strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ValueError("true or false")
