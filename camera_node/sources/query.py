"""The `?key=value` that may follow a source."""

from urllib.parse import parse_qsl

from shared.errors import InvalidInput


def split(argument: str, known: tuple[str, ...]) -> tuple[str, dict[str, str]]:
    """`path?key=value` → (path, {key: value}). InvalidInput for a key that is not known."""
    path, _, query = argument.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    for key in options:
        if key not in known:
            raise InvalidInput(f"?{key}= is not known here", hint=f"Known: {', '.join(known)}.")
    return path, options


def number(options: dict[str, str], key: str, *, least: float, most: float) -> float | None:
    """The value of `key` as a number within bounds, or None when it is absent."""
    if key not in options:
        return None
    try:
        value = float(options[key])
    except ValueError:
        value = float("nan")
    if not least <= value <= most:
        raise InvalidInput(f"?{key}={options[key]}: not a number between {least:g} and {most:g}")
    return value
