"""Makes campaigns of what Roboflow Collect's variables say; collect_vars.py says what they mean."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from hub import campaigns as life
from hub.campaigns import Draft
from hub.collect_vars import ALL, CAMERA, DESTINATION, DRIFT, PROMPT, CollectEnv, camera_source, drafts, notes
from hub.local_camera import switch_off
from hub.protocols import Blobs, Embedder, Store, Trigger
from hub.seeds import text_seeds
from hub.triggers.everything import Everything
from hub.triggers.random import Random
from hub.triggers.similarity import Similarity
from hub.types import Budget, Campaign, CampaignState, Seed, SeedKind
from shared.errors import BowerbirdError, InvalidInput

__all__ = ["CAMERA", "Applied", "CollectEnv", "apply", "camera_source"]

_TRIGGERS: Mapping[str, type[Trigger]] = {PROMPT: Similarity, ALL: Everything, DRIFT: Random}


@dataclass(frozen=True)
class Applied:
    """What was made of the variables: names of campaigns. problems: what could not be done, in sentences, with what to
    do; `apply` again later. notes: what a person should know."""

    created: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()
    deactivated: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def apply(
    store: Store, blobs: Blobs, env: CollectEnv, embedder: Callable[[], Embedder], *, now: float, starting: bool = True
) -> Applied:
    """Bring the campaigns in line with the variables, and switch off a camera that is no longer wanted.

    To be called at each start, whatever is set, and again while there are problems. embedder: asked for only when a
    prompt is new. starting: whether campaigns that were stopped are started; else those that a person stopped while
    the hub runs stay so.
    """
    wanted = {draft.name: draft for draft in drafts(env)}
    known = {campaign.name: campaign for campaign in store.campaigns()}
    done: dict[str, list[str]] = {"created": [], "updated": [], "deactivated": [], "problems": []}
    for name in _TRIGGERS:
        draft, campaign = wanted.get(name), known.get(name)
        try:
            if draft is None:
                what = _retire(store, campaign)
            elif campaign is None:
                what = _create(store, blobs, env, embedder, draft, now)
            else:
                what = _update(store, blobs, env, embedder, draft, campaign, now)
                what = _start(store, campaign) or what if starting else what
        except BowerbirdError as error:
            done["problems"].append(f"{name}: {error.told}")
            continue
        if what:
            done[what].append(name)
    if camera_source(env, store.cameras()) is None:
        switch_off(store, CAMERA)
    return Applied(**{what: tuple(names) for what, names in done.items()}, notes=tuple(notes(env, store.cameras())))


def _create(
    store: Store, blobs: Blobs, env: CollectEnv, embedder: Callable[[], Embedder], draft: Draft, now: float
) -> str:
    seeds = text_seeds([env.prompt], embedder()) if draft.trigger.wants_seeds else []
    life.create(store, draft, seeds, known_labels=lambda: (), sinks=(DESTINATION,), now=now)
    life.activate(store, blobs, draft.name, embedder, now=now)
    return "created"


def _update(
    store: Store,
    blobs: Blobs,
    env: CollectEnv,
    embedder: Callable[[], Embedder],
    draft: Draft,
    campaign: Campaign,
    now: float,
) -> str:
    """Make a campaign what the variables say; returns what that took."""
    if not _is_ours(campaign):
        raise InvalidInput("a campaign of that name was made by hand", hint="Give it another name.")
    if campaign.state is CampaignState.ARCHIVED:
        return ""
    if draft.trigger.wants_seeds and (seeds := _new_prompt(store, env, embedder, campaign)):
        store.add_seeds(campaign.name, seeds)
        store.remove_seeds(campaign.name, _former_prompts(store, env, campaign))
    changed = _with(campaign, draft, env)
    if changed != campaign:
        store.update_campaign(changed)
    if not _differs(store, changed):
        return ""
    life.commit(store, blobs, campaign.name, embedder, now=now, re_embed=True)
    return "updated"


def _start(store: Store, campaign: Campaign) -> str:
    if campaign.state not in (CampaignState.DRAFT, CampaignState.INACTIVE):
        return ""
    store.set_campaign_state(campaign.name, CampaignState.ACTIVE)
    return "updated"


def _retire(store: Store, campaign: Campaign | None) -> str:
    if campaign is None or campaign.state is not CampaignState.ACTIVE or not _is_ours(campaign):
        return ""
    store.set_campaign_state(campaign.name, CampaignState.INACTIVE)
    return "deactivated"


def _is_ours(campaign: Campaign) -> bool:
    """Whether a campaign of one of our names is what we would have made."""
    goes_there = any(each.partition(":")[0] == DESTINATION for each in campaign.destinations)
    return goes_there and isinstance(campaign.trigger, _TRIGGERS[campaign.name])


def _new_prompt(store: Store, env: CollectEnv, embedder: Callable[[], Embedder], campaign: Campaign) -> list[Seed]:
    """The prompt as a seed, where the campaign does not have it."""
    had = store.seeds(campaign.name)
    if any(seed.kind is SeedKind.TEXT and seed.name == env.prompt and not seed.negative for seed in had):
        return []
    return text_seeds([env.prompt], embedder())


def _former_prompts(store: Store, env: CollectEnv, campaign: Campaign) -> list[str]:
    """Seeds of the prompt before: it was the campaign's tag."""
    had = store.seeds(campaign.name)
    return [s.id for s in had if s.kind is SeedKind.TEXT and s.name in campaign.tags and s.name != env.prompt]


def _with(campaign: Campaign, draft: Draft, env: CollectEnv) -> Campaign:
    """The campaign with what the variables say of it, and everything else as a person left it."""
    trigger, budget = campaign.trigger, env.rules(campaign.budget)
    if isinstance(trigger, Similarity):
        trigger = replace(trigger, scorer="cosine")
        budget = replace(budget, threshold=draft.budget.threshold)
    if campaign.name == DRIFT:
        budget = replace(budget, duplicate_distance=0.0, duplicate_s=0.0)
    where = campaign.destinations
    if draft.destinations[0] not in where:
        others = tuple(each for each in where if each.partition(":")[0] != DESTINATION)
        where = (*draft.destinations, *others)
    return replace(campaign, trigger=trigger, budget=budget, destinations=where, tags=draft.tags)


def _differs(store: Store, campaign: Campaign) -> bool:
    """Whether the newest version is not what the variables say."""
    if not campaign.version:
        return True
    newest = store.versions(campaign.name)[-1]
    same = all(getattr(newest, what) == getattr(campaign, what) for what in ("trigger", "destinations", "tags"))
    texts = {seed.id for seed in newest.seeds if seed.kind is SeedKind.TEXT}
    return (
        not same
        or _ruled(newest.budget) != _ruled(campaign.budget)
        or texts != {seed.id for seed in store.seeds(campaign.name) if seed.kind is SeedKind.TEXT}
    )


def _ruled(budget: Budget) -> tuple[object, ...]:
    return budget.threshold, budget.stop_after, budget.duplicate_distance, budget.duplicate_s
