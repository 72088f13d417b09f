"""Switches the hub to another embedder: everything kept is embedded anew while the old one serves, then it changes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hub.archive import Archive
from hub.campaigns import remove_command
from hub.protocols import Blobs, Embedder, Store
from hub.reembed import FRAMES_AT_ONCE, IDS_AT_ONCE, Kept, Progress, Show, re_embed
from hub.seeds import anew_or_lost, is_stale, listed, not_understood
from hub.types import Seed, SeedKind
from shared.errors import InvalidInput, ModelError

REMOVED_AT_ONCE = 5_000


@dataclass(frozen=True)
class Task:
    """What a migration would do. elements, frames: of the old version. known: elements of the new version. held: frames
    whose picture is kept. seeds: to be embedded anew. seeds_lost: those of them that can't be, as their text is not
    understood: campaign: seed."""

    old: str
    new: str
    elements: int
    frames: int
    held: int
    known: int
    seeds: int
    seeds_lost: tuple[str, ...] = ()


def survey(store: Store, held: Callable[[Sequence[str]], set[str]], embedder: Embedder, old: str) -> Task:
    """Count what there is to do. held: which of some frames' pictures are kept."""
    archive = store.archive
    ids = archive.living(old, first=1, last=archive.last_id(old)).tolist()
    frames: set[str] = set()
    kept = 0
    for start in range(0, len(ids), IDS_AT_ONCE):
        new = {each.element.frame_id for each in archive.stored(ids[start : start + IDS_AT_ONCE])} - frames
        frames |= new
        kept += len(held(list(new)))
    stale = _stale_seeds(store, embedder)
    texts = {name: [seed for seed in some if seed.kind is SeedKind.TEXT] for name, some in stale.items()}
    unknown = not_understood(sorted({seed.name for some in texts.values() for seed in some}), embedder)
    lost = [_named(name, seed) for name, some in texts.items() for seed in some if seed.name in unknown]
    count = sum(map(len, stale.values()))
    return Task(old, embedder.version, len(ids), len(frames), kept, archive.count(embedder.version), count, tuple(lost))


def version_to_leave(archive: Archive, new: str) -> str:
    """The embedding version whose elements are the newest, but for the new one. InvalidInput when there is none."""
    uses = [each for each in archive.embedding_versions() if each.version != new and each.elements]
    if not uses:
        raise InvalidInput("there is nothing to embed anew: the hub has stored no element of another embedder")
    return max(uses, key=lambda each: each.last_at).version


# ── seeds ────────────────────────────────────────────────────────────────────────────────────────────


def all_seeds(store: Store) -> dict[str, list[Seed]]:
    """Of each campaign, its seeds as they are edited now."""
    return {campaign.name: store.seeds(campaign.name) for campaign in store.campaigns()}


def seeds_anew(store: Store, blobs: Blobs, embedder: Embedder) -> tuple[dict[str, list[Seed]], dict[str, list[Seed]]]:
    """By campaign, the seeds that another model embedded, embedded anew; nothing is stored. And, by inactive campaign,
    those that can't be.

    ModelError, naming campaign and seeds, where one of an active campaign can't: after the switch it would stand still.
    """
    anew: dict[str, list[Seed]] = {}
    lost: dict[str, list[Seed]] = {}
    active = {version.campaign for version in store.active_versions()}
    for name, stale in _stale_seeds(store, embedder).items():
        done, left = anew_or_lost(stale, blobs, embedder)
        if left and name in active:
            raise _stands_still(name, left, embedder)
        anew |= {name: done} if done else {}
        lost |= {name: left} if left else {}
    return anew, lost


def _stale_seeds(store: Store, embedder: Embedder) -> dict[str, list[Seed]]:
    """By campaign, the seeds of other models: as they are edited now, and those of its active version."""
    active = {version.campaign: version.seeds for version in store.active_versions()}
    stale = {}
    for name, seeds in all_seeds(store).items():
        wanted = {seed.id: seed for seed in (*active.get(name, ()), *seeds)}
        stale[name] = [seed for seed in wanted.values() if is_stale(seed, embedder)]
    return stale


def _stands_still(name: str, lost: Sequence[Seed], embedder: Embedder) -> ModelError:
    names = [listed(seed) for seed in lost]
    return ModelError(
        f"seeds of campaign {name!r} can't be embedded by {embedder.name}: {', '.join(map(repr, names))}",
        hint=f"Nothing was switched. Migrate to an embedder that can, or: {remove_command(name, names)}, "
        f"and then: hub campaigns commit {name!r}",
    )


def _named(campaign: str, seed: Seed) -> str:
    return f"{campaign}: {listed(seed)}"


# ── the switch ───────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Migrated:
    """How a migration went. seeds: embedded anew. dropped: elements of the old version that were deleted. left:
    inactive campaigns of which a seed can't be embedded anew. seeds_lost: these seeds, campaign: seed."""

    progress: Progress
    seeds: int
    dropped: int = 0
    left: tuple[str, ...] = ()
    seeds_lost: tuple[str, ...] = ()


def migrate(
    store: Store,
    blobs: Blobs,
    kept: Kept,
    embedder: Embedder,
    *,
    loaded_as: str,
    old: str,
    build: Callable[[], object],
    workers: int = 1,
    drop_old: bool = False,
    show: Show | None = None,
) -> Migrated:
    """Embed everything anew, then switch to the embedder.

    loaded_as: its name as HUB_EMBEDDER takes it. build: makes the index of the new version. A running hub takes the
    switch up, and makes new versions of its active campaigns. What it stored until then is caught up with at the end.
    Stopped before the switch, all is as it was; what is embedded stays, and is passed over the next time.
    """
    archive = store.archive
    if embedder.version == old:
        raise InvalidInput(f"{embedder.name} is the embedder that is used already")
    seeds, lost = seeds_anew(store, blobs, embedder)
    archive.record_embedder(embedder.version, embedder.name, embedder.dim)
    progress, last = re_embed(archive, kept, embedder, old, workers=workers, show=show)
    progress, last = _caught_up(archive, kept, embedder, old, progress, last, workers, show)
    build()
    for campaign, anew in seeds.items():
        there = {seed.id for seed in store.seeds(campaign)}
        store.add_seeds(campaign, [seed for seed in anew if seed.id in there])
    archive.choose_embedder(embedder.version, loaded_as)
    progress, last = _caught_up(archive, kept, embedder, old, progress, last, workers, show)
    dropped = drop(archive, old) if drop_old else 0
    named = tuple(_named(name, seed) for name, some in lost.items() for seed in some)
    return Migrated(progress, sum(map(len, seeds.values())), dropped, tuple(lost), named)


def _caught_up(
    archive: Archive,
    kept: Kept,
    embedder: Embedder,
    old: str,
    progress: Progress,
    last: int,
    workers: int,
    show: Show | None,
) -> tuple[Progress, int]:
    """With what was stored meanwhile: rounds until one finds no more than a batch, so that there is an end to it."""
    while True:
        before = progress
        tell = None if show is None else lambda more, before=before: show(before + more)
        more, last = re_embed(archive, kept, embedder, old, workers=workers, show=tell, after=last)
        progress += more
        if more.frames <= FRAMES_AT_ONCE:
            return progress, last


def drop(archive: Archive, version: str) -> int:
    """Delete the elements of an embedding version; returns how many."""
    dropped = 0
    while True:
        ids = archive.living(version, first=1, last=archive.last_id(version))
        if not len(ids):
            return dropped
        for start in range(0, len(ids), REMOVED_AT_ONCE):
            dropped += archive.remove(ids[start : start + REMOVED_AT_ONCE].tolist())
