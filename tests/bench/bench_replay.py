"""What it takes to run a new campaign over a week of what was seen.

    python -m tests.bench.bench_replay [--frames 300000] [--held 40000]

Five cameras, a frame every ten seconds, in SQLite: each a still scene with weather and noise, and now and then
something else in it, made of real CLIP vectors (HUB_TEST_DATA_DIR, HUB_MODELS_DIR). Pictures of the newest are held.
"""

import argparse
import hashlib
import os
import tempfile
import time
from pathlib import Path

import numpy as np

from hub.archive import SeenFrame
from hub.blobs import open_blobs
from hub.campaigns import Draft, commit, create
from hub.models.embedder import load_embedder
from hub.pictures import Pictures
from hub.protocols import Embedder
from hub.replay import Places, Rules, replay
from hub.seeds import text_seeds
from hub.sinks import SINKS
from hub.store import SqlStore, open_store
from hub.target import SeedTarget
from hub.triggers.similarity import Similarity
from hub.types import Budget, Detections, Frame, Observation

_BESIDE = Path(__file__).resolve().parents[3] / "shared"
DATA = Path(os.environ.get("HUB_TEST_DATA_DIR", _BESIDE / "data"))
MODELS = Path(os.environ.get("HUB_MODELS_DIR", _BESIDE / "models"))
CAMERAS, EVERY_S, BEGAN = 5, 10.0, 1_780_000_000.0
TEXT = "clock tower"


def scenes() -> np.ndarray:
    """(n, 512) real CLIP vectors of scenes."""
    with np.load(next((DATA / "clip_features").glob("*[sS][uU][nN]*"))) as file:
        return file["feats"].astype(np.float32)


def fill(store: SqlStore, version: str, frames: int, held: int, picture: bytes) -> list[str]:
    """Store frames; returns the ids of those whose picture is held, the newest."""
    rng, known, none = np.random.default_rng(0), scenes(), Detections.empty()
    kept: list[str] = []
    for start in range(0, frames, 2_000):
        seen, some = [], []
        for n in range(start, min(frames, start + 2_000)):
            camera, i = n % CAMERAS, n // CAMERAS
            vector = known[camera] + 0.01 * np.sin(i / 700.0) * known[50 + camera] + 0.012 * rng.standard_normal(512)
            if rng.random() < 0.02:
                vector = 0.4 * vector + 0.6 * known[rng.integers(100, len(known))]
            frame_id = hashlib.blake2b(f"{n}".encode(), digest_size=16).hexdigest()
            at = BEGAN + i * EVERY_S + camera
            unit = (vector / np.linalg.norm(vector)).astype(np.float32)[None]
            seen.append(
                Observation(Frame(f"camera {camera}", 0, at, b"", digest=frame_id), (64, 48), none, unit, version)
            )
            is_held = n >= frames - held
            some.append(SeenFrame(frame_id, f"camera {camera}", at, (64, 48), "", len(picture) if is_held else 0))
            kept += [frame_id] * is_held
        store.archive.add_frames(some, seen)
    return kept


def hold(folder: Path, ids: list[str], picture: bytes) -> None:
    """The same picture under each id, without the time that storing it would take."""
    one = folder / "one"
    folder.mkdir(parents=True)
    one.write_bytes(picture)
    for frame_id in ids:
        (folder / frame_id[:2]).mkdir(exist_ok=True)
        os.link(one, folder / frame_id[:2] / frame_id)


def new_campaign(store: SqlStore, blobs: object, embedder: Embedder, name: str, budget: Budget) -> SeedTarget:
    """From one text."""
    seeds = text_seeds([TEXT], embedder)
    create(store, Draft(name, Similarity(), budget=budget), seeds, known_labels=tuple, sinks=SINKS, now=BEGAN)
    return SeedTarget(commit(store, blobs, name, lambda: embedder, now=BEGAN), None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=300_000)
    parser.add_argument("--held", type=int, default=40_000)
    asked = parser.parse_args()
    embedder = load_embedder(MODELS / "clip-student", device="cpu", threads=1)
    picture = (DATA / "photos" / "owl.jpg").read_bytes() if (DATA / "photos" / "owl.jpg").exists() else b""
    picture = picture or next((DATA / "photos").glob("*.jpg")).read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        store = open_store(f"sqlite:///{root / 'hub.sqlite'}")
        began = time.perf_counter()
        kept = fill(store, embedder.version, asked.frames, asked.held, picture)
        hold(root / "recent", kept, picture)
        size = (root / "hub.sqlite").stat().st_size / 1e6
        print(f"{asked.frames:,} frames, {asked.held:,} pictures held, {size:,.0f} MB "
              f"(made in {time.perf_counter() - began:.0f} s)")  # fmt: skip
        blobs, recent, small = (open_blobs(f"file://{root / name}") for name in ("frames", "recent", "small"))
        of = Places(store, Pictures(blobs, recent, small, store.archive))

        print(f"{'':44}{'s':>7}{'CPU s':>7}{'frames/s':>10}{'samples':>9}{'gone':>7}{'known':>7}")
        began = time.perf_counter()
        target = new_campaign(store, blobs, embedder, "churches", Budget())
        print(f"{'a campaign from one text, committed':44}{time.perf_counter() - began:7.1f}")
        for what, rules in (
            ("dry run", Rules(dry=True)),
            ("the best 40, dry", Rules(dry=True, best=40)),
            ("run", Rules()),
            ("run again", Rules()),
        ):
            began, cpu = time.perf_counter(), time.process_time()
            done = replay([target], of, embedder.version, rules=rules)
            took, cpu = time.perf_counter() - began, time.process_time() - cpu
            print(f"{what:44}{took:7.1f}{cpu:7.1f}{done.frames / took:10,.0f}"
                  f"{done.taken:9,}{done.gone_count:7,}{done.known:7,}", flush=True)  # fmt: skip
        store.close()


if __name__ == "__main__":
    main()
