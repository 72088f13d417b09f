"""Why a sample was taken: the nearest seeds, its microcluster, and where its score lies among what is normal."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hub.protocols import Store
from hub.scorers import open_scorer
from hub.scorers.classifier import Classifier
from hub.scorers.clusters import cluster
from hub.scorers.examples import examples, stack
from hub.scorers.exemplar import Exemplar
from hub.types import Sample, Seed, SeedKind, Version
from shared.errors import NotFound

NEAREST = 5
SEEDS_PER_CLUSTER = 5

MOST_DECADES = 12.0
"""Where the cameras showed one thing all the time the scale has no end, and a figure beyond this says no more."""


@dataclass(frozen=True)
class NearSeed:
    """A seed and the cosine of the sample's element to it."""

    id: str
    name: str
    kind: str
    cosine: float
    negative: bool = False


@dataclass(frozen=True)
class Explanation:
    """rarity: 1 in so many background elements scores as high, None where the scorer is not calibrated on one.
    microcluster: names of the seeds in the group nearest to it."""

    sample: str
    campaign: str
    version: int
    score: float
    threshold: float
    reason: str
    scorer: str
    source: str
    calibrated: bool
    rarity: float | None
    background: int
    nearest: tuple[NearSeed, ...]
    microcluster: tuple[str, ...]


def explain(store: Store, sample_id: str) -> Explanation:
    """By the version that took the sample. NotFound for an unknown sample."""
    sample = store.sample(sample_id)
    version = next((v for v in store.versions(sample.campaign) if v.number == sample.version), None)
    if version is None:
        raise NotFound("version", str(sample.version), ())
    fitted = version.scorer
    usable = fitted is not None and sample.vector is not None and sample.embedding_version == version.embedding_version
    return Explanation(
        sample=sample.id,
        campaign=sample.campaign,
        version=version.number,
        score=sample.score.value,
        threshold=version.budget.threshold,
        reason=sample.reason,
        scorer=fitted.name if fitted else sample.score.scorer,
        source=str(fitted.facts.get("source", "")) if fitted else "",
        calibrated=bool(fitted and fitted.facts.get("calibrated")),
        rarity=_rarity(sample, version) if usable else None,
        background=int(fitted.facts.get("background", 0)) if fitted else 0,
        nearest=_nearest(sample, version.seeds, version.embedding_version) if usable else (),
        microcluster=_microcluster(sample, version) if usable else (),
    )


def _rarity(sample: Sample, version: Version) -> float | None:
    assert version.scorer is not None and sample.vector is not None
    scorer = open_scorer(version.scorer, examples(version.seeds, version.embedding_version))
    if not isinstance(scorer, Exemplar | Classifier):
        return None
    return float(10.0 ** min(float(scorer.rarity(sample.vector[None])[0]), MOST_DECADES))


def _nearest(sample: Sample, seeds: Sequence[Seed], embedding_version: str | None) -> tuple[NearSeed, ...]:
    assert sample.vector is not None
    cosines = stack(list(seeds), embedding_version) @ sample.vector
    best = np.argsort(-cosines, kind="stable")[:NEAREST]
    return tuple(
        NearSeed(seeds[i].id, seeds[i].name, seeds[i].kind.value, float(cosines[i]), seeds[i].negative) for i in best
    )


def _microcluster(sample: Sample, version: Version) -> tuple[str, ...]:
    """The seeds of the group whose centre is nearest, of about as many groups as SEEDS_PER_CLUSTER makes."""
    wanted = [s for s in version.seeds if not s.negative and s.kind is not SeedKind.TEXT]
    if not wanted or sample.vector is None:
        return ()
    vectors = stack(wanted, version.embedding_version)
    centres, member = cluster(vectors, max(1, round(len(wanted) / SEEDS_PER_CLUSTER)))
    nearest = int(np.linalg.norm(centres - sample.vector, axis=1).argmin())
    return tuple(seed.name for seed, group in zip(wanted, member, strict=True) if group == nearest)
