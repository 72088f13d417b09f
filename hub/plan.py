"""What the collector is to do: made from the active versions, whenever cameras or campaigns change."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hub.pipeline import needs_of
from hub.protocols import Detector, Embedder, Target
from hub.target import SeedTarget
from hub.types import Needs, Version
from shared.errors import BowerbirdError

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
    """The campaigns to judge for, and what must be computed for them, with what."""

    targets: Sequence[Target] = ()
    needs: Needs = Needs()
    detector: Detector | None = None
    embedder: Embedder | None = None


def make_plan(
    versions: Sequence[Version],
    models: Models,
    before: Plan,
    indexes: Path | None,
    renew: Callable[[Version, Embedder], Version],
) -> Plan:
    """A plan for these versions. Targets of the plan before are used again.

    renew: gives the version after one whose seeds were embedded by another model, with seeds embedded anew. Where that
    can't be done the campaign is left out, with a word on how to mend it. ModelError when a model that is needed
    can't be loaded.
    """
    needs = needs_of(versions)
    detector = models.detector() if needs.detections else None
    embedder = models.embedder() if needs.frame_vector or needs.crop_vectors else None
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
    return Plan(targets, needs_of([target.version for target in targets]), detector, embedder)
