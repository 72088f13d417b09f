"""What `hub scan` costs beside its models, a second time, and in memory.

    python -m tests.bench scan [--rounds 3] [--pictures 150] [--crops]

Pictures of COCO and Caltech-101, and then three films, are scanned into a fresh hub, with a campaign that detects (and,
with --crops, all crops), and scanned again. Raw inference looks at the very same pictures, decoded beforehand, with
the same models and as many sessions side by side, before and after each scan. All take turns in one run, since machines
are noisy; time of the processor is given beside that of the clock, since they are shared.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
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


@dataclass(frozen=True)
class Cost:
    """Milliseconds a frame: by the clock, and of all processors."""

    wall: float
    cpu: float

    def __str__(self) -> str:
        return f"{self.wall:.1f} ({self.cpu:.1f})"


def cost(what: Callable[[], int]) -> Cost:
    """Of something that says how many frames it saw."""
    wall, cpu = time.monotonic(), time.process_time()
    frames = what()
    return Cost(1000 * (time.monotonic() - wall) / frames, 1000 * (time.process_time() - cpu) / frames)


def middle(costs: Iterable[Cost]) -> Cost:
    """The median."""
    costs = list(costs)
    return Cost(statistics.median(each.wall for each in costs), statistics.median(each.cpu for each in costs))


class Bench:
    """The models, loaded once for everybody."""

    def __init__(self, rules: Rules) -> None:
        self.batch, self.workers, self.threads = inference_plan("cpu", 0, 0)
        self.detector = load_detector(DETECTOR, threads=self.threads, confidence=0.05)
        self.embedder = load_embedder(EMBEDDER, threads=self.threads)
        self.rules = rules

    def raw(self, images: Sequence[Decoded]) -> Cost:
        """The models alone, on what is decoded already."""
        needs = needs_for(self._targets(None), self.rules)
        groups = [images[i : i + self.batch] for i in range(0, len(images), self.batch)]

        def look() -> int:
            with ThreadPoolExecutor(self.workers) as pool:
                list(pool.map(lambda group: perceive(group, needs, self.detector, self.embedder), groups))
            return len(images)

        return cost(look)

    def scan(self, paths: Sequence[Path], root: Path) -> Cost:
        """A scan into a hub, which is made if it is not there."""
        store = open_store(f"sqlite:///{root / 'hub.sqlite'}")
        blobs, recent, small = (open_blobs(f"file://{root / name}") for name in ("frames", "recent", "small"))
        places = Places(store, blobs, Pictures(blobs, recent, small, store.archive))
        models = Models(lambda: self.detector, lambda: self.embedder, self.batch, self.workers)
        targets = self._targets(store)
        took = cost(lambda: scan(paths, targets, places, models, self.rules).progress.frames)
        store.close()
        return took

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


def pictures(most: int) -> list[Path]:
    """128 of COCO, and others evenly over all classes of Caltech-101, since they are sorted."""
    caltech = sorted((DATA / "caltech101_val").rglob("*.jpg"))
    return [DATA / "coco_val128" / "images", *caltech[:: max(1, len(caltech) // max(1, most))]]


def films() -> list[Path]:
    return sorted(path for path in (DATA / "video").iterdir() if path.suffix in (".mp4", ".avi"))


def decoded(paths: Sequence[Path]) -> list[Decoded]:
    """The pictures that a scan of files looks at, each once."""
    images = {}
    for file in (found for found in walk(paths) if isinstance(found, LocalFile)):
        path = path_of(file)
        for data in (still.jpeg for still in sample(path)) if file.is_film else (path.read_bytes(),):
            frame = Frame("bench", 0, 0.0, data)
            images[frame.id] = Decoded(Frame("bench", 0, 0.0, b"", digest=frame.id), decode(data))
    return list(images.values())


def turns(bench: Bench, what: str, paths: Sequence[Path], rounds: int) -> list[str]:
    """A row of the table."""
    images = decoded(paths)
    raws, scans, agains, ratios = [], [], [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            before = bench.raw(images)
            scans.append(bench.scan(paths, Path(folder)))
            agains.append(bench.scan(paths, Path(folder)))
            after = bench.raw(images)
        raws.append(Cost((before.wall + after.wall) / 2, (before.cpu + after.cpu) / 2))
        ratios.append(Cost(raws[-1].wall / scans[-1].wall, raws[-1].cpu / scans[-1].cpu))
    ratio = middle(ratios)
    spread = f"{min(each.wall for each in ratios):.2f} to {max(each.wall for each in ratios):.2f}"
    return [
        f"{len(images)} {what}",
        str(middle(raws)),
        str(middle(scans)),
        f"{ratio.wall:.2f} ({ratio.cpu:.2f})",
        spread,
        str(middle(agains)),
    ]


def grown(bench: Bench, files: int) -> None:
    """How the peak of this process grows with the number of files. Of pictures that are small, so that it shows."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        hub = Path(folder) / "hub"
        hub.mkdir()
        for part in range(3):
            here = Path(folder) / str(part)
            here.mkdir()
            for i in range(files):
                picture = rng.integers(0, 255, (48, 64, 3), np.uint8)
                (here / f"{i}.jpg").write_bytes(cv2.imencode(".jpg", picture)[1].tobytes())
            bench.scan([here], hub)
            print(f"| {files * (part + 1):,} small pictures | {_peak():.0f} MB |", flush=True)


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def memory(given: argparse.Namespace) -> None:
    """In a process that does nothing else."""
    bench = Bench(Rules(crops=given.crops))
    print(f"| models loaded | {_peak():.0f} MB |", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for what, paths in (("films", films()), ("pictures", pictures(given.pictures))):
            bench.scan(paths, Path(folder))
            print(f"| and {what} scanned | {_peak():.0f} MB |", flush=True)
    grown(Bench(Rules()), given.files)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pictures", type=int, default=150)
    parser.add_argument("--files", type=int, default=300)
    parser.add_argument("--crops", action="store_true")
    parser.add_argument("--memory", action="store_true", help="only that")
    given = parser.parse_args(arguments)
    if given.memory:
        memory(given)
        return
    bench = Bench(Rules(crops=given.crops))
    print(f"{bench.workers} × {bench.threads} threads, batch {bench.batch}; milliseconds a frame (of all processors)\n")
    print("| | raw inference | hub scan | raw / scan | of the turns | scanned again |\n|---|---|---|---|---|---|")
    for what, paths in (("stills of films", films()), ("pictures", pictures(given.pictures))):
        print("| " + " | ".join(turns(bench, what, paths, given.rounds)) + " |", flush=True)
    print("\n| peak memory | |\n|---|---|", flush=True)
    more = ["--pictures", str(given.pictures), "--files", str(given.files), *(["--crops"] if given.crops else [])]
    subprocess.run([sys.executable, "-m", "tests.bench.bench_scan", "--memory", *more], check=True)


if __name__ == "__main__":
    main()
