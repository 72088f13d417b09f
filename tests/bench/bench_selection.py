"""How well scorers select: rare classes at 0.5 % among labelled real vectors, and end to end from pictures.

    python -m tests.bench.bench_selection [--draws 100] [--only NAME] [--vectors-only] [--plot selection.png]

Sets: every .npz of `clip_features` in the data pack (feats, labels, optionally names per picture or per class), and
each with its classes joined by fours ("x 4"), which makes diverse ones. Then end to end: the model pack's embedders on
the Caltech pictures, and on a fixed-camera stream: a few scenes re-seen with noise, drifting brightness and small
shifts, into which objects are pasted. Joined sets take 40 % of the draws, end to end 15 %, and reviews one in eight.
Expectations are held against the sets of vectors; of those end to end the means are told, too.

A draw is a class, its seeds, a background of 500 frames that nobody labelled (so it holds rare ones, too) and a stream
of all other negatives with rare frames at 0.5 %. All methods see the same draws. AP is average precision over the
stream; precision, recall and false positives (FPR) are at the default threshold: 0.5, and for the raw cosine 0.8 for
pictures and 0.25 for text, as in Roboflow's examples. "labels" is how many frames a person has to look at, from the
top, until 90 % of the rare ones are found, per frame found.

"reviewed N": N rounds in which the 20 best frames not yet labelled are, and the scorer learns from them. Its AP is
that of the order in which frames come before the person's eyes, its other figures are of the frames not labelled yet.
Reviews take fewer draws than the rest: "from" is the default's AP on the same ones, without review.
A class counts as learnable where a scorer that knows every other rare frame ranks the rest with AP >= 0.8.
"""

import argparse
import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from hub.models.embedder import load_embedder
from hub.models.prior import NOTHING, shipped
from hub.models.text_bank import TextBank
from hub.protocols import Embedder, Scorer
from hub.scorers import fit, open_scorer
from hub.scorers.examples import Examples
from hub.types import Background, Calibration, Prior
from hub.vision import decode

PACK = Path(__file__).resolve().parents[3] / "shared"
DATA = Path(os.environ.get("HUB_TEST_DATA_DIR") or PACK / "data")
MODELS = Path(os.environ.get("HUB_MODELS_DIR") or PACK / "models")

PREVALENCE, KNOWN, SHOWN, ROUNDS = 0.005, 500, 20, 3
CLIP_DIM = 512
STATED_RATE = 0.01
ROBOFLOW = {"picture": 0.8, "text": 0.25}
LEAST_CLASSES = 3
JOINED = 4
REVIEWED_ONE_IN = 8

BASE, OURS = "max cosine", "default"
METHODS = ("random", BASE, "aquarium-v1", OURS, "reviewed 1", "reviewed 3")
WANTED = {"1": 1.25, "5": 1.5, "20": 1.45, "text": 1.06}
"""Geometric mean over sets of AP over that of the raw maximum cosine."""
NEVER_BELOW = 0.98


# ── sets ─────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, eq=False)
class Labelled:
    """vectors: (n, d) unit. labels: (n,) int, -1 for what is only ever background. texts: by label. prior: of the
    embedder."""

    name: str
    vectors: np.ndarray
    labels: np.ndarray
    texts: Mapping[int, np.ndarray] = field(default_factory=dict)
    prior: Prior = NOTHING
    effort: float = 1.0
    counts: bool = True
    """effort: share of the draws that it takes. counts: whether expectations are held against it."""


def labelled(name: str, vectors: np.ndarray, labels: np.ndarray, names: Sequence[str] | None, prior: Prior) -> Labelled:
    """From labels of any type; names per picture, per class, or none."""
    unit = vectors.astype(np.float32)
    unit /= np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-12)
    kinds, first, number = np.unique(labels, return_index=True, return_inverse=True)
    called = [str(kind) for kind in kinds]
    if names is not None and len(names) == len(labels):
        called = [str(names[i]) for i in first]
    elif names is not None and len(names) == len(kinds):
        called = [str(each) for each in names]
    number = np.where(np.asarray(called)[number] == "scene", -1, number)
    return Labelled(name, unit, number, _texts(called, unit.shape[1]), prior)


@cache
def _bank() -> TextBank | None:
    path = MODELS / "clip-student" / "text_bank.npz"
    return TextBank(path) if path.is_file() else None


@cache
def clip_prior() -> Prior:
    """As an embedder with the bank beside it has it."""
    bank, prior = _bank(), shipped("clip-vit-b32")
    return prior if bank is None else replace(prior, nouns=bank.vectors)


def _texts(called: Sequence[str], dim: int) -> dict[int, np.ndarray]:
    """Vectors of the names that the bank of text vectors knows."""
    bank = _bank()
    if bank is None or bank.dim != dim:
        return {}
    plain = [each.lower().replace("_", " ") for each in called]
    return {i: bank.embed([each])[0] for i, each in enumerate(plain) if each in bank.names}


def of_files(folder: Path) -> Iterator[Labelled]:
    """Every set of vectors in a folder, and its classes joined where there are enough of them."""
    for path in sorted(folder.glob("*.npz")):
        with np.load(path, allow_pickle=False) as file:
            vectors, labels = file["feats"], file["labels"]
            names = [str(each) for each in file["names"]] if "names" in file.files else None
        prior = clip_prior() if vectors.shape[1] == CLIP_DIM else NOTHING
        alone = labelled(path.stem, vectors, labels, names, prior)
        yield alone
        if alone.labels.max() >= 4 * JOINED:
            yield joined(alone)


def joined(set_: Labelled) -> Labelled:
    """Its classes, JOINED at a time by chance."""
    new = np.random.default_rng(7).permutation(int(set_.labels.max()) + 1) // JOINED
    return replace(set_, name=f"{set_.name} x {JOINED}", labels=new[set_.labels], texts={}, effort=0.4)


def _prior(embedder: Embedder) -> Prior:
    return clip_prior() if embedder.prior.concepts is not None else NOTHING


def embedders() -> dict[str, Embedder]:
    """The model pack's."""
    paths = {"student": MODELS / "clip-student", "mobilenet": MODELS / "mobilenetv2" / "mobilenetv2_imagenet.onnx"}
    return {name: load_embedder(path, device="cpu", threads=1) for name, path in paths.items() if path.exists()}


def class_names() -> dict[str, str]:
    """Of Caltech's folders, as the set of real vectors calls them."""
    path = DATA / "clip_features" / "caltech101_val_clip_vitb32.npz"
    if not path.is_file():
        return {}
    with np.load(path, allow_pickle=False) as file:
        return {str(f).split("/")[0]: str(n) for f, n in zip(file["files"], file["names"], strict=True)}


def pictures() -> tuple[list[np.ndarray], list[str]]:
    """Caltech's pictures and what they show."""
    files = sorted((DATA / "caltech101_val").glob("*/*.jpg"))
    called = class_names()
    return [decode(f.read_bytes()) for f in files], [called.get(f.parent.name, f.parent.name) for f in files]


def fixed_cameras(
    rng: np.random.Generator, shown: Sequence[np.ndarray], kinds: Sequence[str]
) -> tuple[list, list[str]]:
    """Frames of six cameras, each of one scene, with objects of 16 kinds held into some of them."""
    scenes = [decode(f.read_bytes()) for f in sorted((DATA / "coco_val128").rglob("*.jpg"))[:6]]
    scenes = [cv2.resize(scene, (320, 240), interpolation=cv2.INTER_AREA) for scene in scenes]
    often = [kind for kind in dict.fromkeys(kinds) if kinds.count(kind) >= 25][:16]
    objects = [i for kind in often for i in [j for j, each in enumerate(kinds) if each == kind][:25]]
    order = rng.permutation(np.r_[np.full(2400, -1), objects])
    frames, what = [], []
    for t, i in enumerate(order):
        frame = scenes[int(rng.integers(len(scenes)))].copy()
        if i >= 0:
            _paste(rng, frame, shown[i])
        frames.append(_seen_again(rng, frame, 25.0 * np.sin(2 * np.pi * t / 700)))
        what.append("scene" if i < 0 else kinds[i])
    return frames, what


def _paste(rng: np.random.Generator, frame: np.ndarray, thing: np.ndarray) -> None:
    side = int(rng.integers(110, 190))
    x, y = int(rng.integers(0, frame.shape[1] - side)), int(rng.integers(0, frame.shape[0] - side))
    frame[y : y + side, x : x + side] = cv2.resize(thing, (side, side), interpolation=cv2.INTER_AREA)


def _seen_again(rng: np.random.Generator, frame: np.ndarray, brighter: float) -> np.ndarray:
    shift = np.float32([[1, 0, rng.normal(0, 2)], [0, 1, rng.normal(0, 2)]])
    moved = cv2.warpAffine(frame, shift, frame.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
    noisy = moved + brighter + rng.normal(0, 8) + rng.normal(0, 6, frame.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def end_to_end() -> Iterator[Labelled]:
    """The pictures, and streams of fixed cameras, by each embedder of the model pack."""
    if not (DATA / "caltech101_val").is_dir():
        return
    shown, kinds = pictures()
    frames, what = fixed_cameras(np.random.default_rng(1), shown, kinds)
    for name, embedder in embedders().items():
        for of, images, labels in (("pictures", shown, kinds), ("stream", frames, what)):
            vectors = np.concatenate([embedder.embed(images[i : i + 16]) for i in range(0, len(images), 16)])
            made = labelled(f"{name} {of}", vectors, np.array(labels), labels, _prior(embedder))
            yield replace(made, effort=0.15, counts=False)


# ── draws ────────────────────────────────────────────────────────────────────────────────────────────


class Seeds(NamedTuple):
    """How many pictures, and whether there is a text."""

    pictures: int
    text: bool = False

    def __str__(self) -> str:
        return " + ".join([*["text"] * self.text, *[str(self.pictures)] * (self.pictures > 0)])


GIVEN = (Seeds(1), Seeds(5), Seeds(20), Seeds(0, True), Seeds(5, True))


@dataclass(frozen=True, eq=False)
class Draw:
    """examples: what the scorer learns from. stream: (n, d). rare: (n,) bool."""

    examples: Examples
    stream: np.ndarray
    rare: np.ndarray


def classes_for(set_: Labelled, given: Seeds) -> np.ndarray:
    """Those with enough pictures, and a text if need be."""
    counts = np.bincount(set_.labels[set_.labels >= 0])
    enough = np.flatnonzero(counts >= given.pictures + 5)
    return np.array([c for c in enough if not given.text or int(c) in set_.texts], int)


def draw(set_: Labelled, given: Seeds, rng: np.random.Generator) -> Draw:
    """A class, its seeds, an unlabelled background, and a stream with rare frames at PREVALENCE."""
    wanted = int(rng.choice(classes_for(set_, given)))
    own = rng.permutation(np.flatnonzero(set_.labels == wanted))
    other = rng.permutation(np.flatnonzero(set_.labels != wanted))
    seeds, own = own[: given.pictures], own[given.pictures :]
    known = min(KNOWN, len(other) // 2)
    hidden = min(int(rng.binomial(known, PREVALENCE)), len(own) - 3)
    background = np.concatenate([own[:hidden], other[: known - hidden]])
    own, other = own[hidden:], other[known - hidden :]
    most = max(1, round(PREVALENCE / (1 - PREVALENCE) * len(other)))
    own = own[:most]
    if len(own) < most:
        other = other[: int(len(own) * (1 - PREVALENCE) / PREVALENCE)]
    dim = set_.vectors.shape[1]
    texts = set_.texts[wanted][None] if given.text else np.zeros((0, dim), np.float32)
    examples = Examples(
        set_.vectors[seeds],
        texts,
        np.zeros((0, dim), np.float32),
        Background(set_.vectors[background], np.arange(known)),
        {"image": Calibration(0.5, 0.7), "text": Calibration(0.2, 0.25)},
        set_.prior,
    )
    order = rng.permutation(len(own) + len(other))
    rows = np.concatenate([own, other])[order]
    return Draw(examples, set_.vectors[rows], (np.arange(len(rows)) < len(own))[order])


# ── figures ──────────────────────────────────────────────────────────────────────────────────────────


class Figures(NamedTuple):
    """ap: average precision. labels: frames looked at per rare frame found, until 90 % are found. base, start: AP of
    the raw maximum cosine and of the default on the same draws. NaN: undefined."""

    ap: float
    precision: float
    recall: float
    fpr: float
    labels: float
    base: float = np.nan
    start: float = np.nan


def average_precision(ranked: np.ndarray) -> float:
    """Of rare flags, best first."""
    hits = np.cumsum(ranked)
    return float((hits / np.arange(1, len(ranked) + 1))[ranked].mean())


def labels_per_found(ranked: np.ndarray) -> float:
    """Frames looked at, best first, per rare frame found, when 90 % are."""
    hits = np.cumsum(ranked)
    enough = int(np.ceil(0.9 * hits[-1]))
    return float((int(np.searchsorted(hits, enough)) + 1) / enough)


def figures(ranked: np.ndarray, taken: np.ndarray, rare: np.ndarray) -> Figures:
    """ranked: rare flags, best first. taken and rare: of the frames that a threshold decided on."""
    with np.errstate(invalid="ignore"):
        right = float((taken & rare).sum())
        return Figures(
            average_precision(ranked),
            right / float(taken.sum()) if taken.any() else np.nan,
            right / float(rare.sum()) if rare.any() else np.nan,
            float(taken[~rare].mean()),
            labels_per_found(ranked),
        )


def scored(examples: Examples, name: str) -> Scorer:
    """Fitted and opened, as the hub does it."""
    return open_scorer(fit(name, examples), examples)


def plain(case: Draw, value: np.ndarray, threshold: float) -> Figures:
    """Of one pass over the stream."""
    return figures(case.rare[np.argsort(-value, kind="stable")], value >= threshold, case.rare)


def reviews(case: Draw, value: np.ndarray) -> Iterator[Figures]:
    """After each round: the SHOWN best frames are labelled and learned from."""
    seen = np.zeros(0, int)
    for _ in range(ROUNDS):
        rest = np.setdiff1d(np.argsort(-value, kind="stable"), seen, assume_unique=True)
        seen = np.concatenate([seen, rest[:SHOWN]])
        value = scored(learned(case, seen), "calibrated").score(case.stream)
        left = np.setdiff1d(np.arange(len(value)), seen)
        order = np.concatenate([seen, left[np.argsort(-value[left], kind="stable")]])
        yield figures(case.rare[order], value[left] >= 0.5, case.rare[left])


def learned(case: Draw, seen: np.ndarray) -> Examples:
    """The examples, with labelled frames among them."""
    rows, rare = case.stream[seen], case.rare[seen]
    known = case.examples
    return replace(
        known,
        pictures=np.concatenate([known.pictures, rows[rare]]),
        negatives=np.concatenate([known.negatives, rows[~rare]]),
    )


def learnable(case: Draw) -> bool:
    """Whether knowing every other rare frame is enough to find the rest."""
    rare = np.flatnonzero(case.rare)
    if len(rare) < 2:
        return False
    value = scored(learned(case, rare[::2]), "calibrated").score(case.stream)
    value[rare[::2]] = -1.0
    ranked = case.rare[np.argsort(-value, kind="stable")][: -len(rare[::2])]
    return average_precision(ranked) >= 0.8


def judge(case: Draw, given: Seeds, rng: np.random.Generator, reviewed: bool) -> dict[str, Figures]:
    """Every method on one draw; reviews take long."""
    roboflow = ROBOFLOW["picture" if given.pictures else "text"]
    ours = scored(case.examples, "calibrated").score(case.stream)
    found = {
        "random": plain(case, rng.random(len(case.rare)), 0.5),
        BASE: plain(case, scored(case.examples, "cosine").score(case.stream), roboflow),
        "aquarium-v1": plain(case, scored(case.examples, "aquarium-v1").score(case.stream), 0.5),
        OURS: plain(case, ours, 0.5),
    }
    if reviewed:
        rounds = list(reviews(case, ours))
        found["reviewed 1"], found["reviewed 3"] = rounds[0], rounds[-1]
        if learnable(case):
            found["learnable"] = rounds[-1]
    return {method: each._replace(base=found[BASE].ap, start=found[OURS].ap) for method, each in found.items()}


Cell = Mapping[str, Figures]
"""Means over draws, by method."""


def cell(set_: Labelled, given: Seeds, draws: int) -> Cell:
    """Means over draws; the raw figures' NaNs left out."""
    rng, chance = np.random.default_rng(17), np.random.default_rng(18)
    number = max(1, round(set_.effort * draws))
    every = [judge(draw(set_, given, rng), given, chance, not i % REVIEWED_ONE_IN) for i in range(number)]
    means = {}
    for method in (*METHODS, "learnable"):
        rows = np.array([each[method] for each in every if method in each]).reshape(-1, 7)
        kept = [column[~np.isnan(column)] for column in rows.T]
        means[method] = Figures(*(float(column.mean()) if len(column) else np.nan for column in kept))
    return means


# ── what is printed ──────────────────────────────────────────────────────────────────────────────────


def ratio(found: Cell, method: str = OURS) -> float:
    """AP over that of the raw maximum cosine."""
    return found[method].ap / found[method].base


def print_cell(name: str, given: Seeds, found: Cell) -> None:
    """A row of the table for each method."""
    for method in METHODS:
        f = found[method]
        start = f" (from {f.start:.3f})" if method.startswith("reviewed") else ""
        print(
            f"| {name} | {given} | {method} | {f.ap:.3f}{start} | {ratio(found, method):.2f} | {f.precision:.2f} | "
            f"{f.recall:.2f} | {100 * f.fpr:.2f} % | {f.labels:.1f} |",
            flush=True,
        )


def geometric_mean(values: Sequence[float]) -> float:
    """nan for none."""
    return float(np.exp(np.mean(np.log(values)))) if len(values) else np.nan


def verdicts(cells: Mapping[tuple[str, str], Cell], counting: Collection[str]) -> Iterator[tuple[bool, str]]:
    """Whether each expectation holds, and its figures. counting: the sets that means are taken over."""
    for given in dict.fromkeys(given for _, given in cells):
        of = {name: ratio(c) for (name, each), c in cells.items() if each == given}
        for judged in (True, False):
            among = [each for name, each in of.items() if (name in counting) == judged]
            if among and (given in WANTED or not judged):
                wanted = WANTED.get(given, 0.0) if judged else 0.0
                where = "on vectors" if judged else "end to end (not judged)"
                said = f"{given}: AP {geometric_mean(among):.3f}x the raw cosine's {where}, geometric mean"
                yield geometric_mean(among) >= wanted, said + (f" (>= {wanted})" if judged else "")
        least = min(of, key=of.__getitem__)
        yield of[least] >= NEVER_BELOW, f"{given}: least {of[least]:.3f}x, on {least} (>= {NEVER_BELOW})"
    for (name, given), c in cells.items():
        if not STATED_RATE / 2 <= c[OURS].fpr <= STATED_RATE * 2:
            yield (
                False,
                f"{name}, {given}: false positives {c[OURS].fpr:.2%} (within a factor of 2 of {STATED_RATE:.0%})",
            )
    rates = [c[OURS].fpr for c in cells.values()]
    yield (
        min(rates) >= STATED_RATE / 2 and max(rates) <= STATED_RATE * 2,
        (f"false positives {min(rates):.2%} to {max(rates):.2%} over all (0.5 % to 2 %)"),
    )
    for (name, given), c in cells.items():
        if name in counting and c["learnable"].labels > 2:
            yield False, f"{name}, {given}: {c['learnable'].labels:.2f} labels per found frame where learnable (<= 2)"


def plot(cells: Mapping[tuple[str, str], Cell], path: Path) -> None:
    """A panel per set: AP by what the campaign was given, a line per method that knows all draws."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    names = list(dict.fromkeys(name for name, _ in cells))
    columns = min(4, len(names))
    figure, axes = pyplot.subplots(
        -(-len(names) // columns),
        columns,
        figsize=(3.2 * columns, 2.9 * -(-len(names) // columns)),
        squeeze=False,
        sharey=True,
    )
    for axis in axes.ravel()[len(names) :]:
        axis.axis("off")
    for axis, name in zip(axes.ravel(), names, strict=False):
        given = [g for n, g in cells if n == name]
        for method in METHODS[:4]:
            axis.plot(given, [cells[name, g][method].ap for g in given], "o-", markersize=3, linewidth=1, label=method)
        axis.set_title(name, fontsize=8)
        axis.set_ylim(0, 1.02)
        axis.tick_params(labelsize=7)
    axes[0, 0].set_ylabel("average precision", fontsize=8)
    figure.supxlabel("seeds", fontsize=8)
    axes[0, 0].legend(fontsize=6, loc="lower right")
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main() -> None:
    """Print the table, the verdicts, and draw the plot."""
    parser = argparse.ArgumentParser(description="How well scorers select.")
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--only", default="", help="sets whose name contains this")
    parser.add_argument("--vectors-only", action="store_true", help="no pictures, no models")
    parser.add_argument("--plot", type=Path, default=Path(__file__).with_name("selection.png"))
    asked = parser.parse_args()
    started = time.perf_counter()
    sources: list[Callable[[], Iterator[Labelled]]] = [partial(of_files, DATA / "clip_features")]
    if not asked.vectors_only:
        sources.append(end_to_end)
    cells: dict[tuple[str, str], Cell] = {}
    counting: set[str] = set()
    print("| set | seeds | method | AP | x max cosine | precision | recall | FPR | labels |")
    print("|---|---|---|---|---|---|---|---|---|")
    for set_ in (each for source in sources for each in source() if asked.only in each.name):
        if set_.counts:
            counting.add(set_.name)
        for given in GIVEN:
            if len(classes_for(set_, given)) >= LEAST_CLASSES:
                cells[set_.name, str(given)] = cell(set_, given, asked.draws)
                print_cell(set_.name, given, cells[set_.name, str(given)])
    print()
    for holds, what in verdicts(cells, counting):
        print(f"{'pass' if holds else 'FAIL'}  {what}")
    plot(cells, asked.plot)
    print(f"\n{asked.draws} draws a cell, {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
