"""The live line of a running hub, as text."""

from hub.collector import Status


def status_line(status: Status, before: Status, elapsed_s: float) -> str:
    """`3/3 cameras up · 14.8 frames/s (9.1 inferred) · 2 campaigns · 17 samples`, from two readings."""
    per_s = (status.frames - before.frames) / elapsed_s
    inferred = (status.inferred - before.inferred) / elapsed_s
    parts = [
        f"{status.up}/{status.cameras} cameras up",
        f"{per_s:.1f} frames/s ({inferred:.1f} inferred)",
        f"{status.campaigns} campaign{'s' if status.campaigns != 1 else ''}",
        f"{status.samples} new samples",
    ]
    if status.problem:
        parts.append(f"PROBLEM: {status.problem.splitlines()[0]}")
    return " · ".join(parts)
