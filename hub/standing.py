"""How a campaign stands: what it takes now, what it holds, and how well that went by review."""

from dataclasses import dataclass, replace

from hub.memory import recall
from hub.protocols import Store
from hub.selection import threshold_now
from hub.types import Campaign, SampleStatus


@dataclass(frozen=True)
class CameraThreshold:
    """What a frame of a camera must score at present, and why so much."""

    camera: str
    value: float
    source: str


@dataclass(frozen=True)
class Standing:
    """held: samples that wait for their burst or window. thresholds, warming_up: by camera, as last saved.

    accepted, discarded: reviewed samples; control, control_accepted: of those drawn at random.
    """

    held: int = 0
    thresholds: tuple[CameraThreshold, ...] = ()
    warming_up: tuple[str, ...] = ()
    accepted: int = 0
    discarded: int = 0
    control: int = 0
    control_accepted: int = 0


def standing(store: Store, campaign: Campaign) -> Standing:
    """From what is stored, so it may be up to ten seconds old."""
    counts = store.review_counts(campaign.name)
    reviewed = Standing(
        accepted=counts.get((SampleStatus.ACCEPTED, False), 0),
        discarded=counts.get((SampleStatus.DISCARDED, False), 0),
        control=sum(n for (_, control), n in counts.items() if control),
        control_accepted=counts.get((SampleStatus.ACCEPTED, True), 0),
    )
    versions = store.versions(campaign.name)
    if not versions:
        return reviewed
    memory = recall(store, versions[-1:], store.held())
    ledger, states = memory.ledgers[campaign.id], memory.states[campaign.id]
    budget = versions[-1].budget
    adaptive = budget.alarms is not None or budget.target is not None
    thresholds = [(camera, threshold_now(ledger, budget, camera)) for camera in sorted(ledger.tallies)]
    warm_up = getattr(versions[-1].trigger, "warming_up", None)
    return replace(
        reviewed,
        held=len(ledger.held),
        thresholds=tuple(CameraThreshold(c, t.value, t.source) for c, t in thresholds) if adaptive else (),
        warming_up=tuple(f"{c}: {said}" for c, state in sorted(states.items()) if warm_up and (said := warm_up(state))),
    )
