"""Who may see the camera."""

import base64

import pytest

from shared.token import check_token


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize(
    "header",
    ["Bearer s3cret", "bearer s3cret", "Bearer  s3cret ", basic("", "s3cret"), basic("anna", "s3cret")],
)
def test_the_token_lets_in(header: str) -> None:
    assert check_token("s3cret", header)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        "Bearer s3cret2",
        "Bearer s3cre",
        "s3cret",
        "Digest s3cret",
        basic("s3cret", ""),
        basic("s3cret", "wrong"),
        "Basic s3cret",
        "Basic !!!",
        "Basic é",
        "Bearer é",
        "Bearer 漢",
        "Basic " + base64.b64encode(b"no colon").decode(),
    ],
)
def test_anything_else_keeps_out(header: str | None) -> None:
    assert not check_token("s3cret", header)


def test_without_a_token_everybody_may() -> None:
    assert check_token("", None)
    assert check_token("", "Bearer whatever")


def test_a_password_may_hold_colons_and_accents() -> None:
    assert check_token("gehäim:1", basic("anna", "gehäim:1"))
    assert check_token("gehäim:1", "Bearer " + "gehäim:1".encode().decode("latin-1"))
