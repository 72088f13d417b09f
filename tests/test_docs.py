"""The READMEs name everything that a user can set, call or plug in."""

import dataclasses
import re
from pathlib import Path

import click
import pytest

import camera_node.sources
from camera_node.settings import Settings as NodeSettings
from hub.cli.main import cli
from hub.settings import Settings
from hub.sinks import SINKS
from hub.triggers import TRIGGERS

HERE = Path(__file__).resolve().parents[1]
README = (HERE / "README.md").read_text()
NODE = (HERE / "camera_node" / "README.md").read_text()
MAP = (HERE / "hub" / "README.md").read_text()


@pytest.mark.parametrize("field", dataclasses.fields(Settings), ids=lambda field: field.name)
def test_every_setting_of_the_hub_is_in_the_readme(field):
    assert f"`{field.metadata['env']}`" in README


@pytest.mark.parametrize("field", dataclasses.fields(NodeSettings), ids=lambda field: field.name)
def test_every_setting_of_the_node_is_in_its_readme(field):
    assert f"`{field.metadata['env']}`" in NODE


def _commands() -> list[tuple[str, str]]:
    assert isinstance(cli, click.Group)
    found = []
    for name, command in cli.commands.items():
        inner = command.commands if isinstance(command, click.Group) else {}
        found += [(name, sub) for sub in inner] or [(name, "")]
    return found


@pytest.mark.parametrize(("command", "sub"), _commands())
def test_every_command_is_in_the_readme(command, sub):
    (row,) = [line for line in README.splitlines() if re.match(rf"\|.*`hub {command}`", line)]
    assert not sub or f"`{sub}`" in row


@pytest.mark.parametrize("name", [*TRIGGERS, *SINKS])
def test_every_trigger_and_destination_has_its_row(name):
    assert f"| `{name}` |" in README


@pytest.mark.parametrize("name", camera_node.sources.SOURCES)
def test_every_source_is_in_the_nodes_readme(name):
    assert name in NODE


@pytest.mark.parametrize("path", sorted((HERE / "hub").glob("*.py")), ids=lambda path: path.name)
def test_every_module_is_on_the_map(path):
    assert path.name.startswith("__") or f"`{path.name}`" in MAP


OURS = ("camera_node", "hub", "shared", "tests", "deploy")


@pytest.mark.parametrize("path", [HERE / "README.md", *(f for top in OURS for f in (HERE / top).glob("**/README.md"))])
def test_links_between_the_readmes_lead_somewhere(path):
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text()):
        assert (path.parent / target).exists(), target


def test_the_example_of_the_client_is_the_one_that_is_run():
    example = (HERE / "tests" / "readme_client.py").read_text().split('"""', 2)[2].strip()
    assert f"```python\n{example}\n```" in README
