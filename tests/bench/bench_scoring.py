"""What judging costs beside embedding, and nearest seeds by exact product and by Annoy.

Judging: 64 elements of 64 cameras, 100 active campaigns of 100 seeds each, calibrated on 500 background elements; the
whole of `hub.pipeline.judge`, against the time the embedder takes for the 64 pictures, both on one thread. The seeds
are like the elements, so that about as many pass as a threshold of 1 % lets through.
Index: random unit vectors around 1,000 centres, so that there are neighbours to find.
"""

import argparse
import os
import tempfile
import time
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from hub import index
from hub.models.embedder import load_embedder
from hub.models.prior import shipped
from hub.pipeline import Memory, judge
from hub.scorers import fit
from hub.scorers.examples import examples
from hub.target import SeedTarget
from hub.triggers.similarity import Similarity
from hub.types import Background, Budget, Detections, Frame, Observation, Scope, Seed, SeedKind, Version

MODELS = Path(os.environ.get("HUB_MODELS_DIR") or Path(__file__).resolve().parents[3] / "shared" / "models")
ELEMENTS, CAMPAIGNS, SEEDS, BACKGROUND, DIM = 64, 100, 100, 500, 512


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def like_clip(rng: np.random.Generator, n: int) -> np.ndarray:
    """Unit vectors with a common mean and some structure."""
    mean, axes = np.random.default_rng(0).normal(size=DIM), np.random.default_rng(1).normal(size=(40, DIM))
    return unit(mean + rng.normal(size=(n, 40)) @ axes * 0.15 + 0.5 * rng.normal(size=(n, DIM)))


def target(number: int, rng: np.random.Generator, background: np.ndarray) -> SeedTarget:
    seeds = tuple(
        Seed(f"{number}-{i}", SeedKind.IMAGE, str(i), "", vector, "v") for i, vector in enumerate(like_clip(rng, SEEDS))
    )
    known = examples(seeds, "v", Background(background, np.arange(len(background))), {}, shipped("clip-vit-b32"))
    scorer = fit("calibrated", known)
    version = Version(number, number, str(number), 1, Similarity(), Scope(), Budget(), (), (), "v", seeds, scorer, 0)
    return SeedTarget(version, None)


def best_of(turns: int, call) -> float:
    times = []
    for _ in range(turns):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def judging(turns: int) -> None:
    rng = np.random.default_rng(5)
    background = like_clip(rng, BACKGROUND)
    start = time.perf_counter()
    targets = [target(i + 1, rng, background) for i in range(CAMPAIGNS)]
    fitting = (time.perf_counter() - start) / CAMPAIGNS
    seen = [
        Observation(Frame(f"cam{i}", 1, 1000.0, str(i).encode()), (640, 480), Detections.empty(), vector[None], "v")
        for i, vector in enumerate(like_clip(rng, ELEMENTS))
    ]
    judge(seen, targets, Memory(), now=1000.0)
    embedder = load_embedder(MODELS / "clip-student", device="cpu", threads=1)
    pictures = [rng.integers(0, 255, (480, 640, 3), np.uint8) for _ in range(ELEMENTS)]
    scoring, embedding = [], []
    for _ in range(turns):  # in turns, so that a disturbance meets both
        embedding.append(best_of(1, lambda: embedder.embed(pictures)))
        scoring.append(best_of(3, lambda: judge(seen, targets, Memory(), now=1000.0)))
    took, embed = min(scoring), min(embedding)
    passed = len(judge(seen, targets, Memory(), now=1000.0).samples)
    print(f"{ELEMENTS} elements, {CAMPAIGNS} campaigns of {SEEDS} seeds, {passed} samples, one thread")
    print(f"  embedding ({embedder.name}) {embed * 1e3:8.1f} ms")
    print(f"  judging, all campaigns      {took * 1e3:8.1f} ms   {took / embed:.1%} of embedding")
    print(f"  ViT-B/32 itself takes 85 ms a picture on such a thread: {took / (0.085 * ELEMENTS):.2%} of it")
    print(f"  fitting one scorer          {fitting * 1e3:8.1f} ms")


def one_by_one(nearest: index.VectorIndex, rows: np.ndarray) -> None:
    for i in range(len(rows)):
        nearest.nearest(rows[i : i + 1])


def indexes(sizes: list[int]) -> None:
    print("\nnearest seed, ms a row      exact, 64 rows at once   exact, one row   Annoy   recall@1   build s")
    rng = np.random.default_rng(6)
    centres = rng.normal(size=(1000, DIM))
    for n in sizes:
        vectors = unit(centres[rng.integers(0, 1000, n)] + 0.7 * rng.normal(size=(n, DIM)))
        rows = unit(centres[rng.integers(0, 1000, 1000)] + 0.7 * rng.normal(size=(1000, DIM)))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "seeds.ann"
            start = time.perf_counter()
            index.build(path, vectors, "v")
            build = time.perf_counter() - start
            exact, approximate = index.VectorIndex(vectors, None), index.VectorIndex(vectors, path, exact_up_to=0)
            _, wanted = exact.nearest(rows)
            cosine, found = approximate.nearest(rows)
            right = np.mean(np.isclose(cosine, np.einsum("nd,nd->n", rows, vectors[wanted]), atol=1e-6))
            rows = rows[:ELEMENTS]
            together = best_of(3, partial(exact.nearest, rows)) / len(rows)
            alone, annoy = (best_of(3, partial(one_by_one, each, rows)) / len(rows) for each in (exact, approximate))
            print(
                f"{n:>9,} seeds {'':6} {together * 1e3:20.3f} {alone * 1e3:16.3f} {annoy * 1e3:7.3f} "
                f"{right:10.3f} {build:9.1f}"
            )
            assert found.shape == wanted.shape


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--sizes", type=int, nargs="*", default=[1_000, 5_000, 10_000, 20_000, 50_000, 100_000])
    chosen = parser.parse_args()
    judging(chosen.turns)
    indexes(chosen.sizes)
