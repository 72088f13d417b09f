"""Review makes a campaign sharper: accepted samples become seeds, discarded ones examples of what is not wanted."""

from collections.abc import Callable, Sequence

from hub.campaigns import commit
from hub.protocols import Blobs, Embedder, Store
from hub.types import ElementKind, Sample, SampleStatus, Seed, SeedKind, Version
from shared.errors import InvalidInput

MOST_REVIEWED = 5_000
"""The newest of each status that are learned from."""

_PAGE = 500


def recalculate(store: Store, blobs: Blobs, name: str, embedder: Callable[[], Embedder], *, now: float) -> Version:
    """Commit a version whose seeds are the campaign's own, the accepted samples and, as negatives, the discarded.

    A sample whose status was changed back is a seed no longer; statuses themselves stay as they are. InvalidInput when
    the trigger has no use for seeds, or nothing was ever reviewed.
    """
    campaign = store.campaign(name)
    if not campaign.trigger.wants_seeds:
        raise InvalidInput(
            f"a {campaign.trigger.name} campaign learns nothing from review",
            hint="Only campaigns with seeds do: --trigger similarity.",
        )
    element = {version.number: version.trigger.element for version in store.versions(name)}
    reviewed = [sample_seed(sample, element[sample.version]) for sample in reviewed_samples(store, name)]
    before = {seed.id: seed for seed in store.seeds(name) if seed.kind is SeedKind.SAMPLE}
    if not reviewed and not before:
        raise InvalidInput(
            f"no sample of {name!r} was reviewed yet",
            hint=f"Say what is right and wrong: hub samples accept ID…, hub samples discard ID… (hub samples list "
            f"--campaign {name!r})",
        )
    now_seeds = {seed.id for seed in reviewed}
    store.remove_seeds(name, [seed_id for seed_id in before if seed_id not in now_seeds])
    store.add_seeds(name, [seed for seed in reviewed if seed.id not in before])
    return commit(store, blobs, name, embedder, now=now, re_embed=True)


def reviewed_samples(store: Store, name: str) -> list[Sample]:
    """The newest accepted and discarded samples."""
    return [
        sample for status in (SampleStatus.ACCEPTED, SampleStatus.DISCARDED) for sample in _newest(store, name, status)
    ]


def _newest(store: Store, name: str, status: SampleStatus) -> list[Sample]:
    found: list[Sample] = []
    while len(found) < MOST_REVIEWED:
        before = found[-1].id if found else None
        page: Sequence[Sample] = store.samples(campaign=name, status=status, limit=_PAGE, before=before)
        found += page
        if len(page) < _PAGE:
            break
    return found[:MOST_REVIEWED]


def sample_seed(sample: Sample, element: ElementKind) -> Seed:
    """A reviewed sample as a seed; its vector may be of another embedding version, and is then made anew.

    element: what its version compared. A frame is learned whole, though its box may be that of a detection.
    """
    negative = sample.status is SampleStatus.DISCARDED
    return Seed(
        id=f"{'not-' if negative else ''}sample-{sample.frame_id}",
        kind=SeedKind.SAMPLE,
        name=f"{sample.camera} {sample.id}",
        blob=sample.frame_id,
        vector=sample.vector,
        embedding_version=sample.embedding_version,
        negative=negative,
        box=sample.box if element is ElementKind.CROP and sample.score.row > 0 else None,
    )
