"""Statements that count: what a version processed and collected, by camera, each frame once for each campaign."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence

import sqlalchemy as sa

from hub.store.statements import chunks, insert
from hub.store.tables import counts, judged_frames
from hub.types import Counts, Observation, Sample

Key = tuple[int, int, str]
"""Campaign, version, camera."""


def count(
    connection: sa.Connection, more: Sequence[Counts], seen: Sequence[Observation], new: Sequence[Sample]
) -> None:
    """Add to the counters.

    What was collected is what is new in the table. What was processed is `more`, less the observations `seen` whose
    frame the campaign had judged before, in this batch or in another.
    """
    processed = Counter[Key]()
    for each in more:
        processed[each.campaign_id, each.version, each.camera] += each.processed
    again = _judged_again(connection, seen, _campaigns_by_camera(processed))
    collected = Counter((sample.campaign_id, sample.version, sample.camera) for sample in new)
    _add(connection, _less(processed, again), collected)


def _campaigns_by_camera(processed: Mapping[Key, int]) -> dict[str, frozenset[int]]:
    """Which campaigns judged the frames of a camera."""
    by_camera = defaultdict(set)
    for (campaign, _, camera), n in processed.items():
        if n:
            by_camera[camera].add(campaign)
    return {camera: frozenset(ids) for camera, ids in by_camera.items()}


def _less(processed: Counter[Key], again: Mapping[tuple[int, str], int]) -> Counter[Key]:
    """`processed` without the frames that counted before; `again` by campaign and camera."""
    left, fewer = Counter(again), Counter[Key]()
    for (campaign, version, camera), n in sorted(processed.items()):
        drop = min(n, left[campaign, camera])
        left[campaign, camera] -= drop
        fewer[campaign, version, camera] = n - drop
    return fewer


def _judged_again(
    connection: sa.Connection, seen: Sequence[Observation], judging: Mapping[str, Collection[int]]
) -> Counter[tuple[int, str]]:
    """How many observations a campaign had judged before, by campaign and camera; remembers those it had not."""
    every = Counter[tuple[int, str]]()
    first: dict[tuple[str, int], str] = {}
    by_whom: dict[str, set[int]] = defaultdict(set)
    taken_at: dict[str, float] = {}
    for frame in (each.frame for each in seen):
        taken_at[frame.id] = frame.taken_at
        for campaign in judging.get(frame.camera, ()):
            every[campaign, frame.camera] += 1
            first.setdefault((frame.id, campaign), frame.camera)
            by_whom[frame.id].add(campaign)
    before = _mark(connection, by_whom, taken_at)
    return every - Counter(
        (campaign, camera) for (frame_id, campaign), camera in first.items() if campaign not in before.get(frame_id, ())
    )


def _mark(
    connection: sa.Connection, by_whom: Mapping[str, set[int]], taken_at: Mapping[str, float]
) -> dict[str, set[int]]:
    """Remember which campaigns judged which frames; returns those that had before, by frame.

    Rows are inserted, and so locked, before they are read: of two writers of a frame, the second sees the first.
    """
    before: dict[str, set[int]] = {}
    for frames in chunks(sorted(by_whom)):
        old = set(frames) - _insert(connection, frames, by_whom, taken_at)
        if old:
            before |= _update(connection, sorted(old), by_whom)
    return before


def _insert(
    connection: sa.Connection, frames: list[str], by_whom: Mapping[str, set[int]], taken_at: Mapping[str, float]
) -> set[str]:
    """Those that were not there."""
    statement = insert(connection, judged_frames).on_conflict_do_nothing().returning(judged_frames.c.frame_id)
    rows = [{"frame_id": f, "campaigns": sorted(by_whom[f]), "taken_at": taken_at[f]} for f in frames]
    return set(connection.scalars(statement, rows))


def _update(connection: sa.Connection, frames: list[str], by_whom: Mapping[str, set[int]]) -> dict[str, set[int]]:
    """Add campaigns to frames that are there; returns the campaigns that were."""
    found = connection.execute(
        sa.select(judged_frames.c.frame_id, judged_frames.c.campaigns)
        .where(judged_frames.c.frame_id.in_(frames))
        .order_by(judged_frames.c.frame_id)
        .with_for_update()
    )
    before = {frame: set(campaigns) for frame, campaigns in found}
    changed = [
        {"frame": frame, "by": sorted(campaigns | by_whom[frame])}
        for frame, campaigns in before.items()
        if by_whom[frame] - campaigns
    ]
    if changed:
        statement = judged_frames.update().where(judged_frames.c.frame_id == sa.bindparam("frame"))
        connection.execute(statement.values(campaigns=sa.bindparam("by")), changed)
    return before


def _add(connection: sa.Connection, processed: Counter[Key], collected: Counter[Key]) -> None:
    rows = [
        {
            "campaign_id": campaign,
            "version": version,
            "camera": camera,
            "processed": processed[campaign, version, camera],
            "collected": collected[campaign, version, camera],
        }
        for campaign, version, camera in sorted(processed.keys() | collected.keys())
    ]
    if rows:
        statement = insert(connection, counts)
        added = {name: counts.c[name] + statement.excluded[name] for name in ("processed", "collected")}
        keys = ["campaign_id", "version", "camera"]
        connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=added), rows)


def forget_frames(connection: sa.Connection, before: float, limit: int) -> int:
    """Delete up to `limit` of the oldest marks of frames taken before a time; returns how many."""
    old = sa.select(judged_frames.c.frame_id).where(judged_frames.c.taken_at < before)
    oldest = old.order_by(judged_frames.c.taken_at).limit(limit)
    return connection.execute(judged_frames.delete().where(judged_frames.c.frame_id.in_(oldest))).rowcount
