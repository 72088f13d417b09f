"""Unusual events in a stream: what `change` and `outlier` catch, beside Roboflow's blocks as our compat mode runs them.

    python -m tests.bench.bench_events [--seeds 3]

Streams: simulated 512-d cameras, mixtures of real CLIP vectors with pictures of other classes as events, and two films
with marked events through both embedders of the model pack. An event is caught when any of its frames is alarmed;
precision is the share of alarmed frames inside events; false alarms are a share of the frames outside.

"own boundary" is each rule at its own default. "equal recall" sets our threshold where as many events are caught as
the compat rule catches at its default, and compares precisions there; "swept" gives the compat rule the best
threshold for that recall as well. Where events fill much of a stream, as in the films, no rule can be twice as precise
("at most" is the ratio at precision 1), so the false alarms at equal recall are given too, the same events "now and
then" with more of the film's quiet frames between them, and precision by onsets: there only the first ONSET frames of
an event are right, since an event that lasts is one change.
"""

import argparse
import csv
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from hub.models.embedder import load_embedder
from hub.protocols import Trigger
from hub.triggers.change import Change
from hub.triggers.outlier import Outlier
from hub.types import Detections, Frame, Observation

PACK = Path(__file__).resolve().parents[3] / "shared"
DATA = Path(os.environ.get("HUB_TEST_DATA_DIR") or PACK / "data")
MODELS = Path(os.environ.get("HUB_MODELS_DIR") or PACK / "models")

RULES: dict[str, Trigger] = {
    "ema": Change(mode="compat"),
    "sma": Change(mode="compat", strategy="sma"),
    "window": Change(mode="compat", strategy="window"),
    "change": Change(),
    "vmf": Outlier(mode="compat"),
    "outlier": Outlier(),
}
PAIRS = (("change", "ema"), ("change", "sma"), ("change", "window"), ("outlier", "vmf"))
FILMS = (("cars", "car-detection.mp4", 3), ("people", "one-by-one-person-detection.mp4", 2))
MARKING = 2
"""Frames of a film by which its marks may be off."""
ONSET = 5


@dataclass(frozen=True, eq=False)
class Stream:
    """vectors: (n, d) unit. events: (k, n) whether a frame is inside each event; events may overlap."""

    vectors: np.ndarray
    events: np.ndarray

    @property
    def inside(self) -> np.ndarray:
        """(n,) whether a frame is inside any."""
        return self.events.any(axis=0)


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


# ── streams ──────────────────────────────────────────────────────────────────────────────────────────


def spread(rng: np.random.Generator, frames: int, events: int, length: int) -> np.ndarray:
    """(events, frames) `events` of `length` frames that neither touch nor fall into the first 30."""
    slots = (frames - 30) // (length + 10)
    starts = 30 + np.sort(rng.choice(slots, events, replace=False)) * (length + 10)
    at = np.arange(frames)
    return (at >= starts[:, None]) & (at < starts[:, None] + length)


def simulated(
    seed: int,
    frames: int = 2000,
    events: int = 12,
    length: int = 3,
    strength: tuple[float, float] = (0.35, 0.8),
    bursts: float = 0.0,
    lights: float = 0.0,
    alternate: float = 0.0,
) -> Stream:
    """A day-night drift, sensor noise, and events in directions of their own. bursts: spread of the noise's log.
    lights, alternate: strength of a lasting step in mid-stream, and of a second state, taken in turn."""
    rng = np.random.default_rng(seed)
    base, night, lamp, other = unit(rng.normal(size=(4, 512)))
    turn = np.sin(2 * np.pi * np.arange(frames) / 1500 + rng.uniform(0, 6))
    noise = 0.25 * np.exp(bursts * rng.normal(size=frames)) / np.sqrt(512)
    x = unit(base + 0.5 * turn[:, None] * night) + noise[:, None] * rng.normal(size=(frames, 512))
    x[frames // 2 :] += lights * lamp
    x[np.arange(frames) // 15 % 2 == 1] += alternate * other
    spans = spread(rng, frames, events, length)
    for span in spans:
        x[span] += rng.uniform(*strength) * unit(rng.normal(size=512))
    return Stream(unit(x), spans)


def real(seed: int, name: str, frames: int = 2000, events: int = 12, length: int = 3) -> Stream:
    """A scene that wanders between four pictures of one class; events blend in a picture of another."""
    with np.load(DATA / "clip_features" / f"{name}_clip_vitb32.npz") as stored:
        features, label = unit(stored["feats"].astype(np.float32)), stored["labels"]
    rng = np.random.default_rng(seed)
    scene = rng.choice([c for c in np.unique(label) if (label == c).sum() >= 4])
    own = features[rng.choice(np.flatnonzero(label == scene), 4, replace=False)]
    weight = np.zeros((frames, 4))
    for i in range(1, frames):
        weight[i] = 0.995 * weight[i - 1] + 0.1 * rng.normal(size=4)
    x = unit(np.exp(weight) @ own) + 0.25 / np.sqrt(512) * rng.normal(size=(frames, 512))
    spans = spread(rng, frames, events, length)
    for span in spans:
        mix = rng.uniform(0.4, 0.9)
        x[span] = (1 - mix) * x[span] + mix * features[rng.choice(np.flatnonzero(label != scene))]
    return Stream(unit(x), spans)


def film(name: str, step: int, embedder: str) -> Stream:
    """Every `step`-th frame of a film (4 to 5 a second), embedded."""
    model = load_embedder(MODELS / embedder, device="cpu", threads=1)
    video, vectors, taken = cv2.VideoCapture(str(DATA / "video" / name)), [], []
    i = 0
    while video.grab():
        if i % step == 0:
            vectors.append(model.embed([np.ascontiguousarray(video.retrieve()[1][:, :, ::-1])])[0])
            taken.append(i)
        i += 1
    at = np.array(taken)
    with (DATA / "video" / "ground_truth_events.csv").open() as file:
        marks = [(int(r["first_frame"]), int(r["last_frame"])) for r in csv.DictReader(file) if r["video"] == name]
    spans = [(at >= first - MARKING) & (at <= last + MARKING) for first, last in marks]
    return Stream(unit(np.array(vectors)), np.array(spans))


def sparse(seed: int, film: Stream, quiet: int = 200) -> Stream:
    """A film's events with `quiet` more frames before each: a walk to and fro over its frames without events."""
    rng = np.random.default_rng(seed)
    without, order, at = np.flatnonzero(~film.inside), [], 0
    for span in film.events:
        for step in rng.choice([-1, 1], quiet):
            at = abs(at + step) if at + step < len(without) else at - 1
            order.append(without[at])
        order.extend(np.flatnonzero(span))
        at = min(int(np.searchsorted(without, order[-1])), len(without) - 1)
    lengths, ends = film.events.sum(axis=1), np.cumsum(film.events.sum(axis=1) + quiet)
    now = np.arange(len(order))
    spans = (now >= (ends - lengths)[:, None]) & (now < ends[:, None])
    return Stream(film.vectors[order], spans)


GROUPS: dict[str, Callable[[int], Stream]] = {
    "single frames": lambda seed: simulated(seed, length=1),
    "3 frames": lambda seed: simulated(seed),
    "3 frames, faint": lambda seed: simulated(seed, strength=(0.2, 0.4)),
    "20 frames": lambda seed: simulated(seed, length=20),
    "bursts of noise": lambda seed: simulated(seed, bursts=0.4),
    "lights on": lambda seed: simulated(seed, lights=0.8),
    "two states in turn": lambda seed: simulated(seed, alternate=0.6),
    "short, 300 frames": lambda seed: simulated(seed, frames=300, events=4, length=5),
    "CLIP, objects": lambda seed: real(seed, "caltech101_val"),
    "CLIP, pets": lambda seed: real(seed, "oxford_pets_test"),
    "CLIP, scenes": lambda seed: real(seed, "sun397_val", length=10),
    "CLIP, short": lambda seed: real(seed, "caltech101_val", frames=300, events=4, length=5),
}


def streams(seeds: int) -> Iterator[tuple[str, list[Stream]]]:
    for name, make in GROUPS.items():
        yield name, [make(1000 + seed) for seed in range(seeds)]
    for what, name, step in FILMS:
        for embedder in ("clip-student", "mobilenetv2"):
            seen = film(name, step, embedder)
            yield f"film of {what}, {embedder}", [seen]
            yield f"{what} now and then, {embedder}", [sparse(seed, seen) for seed in range(seeds)]


# ── measures ─────────────────────────────────────────────────────────────────────────────────────────


def scores(trigger: Trigger, stream: Stream) -> np.ndarray:
    """(n,) score of each frame."""
    frame, none = Frame("camera", 1, 0.0, b""), Detections.empty()
    state, values = {}, []
    for x in stream.vectors.astype(np.float32):
        score, state = trigger.score(Observation(frame, (1, 1), none, x[None], "v"), None, state)
        values.append(score.value)
    return np.array(values)


def caught_at(score: np.ndarray, events: np.ndarray, threshold: float) -> int:
    return int((events & (score >= threshold)).any(axis=1).sum())


def precision_at(score: np.ndarray, right: np.ndarray, threshold: float) -> float:
    alarmed = score >= threshold
    return float(right[alarmed].mean()) if alarmed.any() else 0.0


def false_alarms_at(score: np.ndarray, inside: np.ndarray, threshold: float) -> float:
    return float((score[~inside] >= threshold).mean())


def threshold_for(score: np.ndarray, events: np.ndarray, right: np.ndarray, caught: int) -> float:
    """Of the thresholds at which at least so many events are caught, the most precise."""
    best = np.sort(np.where(events, score, 0.0).max(axis=1))[::-1]
    order = np.argsort(-score, kind="stable")
    precision = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    last_of_its_score = np.append(np.diff(score[order]) != 0, True)
    allowed = last_of_its_score & (score[order] <= best[max(caught, 1) - 1]) & (score[order] > 0)
    return float(score[order][np.argmax(np.where(allowed, precision, -1.0))])


def onsets(events: np.ndarray) -> np.ndarray:
    """(n,) whether a frame is among the first ONSET of an event."""
    return (events & (np.cumsum(events, axis=1) <= ONSET)).any(axis=0)


@dataclass(frozen=True)
class Ratio:
    """ours and theirs at the recall that theirs has at its default; means over streams."""

    precision: float
    theirs: float
    theirs_swept: float
    false_alarms: float
    their_false_alarms: float
    onset: float
    their_onset: float


def compare(ours: np.ndarray, theirs: np.ndarray, stream: Stream) -> Ratio:
    events, inside, first = stream.events, stream.inside, onsets(stream.events)
    caught = caught_at(theirs, events, 0.5)
    mine, swept = (threshold_for(score, events, inside, caught) for score in (ours, theirs))
    return Ratio(
        precision_at(ours, inside, mine),
        precision_at(theirs, inside, 0.5),
        precision_at(theirs, inside, swept),
        false_alarms_at(ours, inside, mine),
        false_alarms_at(theirs, inside, 0.5),
        precision_at(ours, first, threshold_for(ours, events, first, caught)),
        precision_at(theirs, first, 0.5),
    )


def mean(ratios: list[Ratio]) -> Ratio:
    return Ratio(*np.mean([list(vars(ratio).values()) for ratio in ratios], axis=0))


# ── tables ───────────────────────────────────────────────────────────────────────────────────────────


def own_boundary(group: list[Stream], scored: dict[str, list[np.ndarray]]) -> str:
    cells = []
    for values in scored.values():
        pairs = list(zip(values, group, strict=True))
        caught = sum(caught_at(v, s.events, 0.5) for v, s in pairs)
        wrong = np.mean([false_alarms_at(v, s.inside, 0.5) for v, s in pairs])
        precise = np.mean([precision_at(v, s.inside, 0.5) for v, s in pairs])
        cells.append(f"{caught}/{sum(len(s.events) for s in group)} {wrong:.1%} {precise:.2f}".rjust(17))
    return " |".join(cells)


def times(ours: float, theirs: float) -> str:
    return f"{ours / theirs:.1f}x" if theirs > 0 else "-"


def equal_recall(r: Ratio) -> str:
    return (
        f"{r.precision:.2f} : {r.theirs:.2f} = {times(r.precision, r.theirs):>6} (at most {times(1, r.theirs):>6}) | "
        f"swept {times(r.precision, r.theirs_swept):>5} | "
        f"onsets {r.onset:.2f} : {r.their_onset:.2f} = {times(r.onset, r.their_onset):>6} | "
        f"false alarms {r.false_alarms:.2%} : {r.their_false_alarms:.2%}"
    )


def steadiness() -> Iterator[str]:
    """How many frames are alarmed where one alarm, or none, is right."""
    lasting = simulated(7, frames=1200, events=1, length=300)
    step = simulated(8, lights=0.8)
    turns = simulated(9, alternate=0.6)
    for name in ("ema", "vmf", "change", "outlier"):
        alarmed = [scores(RULES[name], stream) >= 0.5 for stream in (lasting, step, turns)]
        yield (
            f"{name:8} {alarmed[0][lasting.inside].sum():3} of an event of 300 frames, "
            f"{alarmed[1][1000:1050].sum():2} of the 50 after lights on, "
            f"{alarmed[2][~turns.inside].mean():.1%} of two states in turn"
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    seeds, started = parser.parse_args().seeds, time.perf_counter()
    print("own boundary: events caught, false alarms, precision\n")
    print(" " * 34 + " |".join(name.rjust(17) for name in RULES))
    compared: dict[str, dict[str, Ratio]] = {}
    for name, group in streams(seeds):
        scored = {rule: [scores(trigger, stream) for stream in group] for rule, trigger in RULES.items()}
        print(f"{name:34}{own_boundary(group, scored)}", flush=True)
        for ours, theirs in PAIRS:
            each = zip(scored[ours], scored[theirs], group, strict=True)
            compared.setdefault(f"{ours} : {theirs}", {})[name] = mean([compare(a, b, s) for a, b, s in each])
    for pair, rows in compared.items():
        print(f"\nequal recall, {pair}: precision\n")
        for name, ratio in rows.items():
            print(f"{name:34}{equal_recall(ratio)}")
    print("\n" + "\n".join(steadiness()))
    print(f"\n{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
