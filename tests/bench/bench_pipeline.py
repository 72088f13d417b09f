"""What the pipeline costs beside its models, beside the naive loop, and on a scene that stands still.

    python -m tests.bench pipeline [--seconds 12] [--rounds 3]

The whole collector runs (poller, decode, models, two campaigns, SQLite, blobs), fed over loopback by a server in a
process of its own with real footage, faster than it can be judged. Raw onnxruntime, the naive loop and the collector
take turns in one run, since machines are noisy.
"""

import argparse
import asyncio
import contextlib
import io
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from hub import campaigns as life
from hub.blobs import open_blobs
from hub.campaigns import Draft
from hub.collector import Collector
from hub.loading import inference_plan
from hub.models.embedder import load_embedder
from hub.models.session import open_session
from hub.models.yolo import load_detector
from hub.pipeline import decode_all, perceive
from hub.plan import Models
from hub.seeds import Pictures, picture_seeds
from hub.store import open_store
from hub.triggers.detection import Detection
from hub.triggers.similarity import Similarity
from hub.types import Budget, Camera, ElementKind, Frame, Needs, RateLimit, SeedKind

PACK = Path(__file__).resolve().parents[3] / "shared"
DETECTOR = PACK / "models" / "detectors" / "yolov8n_dynamic.onnx"
EMBEDDER = PACK / "models" / "clip-student"
FILM = PACK / "data" / "video" / "car-detection.mp4"
CAMERAS = 8
INTERVAL_S = 0.2


def footage(count: int = 60) -> list[bytes]:
    """Real frames, as a camera would send them."""
    video = cv2.VideoCapture(str(FILM))
    frames = []
    while len(frames) < count:
        for _ in range(6):
            ok, picture = video.read()
        assert ok
        frames.append(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes())
    return frames


def still(count: int = 24) -> list[bytes]:
    """One scene with a sensor's noise, anew in each picture."""
    picture = cv2.imdecode(np.frombuffer(footage(1)[0], np.uint8), cv2.IMREAD_COLOR)
    rng = np.random.default_rng(0)
    noisy = (np.clip(picture + rng.normal(0, 3, picture.shape), 0, 255).astype(np.uint8) for _ in range(count))
    return [cv2.imencode(".jpg", each, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes() for each in noisy]


# ── the cameras: a process of their own ──────────────────────────────────────────────────────────────


class Cameras(asyncio.Protocol):
    """Each request gets the next picture; /same gives the first one for ever, /304 says it has not changed."""

    pictures: list[bytes] = []  # noqa: RUF012
    number = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def data_received(self, data: bytes) -> None:
        path = data.split(b" ", 2)[1]
        if path.startswith(b"/304") and b"If-None-Match" in data:
            self.transport.write(b'HTTP/1.1 304 Not Modified\r\nETag: "1"\r\n\r\n')
            return
        Cameras.number += 1
        fixed = path.startswith((b"/304", b"/same"))
        body = self.pictures[0 if fixed else Cameras.number % len(self.pictures)]
        tag = b'ETag: "1"\r\nX-Frame-Age-Ms: 0\r\n' if path.startswith(b"/304") else b""
        head = b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n%bContent-Length: %d\r\n\r\n" % (tag, len(body))
        self.transport.write(head + body)


async def serve(kind: str) -> None:
    Cameras.pictures = still() if kind == "still" else footage()
    server = await asyncio.get_running_loop().create_server(Cameras, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextlib.contextmanager
def cameras(kind: str) -> Iterator[str]:
    command = [sys.executable, "-m", "tests.bench.bench_pipeline", "--serve", kind]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.wait()


# ── the three that are compared ──────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Turn:
    """frames: judged. seconds: of wall time. cpu_s: of this process."""

    frames: int
    seconds: float
    cpu_s: float

    @property
    def fps(self) -> float:
        return self.frames / self.seconds


class Bench:
    """The models, loaded once for everybody."""

    def __init__(self) -> None:
        self.batch, self.workers, self.threads = inference_plan("cpu", 0, 0)
        self.detector = load_detector(DETECTOR, threads=self.threads, confidence=0.05)
        self.embedder = load_embedder(EMBEDDER, threads=self.threads)
        self.pictures = footage()

    def collector(self, url: str, seconds: float, *, crops: bool = True, interval_s: float = INTERVAL_S) -> Turn:
        """The hub at work for `seconds`, after a second to warm up."""
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            store, blobs = open_store(f"sqlite:///{root / 'hub.sqlite'}"), open_blobs(f"file://{root / 'frames'}")
            for i in range(CAMERAS):
                store.add_camera(Camera(f"camera-{i}", f"{url}-{i}", interval_s))
            self._campaigns(store, blobs, crops)
            models = Models(lambda: self.detector, lambda: self.embedder, self.batch, self.workers)
            turn = asyncio.run(_watch(Collector(store, blobs, models, indexes=root / "indexes"), seconds))
            store.close()
            return turn

    def _campaigns(self, store: Any, blobs: Any, crops: bool) -> None:
        budget = Budget(0.5, (RateLimit(60, 60.0),))
        labels = lambda: self.detector.labels  # noqa: E731
        drafts = [(Draft("cars", Detection(("car",)), budget=budget), [])]
        if crops:
            pictures = Pictures([("a.jpg", self.pictures[0]), ("b.jpg", self.pictures[20])])
            seeds = picture_seeds(pictures, SeedKind.CROP, blobs, self.embedder)
            drafts.append((Draft("such cars", Similarity(ElementKind.CROP), budget=budget), seeds))
        for draft, seeds in drafts:
            life.create(store, draft, seeds, known_labels=labels, sinks=("folder",), now=time.time())
            life.activate(store, blobs, draft.name, lambda: self.embedder, now=time.time())

    def raw(self, seconds: float, elements: list[int]) -> Turn:
        """onnxruntime alone: the same two models, threads and batches, on tensors that are ready.

        elements: how many pictures are embedded for each frame (itself and its crops).
        """
        detector = open_session(DETECTOR, device="cpu", threads=self.threads)
        embedder = open_session(EMBEDDER / "visual.onnx", device="cpu", threads=self.threads)
        shape = self.detector.input_hw(768, 432)  # what the pipeline gives it for this footage
        frame = np.random.default_rng(0).random((self.batch, 3, *shape), np.float32)
        sizes = [sum(elements[i : i + self.batch]) for i in range(0, len(elements), self.batch)]
        crops = [np.random.default_rng(n).normal(size=(n, 3, 224, 224)).astype(np.float32) for n in sizes]
        end = time.monotonic() + seconds

        def work(first: int) -> int:
            done = 0
            while time.monotonic() < end:
                detector.run({detector.inputs[0].name: frame})
                if crops[0].size:
                    embedder.run({embedder.inputs[0].name: crops[(first + done) % len(crops)]})
                done += 1
            return done * self.batch

        began, cpu = time.monotonic(), time.process_time()
        with ThreadPoolExecutor(self.workers) as pool:
            frames = sum(pool.map(work, range(self.workers)))
        return Turn(frames, time.monotonic() - began, time.process_time() - cpu)

    def elements(self) -> list[int]:
        """How many pictures the pipeline embeds for each frame of the footage."""
        needs = Needs(True, True, True, confidence=0.05, crop_confidence=0.25)
        frames = [Frame("c", i, 0.0, jpeg) for i, jpeg in enumerate(self.pictures)]
        seen = perceive(decode_all(frames)[0], needs, self.detector, self.embedder)
        return [len(each.vectors) for each in seen]

    def naive(self, url: str, seconds: float, out: Path) -> Turn:
        """requests → PIL → numpy → predict → save, one camera after the other, as such scripts are written."""
        session = open_session(DETECTOR, device="cpu", threads=0)
        began, cpu, frames = time.monotonic(), time.process_time(), 0
        while time.monotonic() < began + seconds:
            data = urllib.request.urlopen(f"{url}-{frames % CAMERAS}").read()
            image = Image.open(io.BytesIO(data)).convert("RGB")
            scale = 640 / max(image.size)
            small = image.resize((round(image.width * scale), round(image.height * scale)))
            canvas = Image.new("RGB", (640, 640), (114, 114, 114))
            canvas.paste(small, (0, (640 - small.height) // 2))
            tensor = (np.asarray(canvas).astype(np.float32) / 255.0).transpose(2, 0, 1)[None]
            (found,) = session.run({session.inputs[0].name: np.ascontiguousarray(tensor)})
            if found[0, 4:].max() >= 0.5:
                image.save(out / f"{frames}.jpg")
            frames += 1
        return Turn(frames, time.monotonic() - began, time.process_time() - cpu)


async def _watch(collector: Collector, seconds: float) -> Turn:
    stop = asyncio.Event()
    running = asyncio.create_task(collector.run(stop))
    await asyncio.sleep(2.0)
    before, began, cpu = collector.status, time.monotonic(), time.process_time()
    await asyncio.sleep(seconds)
    after, took, used = collector.status, time.monotonic() - began, time.process_time() - cpu
    stop.set()
    await running
    return Turn(after.frames - before.frames, took, used)


# ── tables ───────────────────────────────────────────────────────────────────────────────────────────


def efficiency(bench: Bench, seconds: float, rounds: int) -> list[tuple[str, str, str]]:
    elements = bench.elements()
    ratios, naive_ratios, raws, hubs, naives, alones = ([] for _ in range(6))  # type: list[float]
    with cameras("moving") as url, tempfile.TemporaryDirectory() as out:
        for _ in range(rounds):
            raw = bench.raw(seconds, elements).fps
            hub = bench.collector(f"{url}/next", seconds).fps
            again = bench.raw(seconds, elements).fps
            naive = bench.naive(f"{url}/next", seconds, Path(out)).fps
            alone = bench.collector(f"{url}/next", seconds, crops=False).fps
            raws.append((raw + again) / 2)
            hubs.append(hub)
            naives.append(naive)
            alones.append(alone)
            ratios.append(hub / raws[-1])
            naive_ratios.append(alone / naive)
    config = f"{bench.workers} × {bench.threads} threads, batch {bench.batch}"
    models = f"YOLOv8n + student on frame and {statistics.mean(elements) - 1:.1f} crops"
    middle = statistics.median
    return [
        (f"raw onnxruntime, {models} ({config})", f"{middle(raws):.1f} fps", ""),
        ("the hub, end to end, same models", f"{middle(hubs):.1f} fps", f"{middle(ratios):.2f} × raw"),
        ("naive loop, YOLOv8n only", f"{middle(naives):.1f} fps", ""),
        ("the hub, YOLOv8n only", f"{middle(alones):.1f} fps", f"{middle(naive_ratios):.2f} × naive"),
    ]  # fmt: skip


def static_scene(bench: Bench, seconds: float) -> list[tuple[str, str, str]]:
    """CPU per frame of the whole process; polled faster when frames are cheap, so that there is something to read."""
    with cameras("moving") as moving, cameras("still") as standing:
        changed = bench.collector(f"{moving}/next", seconds)
        rows = [("changed", changed)]
        for name, url in (
            ("304", f"{standing}/304"),
            ("same bytes", f"{standing}/same"),
            ("noise only", f"{standing}/next"),
        ):
            rows.append((name, bench.collector(url, seconds / 2, interval_s=0.05)))
    whole = changed.cpu_s / changed.frames
    return [
        (f"frame: {name}", f"{1000 * turn.cpu_s / max(turn.frames, 1):.2f} CPU ms",
         f"1/{whole / (turn.cpu_s / max(turn.frames, 1)):.0f}" if name != "changed" else "")
        for name, turn in rows
    ]  # fmt: skip


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--serve", default="")
    parser.add_argument("--seconds", type=float, default=12.0)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args(arguments)
    if given.serve:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(serve(given.serve))
        return
    bench = Bench()
    print("| pipeline | | |\n|---|---|---|")
    for row in efficiency(bench, given.seconds, given.rounds):
        print("| " + " | ".join(row) + " |", flush=True)
    for row in static_scene(bench, given.seconds):
        print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
