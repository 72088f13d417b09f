"""What `hub scan` costs beside its models, a second time, and in memory.

    python -m tests.bench scan [--rounds 3] [--pictures 300] [--crops]

Pictures of COCO and Caltech-101 and three films are scanned into a fresh hub, with a campaign that detects (and, with
--crops, one on crops), and then scanned again. Raw inference looks at the very same pictures, decoded beforehand, with
the same models and the same number of sessions side by side. All take turns in one run, since machines are noisy.
"""

import argparse
import itertools
import resource
import statistics
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from hub.blobs import open_blobs
from hub.footage.files import LocalFile, path_of, walk
from hub.footage.video import sample
from hub.loading import inference_plan
from hub.models.embedder import load_embedder
from hub.models.yolo import load_detector
from hub.pictures import Pictures
from hub.pipeline import Decoded, perceive
from hub.scan import Models, Places, Rules, needs_for, scan
from hub.store import open_store
from hub.target import SeedTarget
from hub.triggers.detection import Detection
from hub.types import Budget, Campaign, CampaignState, Frame, Scope, Version
from hub.vision import decode

PACK = Path(__file__).resolve().parents[3] / "shared"
DETECTOR = PACK / "models" / "detectors" / "yolov8n_dynamic.onnx"
EMBEDDER = PACK / "models" / "clip-student"
DATA = PACK / "data"


class Bench:
    """The models, loaded once for everybody, and what is scanned."""

    def __init__(self, pictures: int, crops: bool) -> None:
        self.batch, self.workers, self.threads = inference_plan("cpu", 0, 0)
        self.detector = load_detector(DETECTOR, threads=self.threads, confidence=0.05)
        self.embedder = load_embedder(EMBEDDER, threads=self.threads)
        # Evenly over all classes, since they are sorted.
        caltech = sorted((DATA / "caltech101_val").rglob("*.jpg"))
        self.paths = [DATA / "coco_val128" / "images", *caltech[:: max(1, len(caltech) // max(1, pictures))]]
        self.films = sorted(path for path in (DATA / "video").iterdir() if path.suffix in (".mp4", ".avi"))
        self.rules = Rules(crops=crops)
        self.images = {"pictures": self._pictures(self.paths), "films": self._frames()}
        self.images["both"] = self.images["pictures"] + self.images["films"]
        self.given = {"pictures": self.paths, "films": self.films, "both": [*self.paths, *self.films]}

    def _pictures(self, paths: Sequence[Path]) -> list[Decoded]:
        files = (file for file in walk(paths) if isinstance(file, LocalFile))
        data = (path_of(file).read_bytes() for file in files)
        return [Decoded(Frame("bench", 0, 0.0, b"", digest=str(i)), decode(one)) for i, one in enumerate(data)]

    def _frames(self) -> list[Decoded]:
        stills = itertools.chain.from_iterable(sample(film) for film in self.films)
        return [Decoded(Frame("bench", 0, 0.0, b"", digest=str(i)), decode(s.jpeg)) for i, s in enumerate(stills)]

    def raw(self, what: str) -> float:
        """Frames a second of the models alone, on what is decoded already."""
        images, needs = self.images[what], needs_for(self._targets(None), self.rules)
        groups = [images[i : i + self.batch] for i in range(0, len(images), self.batch)]
        began = time.monotonic()
        with ThreadPoolExecutor(self.workers) as pool:
            list(pool.map(lambda group: perceive(group, needs, self.detector, self.embedder), groups))
        return len(images) / (time.monotonic() - began)

    def scan(self, what: str, root: Path) -> float:
        """Frames a second of a scan into a hub, which is made if it is not there."""
        store = open_store(f"sqlite:///{root / 'hub.sqlite'}")
        blobs, recent, small = (open_blobs(f"file://{root / name}") for name in ("frames", "recent", "small"))
        places = Places(store, blobs, Pictures(blobs, recent, small, store.archive))
        models = Models(lambda: self.detector, lambda: self.embedder, self.batch, self.workers)
        targets = self._targets(store)
        began = time.monotonic()
        done = scan(self.given[what], targets, places, models, self.rules)
        took = time.monotonic() - began
        store.close()
        return done.progress.frames / took

    def _targets(self, store: Any) -> list[SeedTarget]:
        version = Version(0, 1, "animals", 1, Detection(("bird", "cat", "dog")), Scope(), Budget(), ("folder",), (),
                          None, (), None, 0.0)  # fmt: skip
        if store is None:
            return [SeedTarget(version, None)]
        if not store.campaigns():
            made = store.add_campaign(Campaign(0, "animals", version.trigger), [])
            store.commit(replace(version, campaign_id=made.id))
            store.set_campaign_state("animals", CampaignState.ACTIVE)
        return [SeedTarget(each, None) for each in store.active_versions()]


def turns(bench: Bench, what: str, rounds: int) -> list[tuple[str, str, str]]:
    raws, scans, agains, ratios = [], [], [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            before = bench.raw(what)
            scans.append(bench.scan(what, Path(folder)))
            agains.append(bench.scan(what, Path(folder)))
            raws.append((before + bench.raw(what)) / 2)
        ratios.append(scans[-1] / raws[-1])
    middle = statistics.median
    n = len(bench.images[what])
    return [
        (f"{what}: raw inference, {n} frames decoded beforehand", f"{middle(raws):.1f} fps", ""),
        (f"{what}: hub scan", f"{middle(scans):.1f} fps", f"{middle(ratios):.2f} × raw"),
        (f"{what}: the same again", f"{middle(agains):.0f} fps", f"{1000 / middle(agains):.2f} ms a frame"),
    ]


def memory(bench: Bench, copies: int) -> list[tuple[str, str, str]]:
    """How the peak of this process grows with the number of files. Of pictures that are small, so that it shows."""
    rows = []
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        corpus, hub = Path(folder) / "corpus", Path(folder) / "hub"
        hub.mkdir()
        for part in range(3):
            here = corpus / str(part)
            here.mkdir(parents=True)
            for i in range(copies):
                picture = rng.integers(0, 255, (48, 64, 3), np.uint8)
                (here / f"{i}.jpg").write_bytes(cv2.imencode(".jpg", picture)[1].tobytes())
            bench.given["memory"] = [here]
            bench.rules = replace(bench.rules, crops=False)
            bench.scan("memory", hub)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            rows.append((f"peak memory after {copies * (part + 1):,} small files more", f"{peak:.0f} MB", ""))
    return rows


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pictures", type=int, default=300)
    parser.add_argument("--copies", type=int, default=500)
    parser.add_argument("--crops", action="store_true")
    given = parser.parse_args(arguments)
    bench = Bench(given.pictures, given.crops)
    print(f"{bench.workers} × {bench.threads} threads, batch {bench.batch}\n\n| scan | | |\n|---|---|---|")
    for what in ("pictures", "films", "both"):
        for row in turns(bench, what, given.rounds):
            print("| " + " | ".join(row) + " |", flush=True)
    for row in memory(bench, given.copies):
        print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
