"""The life of a campaign: create, seed, commit, activate. A commit is an immutable snapshot."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hub.protocols import Blobs, Embedder, Store, Trigger
from hub.scorers import SCORERS, fit
from hub.scorers.calibration import LEAST_BACKGROUND
from hub.scorers.examples import examples
from hub.seeds import embed_stale, is_stale, not_understood
from hub.types import (
    Background,
    Budget,
    Campaign,
    CampaignState,
    ElementKind,
    Fitted,
    Prior,
    Scope,
    Seed,
    SeedKind,
    Version,
)
from shared.errors import AlreadyExists, InvalidInput, ModelError, NotFound

BACKGROUND = 2_000
"""Stored elements drawn to calibrate a version."""

GROWTH = 4
"""A scorer is calibrated anew by itself when so many times as many elements are known: at 200, 800 and 2,000."""

SAME = 0.9995
"""Stored vectors of one element, rounded to float16, are at least so alike."""

LEAST_CONFIDENCE = 0.05
"""Detections below this are never asked of a detector: they are noise, and many."""


@dataclass(frozen=True)
class Draft:
    """What a user says of a new campaign."""

    name: str
    trigger: Trigger
    scope: Scope = Scope()
    budget: Budget = Budget()
    destinations: tuple[str, ...] = ("folder",)
    tags: tuple[str, ...] = ()


def create(
    store: Store,
    draft: Draft,
    seeds: Sequence[Seed],
    *,
    known_labels: Callable[[], Iterable[str]],
    sinks: Iterable[str],
    now: float,
) -> Campaign:
    """Store a new campaign as a draft. known_labels: asked for only when the trigger names labels."""
    check_draft(store, draft, bool(seeds), known_labels, sinks)
    return store.add_campaign(
        Campaign(
            0,
            draft.name,
            draft.trigger,
            draft.scope,
            draft.budget,
            draft.destinations,
            draft.tags,
            created_at=now,
        ),
        seeds,
    )


def check_draft(
    store: Store,
    draft: Draft,
    seeded: bool,
    known_labels: Callable[[], Iterable[str]],
    sinks: Iterable[str],
) -> None:
    """Raise InvalidInput for what can't work, before anything is computed or written."""
    if not draft.name.strip() or len(draft.name) > 100 or not draft.name.isprintable():
        raise InvalidInput("a campaign needs a name of 1 to 100 printable characters")
    if any(campaign.name == draft.name for campaign in store.campaigns()):
        raise AlreadyExists("campaign", draft.name, hint=f"See it with: hub campaigns show {draft.name!r}")
    _check_settings(store, draft, known_labels, sinks)
    _check_seeded(draft.trigger, seeded)


def edit(store: Store, campaign: Campaign, known_labels: Callable[[], Iterable[str]], sinks: Iterable[str]) -> None:
    """Store changed settings; frames are judged by them from the next commit on. InvalidInput as in `check_draft`."""
    _check_settings(store, campaign, known_labels, sinks)
    _check_seeded(campaign.trigger, bool(store.seeds(campaign.name)))
    store.update_campaign(campaign)


def _check_settings(
    store: Store,
    draft: Draft | Campaign,
    known_labels: Callable[[], Iterable[str]],
    sinks: Iterable[str],
) -> None:
    check_budget(draft.budget)
    _check_trigger(draft)
    names = {camera.name for camera in store.cameras()}
    for camera in draft.scope.cameras:
        if camera not in names:
            raise NotFound("camera", camera, names)
    for sink in draft.destinations:
        if sink.partition(":")[0] not in sinks:
            raise NotFound("destination", sink, sinks)
    wanted = getattr(draft.trigger, "labels", ())
    known = set(known_labels()) if wanted else set()
    for label in wanted:
        if label not in known:
            raise NotFound("label", label, known)


def check_budget(budget: Budget) -> None:
    """InvalidInput for a budget that can't be kept."""
    if not 0.0 <= budget.threshold <= 1.0:
        raise InvalidInput(
            f"a threshold lies between 0 and 1, not at {budget.threshold:g}",
            hint="0.5 is the default boundary; higher is stricter.",
        )
    if not 0.0 <= budget.duplicate_distance < 2.0:
        raise InvalidInput(f"a duplicate distance lies between 0 and 2, not at {budget.duplicate_distance:g}")
    if budget.stop_after is not None and budget.stop_after < 1:
        raise InvalidInput(f"a campaign can't stop after {budget.stop_after} samples")
    if not 0.0 <= budget.variety <= 1.0 or not 0.0 <= budget.control <= 1.0:
        raise InvalidInput("variety and the control share lie between 0 and 1", hint="Such as --control 0.01.")
    if not (0.0 <= budget.burst_s < math.inf and 0.0 <= budget.duplicate_s < math.inf):
        raise InvalidInput("a burst and the time of near-duplicates are seconds, from 0 on")
    if budget.per_camera is not None and budget.per_camera < 1:
        raise InvalidInput("--per-camera is at least 1", hint="Or leave it out: any share of the target.")
    if budget.per_camera is not None and budget.target is None:
        raise InvalidInput("--per-camera shares out a target", hint="Give --target 40/day --per-camera 5.")
    if budget.variety > 0 and budget.target is None:
        raise InvalidInput("--variety chooses among the best of a window", hint="Give --target 40/day as well.")
    if budget.alarms and budget.target:
        raise InvalidInput(
            "--alarms and --target are two ways to say how many",
            hint="--alarms takes each at once, --target the best when its window closes.",
        )


def _check_seeded(trigger: Trigger, seeded: bool) -> None:
    if trigger.wants_seeds and not seeded:
        raise InvalidInput(
            f"a {trigger.name} campaign needs an example of what it wants",
            hint="Give --seed-images PATH (pictures or a folder of them) or --text PROMPT.",
        )
    if seeded and not trigger.wants_seeds:
        raise InvalidInput(f"a {trigger.name} campaign has no use for seeds")


def _check_trigger(draft: Draft | Campaign) -> None:
    plain = draft.trigger.name == "detection" and not getattr(draft.trigger, "disagreement", ())
    if plain and draft.budget.threshold < LEAST_CONFIDENCE and not (draft.budget.target or draft.budget.alarms):
        raise InvalidInput(
            f"a detection threshold of {draft.budget.threshold:g} is below {LEAST_CONFIDENCE:g}",
            hint="Detections less certain than that are noise.",
        )
    if getattr(draft.trigger, "scorer", "calibrated") not in SCORERS:
        raise NotFound("scorer", getattr(draft.trigger, "scorer", ""), SCORERS)


def commit(
    store: Store,
    blobs: Blobs,
    name: str,
    embedder: Callable[[], Embedder],
    *,
    now: float,
    re_embed: bool = False,
) -> Version:
    """Freeze the campaign's settings and seeds as its next version, and fit its scorer to what the cameras showed.

    embedder: asked for only when the trigger wants seeds. re_embed: embed seeds of another embedding version anew,
    from their kept pictures and texts; else there is a ModelError that says so.
    """
    campaign = store.campaign(name)
    seeds: list[Seed] = []
    scorer, embedding_version = None, None
    if campaign.trigger.wants_seeds:
        model = embedder()
        embedding_version = model.version
        seeds = _current_seeds(store, blobs, name, model, re_embed=re_embed)
        scorer = _fit_scorer(store, campaign, seeds, model)
    return store.commit(
        Version(
            0,
            campaign.id,
            campaign.name,
            campaign.version + 1,
            campaign.trigger,
            campaign.scope,
            campaign.budget,
            campaign.destinations,
            campaign.tags,
            embedding_version,
            tuple(seeds),
            scorer,
            now,
        )
    )


def renew(store: Store, blobs: Blobs, version: Version, embedder: Embedder, *, now: float) -> Version:
    """The version after one whose seeds were embedded by another model: the same, with seeds embedded anew.

    What was edited since and not committed stays uncommitted.
    """
    known = {seed.id: seed for seed in store.seeds(version.campaign)}
    ready = {id_: seed for id_, seed in known.items() if not is_stale(seed, embedder)}
    seeds = embed_stale([ready.get(seed.id, seed) for seed in version.seeds], blobs, embedder)
    store.add_seeds(version.campaign, [seed for seed in seeds if seed.id in known and seed.id not in ready])
    return _next(store, version, seeds, _fit_scorer(store, version, seeds, embedder), embedder, now)


def _next(
    store: Store, version: Version, seeds: Sequence[Seed], scorer: Fitted, embedder: Embedder, now: float
) -> Version:
    """Commit a version as it is, but for how its seeds are understood."""
    return store.commit(
        replace(
            version,
            id=0,
            number=store.campaign(version.campaign).version + 1,
            embedding_version=embedder.version,
            seeds=tuple(seeds),
            scorer=scorer,
            created_at=now,
        )
    )


def _current_seeds(store: Store, blobs: Blobs, name: str, embedder: Embedder, *, re_embed: bool) -> list[Seed]:
    seeds = store.seeds(name)
    if not seeds:
        raise InvalidInput(f"campaign {name!r} has no seeds", hint=f"Add some: hub campaigns seed {name!r} …")
    stale = sum(1 for seed in seeds if is_stale(seed, embedder))
    if stale and not re_embed:
        raise ModelError(
            f"{stale} of the {len(seeds)} seeds of {name!r} were embedded by another model than {embedder.name}",
            hint=f"Their pictures and texts are kept. Embed them anew: hub campaigns commit {name!r} --re-embed",
        )
    try:
        anew = embed_stale(seeds, blobs, embedder)
    except ModelError as error:
        raise _with_its_seeds(error, name, seeds, embedder) from error
    if stale:
        store.add_seeds(name, anew)
    return anew


def _with_its_seeds(error: ModelError, name: str, seeds: Sequence[Seed], embedder: Embedder) -> ModelError:
    """The error, naming the texts that the embedder does not understand, if that is why."""
    texts = [seed.name for seed in seeds if seed.kind is SeedKind.TEXT and is_stale(seed, embedder)]
    unknown = sorted(not_understood(texts, embedder))
    if not unknown:
        return error
    said = ", ".join(map(repr, unknown))
    return ModelError(
        f"the text{'s' if len(unknown) > 1 else ''} {said} of {name!r} can't be embedded: {error.message}",
        hint=f"Use an embedder that can, or remove: {remove_command(name, unknown)}",
    )


def remove_command(name: str, seeds: Iterable[str]) -> str:
    """The command that removes seeds of a campaign."""
    return " ".join([f"hub campaigns seed {name!r}", *(f"--remove {seed!r}" for seed in seeds)])


def _fit_scorer(store: Store, of: Campaign | Version, seeds: Sequence[Seed], embedder: Embedder) -> Fitted:
    trigger = of.trigger
    background = store.background(
        embedder.version,
        trigger.element,
        limit=BACKGROUND,
        cameras=of.scope.cameras,
        labels=getattr(trigger, "labels", ()) if trigger.element is ElementKind.CROP else (),
        confidence=getattr(trigger, "confidence", 0.0) if trigger.element is ElementKind.CROP else 0.0,
    )
    scorer = getattr(trigger, "scorer", "calibrated")
    in_words = any(seed.kind is SeedKind.TEXT for seed in seeds)
    prior = _prior(embedder) if in_words and scorer == "calibrated" else embedder.prior
    known = examples(seeds, embedder.version, _without_seeds(background, seeds), embedder.typical, prior)
    return fit(scorer, known)


def _prior(embedder: Embedder) -> Prior:
    """With what a text is held against."""
    nouns, prior = embedder.nouns(), embedder.prior
    if not len(nouns):
        return prior
    mean = prior.text_mean if prior.text_mean is not None else nouns.mean(axis=0)
    return replace(prior, nouns=nouns, text_mean=mean)


def _without_seeds(background: Background, seeds: Sequence[Seed]) -> Background:
    """What the cameras showed, without what was picked out of it as wanted: that is no background."""
    wanted = [s.vector for s in seeds if s.vector is not None and s.kind is not SeedKind.TEXT and not s.negative]
    if not len(background) or not wanted:
        return background
    same = (background.vectors @ np.stack(wanted).T).max(axis=1) >= SAME
    return Background(background.vectors[~same], background.frame[~same])


def calibrate_anew(store: Store, version: Version, embedder: Embedder, *, now: float) -> Version | None:
    """The version after one whose scorer knew little of the cameras, once enough is known for another, else None.

    What was edited since and not committed stays uncommitted.
    """
    fitted = _fit_scorer(store, version, version.seeds, embedder)
    if not fitted.facts.get("calibrated") or int(fitted.facts["background"]) < worth_calibrating_at(version):
        return None
    return _next(store, version, version.seeds, fitted, embedder, now)


def worth_calibrating_at(version: Version) -> float:
    """How many background elements must be known for a better scorer; inf where none would help."""
    known = background_known(version)
    if known is None or known >= BACKGROUND:
        return math.inf
    return max(LEAST_BACKGROUND, min(GROWTH * known, BACKGROUND))


def background_known(version: Version) -> int | None:
    """Background elements the scorer was calibrated on, 0 while uncalibrated; None where none would help."""
    if version.scorer is None or getattr(version.trigger, "scorer", "calibrated") != "calibrated":
        return None
    facts = version.scorer.facts
    return int(facts.get("background", 0)) if facts.get("calibrated") else 0


def activate(store: Store, blobs: Blobs, name: str, embedder: Callable[[], Embedder], *, now: float) -> Campaign:
    """Start judging frames by the newest version; a campaign that was never committed is committed first."""
    if store.campaign(name).version == 0:
        commit(store, blobs, name, embedder, now=now, re_embed=True)
    store.set_campaign_state(name, CampaignState.ACTIVE)
    return store.campaign(name)


def as_version(store: Store, campaign: Campaign, newest: Version) -> Version:
    """What a commit would freeze now, but for its scorer: to be compared with the newest version."""
    return replace(
        newest,
        number=newest.number + 1,
        trigger=campaign.trigger,
        scope=campaign.scope,
        budget=campaign.budget,
        destinations=campaign.destinations,
        tags=campaign.tags,
        seeds=tuple(store.seeds(campaign.name)),
    )


def uncommitted(store: Store, campaign: Campaign) -> bool:
    """Whether settings or seeds differ from the newest version."""
    if campaign.version == 0:
        return True
    newest = max(store.versions(campaign.name), key=lambda version: version.number)
    settings = ("trigger", "scope", "budget", "destinations", "tags")
    changed = any(getattr(campaign, name) != getattr(newest, name) for name in settings)
    return changed or {s.id for s in store.seeds(campaign.name)} != {s.id for s in newest.seeds}
