"""What it costs to remember every frame that was processed.

    python -m tests.bench memory [--seconds 12] [--rounds 3]

The whole collector as in `pipeline`, with no two pictures alike: with nothing kept, with every picture kept, and with a
ring that is full, so that for each that comes one fades. They take turns in one run, since machines are noisy.
"""

import argparse
import asyncio
import contextlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hub.blobs import open_blobs
from hub.collector import Collector
from hub.plan import Models
from hub.recent import Recent, thumbnail_of
from hub.room import HALF_A_BLOCK, space_at
from hub.store import open_store
from hub.types import Batch, Camera, Detections, Frame, Needs, Observation
from tests.bench import bench_pipeline
from tests.bench.bench_pipeline import CAMERAS, INTERVAL_S, Bench, Turn, footage

HELD = 1500
"""Pictures that the full ring has room for."""


class Unlike(bench_pipeline.Cameras):
    """Pictures of which no two are the same file."""

    def data_received(self, data: bytes) -> None:
        if b" /304" not in data.split(b"\r\n", 1)[0]:
            number = bench_pipeline.Cameras.number + 1
            at = number % len(self.pictures)
            self.pictures[at] = self.pictures[at][: self.sizes[at]] + number.to_bytes(8, "big")
        super().data_received(data)

    sizes: list[int] = []  # noqa: RUF012


async def serve() -> None:
    Unlike.pictures = bench_pipeline.Cameras.pictures = footage()
    Unlike.sizes = [len(each) for each in Unlike.pictures]
    server = await asyncio.get_running_loop().create_server(Unlike, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextlib.contextmanager
def cameras() -> Iterator[str]:
    command = [sys.executable, "-m", "tests.bench.bench_memory", "--serve"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.wait()


def observed(number: int, picture: bytes) -> Observation:
    """A frame like no other."""
    frame = Frame("porch", number, float(number), picture + number.to_bytes(8, "big"))
    return Observation(frame, (768, 432), Detections.empty(), bench_pipeline.np.zeros((0, 0), "float32"))


def ring(root: Path, store: Any, pictures: list[bytes], *, full: bool) -> Recent:
    """A ring, filled to its brim or of half the disk."""
    size = statistics.mean(map(len, pictures)) + HALF_A_BLOCK
    # What thumbnails get and the database takes, too.
    budget = (HELD * size / 0.7 + store.archive.usage().database_bytes + 3e6) / 1e9 if full else 5.0
    recent = Recent(
        open_blobs(f"file://{root / 'recent'}"),
        open_blobs(f"file://{root / 'thumbnails'}"),
        store,
        disk=lambda: space_at(root),
        max_disk_gb=budget,
        retention_s=1e12,
    )
    if full:
        for start in range(0, HELD + HELD // 5, 50):
            seen = [observed(start + i, pictures[(start + i) % len(pictures)]) for i in range(50)]
            store.write(Batch(seen, frames=recent.keep(seen)))
            while recent.tend(2e9):
                pass
    return recent


def turn(
    bench: Bench, url: str, seconds: float, kind: str, *, interval_s: float = INTERVAL_S
) -> tuple[Turn, Recent | None]:
    """The hub at work. kind: nothing, ring or full."""
    root = Path(tempfile.mkdtemp())
    try:
        store, blobs = open_store(f"sqlite:///{root / 'hub.sqlite'}"), open_blobs(f"file://{root / 'frames'}")
        for i in range(CAMERAS):
            store.add_camera(Camera(f"camera-{i}", f"{url}-{i}", interval_s))
        bench._campaigns(store, blobs, True)
        models = Models(lambda: bench.detector, lambda: bench.embedder, bench.batch, bench.workers)
        recent = ring(root, store, bench.pictures, full=kind == "full") if kind in ("ring", "full") else None
        remember = Needs() if kind == "nothing" else Needs(frame_vector=True)
        collector = Collector(store, blobs, models, indexes=root / "indexes", remember=remember, recent=recent)
        done = asyncio.run(bench_pipeline._watch(collector, seconds))
        store.close()
        return done, recent
    finally:
        shutil.rmtree(root, ignore_errors=True)


def whole(bench: Bench, seconds: float, rounds: int) -> list[tuple[str, str, str]]:
    """Frames per second and CPU per frame of the whole collector, each beside the one that keeps nothing."""
    turns: dict[str, list[Turn]] = {kind: [] for kind in ("nothing", "ring", "full")}
    with cameras() as url:
        for number in range(rounds):
            for kind in sorted(turns, reverse=number % 2 == 1):
                done, recent = turn(bench, f"{url}/next", seconds, kind)
                turns[kind].append(done)
                if recent is not None and recent.problem is not None:
                    raise SystemExit(recent.problem.message)
    names = {"nothing": "nothing kept", "ring": "every picture kept", "full": "full: one fades for each that comes"}
    rows = []
    for kind, done in turns.items():
        fps = statistics.median(each.fps for each in done)
        cpu = statistics.median(1000 * each.cpu_s / each.frames for each in done)
        ratios = [each.fps / before.fps for each, before in zip(done, turns["nothing"], strict=True)]
        cpus = [
            (each.cpu_s / each.frames) / (before.cpu_s / before.frames)
            for each, before in zip(done, turns["nothing"], strict=True)
        ]
        against = f"{statistics.median(ratios):.3f} × the frames, {statistics.median(cpus):.3f} × the CPU"
        rows.append((names[kind], f"{fps:.1f} fps, {cpu:.1f} CPU ms a frame", against if kind != "nothing" else ""))
    return rows


def standing_still(bench: Bench, seconds: float, rounds: int) -> list[tuple[str, str, str]]:
    """CPU of a frame that is the last one again but for noise."""
    cpu: dict[str, list[float]] = {"nothing": [], "ring": []}
    with bench_pipeline.cameras("still") as url:
        for _ in range(rounds):
            for kind, times in cpu.items():
                done, _ = turn(bench, f"{url}/next", seconds / 2, kind, interval_s=0.05)
                times.append(1000 * done.cpu_s / done.frames)
    off, on = (statistics.median(times) for times in cpu.values())
    return [("frame with noise only", f"{off:.2f} CPU ms with nothing kept", f"{on:.2f} with the ring")]


def each(bench: Bench, count: int = 400) -> list[tuple[str, str, str]]:
    """What a picture costs by itself, in CPU."""
    pictures = bench.pictures
    seen = [observed(i, pictures[i % len(pictures)]) for i in range(count)]
    for one in seen:
        assert one.frame.id
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        store = open_store(f"sqlite:///{root / 'hub.sqlite'}")
        recent = ring(root, store, pictures, full=False)
        batches = [seen[i : i + 2] for i in range(0, count, 2)]
        kept = []
        keeping = _cpu(lambda: kept.extend([recent.keep(batch) for batch in batches]))
        bare = _cpu(lambda: [store.write(Batch(batch)) for batch in batches[: count // 4]])
        store.archive.add_frames([frame for batch in kept for frame in batch])
        oldest = store.archive.oldest_pictures(count)
        fading = _cpu(lambda: [recent._fade(oldest[i : i + 64]) for i in range(0, count, 64)])
        small = statistics.mean(len(thumbnail_of(picture)) for picture in pictures)
        size = statistics.mean(map(len, pictures))
        store.close()
    return [
        ("keep a picture", f"{1000 * keeping / count:.3f} CPU ms", f"a row is {1000 * bare / (count // 2):.2f}"),
        ("let it fade", f"{1000 * fading / count:.2f} CPU ms", ""),
        ("bytes", f"{size / 1000:.1f} kB a picture (768 × 432)", f"{small / 1000:.1f} kB a thumbnail"),
    ]


def _cpu(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--serve", action="store_true")
    parser.add_argument("--seconds", type=float, default=12.0)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args(arguments)
    if given.serve:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(serve())
        return
    bench = Bench()
    print("| memory | | |\n|---|---|---|")
    for row in each(bench):
        print("| " + " | ".join(row) + " |", flush=True)
    for row in whole(bench, given.seconds, given.rounds):
        print("| " + " | ".join(row) + " |", flush=True)
    for row in standing_still(bench, given.seconds, given.rounds):
        print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
