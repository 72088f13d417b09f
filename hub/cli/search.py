"""`hub search`: everything the cameras ever showed, by text, picture, element or sample."""

import errno
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from hub.archive import Filter
from hub.cli.context import Context, json_option, pass_context
from hub.cli.filter_options import filter_of, filter_options
from hub.cli.output import print_json, print_rows, say, when
from hub.contact_sheet import Entry, contact_sheet
from hub.corpus import Corpus
from hub.element_seeds import as_seeds, name_of
from hub.filters import check_cameras
from hub.footage.files import FOREIGN, PICTURES
from hub.search import (
    MOST,
    SAME_SCENE,
    Examples,
    Found,
    Group,
    Kept,
    Query,
    Sources,
    missing_labels,
    search,
    sources,
)
from hub.search_data import as_data
from hub.types import ElementKind
from hub.vision import DecodeLimits, decode
from shared.errors import ImageError, InvalidInput, NotFound, StorageFull

_DRAWN = 100
"""Pictures on a sheet at most."""


@click.command("search")
@click.argument("query", nargs=-1)
@click.option("--k", default=20, show_default=True, type=click.IntRange(1, MOST), help="Results.")
@click.option(
    "--image",
    "images",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A picture like what is wanted, the same as its name alone.",
)
@click.option("--element", "elements", multiple=True, type=int, metavar="KEY", help="A result of a search before.")
@click.option("--sample", "samples", multiple=True, metavar="ID", help="A sample, or how its id begins.")
@click.option("--unlike", multiple=True, metavar="TEXT|IMAGE", help="What is not wanted.")
@click.option("--unlike-element", multiple=True, type=int, metavar="KEY", help="A result that is not wanted.")
@filter_options
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
    where = filter_of(given)
    check_cameras(where.cameras, ctx.hub.store)
    of = sources(ctx.hub)
    found = search(Query(like, unlike, where, k, SAME_SCENE if given["group"] else None), of)
    if as_json:
        print_json(as_data(found))
    else:
        print_rows(
            _rows(found),
            as_json=False,
            empty="Nothing like it was seen. What is searchable: hub index stats",
        )
        if 0 < len(found.groups) < k and not found.complete:
            say(
                f"Not {k}: the {found.looked_at:,} nearest show the same {len(found.groups)} scenes again and again. "
                "To see others narrow it down with --camera, --since or --kind; to see each: --no-group."
            )
    if not found.groups:
        say_why_no_crops(where, found.vector, of.corpus)
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
    for word in words:
        if word not in files and _looks_like_a_picture(word):
            raise InvalidInput(f"there is no file {word}", hint="A text has no slash and no picture's ending.")
    text = " ".join(word for word in words if word not in files).strip()
    return Examples((text,) if text else (), tuple(map(_read, files)), tuple(elements), tuple(samples))


def _is_file(word: str) -> bool:
    try:
        return Path(word).is_file()
    except (OSError, ValueError):  # too long for a name, or with a NUL in it
        return False


def _looks_like_a_picture(word: str) -> bool:
    """By its ending, or as a path; a text of several words may have a slash in it."""
    return Path(word).suffix.lower() in PICTURES | FOREIGN or (os.sep in word and not re.search(r"\s", word))


def _read(path: str) -> bytes:
    """A picture that can be decoded. InvalidInput and ImageError name the file."""
    try:
        size, most = Path(path).stat().st_size, DecodeLimits().max_bytes
        if size > most:
            raise InvalidInput(f"{path} has {size:,} bytes, the most of a picture is {most:,}")
        data = Path(path).read_bytes()
        decode(data)
    except OSError as error:
        raise InvalidInput(f"{path} can't be read: {error.strerror}") from error
    except ImageError as error:
        raise ImageError(error.reason, f"{path}: {error.message}", hint=error.hint) from error
    return data


def say_why_no_crops(where: Filter, vector: NDArray[np.float32], corpus: Corpus) -> None:
    """Where nothing was found of a label, or no crop. vector: (d,) unit, any of the corpus's embedder."""
    if not where.labels and where.kind is not ElementKind.CROP:
        return
    unknown, labels = missing_labels(where, vector, corpus)
    if where.labels and not unknown:
        return  # it is the rest of the filter
    if labels is None:
        say(
            "No crops are stored, and only crops have labels. They are stored where a campaign wants them, or with "
            "HUB_CORPUS=crops, hub scan --crops, or hub campaigns run --look-again."
        )
        return
    for label in unknown:
        say(NotFound("label", label, labels).told)


def write_file(file: Path, data: bytes) -> None:
    """With its folder. InvalidInput where it can't be written, StorageFull where there is no room."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            raise StorageFull(
                f"no room for {file}: {error.strerror}", hint="Free some space, or choose another place."
            ) from error
        raise InvalidInput(f"{file} can't be written: {error.strerror}", hint="Choose another place.") from error


def _rows(found: Found) -> list[dict[str, Any]]:
    """For a table; columns that may be empty for all are there only where they are not."""
    rows = [_row(each) for each in found.groups]
    empty = [name for name in ("nearer_than", "file") if not any(row[name] for row in rows)]
    return [{name: value for name, value in row.items() if name not in empty} for row in rows]


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
        "file": group.source,
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
    copied = 0
    for i, group in enumerate(found.groups):
        data = _picture(group, of)
        if data:
            element = group.best.element
            camera = re.sub(r"[^\w.-]+", "-", element.camera)[:60]
            ending = "png" if data.startswith(b"\x89PNG") else "jpg"
            name = f"{i + 1:03}_{camera}_{when(element.taken_at).replace(':', '')}_{element.key}.{ending}"
            write_file(folder / name, data)
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
    write_file(file, contact_sheet(f"{len(found.groups):,} results", entries))
