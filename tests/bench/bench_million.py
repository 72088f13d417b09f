"""A hub that remembers a million elements in SQLite: what writing, listing, searching, retention and indexing cost.

    python -m tests.bench.bench_million [--elements 1000000] [--folder DIR]

Camera-like vectors made of real CLIP features: each camera has its scene, things come and go before it. Each step runs
in a process of its own, as a user's command does, so that its memory is its own; what is printed is its peak.
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from hub.archive import Filter, SeenFrame
from hub.corpus import Corpus
from hub.store import open_store
from hub.types import Batch, Detections, ElementKind, Frame, Observation

DATA = Path(os.environ.get("HUB_TEST_DATA_DIR", Path(__file__).resolve().parents[3] / "shared" / "data"))
VERSION = "bench"
CAMERAS = 20
START = 1_700_000_000.0
EVERY_S = 10.0
DIM = 512
BATCH = 50


def features() -> np.ndarray:
    """Real vectors of scenes and things, (n, 512)."""
    files = sorted((DATA / "clip_features").glob("*.npz"))
    return np.concatenate([np.load(path)["feats"].astype(np.float32) for path in files])


def observations(first: int, count: int, known: np.ndarray, rng: np.random.Generator) -> list[Observation]:
    """Frames with one crop each, from `first` on."""
    seen = []
    for i in range(first, first + count):
        camera = i % CAMERAS
        thing = known[rng.integers(len(known))]
        noise = rng.standard_normal((2, DIM)).astype(np.float32) * 0.02
        rows = np.stack([0.85 * known[camera * 37] + 0.35 * thing, thing]) + noise
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        frame = Frame(f"camera-{camera}", i, START + i // CAMERAS * EVERY_S, b"", digest=f"{i:032x}")
        label = ("car", "person", "bird", "dog")[int(rng.integers(4))]
        found = Detections(np.array([[10, 20, 300, 400]], np.float32), np.array([0.8], np.float32), (label,))
        seen.append(Observation(frame, (1280, 720), found, rows.astype(np.float32), VERSION, "yolo bench"))
    return seen


def fill(url: str, elements: int) -> str:
    store, known, rng = open_store(url), features(), np.random.default_rng(0)
    frames, began = elements // 2, time.monotonic()
    for first in range(0, frames, BATCH):
        seen = observations(first, min(BATCH, frames - first), known, rng)
        kept = [
            SeenFrame(each.frame.id, each.frame.camera, each.frame.taken_at, each.size_wh, "", 0, 9000) for each in seen
        ]
        store.write(Batch(seen, frames=kept))
    took = time.monotonic() - began
    return f"{elements / took:,.0f} elements/s, made and written in batches of {BATCH} frames"


def timed(call: Callable[[], object], times: int = 1) -> tuple[float, object]:
    """Seconds of the median call, and what the last returned."""
    took, result = [], None
    for _ in range(times):
        began = time.monotonic()
        result = call()
        took.append(time.monotonic() - began)
    return float(np.median(took)), result


def listing(url: str, elements: int) -> str:
    archive = open_store(url).archive
    since = START + elements / 4 / CAMERAS * EVERY_S
    usage, _ = timed(archive.usage, 3)
    versions, _ = timed(archive.embedding_versions, 3)
    page, _ = timed(lambda: archive.observations(VERSION, since=since, limit=500), 5)
    keys, _ = timed(lambda: archive.keys(VERSION, after=elements // 2, limit=1000), 5)
    one, _ = timed(lambda: archive.by_key([elements // 3], VERSION), 20)
    anything, _ = timed(lambda: archive.random(VERSION), 20)
    return (
        f"usage {usage * 1e3:,.0f} ms, embedding versions {versions * 1e3:,.0f} ms, 500 frames from the middle "
        f"{page * 1e3:,.0f} ms, 1,000 keys {keys * 1e3:,.0f} ms, one element {one * 1e3:.1f} ms, "
        f"any {anything * 1e3:.1f} ms"
    )


def background(url: str, elements: int) -> str:
    store = open_store(url)
    whole, _ = timed(lambda: store.background(VERSION, ElementKind.FRAME, limit=2000), 3)
    birds, _ = timed(lambda: store.background(VERSION, ElementKind.CROP, limit=2000, labels=["bird"]), 3)
    return f"2,000 frames {whole * 1e3:,.0f} ms, crops of birds of 2,000 {birds * 1e3:,.0f} ms"


def build(url: str, elements: int) -> str:
    corpus = Corpus(open_store(url).archive, VERSION, _indexes(url))
    took, _ = timed(corpus.build)
    stats = corpus.stats()
    recall = min((each.recall for each in stats.segments), default=1.0)
    size = f"{len(stats.segments)} segments, {stats.bytes / 1e9:.2f} GB"
    return f"{took:,.0f} s, {size}, recall@10 {recall:.3f} as measured then"


def search(url: str, elements: int) -> str:
    archive = open_store(url).archive
    corpus = Corpus(archive, VERSION, _indexes(url))
    known, rng = features(), np.random.default_rng(1)
    queries = np.concatenate([each.vectors for each in observations(0, 25, known, rng)])
    first, _ = timed(lambda: corpus.search(queries[:1], 20))
    every, _ = timed(lambda: corpus.search(queries[rng.integers(50)][None], 20), 50)
    end = START + elements / 2 / CAMERAS * EVERY_S
    rare = Filter(since=end - (end - START) * 0.04, cameras=("camera-3",), labels=("bird",), kind=ElementKind.CROP)
    few, _ = timed(lambda: corpus.search(queries[rng.integers(50)][None], 20, rare), 20)
    half, _ = timed(lambda: corpus.search(queries[rng.integers(50)][None], 20, Filter(kind=ElementKind.CROP)), 20)
    return (
        f"the first {first * 1e3:,.0f} ms, then {every * 1e3:.0f} ms; crops only {half * 1e3:.0f} ms; "
        f"one camera, a label and a time {few * 1e3:.0f} ms"
    )


def retention(url: str, elements: int) -> str:
    """A tenth of all is too old: as the collector's sweep does it, in steps of a thousand."""
    store = open_store(url)
    before = START + elements / 20 / CAMERAS * EVERY_S
    gone, longest, began = 0, 0.0, time.monotonic()
    while True:
        at = time.monotonic()
        step = store.prune(before, limit=1000)
        longest = max(longest, time.monotonic() - at)
        if not step:
            break
        gone += step
    for each in iter(lambda: store.archive.expired(before, limit=1000), []):
        at = time.monotonic()
        store.archive.keep({frame.id: (0, 0) for frame in each})
        longest = max(longest, time.monotonic() - at)
    forgotten = sum(iter(lambda: store.archive.forget_frames(before, limit=1000), 0))
    took = time.monotonic() - began
    return f"{gone:,} elements and {forgotten:,} frames in {took:,.0f} s, no step above {longest * 1e3:,.0f} ms"


def after(url: str, elements: int) -> str:
    """Searching right after, with a tenth of the index dead; then building again."""
    archive = open_store(url).archive
    corpus = Corpus(archive, VERSION, _indexes(url))
    queries = np.concatenate([each.vectors for each in observations(0, 25, features(), np.random.default_rng(2))])
    every, _ = timed(lambda: corpus.search(queries[:1], 20), 10)
    took, _ = timed(corpus.build)
    return f"search {every * 1e3:,.0f} ms; building again {took:,.0f} s"


STEPS = {
    "writing": fill, "listing": listing, "background": background, "index build": build, "search": search,
    "retention": retention, "after retention": after,
}  # fmt: skip


def _indexes(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///")).parent / "indexes"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--elements", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--step", choices=STEPS)
    parser.add_argument("--only", nargs="*", choices=STEPS)
    args = parser.parse_args()
    if args.step:
        said = STEPS[args.step](f"sqlite:///{args.folder / 'hub.sqlite'}", args.elements)
        print(f"{args.step:16} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:5.2f} GB  {said}", flush=True)
        return
    folder = args.folder or Path(tempfile.mkdtemp(prefix="million-"))
    print(f"{args.elements:,} elements, half whole frames, half crops\nstep               peak  ")
    try:
        for step in args.only or STEPS:
            rest = ["--step", step, "--folder", str(folder), "--elements", str(args.elements)]
            subprocess.run([sys.executable, "-m", "tests.bench.bench_million", *rest], check=True)
        print(f"database {(folder / 'hub.sqlite').stat().st_size / 1e9:.2f} GB")
    finally:
        if args.folder is None:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
