"""Values out of JSON of unknown origin. InvalidInput says what is wrong with one. Pure."""

from collections.abc import Mapping
from typing import Any

from shared.errors import InvalidInput


def mapping(data: object, what: str) -> dict[str, Any]:
    """An object."""
    if not isinstance(data, dict):
        raise InvalidInput(f"{what} must be a JSON object")
    return data


def listed(said: Mapping[str, Any], name: str, most: int) -> list[Any]:
    """A list of at most so many, a member of an object."""
    found = said.get(name)
    if not isinstance(found, list) or len(found) > most:
        raise InvalidInput(f"{name} must be a list of at most {most}")
    return found


def flag(said: Mapping[str, Any], name: str) -> bool:
    """True or false, a member of an object."""
    found = said.get(name)
    if not isinstance(found, bool):
        raise InvalidInput(f"{name} must be true or false")
    return found


def text(data: object, what: str) -> str:
    """Text."""
    if not isinstance(data, str):
        raise InvalidInput(f"{what} must be text")
    return data


def whole(data: object, what: str) -> int:
    """A whole number from 0 to 2^31."""
    if not isinstance(data, int) or isinstance(data, bool) or not 0 <= data < 2**31:
        raise InvalidInput(f"{what} must be a whole number")
    return data


def number(said: Mapping[str, Any], name: str) -> float:
    """A finite number, a member of an object."""
    found = said.get(name)
    if not isinstance(found, int | float) or isinstance(found, bool) or abs(found) > 1e15 or found != found:
        raise InvalidInput(f"{name} must be a finite number")
    return float(found)
