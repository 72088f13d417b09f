"""Settings: who wins, what is converted, and that every mistake is reported at once."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from shared.config import at_least, between, load, one_of, setting
from shared.errors import ConfigError


@dataclass(frozen=True)
class Settings:
    port: int = setting(5000, "T_PORT", "port", check=between(1, 65535))
    rate: float = setting(1.0, "T_RATE", "rate", check=at_least(0.1))
    mode: str = setting("slow", "T_MODE", "mode", check=one_of("slow", "fast"), aliases=("OLD_MODE",))
    loud: bool = setting(False, "T_LOUD", "loud")
    width: int | None = setting(None, "T_WIDTH", "width", check=at_least(1))
    names: tuple[str, ...] = setting((), "T_NAMES", "names")
    folder: Path = setting(Path(), "T_FOLDER", "folder")
    key: str = setting("", "T_KEY", "key", secret=True)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "settings.toml"


def mistakes(env: dict[str, str], file: Path | None = None) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load(Settings, env=env, file=file)
    return caught.value.mistakes


def test_defaults_when_nothing_is_said(file: Path) -> None:
    assert load(Settings, env={}, file=file) == Settings()


def test_flags_win_over_environment_over_file_over_defaults(file: Path) -> None:
    file.write_text('port = 1\nrate = 2\nmode = "fast"\n')
    settings = load(Settings, env={"T_PORT": "10", "T_RATE": "20"}, file=file, flags={"port": 100, "rate": None})
    assert (settings.port, settings.rate, settings.mode) == (100, 20.0, "fast")


def test_an_older_name_counts_where_the_newer_one_is_not_set() -> None:
    assert load(Settings, env={"OLD_MODE": "fast"}).mode == "fast"
    assert load(Settings, env={"OLD_MODE": "fast", "T_MODE": "slow"}).mode == "slow"


def test_an_empty_variable_is_no_variable() -> None:
    assert load(Settings, env={"T_PORT": ""}).port == 5000


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("loud", "yes", True),
        ("loud", "OFF", False),
        ("width", "640", 640),
        ("names", "a, b,,c", ("a", "b", "c")),
        ("rate", "0.5", 0.5),
    ],
)
def test_text_becomes_what_the_field_is(name: str, text: str, expected: object) -> None:
    assert getattr(load(Settings, env={f"T_{name.upper()}": text}), name) == expected


def test_a_home_folder_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/anna")
    assert load(Settings, env={"T_FOLDER": "~/pictures"}).folder == Path("/home/anna/pictures")


def test_lists_of_a_file_become_tuples(file: Path) -> None:
    file.write_text('names = ["a", "b"]\n')
    assert load(Settings, env={}, file=file).names == ("a", "b")


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("PORT", "many", "'many' is not a whole number"),
        ("PORT", "2.5", "'2.5' is not a whole number"),
        ("PORT", "70000", "70000 is not between 1 and 65535"),
        ("RATE", "0", "0.0 is too small, the least is 0.1"),
        ("RATE", "nan", "is not a number"),
        ("RATE", "inf", "is not a number"),
        ("LOUD", "maybe", "'maybe' is not true or false"),
        ("MODE", "medium", "'medium' is none of slow, fast"),
        ("WIDTH", "0", "0 is too small"),
    ],
)
def test_a_wrong_value_is_named_with_what_it_should_be(name: str, text: str, words: str) -> None:
    (mistake,) = mistakes({f"T_{name}": text})
    assert mistake.startswith(f"T_{name}: ")
    assert words in mistake


@pytest.mark.parametrize("line", ["port = 2.5", "port = true", "mode = [1]", "mode = {a = 1}"])
def test_a_file_is_not_rounded_or_guessed_at(file: Path, line: str) -> None:
    file.write_text(line)
    assert len(mistakes({}, file)) == 1


def test_all_mistakes_are_reported_at_once(file: Path) -> None:
    file.write_text("prot = 1\nrate = 0\n")
    found = mistakes({"T_PORT": "x", "T_LOUD": "y"}, file)
    assert len(found) == 4
    assert "Did you mean port" in found[0]


def test_a_secret_is_never_shown(file: Path) -> None:
    assert "s3cret" not in repr(load(Settings, env={"T_KEY": "s3cret"}))


def test_a_secret_in_a_file_that_others_can_read_is_refused(file: Path) -> None:
    file.write_text('key = "s3cret"\n')
    file.chmod(0o644)
    (mistake,) = mistakes({}, file)
    assert "chmod 600" in mistake
    assert "s3cret" not in mistake
    file.chmod(0o600)
    assert load(Settings, env={}, file=file).key == "s3cret"


def test_a_file_that_is_no_toml_is_a_mistake(file: Path) -> None:
    file.write_text("port: 1")
    assert "not valid TOML" in mistakes({}, file)[0]
    file.write_bytes(b"\xff\xfe")
    assert "not valid TOML" in mistakes({}, file)[0]


def test_a_folder_in_place_of_the_file_is_a_mistake(tmp_path: Path) -> None:
    assert "can't be read" in mistakes({}, tmp_path)[0]
