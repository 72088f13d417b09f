"""`hub search`: everything the cameras ever showed, by text, picture, element or sample."""

import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from hub.cli.context import Context, json_option, pass_context
from hub.cli.output import print_json, print_rows, say, when
from hub.contact_sheet import Entry, contact_sheet
from hub.element_seeds import as_seeds, name_of
from hub.filters import parse_filter
from hub.search import MOST, SAME_SCENE, Examples, Found, Group, Kept, Query, Sources, search, sources
from hub.search_data import as_data
from hub.types import ElementKind
from hub.vision import DecodeLimits, decode
from shared.errors import InvalidInput

_DRAWN = 100
"""Pictures on a sheet at most."""


@click.command("search")
@click.argument("query", nargs=-1)
@click.option("--k", default=20, show_default=True, type=click.IntRange(1, MOST), help="Results.")
@click.option("--image", "images", multiple=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--element", "elements", multiple=True, type=int, metavar="KEY", help="A result of a search before.")
@click.option("--sample", "samples", multiple=True, metavar="ID", help="A sample, or how its id begins.")
@click.option("--unlike", multiple=True, metavar="TEXT|IMAGE", help="What is not wanted.")
@click.option("--unlike-element", multiple=True, type=int, metavar="KEY")
@click.option("--since", metavar="TIME", help="Taken from then on: 7d, 24h (ago), 2026-11-20T18:00 (UTC).")
@click.option("--until", metavar="TIME", help="Taken before.")
@click.option("--camera", "cameras", multiple=True, metavar="NAME", help="Only of this camera.")
@click.option("--label", "labels", multiple=True, metavar="LABEL", help="Only crops of this label.")
@click.option("--kind", type=click.Choice([kind.value for kind in ElementKind]), help="Whole frames or crops only.")
@click.option("--group/--no-group", default=True, show_default=True, help="Put near-duplicates together.")
@click.option("--seed", "campaign", metavar="CAMPAIGN", help="Add the results to this campaign's seeds.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Copy the pictures found to a folder.")
@click.option("--sheet", type=click.Path(path_type=Path, dir_okay=False), help="Draw the pictures found on one PNG.")
@json_option
@pass_context
def search_(ctx: Context, /, query: tuple[str, ...], k: int, campaign: str | None, as_json: bool, **given: Any) -> None:
    """Search everything seen: hub search "a tow truck", hub search IMAGE.jpg, or both together.

    Words that name no file are one text. Near-duplicates count as one result.
    """
    if campaign is not None:
        _check_seeded(ctx, campaign)
    like = _examples([*query, *map(str, given["images"])], given["elements"], given["samples"])
    unlike = _examples(given["unlike"], given["unlike_element"], ())
    names = ("since", "until", "cameras", "labels", "kind")
    where = parse_filter(**{name: given[name] for name in names}, now=time.time())
    of = sources(ctx.hub)
    found = search(Query(like, unlike, where, k, SAME_SCENE if given["group"] else None), of)
    if as_json:
        print_json(as_data(found))
    else:
        print_rows(
            [_row(each) for each in found.groups],
            as_json=False,
            empty="Nothing like it was seen. What is searchable: hub index stats",
        )
        if found.groups and not found.complete:
            say(f"Of the {found.looked_at:,} nearest; there are more. Narrow it down with --camera, --since or --kind.")
    if given["out"]:
        say(f"Copied {_copy(found, of, given['out']):,} pictures to {given['out']}.")
    if given["sheet"]:
        _draw(found, of, given["sheet"])
        say(f"Drew {given['sheet']}.")
    if campaign is not None:
        _seed(ctx, found, of, campaign)


def _examples(words: Sequence[str], elements: Sequence[int], samples: Sequence[str]) -> Examples:
    """Words that name a file are pictures; the others together are a text."""
    files = [word for word in words if _is_file(word)]
    text = " ".join(word for word in words if word not in files).strip()
    return Examples((text,) if text else (), tuple(map(_read, files)), tuple(elements), tuple(samples))


def _is_file(word: str) -> bool:
    try:
        return Path(word).is_file()
    except (OSError, ValueError):  # too long for a name, or with a NUL in it
        return False


def _read(path: str) -> bytes:
    size, most = Path(path).stat().st_size, DecodeLimits().max_bytes
    if size > most:
        raise InvalidInput(f"{path} has {size:,} bytes, the most of a picture is {most:,}")
    return Path(path).read_bytes()


def _row(group: Group) -> dict[str, Any]:
    element = group.best.element
    return {
        "key": element.key,
        "camera": element.camera,
        "taken_at": when(element.taken_at),
        "what": element.label or element.kind.value,
        "cosine": f"{group.best.cosine:.3f}",
        "nearer_than": "" if group.rarity is None else f"{1.0 - group.rarity:.2%} of what is seen",
        "like_it": group.count - 1,
        "picture": group.kept.value or "no longer kept",
    }


def _check_seeded(ctx: Context, name: str) -> None:
    campaign = ctx.hub.store.campaign(name)
    if not campaign.trigger.wants_seeds:
        raise InvalidInput(f"a {campaign.trigger.name} campaign has no use for seeds")


def _seed(ctx: Context, found: Found, of: Sources, name: str) -> None:
    made = as_seeds([(group.best.element, group.best.vector) for group in found.groups], of)
    for note in made.notes:
        say(f"note: {note}")
    added = ctx.hub.store.add_seeds(name, made.seeds)
    say(f"{added:,} new seeds. They count after: hub campaigns commit {name!r}")


def _copy(found: Found, of: Sources, folder: Path) -> int:
    """The best picture of each group, as it is kept; returns how many there were."""
    folder.mkdir(parents=True, exist_ok=True)
    copied = 0
    for i, group in enumerate(found.groups):
        data = _picture(group, of)
        if data:
            element = group.best.element
            camera = re.sub(r"[^\w.-]+", "-", element.camera)[:60]
            ending = "png" if data.startswith(b"\x89PNG") else "jpg"
            name = f"{i + 1:03}_{camera}_{when(element.taken_at).replace(':', '')}_{element.key}.{ending}"
            (folder / name).write_bytes(data)
            copied += 1
    return copied


def _picture(group: Group, of: Sources) -> bytes:
    """Whole, else its thumbnail, else nothing."""
    frame = group.best.element.frame_id
    if group.kept is Kept.PICTURE:
        return of.pictures.picture(frame)
    return of.pictures.thumbnail(frame) if group.kept is Kept.THUMBNAIL else b""


def _draw(found: Found, of: Sources, file: Path) -> None:
    """The best of each group, on one picture."""
    entries = []
    for group in found.groups[:_DRAWN]:
        element, data = group.best.element, _picture(group, of)
        box = element.box if element.row and group.kept is Kept.PICTURE else None
        entries.append(Entry(decode(data) if data else None, group.best.cosine, name_of(element), box))
    file.write_bytes(contact_sheet(f"{len(found.groups):,} results", entries))
