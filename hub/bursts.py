"""Events: frames of one camera that qualify shortly after each other, of which only the best becomes a sample. Pure.

An event is a sample, the best of its frames so far, with the others linked to it: all that is known of it is stored
with the sample, so an event goes on after a restart.
"""

from dataclasses import replace

from hub.budget import GRACE_S, rank
from hub.types import Held, Linked, Sample, Stage

MOST_LINKED = 500
"""Frames an event remembers beside its best: its first, its last, and the best of the others."""

LEAST_CUT_S = 300.0
"""An event that goes on for longer than this, and than ten times burst_s, is cut: what shows one thing all day still
gives samples."""


def belongs(event: Sample, sample: Sample, burst_s: float) -> bool:
    """Whether a frame is less than burst_s from the event, before or after, and the event not too long already."""
    first, last = _span(event)
    is_near = first - burst_s < sample.taken_at < last + burst_s
    return is_near and max(last, sample.taken_at) - min(first, sample.taken_at) < max(10 * burst_s, LEAST_CUT_S)


def has_frame(event: Sample, frame_id: str) -> bool:
    """Whether a frame is one of the event's, or was linked to it."""
    return event.frame_id == frame_id or any(one.frame_id == frame_id for one in event.linked)


def joined(event: Sample, sample: Sample) -> tuple[Sample, Sample]:
    """The better of the two as the event, with all the others linked to it, and the one that lost."""
    best, other = sorted((event, sample), key=rank)
    linked = (*event.linked, Linked(other.frame_id, other.taken_at, other.score.value))
    return replace(best, linked=_fewer(linked)), replace(other, linked=())


def held(event: Sample, burst_s: float, now: float) -> Held:
    """The event, waiting for its next frame. `until` is of the hub's clock: a camera's own may be hours off."""
    return Held(event, Stage.BURST, now + burst_s)


def is_over(event: Held, burst_s: float, now: float) -> bool:
    """Whether no frame has come for burst_s and a little, or the hub's clock was set back."""
    return now >= event.until + GRACE_S or event.until > now + burst_s + GRACE_S


def summary(event: Sample) -> str:
    """`the best of 4 frames of an event of 12 s`, "" for a frame that came alone."""
    first, last = _span(event)
    n = len(event.linked) + 1
    return f"the best of {n} frames of an event of {last - first:.0f} s" if n > 1 else ""


def _span(event: Sample) -> tuple[float, float]:
    times = [event.taken_at, *(one.taken_at for one in event.linked)]
    return min(times), max(times)


def _fewer(linked: tuple[Linked, ...]) -> tuple[Linked, ...]:
    """All but the least when they are one too many. The first and the last stay: they say how long the event is."""
    if len(linked) <= MOST_LINKED:
        return linked
    times = [one.taken_at for one in linked]
    ends = {times.index(min(times)), times.index(max(times))}
    least = min((i for i in range(len(linked)) if i not in ends), key=lambda i: (linked[i].value, i))
    return linked[:least] + linked[least + 1 :]
