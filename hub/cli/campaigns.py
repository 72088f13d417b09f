"""`hub campaigns`: what to collect."""

import time
from pathlib import Path
from typing import Any

import click

from hub import campaigns as life
from hub.budget import format_limit, parse_limit
from hub.campaigns import Draft, Pictures
from hub.cli.context import Context, json_option, pass_context
from hub.cli.output import print_facts, print_rows, say, when
from hub.protocols import Trigger
from hub.sinks import SINKS
from hub.triggers import TRIGGERS
from hub.triggers.detection import Detection
from hub.triggers.similarity import Similarity
from hub.types import Budget, Campaign, CampaignState, ElementKind, Scope, Seed, SeedKind
from shared.errors import InvalidInput


@click.group()
def campaigns() -> None:
    """Campaigns: what is worth keeping, and how much of it."""


_SEED_OPTIONS = (
    click.option(
        "--seed-images",
        "pictures",
        multiple=True,
        type=click.Path(path_type=Path),
        help="A picture of what you want, or a folder of them. Repeatable.",
    ),
    click.option("--text", "texts", multiple=True, help="What you want, in words. Repeatable."),
)


def _seed_options(command: Any) -> Any:
    for option in reversed(_SEED_OPTIONS):
        command = option(command)
    return command


@campaigns.command("create")
@click.argument("name")
@click.option("--trigger", type=click.Choice(sorted(TRIGGERS)), default="similarity", show_default=True)
@click.option(
    "--element",
    type=click.Choice([kind.value for kind in ElementKind]),
    default="frame",
    show_default=True,
    help="Compare whole frames, or the crops of what the detector finds.",
)
@_seed_options
@click.option("--labels", default="", help="Comma list of the detector's labels, such as bird,cat.")
@click.option("--threshold", type=float, default=0.5, show_default=True, help="Lowest score taken.")
@click.option(
    "--threshold-kind",
    type=click.Choice(["score", "cosine"]),
    default="score",
    show_default=True,
    help="score is calibrated so that 0.5 is the boundary; cosine is raw.",
)
@click.option("--camera", "cameras", multiple=True, help="Only this camera. Repeatable.")
@click.option("--tag", "tags", multiple=True, help="A tag its samples carry. Repeatable.")
@click.option("--limit", "limits", multiple=True, metavar="N/PERIOD", help="Such as 20/hour. Repeatable.")
@click.option(
    "--duplicate-distance", type=float, default=0.0, show_default=True,
    help="Leave out what is nearer than this (cosine distance) to a sample taken before.",
)  # fmt: skip
@click.option("--stop-after", type=int, help="Total samples.")
@click.option("--destination", "destinations", multiple=True, default=["folder"], show_default=True)
@pass_context
def create(ctx: Context, /, name: str, pictures: tuple[Path, ...], texts: tuple[str, ...], **given: Any) -> None:
    """Create a campaign; nothing is collected before it is activated."""
    draft = Draft(
        name,
        _trigger(given),
        Scope(tuple(given["cameras"])),
        Budget(
            given["threshold"],
            tuple(parse_limit(limit) for limit in given["limits"]),
            given["duplicate_distance"],
            given["stop_after"],
        ),
        tuple(given["destinations"]),
        tuple(given["tags"]),
    )
    hub = ctx.hub
    labels = lambda: hub.detector().labels  # noqa: E731
    life.check_draft(hub.store, draft, bool(pictures or texts), labels, SINKS)
    seeds = _embed_seeds(ctx, pictures, texts, draft.trigger)
    campaign = life.create(hub.store, draft, seeds, known_labels=labels, sinks=SINKS, now=time.time())
    click.echo(f"Created {campaign.name} with {len(seeds)} seeds. Start it: hub campaigns activate {name!r}")


def _trigger(given: dict[str, Any]) -> Trigger:
    labels = tuple(label.strip() for label in given["labels"].split(",") if label.strip())
    if given["trigger"] == Detection.name:
        if given["element"] != ElementKind.FRAME or given["threshold_kind"] != "score":
            raise InvalidInput("--element and --threshold-kind are for similarity campaigns")
        return Detection(labels, confidence=min(given["threshold"], 0.1) or 0.1)
    element = ElementKind(given["element"])
    if labels and element is ElementKind.FRAME:
        raise InvalidInput("labels choose among crops", hint="Add --element crop, or leave --labels out.")
    scorer = "cosine" if given["threshold_kind"] == "cosine" else "calibrated"
    return Similarity(element, labels, scorer=scorer)


def _embed_seeds(ctx: Context, paths: tuple[Path, ...], texts: tuple[str, ...], trigger: Trigger) -> list[Seed]:
    if not paths and not texts:
        return []
    found = life.read_pictures(paths) if paths else Pictures()
    for file, why in found.skipped:
        say(f"left out {file}: {why}")
    embedder = ctx.hub.embedder()
    kind = SeedKind.CROP if trigger.element is ElementKind.CROP else SeedKind.IMAGE
    texted = life.text_seeds(texts, embedder)
    return life.picture_seeds(found, kind, ctx.hub.blobs, embedder) + texted


@campaigns.command("seed")
@click.argument("name")
@_seed_options
@pass_context
def seed(ctx: Context, name: str, pictures: tuple[Path, ...], texts: tuple[str, ...]) -> None:
    """Add examples. They count from the next commit on."""
    campaign = ctx.hub.store.campaign(name)
    if not campaign.trigger.wants_seeds:
        raise InvalidInput(f"a {campaign.trigger.name} campaign has no use for seeds")
    if not pictures and not texts:
        raise InvalidInput("nothing to add", hint="Give --seed-images PATH or --text PROMPT.")
    added = ctx.hub.store.add_seeds(name, _embed_seeds(ctx, pictures, texts, campaign.trigger))
    click.echo(f"{added} new seeds. They count after: hub campaigns commit {name!r}")


@campaigns.command("list")
@json_option
@pass_context
def list_(ctx: Context, as_json: bool) -> None:
    """Every campaign and what it collected."""
    rows = [_row(ctx, campaign) for campaign in ctx.hub.store.campaigns()]
    print_rows(
        rows, as_json=as_json,
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
    """One campaign, its settings, seeds and versions."""
    store = ctx.hub.store
    campaign = store.campaign(name)
    versions = sorted(store.versions(name), key=lambda version: version.number)
    newest = versions[-1] if versions else None
    print_facts(
        {
            **_row(ctx, campaign),
            "trigger": str(campaign.trigger),
            "element": campaign.trigger.element.value,
            "cameras": list(campaign.scope.cameras) or "all",
            "tags": list(campaign.tags),
            "limits": [format_limit(limit) for limit in campaign.budget.limits],
            "duplicate_distance": campaign.budget.duplicate_distance,
            "stop_after": campaign.budget.stop_after,
            "seeds": [s.name for s in store.seeds(name)],
            "created": when(campaign.created_at),
            "versions": [f"{v.number} ({when(v.created_at)}, {len(v.seeds)} seeds)" for v in versions],
            "uncommitted_changes": life.uncommitted(store, campaign),
            "embedding_version": newest.embedding_version if newest else None,
            "calibration": [
                f"{kind}: cosine {c.floor:.3f} → 0, {c.boundary:.3f} → 0.5; {c.source}"
                for kind, c in (newest.calibrations.items() if newest else ())
            ],
        },
        as_json=as_json,
    )


@campaigns.command("commit")
@click.argument("name")
@pass_context
def commit(ctx: Context, name: str) -> None:
    """Freeze settings and seeds as the next version; an active campaign uses it within two seconds."""
    hub = ctx.hub
    version = life.commit(hub.store, hub.blobs, name, hub.embedder, now=time.time())
    click.echo(f"{name} is at version {version.number}.")


@campaigns.command("activate")
@click.argument("name")
@pass_context
def activate(ctx: Context, name: str) -> None:
    """Start collecting; a running hub picks it up within two seconds."""
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
