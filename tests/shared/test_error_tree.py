"""Errors say what is wrong and what to do next."""

import inspect

import pytest

from shared import errors
from shared.errors import AlreadyExists, BowerbirdError, ConfigError, NotFound

CLASSES = [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, Exception)]


@pytest.mark.parametrize("error", CLASSES, ids=lambda c: c.__name__)
def test_every_error_is_in_the_tree_of_the_docstring(error: type[Exception]) -> None:
    assert issubclass(error, BowerbirdError)
    assert error.__name__ in (errors.__doc__ or "")


def test_the_hint_follows_the_message() -> None:
    error = BowerbirdError("no disk", hint="Buy one.")
    assert str(error) == "no disk\nBuy one."
    assert (error.message, error.hint) == ("no disk", "Buy one.")
    assert str(BowerbirdError("no disk")) == "no disk"


def test_what_is_not_found_names_the_nearest() -> None:
    assert NotFound("label", "brid", ["bird", "cat"]).hint == "Did you mean bird?"


def test_what_is_like_nothing_names_what_there_is() -> None:
    assert NotFound("label", "zebra", ["bird", "cat"]).hint == "Known: bird, cat."
    many = NotFound("label", "?", (f"n{i:02}" for i in range(20)))
    assert many.hint.endswith("n11 ….")
    assert NotFound("label", "zebra").hint == ""


def test_a_name_that_is_taken_is_named() -> None:
    assert str(AlreadyExists("camera", "porch")) == "a camera named 'porch' exists already"


def test_all_mistakes_of_a_configuration_are_in_its_message() -> None:
    error = ConfigError(["one", "two"])
    assert error.mistakes == ("one", "two")
    assert error.message == "one\ntwo"
