"""What judging remembers, out of the store and back into it, so that a restart changes nothing."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from hub.budget import ledger_of, remembered
from hub.pipeline import Memory
from hub.protocols import Store, Trigger
from hub.triggers import to_json
from hub.types import Held, Remembered, State, Tally, Version

Key = tuple[int, str]
"""Campaign id, camera."""

_TRIGGER, _STATE = "trigger", "state"


def recall(store: Store, versions: Sequence[Version], held: Sequence[Held], *, taken: bool = True) -> Memory:
    """What the versions' campaigns remembered when it was last saved. held: of all campaigns.

    What another trigger remembered, or the same with other settings, is of no use to this one. taken: whether to read
    the samples that were taken, too; they can be many, and only judging needs them.
    """
    ledgers, states = {}, {}
    for version in versions:
        budget = version.budget
        rows = store.remembered(version.campaign_id)
        states[version.campaign_id] = {row.camera: _state_for(version.trigger, row.state) for row in rows}
        newest = store.taken_by(version.campaign_id, limit=remembered(budget)) if taken else []
        ledgers[version.campaign_id] = ledger_of(
            reversed(newest),
            budget,
            taken=store.collected(version.campaign_id),
            held=[each for each in held if each.sample.campaign_id == version.campaign_id],
            tallies={row.camera: row.tally for row in rows if row.tally is not None},
        )
    return Memory(ledgers, states)


def _state_for(trigger: Trigger, saved: State) -> State:
    same = saved.get(_TRIGGER) == _name_of(trigger)
    state: State = saved.get(_STATE, {}) if same else {}
    return state


def _name_of(trigger: Trigger) -> str:
    return json.dumps(to_json(trigger), sort_keys=True)


def rows_of(memory: Memory, versions: Iterable[Version]) -> dict[Key, Remembered]:
    """What is to be saved of each camera. Rows without anything to remember are left out."""
    rows: dict[Key, Remembered] = {}
    for version in versions:
        campaign = version.campaign_id
        states = memory.states.get(campaign, {})
        ledger = memory.ledgers.get(campaign)
        tallies: Mapping[str, Tally] = ledger.tallies if ledger else {}
        name = _name_of(version.trigger)
        for camera in sorted({*states, *tallies}):
            state = states.get(camera, {})
            saved = {_TRIGGER: name, _STATE: state} if state else {}
            if saved or camera in tallies:
                rows[campaign, camera] = Remembered(campaign, camera, saved, tallies.get(camera))
    return rows


def remembers(memory: Memory, key: Key) -> bool:
    """Whether there is something to save of a camera."""
    campaign, camera = key
    ledger = memory.ledgers.get(campaign)
    return bool(memory.states.get(campaign, {}).get(camera)) or (ledger is not None and camera in ledger.tallies)


def changed(now: Mapping[Key, Remembered], saved: Mapping[Key, Remembered]) -> list[Remembered]:
    """The rows that differ from those saved; values are never changed in place, so the same object is the same."""

    def same(a: Remembered, b: Remembered | None) -> bool:
        return b is not None and a.tally is b.tally and a.state.get(_STATE) is b.state.get(_STATE)

    return [row for key, row in now.items() if not same(row, saved.get(key))]


def without(memory: Memory, forgotten: Iterable[Key]) -> Memory:
    """The memory without what was remembered of some cameras: states and tallies, not what was taken."""
    states = {campaign: dict(cameras) for campaign, cameras in memory.states.items()}
    ledgers = dict(memory.ledgers)
    for campaign, camera in forgotten:
        states.get(campaign, {}).pop(camera, None)
        if ledger := ledgers.get(campaign):
            tallies = {name: tally for name, tally in ledger.tallies.items() if name != camera}
            ledgers[campaign] = replace(ledger, tallies=tallies)
    return Memory(ledgers, states)
