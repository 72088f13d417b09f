"""What tags on Roboflow's images ask for, and which remote image a seed came from. Pure.

An image tagged `sample-more`, `sample-threshold:80` and `sample-tag:forklift` asks for more pictures whose cosine to it
is at least 0.80, tagged `forklift`. It may carry several `sample-tag:…`.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import quote, unquote

from hub.roboflow import RemoteImage

SAMPLE_MORE = "sample-more"
_THRESHOLD, _TAG = "sample-threshold:", "sample-tag:"
_NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_ORIGIN = re.compile(r"(?P<untagged>untagged )?roboflow:(?P<ids>[^ ]+) (?P<file>.*)", re.DOTALL)
_LONGEST_NAME = 200


class Problem(NamedTuple):
    """What is wrong with an image's tags, or why it could not be had. image: its name."""

    image: str
    what: str


@dataclass(frozen=True)
class Marks:
    """What one image's tags say. threshold: a cosine in [0, 1], None where it can't be told. wrong: sentences."""

    threshold: float | None
    tags: tuple[str, ...]
    wrong: tuple[str, ...] = ()


@dataclass(frozen=True)
class Group:
    """The images of one tag, at least one, and the threshold of each, as a cosine."""

    tag: str
    images: tuple[RemoteImage, ...]
    thresholds: tuple[float, ...]

    @property
    def threshold(self) -> float:
        """The lowest, so that nothing is missed that one of the images alone would have asked for."""
        return min(self.thresholds)


def marks_of(tags: Iterable[str]) -> Marks:
    """Read one image's tags; what follows the first colon is taken as it is, punctuation and all."""
    said = tuple(dict.fromkeys(tags))
    wanted = tuple(tag.removeprefix(_TAG) for tag in said if tag.startswith(_TAG))
    percents = [tag.removeprefix(_THRESHOLD) for tag in said if tag.startswith(_THRESHOLD)]
    threshold, wrong = _threshold(percents)
    if not any(wanted):
        wrong = (*wrong, f"it has no {_TAG}<tag>, so it can't be told what to call pictures like it")
    elif not all(wanted):
        wrong = (*wrong, f"a {_TAG} without a tag behind the colon is left out")
    return Marks(threshold, tuple(tag for tag in wanted if tag), wrong)


def _threshold(percents: Sequence[str]) -> tuple[float | None, tuple[str, ...]]:
    """The one threshold meant, as a cosine, or None and what is wrong."""
    unreadable = [text for text in percents if not _NUMBER.fullmatch(text) or float(text) > 100]
    if unreadable:
        return None, tuple(f"{_THRESHOLD}{text} is not a percentage from 0 to 100" for text in unreadable)
    values = sorted({float(text) for text in percents})
    if len(values) > 1:
        return None, (f"it has several thresholds: {', '.join(f'{value:g}' for value in values)}",)
    if not values:
        return None, (f"it has no {_THRESHOLD}<percent>",)
    return values[0] / 100, ()


def groups_of(images: Iterable[RemoteImage]) -> tuple[dict[str, Group], list[Problem]]:
    """The images by the tags they ask for, and what is wrong with the others. Images without `sample-more` and
    repeated ones are passed over."""
    found: dict[str, list[tuple[RemoteImage, float]]] = {}
    problems: list[Problem] = []
    marked = {image.id: image for image in images if SAMPLE_MORE in image.tags}
    for image in marked.values():
        marks = marks_of(image.tags)
        problems += [Problem(image.name, what) for what in marks.wrong]
        for tag in marks.tags if marks.threshold is not None else ():
            found.setdefault(tag, []).append((image, marks.threshold or 0.0))
    groups = {
        tag: Group(tag, tuple(image for image, _ in some), tuple(value for _, value in some))
        for tag, some in found.items()
    }
    return groups, problems + [_differing(group) for group in groups.values() if len(set(group.thresholds)) > 1]


def _differing(group: Group) -> Problem:
    lowest = group.images[group.thresholds.index(group.threshold)]
    others = ", ".join(f"{100 * value:g}" for value in sorted(set(group.thresholds))[1:])
    return Problem(
        lowest.name,
        f"images of {_TAG}{group.tag} have different thresholds: {100 * group.threshold:g} is used, "
        f"the lowest, for all of them (others say {others})",
    )


@dataclass(frozen=True)
class Origin:
    """Which remote images a seed is the picture of: several where a project holds the same bytes twice.

    file: the name of the first. tagged: whether it was still asked for when last looked at.
    """

    ids: tuple[str, ...]
    file: str
    tagged: bool = True

    @property
    def seed_name(self) -> str:
        """As a seed's name, from which `origin_of` reads it again."""
        ids = ",".join(quote(each, safe="", errors="replace") for each in self.ids)
        return f"{'' if self.tagged else 'untagged '}roboflow:{ids} {self.file[:_LONGEST_NAME]}"


def origin_of(seed_name: str) -> Origin | None:
    """Where a seed is from; None for one that did not come from Roboflow."""
    found = _ORIGIN.fullmatch(seed_name)
    if found is None:
        return None
    ids = tuple(unquote(each) for each in found["ids"].split(","))
    return Origin(ids, found["file"], tagged=not found["untagged"])


def known_ids(origins: Iterable[Origin | None]) -> Mapping[str, Origin]:
    """Remote image id → the origin that has it."""
    return {each: origin for origin in origins if origin for each in origin.ids}
