"""Which of the scored frames become samples: threshold, bursts, windows, and the control draw. Pure.

A candidate goes through these, in this order:

tally → control draw → threshold → taken or held before → stop_after → limits → near-duplicates → burst → window → taken

- Every scored frame enters the tally of its camera, so that the alarm threshold and the control draw know them all.
- Limits, stop_after and near-duplicates are rules of what is taken. They refuse a candidate when it comes, since they
  only grow tighter, and are asked again when a held one is taken, best first. So "at most 5 an hour" leaves the 5 best
  of each hour of a day's window, and what they refuse then is not replaced by something worse.
- Everything here is a function of the ledger and the candidate, and the ledger one of what is stored: a restart
  changes nothing.
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hub import budget as rules
from hub import bursts, windows
from hub.budget import Ledger, place, rank
from hub.tally import Threshold, block_length, half_life_of, is_drawn, seen, threshold_for
from hub.types import Budget, Decision, Held, RateLimit, Sample, Stage

Outcome = tuple[Ledger, list[Sample], Decision]


def offer(ledger: Ledger, budget: Budget, timezone: str, candidate: Sample, *, now: float) -> Outcome:
    """The ledger after a scored frame, the samples that this released, and what was decided of the frame.

    candidate: the sample it would become; its reason and created_at are filled in here. Decision.keep is True for
    what is taken and for what is held. now: Unix seconds on the hub's clock.
    """
    before = ledger.tallies.get(candidate.camera)
    tally = seen(before, candidate.score.value, candidate.taken_at, half_life_of(budget))
    ledger = replace(ledger, tallies={**ledger.tallies, candidate.camera: tally})
    threshold = _fixed_threshold(ledger, budget, candidate.camera)
    why_not = rules.below(candidate.score, threshold.value)
    drawn = budget.control > 0 and is_drawn(candidate.campaign_id, candidate.camera, tally.seen - 1, budget.control)
    if why_not and not drawn:
        return ledger, [], Decision(False, why_not)
    if _was_seen(ledger, candidate.frame_id):
        return ledger, [], Decision(False, "this very frame was taken before")
    if candidate.score.value != candidate.score.value:  # not a number, not even as a control
        return ledger, [], Decision(False, why_not)
    candidate = replace(candidate, control=drawn, reason=_reaches(candidate, threshold, budget))
    if why_not:
        outcome = _refused(ledger, budget, candidate, why_not, now)
    elif budget.burst_s > 0:
        outcome = _join(ledger, budget, timezone, candidate, now)
    else:
        outcome = _settle(ledger, budget, timezone, candidate, now)
    ledger, released, decision = outcome
    controls = [s for s in released if s.control and s.frame_id == candidate.frame_id]
    return ledger, released, Decision(True, controls[0].reason) if controls else decision


def close(ledger: Ledger, budget: Budget, timezone: str, *, now: float) -> tuple[Ledger, list[Sample]]:
    """Take what need not wait any longer: bursts that ended, then windows that did. now: inf closes all.

    What waits for a time that can't come (the hub's clock was set back, the budget changed) is closed as well.
    """
    released: list[Sample] = []
    for held in [h for h in ledger.held if h.stage is Stage.BURST and bursts.is_over(h, budget.burst_s, now)]:
        ledger, more, _ = _end_event(ledger, budget, timezone, held, now)
        released += more
    for until in _window_ends(ledger):
        if windows.is_over(until, budget.target, timezone, now):
            ledger, more = _close_window(ledger, budget, until, now)
            released += more
    return ledger, released


def threshold_now(ledger: Ledger, budget: Budget, camera: str) -> Threshold:
    """What a frame of a camera must reach at present, for showing."""
    fixed = _fixed_threshold(ledger, budget, camera)
    ends = _window_ends(ledger)
    if budget.target is None or not ends:
        return fixed
    rivals = windows.rivals(_window(ledger, ends[-1]), budget, budget.target, camera)
    if not rivals or rivals[-1].sample.score.value <= fixed.value:
        return fixed
    least = rivals[-1].sample.score.value
    return Threshold(least, f"the best {len(rivals):,} so far begin at {least:.3g}")


def changes(before: Ledger, after: Ledger) -> tuple[list[Held], list[str]]:
    """What to store of the held samples: those that are new or changed, and the ids of those held no longer."""
    if before.held is after.held:
        return [], []
    old = {id(held) for held in before.held}
    still = {held.sample.id for held in after.held}
    return (
        [held for held in after.held if id(held) not in old],
        [held.sample.id for held in before.held if held.sample.id not in still],
    )


def _window_ends(ledger: Ledger) -> list[float]:
    """Ends of the windows in which something is held, in order."""
    ends: list[float] = []
    i = bisect_left(ledger.held, (1,), key=place)
    while i < len(ledger.held):
        ends.append(ledger.held[i].until)
        i = bisect_left(ledger.held, (1, math.nextafter(ends[-1], math.inf)), lo=i, key=place)
    return ends


def _fixed_threshold(ledger: Ledger, budget: Budget, camera: str) -> Threshold:
    if budget.alarms is None:
        return Threshold(budget.threshold, "the campaign's own")
    return threshold_for(ledger.tallies.get(camera), budget.alarms, budget.threshold, half_life_of(budget))


def _reaches(candidate: Sample, threshold: Threshold, budget: Budget) -> str:
    source = f" ({threshold.source})" if budget.alarms else ""
    return (
        f"score {candidate.score.value:.3f} reaches the threshold {threshold.value:.3f}{source}: {candidate.score.why}"
    )


def _was_seen(ledger: Ledger, frame_id: str) -> bool:
    return frame_id in ledger.frames or any(h.sample.frame_id == frame_id for h in ledger.held)


# ── the control draw ─────────────────────────────────────────────────────────────────────────────────


def _refused(ledger: Ledger, budget: Budget, sample: Sample, why_not: str, now: float) -> Outcome:
    """A sample that is not to be: it is a control if it was drawn, else nothing."""
    return ledger, _let_go(budget, [sample], now), Decision(False, why_not)


def _let_go(budget: Budget, samples: Sequence[Sample], now: float) -> list[Sample]:
    """Those of samples that lost which were drawn: each drawn frame is stored, chosen or not, so the draw is fair."""
    one_in = f"1 frame in {block_length(budget.control):,}" if budget.control > 0 else "a frame"
    return [
        _made(s, f"control: {one_in} at random; its score was {s.score.value:.2f}", now) for s in samples if s.control
    ]


def _made(sample: Sample, reason: str, now: float) -> Sample:
    return replace(sample, reason=reason, created_at=now if math.isfinite(now) else sample.created_at)


# ── taking ───────────────────────────────────────────────────────────────────────────────────────────


def _settle(ledger: Ledger, budget: Budget, timezone: str, sample: Sample, now: float) -> Outcome:
    """A frame, or the best of a burst: into its window, or taken."""
    if budget.target is None:
        return _take(ledger, budget, sample, now)
    why_not = _refusal(ledger, budget, sample)
    if why_not:
        return _refused(ledger, budget, sample, why_not, now)
    until = windows.end_of(sample.taken_at, budget.target, timezone, now, _window_ends(ledger))
    return _admit(ledger, budget, budget.target, until, sample, now)


def _take(ledger: Ledger, budget: Budget, sample: Sample, now: float) -> Outcome:
    why_not = _refusal(ledger, budget, sample)
    if why_not:
        return _refused(ledger, budget, sample, why_not, now)
    ledger = rules.add(
        ledger,
        budget,
        frame_id=sample.frame_id,
        taken_at=sample.taken_at,
        vector=sample.vector,
        camera=sample.camera,
    )
    return ledger, [replace(_made(sample, sample.reason, now), control=False)], Decision(True, sample.reason)


def _refusal(ledger: Ledger, budget: Budget, sample: Sample) -> str:
    return rules.refusal(budget, ledger, taken_at=sample.taken_at, vector=sample.vector, camera=sample.camera)


def _without(ledger: Ledger, gone: Sequence[Held]) -> Ledger:
    kept = ledger.held
    for held in gone:
        i = bisect_left(kept, place(held), key=place)
        kept = kept[:i] + kept[i + 1 :]
    return replace(ledger, held=kept)


def _with(ledger: Ledger, held: Held) -> Ledger:
    i = bisect_left(ledger.held, place(held), key=place)
    return replace(ledger, held=(*ledger.held[:i], held, *ledger.held[i:]))


# ── bursts ───────────────────────────────────────────────────────────────────────────────────────────


def _join(ledger: Ledger, budget: Budget, timezone: str, sample: Sample, now: float) -> Outcome:
    """Into the event of its camera, or the first frame of a new one, which ends the one before."""
    why_not = _refusal(ledger, budget, sample)
    if why_not:
        return _refused(ledger, budget, sample, why_not, now)
    held = _event_of(ledger, sample.camera)
    if held is None or not bursts.belongs(held.sample, sample, budget.burst_s):
        ledger, released, _ = _end_event(ledger, budget, timezone, held, now) if held else (ledger, [], None)
        ledger = _with(ledger, bursts.held(sample, budget.burst_s, now))
        return ledger, released, Decision(True, f"{sample.reason}; held until its event is over")
    if bursts.has_frame(held.sample, sample.frame_id):
        return _refused(ledger, budget, sample, "this very frame was seen before in the same event", now)
    best, other = bursts.joined(held.sample, sample)
    ledger = _with(_without(ledger, [held]), bursts.held(best, budget.burst_s, now))
    if best.frame_id == sample.frame_id:
        said = Decision(True, f"{sample.reason}; the best of its event so far")
    else:
        least = f"another frame of the same event scored {best.score.value:.3f}"
        said = Decision(False, f"{least}; this one, of {other.score.value:.3f}, is linked to it")
    return ledger, _let_go(budget, [other], now), said


def _event_of(ledger: Ledger, camera: str) -> Held | None:
    i = bisect_left(ledger.held, (0, camera), key=place)
    found = ledger.held[i : i + 1]
    return found[0] if found and found[0].stage is Stage.BURST and found[0].sample.camera == camera else None


def _end_event(ledger: Ledger, budget: Budget, timezone: str, held: Held, now: float) -> Outcome:
    summary = bursts.summary(held.sample)
    sample = replace(held.sample, reason=f"{held.sample.reason}; {summary}") if summary else held.sample
    return _settle(_without(ledger, [held]), budget, timezone, sample, now)


# ── windows ──────────────────────────────────────────────────────────────────────────────────────────


def _admit(ledger: Ledger, budget: Budget, target: RateLimit, until: float, sample: Sample, now: float) -> Outcome:
    """Into a window, in place of its near-duplicates there and of the last one, if it is better than they."""
    group = _window(ledger, until)
    full = windows.rivals(group, budget, target, sample.camera)
    if full and rank(full[-1].sample) < rank(sample):
        least = f"the best {len(full):,} so far, which begin at {full[-1].sample.score.value:.3f}"
        return _refused(ledger, budget, sample, f"score {sample.score.value:.3f} is not among {least}", now)
    alike = [held for held in group if _are_alike(budget, held.sample, sample)]
    if alike and rank(alike[0].sample) < rank(sample):
        why_not = f"near-duplicate of a held sample that scored {alike[0].sample.score.value:.3f}"
        return _refused(ledger, budget, sample, why_not, now)
    if alike:
        full = windows.rivals([h for h in group if h not in alike], budget, target, sample.camera)
    gone = [*alike, *full[-1:]]
    ledger = _with(_without(ledger, gone), Held(sample, Stage.WINDOW, until))
    held_in = f"held, among the best {target.count:,} of the {rules.format_period(target.per_s)} so far"
    return ledger, _let_go(budget, [h.sample for h in gone], now), Decision(True, f"{sample.reason}; {held_in}")


def _window(ledger: Ledger, until: float) -> tuple[Held, ...]:
    first = bisect_left(ledger.held, (1, until), key=place)
    last = bisect_left(ledger.held, (1, math.nextafter(until, math.inf)), key=place)
    return ledger.held[first:last]


def _are_alike(budget: Budget, a: Sample, b: Sample) -> bool:
    if budget.duplicate_distance <= 0 or a.vector is None or b.vector is None:
        return False
    return bool(rules.near_duplicate(budget, a.vector[None], np.array([a.taken_at]), b.vector, b.taken_at))


def _close_window(ledger: Ledger, budget: Budget, until: float, now: float) -> tuple[Ledger, list[Sample]]:
    """Take what a window gives, the best first, and let go of the others."""
    group, target = _window(ledger, until), budget.target
    pool = [held.sample for held in group]
    chosen = windows.chosen(pool, budget, target, ledger.vectors) if target else pool
    names = {sample.frame_id for sample in chosen}
    released = _let_go(budget, [sample for sample in pool if sample.frame_id not in names], now)
    ledger = _without(ledger, group)
    for sample in chosen:
        reason = _among_best(sample, target, chosen) if target else sample.reason
        ledger, more, _ = _take(ledger, budget, replace(sample, reason=reason), now)
        released += more
    return ledger, released


def _among_best(sample: Sample, target: RateLimit, chosen: Sequence[Sample]) -> str:
    rivals = [one for one in chosen if not target.per_camera or one.camera == sample.camera]
    least = min(one.score.value for one in rivals)
    best = f"among the best {target.count:,} of the {rules.format_period(target.per_s)}"
    said = f"{best} (score {sample.score.value:.2f}, the least of them {least:.2f})"
    summary = bursts.summary(sample)
    return f"{said}; {summary}" if summary else said
