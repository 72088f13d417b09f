"""Seeds from Roboflow: the images tagged `sample-more` in a project as campaigns, one for each tag they ask for.

What is listed is compared with what the campaigns have: only what is new is downloaded, and only what changed is
committed. Nothing changes unless the whole list was had.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from hub import campaigns as life
from hub.campaigns import Draft
from hub.protocols import Blobs, Embedder, Store
from hub.roboflow import RemoteImage, Roboflow
from hub.sync_pictures import RemotePictures, merged, origin
from hub.sync_tags import SAMPLE_MORE, Group, Problem, groups_of
from hub.triggers.similarity import Similarity
from hub.types import Budget, Campaign, CampaignState, Seed
from shared.errors import InvalidInput

_log = logging.getLogger(__name__)

PREFIX = "roboflow/"
"""What the names of synced campaigns begin with; the tag follows."""

_FIELDS = ("id", "name", "tags", "url")


@dataclass(frozen=True)
class SyncReport:
    """What a sync did, as names of campaigns, and what is wrong with images."""

    created: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()
    deactivated: tuple[str, ...] = ()
    reactivated: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether it changed any campaign."""
        return bool(self.created or self.updated or self.deactivated or self.reactivated)


def sync(
    store: Store,
    blobs: Blobs,
    api: Roboflow,
    project: str,
    embedder: Callable[[], Embedder],
    *,
    now: float,
    destination: str = "roboflow",
    rules: Callable[[Budget], Budget] = lambda budget: budget,
) -> SyncReport:
    """Bring the campaigns named `roboflow/<tag>` in line with the project's tagged images.

    Raises, before anything is changed, the DeliveryError that kept it from listing every image, and ModelError.
    embedder: asked for only when there is something new. destination: of new campaigns. rules: what else the budgets
    of all of them must hold to. Of a campaign that exists, only seeds that came from Roboflow, threshold and tags (and
    what `rules` change) are touched; one that a person deactivated stays so.
    """
    groups, problems = groups_of(list(api.search(project, tag=SAMPLE_MORE, fields=_FIELDS)))
    run = _Sync(store, blobs, RemotePictures(api, project, blobs, embedder), embedder, now, destination, rules)
    run.problems += problems
    known = {campaign.name: campaign for campaign in store.campaigns()}
    for tag, group in sorted(groups.items()):
        run.bring(group, known.get(PREFIX + tag))
    for name, campaign in known.items():
        if name.startswith(PREFIX) and name.removeprefix(PREFIX) not in groups:
            run.retire(campaign)
    return run.report()


@dataclass
class _Sync:
    """One run: what it works on, and what it did so far."""

    store: Store
    blobs: Blobs
    pictures: RemotePictures
    embedder: Callable[[], Embedder]
    now: float
    destination: str
    rules: Callable[[Budget], Budget]
    did: dict[str, list[str]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def bring(self, group: Group, campaign: Campaign | None) -> None:
        """Make the campaign of a tag what the tag's images say. One tag's trouble is no other's."""
        try:
            what = self._create(group) if campaign is None else self._update(group, campaign)
        except InvalidInput as error:
            self.problems.append(Problem(group.images[0].name, f"no campaign for {group.tag!r}: {error.message}"))
            return
        if what:
            self.did.setdefault(what, []).append(PREFIX + group.tag)

    def _create(self, group: Group) -> str:
        seeds = merged([], self._seeds(group.images))
        if not seeds:
            return ""
        draft = Draft(
            PREFIX + group.tag,
            Similarity(scorer="cosine"),
            budget=self.rules(Budget(threshold=group.threshold)),
            destinations=(self.destination,),
            tags=(group.tag,),
        )
        kind = self.destination.partition(":")[0]
        life.create(self.store, draft, seeds, known_labels=lambda: (), sinks=(kind,), now=self.now)
        life.activate(self.store, self.blobs, draft.name, self.embedder, now=self.now)
        return "created"

    def _update(self, group: Group, campaign: Campaign) -> str:
        name, had = campaign.name, self.store.seeds(campaign.name)
        if not self._is_ours(campaign, had):
            raise InvalidInput(f"a campaign named {name!r} was made by hand")
        if campaign.state is CampaignState.ARCHIVED:
            return "unchanged"
        # Of a tag that was gone all pictures are marked so; of a campaign that a person stopped, none is.
        came_back = campaign.state is CampaignState.INACTIVE and any(_is_untagged(seed) for seed in had)
        self._bring_seeds(group, had)
        self._bring_settings(group, campaign)
        fresh = not self._is_committed(name)
        if fresh:
            life.commit(self.store, self.blobs, name, self.embedder, now=self.now, re_embed=True)
        if came_back or campaign.state is CampaignState.DRAFT:
            self.store.set_campaign_state(name, CampaignState.ACTIVE)
            return "reactivated" if came_back else "created"
        return "updated" if fresh else "unchanged"

    def _is_ours(self, campaign: Campaign, seeds: Sequence[Seed]) -> bool:
        """Whether a sync made it: then it has, or its first version had, seeds from Roboflow."""
        first = self.store.versions(campaign.name)[:1]
        return any(map(origin, [*seeds, *(seed for version in first for seed in version.seeds)]))

    def _bring_seeds(self, group: Group, had: Sequence[Seed]) -> None:
        """Add what is new and take away what is no longer tagged; a campaign is never left without any."""
        name, wanted = PREFIX + group.tag, {image.id for image in group.images}
        origins = {seed.id: found for seed in had if (found := origin(seed))}
        known = {each for found in origins.values() for each in found.ids}
        new = self._seeds([image for image in group.images if image.id not in known])
        untagged = [seed_id for seed_id, found in origins.items() if not wanted.intersection(found.ids)]
        renamed = [
            replace(seed, name=replace(origins[seed.id], tagged=True).seed_name)
            for seed in had
            if seed.id in origins and seed.id not in untagged and not origins[seed.id].tagged
        ]
        added = merged([seed for seed in had if seed.id not in untagged], [*renamed, *new])
        if added:
            self.store.add_seeds(name, added)
        kept = {seed.id for seed in added}
        gone = set(untagged) - kept
        if gone and kept | (origins.keys() - gone):
            self.store.remove_seeds(name, sorted(gone))

    def _bring_settings(self, group: Group, campaign: Campaign) -> None:
        trigger = campaign.trigger
        if isinstance(trigger, Similarity):  # a percentage of the tags is a cosine and no other score
            trigger = replace(trigger, scorer="cosine")
        budget = self.rules(replace(campaign.budget, threshold=group.threshold))
        wanted = replace(campaign, trigger=trigger, budget=budget, tags=(group.tag,))
        if wanted != campaign:
            self.store.update_campaign(wanted)

    def _is_committed(self, name: str) -> bool:
        """Whether what a sync sees to is in the newest version, also where the last sync was cut short."""
        campaign = self.store.campaign(name)
        if not campaign.version:
            return False
        newest = self.store.versions(name)[-1]
        seeds = {seed.id for seed in self.store.seeds(name) if origin(seed)}
        return (
            newest.trigger == campaign.trigger
            and newest.budget.threshold == campaign.budget.threshold
            and self.rules(newest.budget) == newest.budget
            and newest.tags == campaign.tags
            and {seed.id for seed in newest.seeds if origin(seed)} == seeds
        )

    def _seeds(self, images: Sequence[RemoteImage]) -> list[Seed]:
        """Those that could be had; the others are named."""
        found = [(image, self.pictures.seed(image)) for image in images]
        self.problems += [Problem(image.name, self.pictures.failed[image.id]) for image, seed in found if seed is None]
        return [seed for _, seed in found if seed is not None]

    def retire(self, campaign: Campaign) -> None:
        """Stop the campaign of a tag that is gone, and mark its seeds, so that it starts again when the tag is back."""
        seeds = self.store.seeds(campaign.name)
        if campaign.state is not CampaignState.ACTIVE or not any(map(origin, seeds)):
            return
        origins = [(seed, found) for seed in seeds if (found := origin(seed))]
        marked = [replace(seed, name=replace(found, tagged=False).seed_name) for seed, found in origins]
        self.store.add_seeds(campaign.name, marked)
        self.store.set_campaign_state(campaign.name, CampaignState.INACTIVE)
        self.did.setdefault("deactivated", []).append(campaign.name)

    def report(self) -> SyncReport:
        """What was done."""
        return SyncReport(
            **{what: tuple(names) for what, names in self.did.items()},
            problems=tuple(dict.fromkeys(self.problems)),
        )


def _is_untagged(seed: Seed) -> bool:
    found = origin(seed)
    return found is not None and not found.tagged
