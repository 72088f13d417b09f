"""`hub campaigns`: what to collect."""

import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click

from hub import campaigns as life
from hub import refine
from hub.budget import format_limit
from hub.campaigns import Draft
from hub.cli.campaign_options import budget_of, scope_of, seed_options, setting_options, trigger_of
from hub.cli.context import Context, json_option, pass_context
from hub.cli.output import print_facts, print_json, print_rows, say, when
from hub.deliveries import FateCount
from hub.element_seeds import as_seeds
from hub.outcomes import overall, yields
from hub.protocols import Trigger
from hub.scope import format_hours, format_weekdays
from hub.search import sources
from hub.seeds import Pictures, listed, named, picture_seeds, read_pictures, text_seeds
from hub.sinks import SINKS, check_destination
from hub.standing import standing
from hub.triggers import TRIGGERS, to_json
from hub.types import Budget, Campaign, CampaignState, ElementKind, Scope, Seed, SeedKind, Version
from hub.versions import difference
from shared.errors import InvalidInput, ModelError, NotFound, NotSetUp


@click.group()
def campaigns() -> None:
    """Campaigns: what is worth keeping, and how much of it."""


@campaigns.command("create")
@click.argument("name")
@seed_options
@setting_options
@pass_context
def create(
    ctx: Context,
    /,
    name: str,
    pictures: tuple[Path, ...],
    texts: tuple[str, ...],
    unlike: tuple[Path, ...],
    **given: Any,
) -> None:
    """Create a campaign; nothing is collected before it is activated."""
    draft = Draft(
        name,
        trigger_of(given),
        scope_of(given),
        budget_of(given),
        tuple(given["destinations"]) or ("folder",),
        tuple(given["tags"]),
    )
    hub = ctx.hub
    _check_destinations(ctx, draft.destinations)
    labels = lambda: hub.detector().labels  # noqa: E731
    life.check_draft(hub.store, draft, bool(pictures or texts), labels, SINKS)
    seeds = _embed_seeds(ctx, pictures, texts, unlike, draft.trigger)
    campaign = life.create(hub.store, draft, seeds, known_labels=labels, sinks=SINKS, now=time.time())
    click.echo(f"Created {campaign.name} with {_many(len(seeds), 'seed')}. Start it: hub campaigns activate {name!r}")


@campaigns.command("edit")
@click.argument("name")
@setting_options
@pass_context
def edit(ctx: Context, /, name: str, **given: Any) -> None:
    """Change settings; what is not named stays. They count from the next commit on. An empty value clears one."""
    hub = ctx.hub
    before = hub.store.campaign(name)
    after = replace(
        before,
        trigger=trigger_of(given, before.trigger),
        scope=scope_of(given, before.scope),
        budget=budget_of(given, before.budget),
        destinations=tuple(given["destinations"]) or before.destinations,
        tags=tuple(given["tags"]) or before.tags,
    )
    if after == before:
        raise InvalidInput("nothing to change", hint="Name a setting: hub campaigns edit --help")
    _check_destinations(ctx, given["destinations"])
    labels = lambda: hub.detector().labels  # noqa: E731
    life.edit(hub.store, after, labels, SINKS)
    click.echo(f"Changed {name}. It counts after: hub campaigns commit {name!r}")


def _check_destinations(ctx: Context, destinations: Iterable[str]) -> None:
    """InvalidInput for one that makes no sense; one that lacks a setting may get it before it is needed."""
    for each in destinations:
        try:
            check_destination(each, ctx.settings.sinks)
        except NotSetUp as error:
            say(f"note: {error.told}")


def _many(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def _embed_seeds(
    ctx: Context, paths: tuple[Path, ...], texts: tuple[str, ...], unlike: tuple[Path, ...], trigger: Trigger
) -> list[Seed]:
    if not paths and not texts and not unlike:
        return []
    wanted, unwanted = (read_pictures(some) if some else Pictures() for some in (paths, unlike))
    for file, why in (*wanted.skipped, *unwanted.skipped):
        say(f"left out {file}: {why}")
    embedder, blobs = ctx.hub.embedder(), ctx.hub.blobs
    kind = SeedKind.CROP if trigger.element is ElementKind.CROP else SeedKind.IMAGE
    in_words = text_seeds(texts, embedder)  # first, since it is soon known to fail
    return [
        *picture_seeds(wanted, kind, blobs, embedder),
        *in_words,
        *picture_seeds(unwanted, kind, blobs, embedder, negative=True),
    ]


@campaigns.command("seed")
@click.argument("name")
@seed_options
@click.option("--found", "keys", multiple=True, type=int, metavar="KEY", help="A result of hub search, by its key.")
@click.option(
    "--remove", "gone", multiple=True, metavar="SEED", help="By name, as show lists it, text or id. Repeatable."
)
@pass_context
def seed(
    ctx: Context,
    name: str,
    pictures: tuple[Path, ...],
    texts: tuple[str, ...],
    unlike: tuple[Path, ...],
    keys: tuple[int, ...],
    gone: tuple[str, ...],
) -> None:
    """Add examples, and remove some. It counts from the next commit on."""
    store = ctx.hub.store
    campaign = store.campaign(name)
    if not campaign.trigger.wants_seeds:
        raise InvalidInput(f"a {campaign.trigger.name} campaign has no use for seeds")
    if not pictures and not texts and not unlike and not keys and not gone:
        raise InvalidInput(
            "nothing to add or remove",
            hint="Give --seed-images PATH, --text PROMPT, --found KEY, --not-like PATH or --remove SEED.",
        )
    present = store.seeds(name)
    leaving = [named(present, each).id for each in gone]
    seeds = [*_found(ctx, keys), *_embed_seeds(ctx, pictures, texts, unlike, campaign.trigger)]
    removed = store.remove_seeds(name, leaving) if leaving else 0
    added = store.add_seeds(name, seeds) if seeds or not leaving else 0
    said = [_many(added, "new seed")] if seeds or not leaving else []
    said += [f"{_many(removed, 'seed')} removed"] if leaving else []
    click.echo(f"{', '.join(said)}. It counts after: hub campaigns commit {name!r}")


def _found(ctx: Context, keys: Sequence[int]) -> list[Seed]:
    """Elements that a search found."""
    if not keys:
        return []
    of = sources(ctx.hub)
    stored = {each.element.key: each for each in ctx.hub.store.archive.by_key(keys, of.embedding_version)}
    for key in keys:
        if key not in stored:
            raise NotFound("element", str(key), hint="Keys come with each result of hub search.")
    made = as_seeds([(each.element, each.vector) for each in stored.values()], of)
    for note in made.notes:
        say(f"note: {note}")
    return list(made.seeds)


@campaigns.command("list")
@click.option("--all", "everything", is_flag=True, help="Archived ones, too.")
@json_option
@pass_context
def list_(ctx: Context, everything: bool, as_json: bool) -> None:
    """Every campaign and what it collected."""
    shown = [c for c in ctx.hub.store.campaigns() if everything or c.state is not CampaignState.ARCHIVED]
    print_rows(
        [_row(ctx, campaign) for campaign in shown], as_json=as_json,
        empty="No campaigns yet. Create one: hub campaigns create birds --trigger detection --labels bird",
    )  # fmt: skip


def _row(ctx: Context, campaign: Campaign) -> dict[str, Any]:
    counts = ctx.hub.store.counts(campaign.name)
    processed, collected = sum(c.processed for c in counts), sum(c.collected for c in counts)
    return {
        "name": campaign.name,
        "state": campaign.state.value,
        "trigger": campaign.trigger.name,
        "threshold": campaign.budget.threshold,
        "version": campaign.version,
        "processed": processed,
        "collected": collected,
        "collection_rate": round(collected / processed, 5) if processed else None,
        "destinations": list(campaign.destinations),
    }


@campaigns.command("show")
@click.argument("name")
@json_option
@pass_context
def show(ctx: Context, name: str, as_json: bool) -> None:
    """One campaign: its settings, seeds and versions, what it takes now and how well that went."""
    store = ctx.hub.store
    campaign = store.campaign(name)
    newest = max(store.versions(name), key=lambda version: version.number, default=None)
    state = standing(store, campaign)
    facts = {
        **_row(ctx, campaign),
        "trigger": to_json(campaign.trigger) if as_json else _spelled(campaign.trigger),
        "element": campaign.trigger.element.value,
        **_scope_facts(campaign.scope),
        "tags": list(campaign.tags),
        **_budget_facts(campaign.budget),
        "seeds": [listed(s) for s in store.seeds(name)],
        "created": when(campaign.created_at),
        "uncommitted_changes": life.uncommitted(store, campaign),
        "embedding_version": newest.embedding_version if newest else None,
        "scorer": newest.scorer.name if newest and newest.scorer else None,
        "calibration": newest.scorer.facts.get("source") if newest and newest.scorer else None,
        "held": state.held,
        "thresholds_now": [f"{t.camera}: {t.value:.3f} ({t.source})" for t in state.thresholds],
        "warming_up": list(state.warming_up),
        "accepted": state.accepted,
        "discarded": state.discarded,
        "control_samples": state.control,
        "control_accepted": state.control_accepted,
        "precision": state.precision,
        "control_precision": state.control_precision,
        **_labelled(store.fates(name), name),
        "found_share": state.found_share(sum(c.collected for c in store.counts(name)), campaign.budget.control),
    }
    unsaid: tuple[Any, ...] = () if as_json else (None, [], "all", 0, 0.0)
    print_facts({key: value for key, value in facts.items() if value not in unsaid or key in _ALWAYS}, as_json=as_json)
    if newest and facts["uncommitted_changes"]:
        say(f"These are the settings as edited; version {newest.number} is in use. See: hub campaigns diff {name!r}")


def _labelled(fates: Sequence[FateCount], name: str) -> dict[str, Any]:
    """What people made of the pictures that were sent."""
    all_cameras = overall(yields(fates), name)
    if all_cameras is None:
        return {}
    decided = {"annotated_there": all_cameras.annotated, "deleted_there": all_cameras.deleted}
    return {**decided, "precision_there": all_cameras.precision}


_ALWAYS = ("processed", "collected", "threshold", "version")


def _scope_facts(scope: Scope) -> dict[str, Any]:
    return {
        "cameras": list(scope.cameras) or "all",
        "hours": format_hours(scope.hours) or "all",
        "weekdays": format_weekdays(scope.weekdays) or "all",
        "timezone": scope.timezone or "UTC",
    }


def _spelled(trigger: Trigger) -> str:
    """Its name and what differs from the defaults."""
    plain = to_json(TRIGGERS[trigger.name]())
    said = [f"{key} {_cell(value)}" for key, value in to_json(trigger).items() if value != plain.get(key)]
    return ", ".join([trigger.name, *said])


def _cell(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _budget_facts(budget: Budget) -> dict[str, Any]:
    facts = asdict(budget)
    facts["limits"] = [format_limit(limit) for limit in budget.limits]
    facts["target"] = format_limit(budget.target) if budget.target else None
    facts["alarms"] = format_limit(budget.alarms) if budget.alarms else None
    return facts


@campaigns.command("versions")
@click.argument("name")
@json_option
@pass_context
def versions(ctx: Context, name: str, as_json: bool) -> None:
    """Every version, and what it collected."""
    counts = ctx.hub.store.counts(name)
    rows = [
        {
            "version": v.number,
            "committed": when(v.created_at),
            "seeds": sum(1 for s in v.seeds if not s.negative),
            "not_like": sum(1 for s in v.seeds if s.negative),
            "scorer": v.scorer.name if v.scorer else "",
            "threshold": v.budget.threshold,
            "processed": sum(c.processed for c in counts if c.version == v.number),
            "collected": sum(c.collected for c in counts if c.version == v.number),
            "embedding_version": v.embedding_version or "",
        }
        for v in ctx.hub.store.versions(name)
    ]
    print_rows(rows, as_json=as_json, empty=f"No version yet. Make the first: hub campaigns commit {name!r}")


@campaigns.command("diff")
@click.argument("name")
@click.argument("before", type=int, required=False)
@click.argument("after", type=int, required=False)
@json_option
@pass_context
def diff(ctx: Context, name: str, before: int | None, after: int | None, as_json: bool) -> None:
    """What changed from one version to another; without numbers, from the last but one to the last."""
    store = ctx.hub.store
    known = {v.number: v for v in store.versions(name)}
    campaign = store.campaign(name)
    if known and before is None and after is None and life.uncommitted(store, campaign):
        pending = life.as_version(store, campaign, known[max(known)])
        known[pending.number] = pending
        say(f"Version {pending.number} is what a commit would make now.")
    last = after if after is not None else max(known, default=0)
    first = before if before is not None else last - 1
    for number in (first, last):
        if number not in known:
            raise NotFound("version", str(number), [str(n) for n in known])
    found = difference(known[first], known[last])
    if as_json:
        print_json(asdict(found))
        return
    click.echo(f"{name}: version {found.before} → {found.after}")
    for change in found.changes:
        click.echo(f"  {change.what}: {change.before} → {change.after}")
    for mark, names in (("+", found.added), ("-", found.removed)):
        for each in names:
            click.echo(f"  {mark} seed {each}")
    if not (found.changes or found.added or found.removed):
        click.echo("  nothing")


@campaigns.command("commit")
@click.argument("name")
@click.option("--re-embed", is_flag=True, help="Embed seeds of another model anew, from their pictures and texts.")
@pass_context
def commit(ctx: Context, name: str, re_embed: bool) -> None:
    """Freeze settings and seeds as the next version; an active campaign uses it within two seconds."""
    hub = ctx.hub
    try:
        version = life.commit(hub.store, hub.blobs, name, hub.embedder, now=time.time(), re_embed=re_embed)
    except ModelError as error:
        if re_embed or "--re-embed" not in error.hint or not sys.stdin.isatty():
            raise
        click.confirm(f"{error.message}. Embed them anew?", abort=True, err=True)
        version = life.commit(hub.store, hub.blobs, name, hub.embedder, now=time.time(), re_embed=True)
    _say_version(version)


def _say_version(version: Version) -> None:
    click.echo(f"{version.campaign} is at version {version.number}.")
    if version.scorer:
        say(f"Scores: {version.scorer.facts.get('source', version.scorer.name)}.")


@campaigns.command("recalculate")
@click.argument("name")
@pass_context
def recalculate(ctx: Context, name: str) -> None:
    """Learn from review: accepted samples become seeds, discarded ones what is not wanted; commits a version."""
    hub = ctx.hub
    version = refine.recalculate(hub.store, hub.blobs, name, hub.embedder, now=time.time())
    learned = [s for s in version.seeds if s.kind is SeedKind.SAMPLE]
    accepted = sum(1 for s in learned if not s.negative)
    click.echo(f"Learned from {accepted:,} accepted and {len(learned) - accepted:,} discarded samples.")
    _say_version(version)


@campaigns.command("activate")
@click.argument("name")
@pass_context
def activate(ctx: Context, name: str) -> None:
    """Start collecting, or go on with it; a running hub picks it up within two seconds."""
    hub = ctx.hub
    campaign = life.activate(hub.store, hub.blobs, name, hub.embedder, now=time.time())
    click.echo(f"{name} is active at version {campaign.version}.")
    if life.uncommitted(hub.store, campaign):
        say(f"It has changes that are not in version {campaign.version}. Use them: hub campaigns commit {name!r}")


@campaigns.command("deactivate")
@click.argument("name")
@pass_context
def deactivate(ctx: Context, name: str) -> None:
    """Stop collecting. What was collected stays."""
    ctx.hub.store.set_campaign_state(name, CampaignState.INACTIVE)
    click.echo(f"{name} is inactive.")


@campaigns.command("archive")
@click.argument("name")
@pass_context
def archive(ctx: Context, name: str) -> None:
    """Stop collecting and leave it out of listings. Nothing is lost, and activate brings it back."""
    ctx.hub.store.set_campaign_state(name, CampaignState.ARCHIVED)
    click.echo(f"{name} is archived. See it with: hub campaigns list --all")


@campaigns.command("reset-state")
@click.argument("name")
@click.option("--camera", help="Only of this camera.")
@pass_context
def reset_state(ctx: Context, name: str, camera: str | None) -> None:
    """Forget what is normal: running averages, score histories and warm-up start anew. Samples stay."""
    campaign = ctx.hub.store.campaign(name)
    known = {row.camera for row in ctx.hub.store.remembered(campaign.id)}
    if camera is not None and camera not in known:
        raise NotFound("camera that this campaign remembers", camera, known)
    cameras = ctx.hub.store.forget(campaign.id, camera)
    click.echo(f"Forgot what {name} knew of {_many(cameras, 'camera')}; a running hub starts anew within two seconds.")
