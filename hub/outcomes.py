"""The closed loop: what people made of the pictures that were sent, and so how well campaigns choose."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hub.deliveries import Delivery, Fate, FateCount, Outcome
from hub.protocols import Store
from hub.roboflow import RemoteImage, Roboflow
from hub.sinks.roboflow_terms import project_and_image

AT_ONCE = 20
"""Outcomes recorded together: what was read before a failure is not lost."""

ROUND = 500
"""Deliveries read in one round, so that a large project is not asked for everything at once."""


@dataclass(frozen=True)
class Yield:
    """How the pictures of a campaign and camera fared. camera: "" for all of them together."""

    campaign: str
    camera: str
    annotated: int
    deleted: int
    waiting: int

    @property
    def precision(self) -> float | None:
        """Share of annotated ones among those that somebody decided on; None while there is none."""
        decided = self.annotated + self.deleted
        return self.annotated / decided if decided else None


def read_outcomes(store: Store, api: Roboflow, *, now: float, older_than_s: float, limit: int = ROUND) -> int:
    """Ask what became of pictures sent to Roboflow, those not asked for longest first; returns of how many.

    older_than_s: what was read since then is not read again. Raises as `Roboflow.project` and `Roboflow.image` do; what
    was read until then is kept.
    """
    due = store.unread("roboflow", read_before=now - older_than_s, limit=limit)
    # In a project that this key does not see, every image would seem to have been thrown away.
    for project in sorted({project_and_image(each.remote_id)[0] for each in due}):
        api.project(project)
    for start in range(0, len(due), AT_ONCE):
        some = due[start : start + AT_ONCE]
        read = [_outcome(each, api.image(*project_and_image(each.remote_id)), now) for each in some]
        store.record_outcomes(read)
    return len(due)


def _outcome(delivery: Delivery, image: RemoteImage | None, now: float) -> Outcome:
    if image is None:
        return Outcome(delivery.id, Fate.DELETED, checked_at=now)
    fate = Fate.ANNOTATED if image.annotated else Fate.WAITING
    return Outcome(delivery.id, fate, image.split, now)


def yields(fates: Iterable[FateCount]) -> list[Yield]:
    """By campaign, all cameras first, then each."""
    counts: Counter[tuple[str, str, Fate]] = Counter()
    for each in fates:
        counts[each.campaign, "", each.fate] += each.count
        counts[each.campaign, each.camera, each.fate] += each.count
    return [_yield(counts, campaign, camera) for campaign, camera in sorted({(c, k) for c, k, _ in counts})]


def _yield(counts: Counter[tuple[str, str, Fate]], campaign: str, camera: str) -> Yield:
    annotated, deleted, waiting = (counts[campaign, camera, f] for f in (Fate.ANNOTATED, Fate.DELETED, Fate.WAITING))
    return Yield(campaign, camera, annotated, deleted, waiting)


def overall(of: Sequence[Yield], campaign: str) -> Yield | None:
    """The row of a campaign over all cameras, if there is one."""
    return next((each for each in of if each.campaign == campaign and not each.camera), None)
