"""What the collector is to do: made from the active versions, whenever cameras or campaigns change."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hub.pipeline import needs_of
from hub.protocols import Detector, Embedder, Target
from hub.target import SeedTarget
from hub.types import Needs, Version
from shared.errors import BowerbirdError, ModelError

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Models:
    """How to get the models; each is loaded when a campaign first needs it.

    batch: frames looked at together. workers: batches looked at side by side.
    """

    detector: Callable[[], Detector]
    embedder: Callable[[], Embedder]
    batch: int = 1
    workers: int = 1


@dataclass(frozen=True)
class Plan:
    """The campaigns to judge for, and what must be computed for them and for memory, with what.

    needed: what the campaigns alone need.
    """

    targets: Sequence[Target] = ()
    needs: Needs = Needs()
    needed: Needs = Needs()
    detector: Detector | None = None
    embedder: Embedder | None = None


def make_plan(
    versions: Sequence[Version],
    models: Models,
    before: Plan,
    indexes: Path | None,
    renew: Callable[[Version, Embedder], Version],
    remember: Needs = Needs(),
) -> Plan:
    """A plan for these versions. Targets of the plan before are used again.

    remember: what is to be computed of every frame, whatever campaigns need; where a model for it can't be loaded, it
    is left out.

    renew: gives the version after one whose seeds were embedded by another model, with seeds embedded anew. Where that
    can't be done the campaign is left out, with a word on how to mend it. ModelError when a model that is needed
    can't be loaded.
    """
    needs = needs_of(versions)
    remember = _possible(remember, models)
    detector = models.detector() if (needs | remember).detections else None
    embedder = models.embedder() if _embeds(needs | remember) else None
    ready = {target.version.id: target for target in before.targets}
    targets: list[Target] = []
    for version in versions:
        if embedder and version.embedding_version not in (None, embedder.version):
            try:
                version = renew(version, embedder)
            except BowerbirdError as error:
                _log.warning(
                    "not judged: the seeds of %r are of another model and can't be embedded anew: %s",
                    version.campaign,
                    error.message,
                    extra={"campaign": version.campaign},
                )
                continue
        targets.append(ready.get(version.id) or SeedTarget(version, indexes))
    needed = needs_of([target.version for target in targets])
    return Plan(targets, needed | remember, needed, detector, embedder)


def _embeds(needs: Needs) -> bool:
    return needs.frame_vector or needs.crop_vectors


def _possible(remember: Needs, models: Models) -> Needs:
    """What of it there are models for."""
    if remember.detections:
        try:
            models.detector()
        except ModelError as error:
            _log.warning("crops are not remembered: %s", error.message)
            remember = replace(remember, detections=False, crop_vectors=False)
    if _embeds(remember):
        try:
            models.embedder()
        except ModelError as error:
            _log.warning("what is seen can't be searched for: %s", error.message)
            remember = replace(remember, frame_vector=False, crop_vectors=False)
    return remember
