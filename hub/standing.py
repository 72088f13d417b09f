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

    accepted, discarded: reviewed samples the campaign chose. control: samples drawn at random beside it, of which
    control_accepted and control_discarded were reviewed.
    """

    held: int = 0
    thresholds: tuple[CameraThreshold, ...] = ()
    warming_up: tuple[str, ...] = ()
    accepted: int = 0
    discarded: int = 0
    control: int = 0
    control_accepted: int = 0
    control_discarded: int = 0

    @property
    def precision(self) -> float | None:
        """Share of the reviewed samples that were accepted."""
        return _share(self.accepted, self.accepted + self.discarded)

    @property
    def control_precision(self) -> float | None:
        """The same of the control draw: how common the wanted thing is among what the campaign leaves out."""
        return _share(self.control_accepted, self.control_accepted + self.control_discarded)

    def found_share(self, collected: int, control: float) -> float | None:
        """Estimated share of all wanted frames that the campaign took, from the yields of both.

        collected: samples taken, control draws included. control: the share of frames drawn.
        """
        if self.precision is None or self.control_precision is None or control <= 0:
            return None
        found = self.precision * (collected - self.control)
        return _share(found, found + self.control_precision * self.control / control)


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def standing(store: Store, campaign: Campaign) -> Standing:
    """From what is stored, so it may be up to ten seconds old."""
    counts = store.review_counts(campaign.name)
    reviewed = Standing(
        accepted=counts.get((SampleStatus.ACCEPTED, False), 0),
        discarded=counts.get((SampleStatus.DISCARDED, False), 0),
        control=sum(n for (_, control), n in counts.items() if control),
        control_accepted=counts.get((SampleStatus.ACCEPTED, True), 0),
        control_discarded=counts.get((SampleStatus.DISCARDED, True), 0),
    )
    versions = store.versions(campaign.name)
    if not versions:
        return reviewed
    memory = recall(store, versions[-1:], store.held(), taken=False)
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
