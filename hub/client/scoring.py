"""Frames × campaigns → scores, in the client's words."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from hub.appraise import Statistics
from hub.client.reports import Collected, CollectedFrame, Preview, SampleProbability
from hub.client.sampling import Fetch, Sampled, picture_of
from hub.collection.values import Receipt
from hub.protocols import Target
from hub.scope import covers
from hub.score import score
from hub.types import Sample, Score, State, Version


def probabilities(
    target: Target, offered: Sequence[Sampled], states: Mapping[str, State]
) -> tuple[list[SampleProbability | None], dict[str, State]]:
    """Of each frame, None where it is out of scope; and what the trigger remembers of cameras then."""
    version, found = target.version, dict[int, SampleProbability]()
    inside = [i for i, each in enumerate(offered) if covers(version.scope, each.frame.camera, each.seen.frame.taken_at)]
    scores, after = score([offered[i].seen for i in inside], target, states)
    for i, value in zip(inside, scores, strict=True):
        if value is not None:
            found[i] = _probability(offered[i], version, value)
    return [found.get(i) for i in range(len(offered))], after


def report(
    statistics: Sequence[Statistics],
    taken: Sequence[Sample],
    targets: Sequence[Target],
    known: Mapping[str, Sampled],
    receipt: Receipt | None,
    fetch: Fetch,
) -> Collected:
    """known: what was sampled, by frame id. receipt: None for a dry run."""
    versions = {target.version.campaign_id: target.version for target in targets}
    frames = [
        CollectedFrame(
            _probability(known[each.frame_id], versions[each.campaign_id], each.score), each.box, each.reason
        )
        for each in taken
    ]
    named = [replace(each, best=known[each.best].frame.frame_id if each.best else "") for each in statistics]
    best = _best(statistics, targets, known, fetch if receipt is None else None)
    return Collected(named, frames, best, receipt)


def _best(
    statistics: Sequence[Statistics], targets: Sequence[Target], known: Mapping[str, Sampled], fetch: Fetch | None
) -> Preview | None:
    """With its picture where there is a `fetch`."""
    seen = [i for i, each in enumerate(statistics) if each.best]
    if not seen:
        return None
    i = max(seen, key=lambda i: statistics[i].most)
    sampled, target = known[statistics[i].best], targets[i]
    value = score([sampled.seen], target, {})[0][0]
    if value is None:
        return None
    value = replace(value, value=statistics[i].most)  # a trigger with a memory scored it among the others
    picture = picture_of(sampled.frame, fetch) if fetch is not None and sampled.frame.image is not None else None
    return Preview(sampled.frame, _probability(sampled, target.version, value), sampled.seen.box(value.row), picture)


def _probability(sampled: Sampled, version: Version, value: Score) -> SampleProbability:
    seed = next((seed.name for seed in version.seeds if value.seed and seed.id == value.seed), "")
    return SampleProbability(
        frame_id=sampled.frame.frame_id,
        campaign=version.campaign,
        version=version.number,
        similarity_score=value.value,
        similarity_score_version=value.scorer,
        sampled_element_id=sampled.element_id(value.row),
        closest_seed=seed,
        cosine=value.cosine,
        why=value.why,
    )
