"""How often `hub drift` alarms when nothing changed, what it finds when something did, and what a report costs.

    python -m tests.bench.bench_drift [--runs 150]

Everything goes through `measure`, as the command does: two months of frames, the first the reference.
"""

import argparse
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hub.drift import DriftRow, measure
from hub.drift_periods import Increment
from hub.snapshots import Snapshots

DATA = Path(os.environ.get("HUB_TEST_DATA_DIR", Path(__file__).resolve().parents[3] / "shared" / "data"))
JULY, AUGUST = 1782864000.0, 1785542400.0  # 2026, UTC
DAY_S = 86400.0
FRAMES = 300


def snapshots(vectors: np.ndarray, taken_at: np.ndarray, camera: str = "porch") -> Snapshots:
    """Frames of one camera, in the order of time."""
    order = np.argsort(taken_at)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    ids = np.array([f"{camera}{i}" for i in range(len(order))])
    return Snapshots(unit[order].astype(np.float32), np.full(len(order), camera), taken_at[order], ids)


def weather(rng: np.random.Generator, start: float, tau_h: float) -> Snapshots:
    """A month of a camera whose picture follows a weather that lasts tau_h hours."""
    at = np.sort(start + rng.uniform(0, 30 * DAY_S, FRAMES))
    state, rows = rng.standard_normal(8), []
    for gap_s in np.diff(at, prepend=at[0]):
        keep = np.exp(-gap_s / 3600.0 / tau_h)
        state = keep * state + np.sqrt(1 - keep**2) * rng.standard_normal(8)
        rows.append(np.concatenate([2.0 * np.ones(8), state, 0.5 * rng.standard_normal(48)]))
    return snapshots(np.array(rows), at)


def row(reference: Snapshots, now: Snapshots, rng: np.random.Generator) -> DriftRow:
    """That of August."""
    found = measure(reference, now, increment=Increment.MONTH, rng=rng).rows[0]
    assert found.p is not None
    return found


def false_alarms(runs: int) -> None:
    print("months of one simulated camera, nothing changed       p <= 0.05")
    for tau_h in (0.2, 6.0, 24.0):
        rows = []
        for i in range(runs):
            rng = np.random.default_rng(i)
            rows.append(row(weather(rng, JULY, tau_h), weather(rng, AUGUST, tau_h), rng))
        print(f"  its weather lasts {tau_h:4} h {np.mean([r.p <= 0.05 for r in rows]):36.1%}")


def sets() -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Real vectors and their classes."""
    for path in sorted((DATA / "clip_features").glob("*.npz")):
        with np.load(path) as file:
            yield path.stem, file["feats"].astype(np.float32), np.unique(file["labels"], return_inverse=True)[1]


def real(runs: int) -> None:
    print(f"\n{FRAMES} against {FRAMES} real vectors        p <= 0.05, nothing changed   cosine  if unchanged   "
          "a fifth replaced: distance   cosine's interval")  # fmt: skip
    for name, vectors, classes in sets():
        calm, mixed = [], []
        for i in range(runs):
            rng = np.random.default_rng(i)
            chosen = rng.permutation(len(vectors))[: 2 * FRAMES]
            before, after = vectors[chosen[:FRAMES]], vectors[chosen[FRAMES:]]
            at = rng.uniform(0, 30 * DAY_S, FRAMES)
            reference = snapshots(before, JULY + at)
            calm.append(row(reference, snapshots(after, AUGUST + at), rng))
            few = rng.choice(classes.max() + 1, max(1, (classes.max() + 1) // 10), replace=False)
            after[: FRAMES // 5] = vectors[rng.choice(np.flatnonzero(np.isin(classes, few)), FRAMES // 5)]
            mixed.append(row(reference, snapshots(after, AUGUST + at), rng))
        cosine, expected = (np.mean([getattr(r, what) for r in calm]) for what in ("cosine", "expected"))
        by_distance, by_cosine = (
            np.mean(hits) for hits in zip(*((r.p <= 0.05, r.high < r.expected) for r in mixed), strict=True)
        )
        print(
            f"{name:32} {np.mean([r.p <= 0.05 for r in calm]):14.1%} {cosine:26.4f} {expected:10.4f} "
            f"{by_distance:22.0%} {by_cosine:20.0%}"
        )


def cost() -> None:
    rng = np.random.default_rng(0)
    parts = []
    for camera in range(5):
        at = JULY + rng.uniform(0, 365 * DAY_S, 4800)
        parts.append(snapshots(2.0 + rng.standard_normal((4800, 512)), at, f"camera {camera}"))
    merged = Snapshots(
        *(np.concatenate([getattr(p, f) for p in parts]) for f in ("vectors", "camera", "taken_at", "id"))
    )
    first = merged.taken_at < AUGUST
    began = time.perf_counter()
    measure(merged.pick(first), merged.pick(~first), increment=Increment.MONTH, rng=rng)
    print(f"\n12 months, 5 cameras, {len(merged.taken_at):,} vectors: {time.perf_counter() - began:.1f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=150)
    runs = parser.parse_args().runs
    false_alarms(runs)
    real(runs)
    cost()


if __name__ == "__main__":
    main()
