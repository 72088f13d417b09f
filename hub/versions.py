"""What changed between two versions of a campaign. Pure."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from hub.triggers import to_json
from hub.types import Version

_SETTINGS = ("scope", "budget")


@dataclass(frozen=True)
class Change:
    """One setting. before, after: None where it was not there."""

    what: str
    before: Any
    after: Any


@dataclass(frozen=True)
class Difference:
    """From one version to another. added, removed: names of seeds."""

    before: int
    after: int
    changes: tuple[Change, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]


def difference(before: Version, after: Version) -> Difference:
    """What of settings, seeds and scorer is not the same."""
    old, new = _settings(before), _settings(after)
    changes = [
        Change(name, old.get(name), new.get(name)) for name in sorted({*old, *new}) if old.get(name) != new.get(name)
    ]
    had, has = {s.id: s for s in before.seeds}, {s.id: s for s in after.seeds}
    return Difference(
        before.number,
        after.number,
        tuple(changes),
        tuple(_seed_name(seed) for key, seed in has.items() if key not in had),
        tuple(_seed_name(seed) for key, seed in had.items() if key not in has),
    )


def _seed_name(seed: Any) -> str:
    return f"not like {seed.name}" if seed.negative else str(seed.name)


def _settings(version: Version) -> dict[str, Any]:
    """Every setting by a dotted name."""
    flat: dict[str, Any] = {f"trigger.{key}": value for key, value in to_json(version.trigger).items()}
    for part in _SETTINGS:
        flat |= {f"{part}.{key}": value for key, value in dataclasses.asdict(getattr(version, part)).items()}
    flat |= {"destinations": list(version.destinations), "tags": list(version.tags)}
    flat["embedding_version"] = version.embedding_version
    if version.scorer is not None:
        facts = {key: value for key, value in version.scorer.facts.items() if not isinstance(value, dict)}
        flat |= {"scorer": version.scorer.name} | {f"scorer.{key}": value for key, value in facts.items()}
    return flat
