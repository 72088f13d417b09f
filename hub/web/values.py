"""How values are read out of requests. InvalidInput says what is wrong with one."""

import math
from typing import Any

from flask import request

from shared.errors import InvalidInput


def json_object() -> dict[str, Any]:
    """The body, a JSON object; 400 for anything else, 413 for a longer one than is taken, 415 for another type."""
    try:
        body = request.get_json(cache=False, force=not request.mimetype)
    except RecursionError:
        raise InvalidInput("the body is nested too deeply") from None
    if not isinstance(body, dict):
        raise InvalidInput("the body is not a JSON object")
    return body


def parameter(name: str, default: int, low: int, high: int) -> int:
    """A whole number in the query."""
    text = request.args.get(name)
    return default if text is None else whole_text(text, name, low, high)


def whole_text(text: str, name: str, low: int, high: int) -> int:
    """A whole number, written out."""
    digits = text.removeprefix("-")
    number = int(text) if digits.isascii() and digits.isdigit() and len(digits) < 20 else None
    return whole(number, name, low, high)


def whole(value: object, name: str, low: int, high: int) -> int:
    """A whole number of a JSON body."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise InvalidInput(f"{name} must be a whole number from {low} to {high}")
    return value


def numbers(value: object, name: str, length: int) -> list[float]:
    """A list of finite numbers of a JSON body."""
    if not isinstance(value, list) or len(value) != length:
        raise InvalidInput(f"{name} must be a list of {length} numbers")
    if not all(isinstance(each, int | float) and not isinstance(each, bool) for each in value):
        raise InvalidInput(f"{name} holds what is no number")
    try:
        found = [float(each) for each in value]
    except OverflowError:
        found = [math.inf]
    if not all(map(math.isfinite, found)):
        raise InvalidInput(f"{name} holds a number that is not finite")
    return found
