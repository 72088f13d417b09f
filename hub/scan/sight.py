"""What a scan looks for in frames, and with which models."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hub.campaigns import LEAST_CONFIDENCE
from hub.pipeline import needs_of
from hub.protocols import Detector, Embedder, Target
from hub.scan.values import Models, Rules
from hub.types import Needs
from shared.errors import InvalidInput

CROP_CONFIDENCE = 0.25
"""Least confidence of a detection to be embedded where no campaign says."""


@dataclass(frozen=True)
class Sight:
    """What is looked for in frames, with what. batch: frames together. workers: batches side by side."""

    needs: Needs
    detector: Detector | None
    embedder: Embedder
    batch: int = 1
    workers: int = 1


def needs_for(targets: Sequence[Target], rules: Rules) -> Needs:
    """What is computed of each frame: its vector always, so that it can be found, and what campaigns need.

    All that the detector finds is stored, however unsure, since a later campaign may ask for it.
    """
    needs = needs_of([target.version for target in targets]) | Needs(frame_vector=True)
    if rules.crops:
        needs |= Needs(True, True, True, crop_confidence=CROP_CONFIDENCE)
    return replace(needs, confidence=min(needs.confidence, LEAST_CONFIDENCE))


def sight_for(targets: Sequence[Target], models: Models, rules: Rules) -> Sight:
    """The models, loaded, and what they are for. InvalidInput for a campaign whose seeds are of another embedder."""
    needs = needs_for(targets, rules)
    embedder = models.embedder()
    for version in (target.version for target in targets):
        if version.embedding_version not in (None, embedder.version):
            raise InvalidInput(
                f"the seeds of {version.campaign!r} were embedded by another model than {embedder.name}",
                hint=f"Embed them anew: hub campaigns commit {version.campaign!r} --re-embed",
            )
    return Sight(needs, models.detector() if needs.detections else None, embedder, models.batch, models.workers)
