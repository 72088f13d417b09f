"""Search in the corpus: recall under filters, additions and deletions, and latency beside other libraries.

Vectors: made from real CLIP ViT-B/32 features. 200 cameras each show a scene of SUN397, varied along four differences
between pictures of one class (of their own, σ 0.2) and in 3 frames of 10 with an object shining through; half of the
elements are crops: pictures of Caltech-101 and Oxford-Pets, varied in the same way; isotropic noise of norm 0.05. For
Annoy (50 trees, search_k 5,000) 28,000 of them are a little harder than real features are: recall@10 0.97 and 0.98.
Queries are made alike, from another seed; those `by text` have the mean and covariance of CLIP's vectors of nouns.
Recall is recall@10 against exact search in float32 over what the store holds.

Each library is set, on other queries, to the least effort that finds 0.99; one thread; one query at a time, as the hub
gets them. Ours goes through `Corpus.search` over a SQLite store, which looks every result up in the database.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import faiss
import hnswlib
import numpy as np
import usearch.index

from hub.archive import ANY, Filter, Rows
from hub.corpus import Corpus
from hub.models.prior import shipped
from hub.store import SqlStore, open_store
from hub.store.codec import half
from hub.store.tables import elements
from hub.types import ElementKind

FEATURES = Path(os.environ.get("HUB_TEST_DATA_DIR") or Path(__file__).resolve().parents[3] / "shared" / "data")
VERSION, DIM, K, CAMERAS = "clip", 512, 10, 200
ENOUGH = 0.99


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


# ── vectors ──────────────────────────────────────────────────────────────────────────────────────────


def features(name: str) -> tuple[np.ndarray, np.ndarray]:
    with np.load(FEATURES / "clip_features" / f"{name}_clip_vitb32.npz") as data:
        return unit(data["feats"].astype(np.float32)), data["labels"]


def differences(vectors: np.ndarray, labels: np.ndarray) -> np.ndarray:
    order = np.argsort(labels, kind="stable")
    vectors, labels = vectors[order], labels[order]
    return (vectors[1:] - vectors[:-1])[labels[1:] == labels[:-1]]


@dataclass
class Elements:
    """Vectors (n, d), camera (n,), and whether each is a crop (n,)."""

    vectors: np.ndarray
    camera: np.ndarray
    crop: np.ndarray


class World:
    """What the cameras show."""

    def __init__(self) -> None:
        sets = [features(name) for name in ("sun397_val", "caltech101_val", "oxford_pets_test")]
        rng = np.random.default_rng(0)
        self.scenes, self.things = sets[0][0], np.concatenate([sets[1][0], sets[2][0]])
        self.ways = np.concatenate([differences(*each) for each in sets])
        self.scene_of = rng.integers(0, len(self.scenes), CAMERAS)
        self.ways_of = rng.integers(0, len(self.ways), (CAMERAS, 4))

    def elements(self, n: int, seed: int) -> Elements:
        rng = np.random.default_rng(seed)
        parts = [self._some(min(20_000, n - start), rng) for start in range(0, n, 20_000)]
        return Elements(*(np.concatenate(column) for column in zip(*parts, strict=True)))

    def _some(self, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        camera, crop = rng.integers(0, CAMERAS, n), rng.random(n) < 0.5
        which = rng.integers(0, len(self.things), n)
        frames, things = self.scenes[self.scene_of[camera]].copy(), self.things[which].copy()
        for j in range(4):
            frames += 0.2 * _normal(rng, n, 1) * self.ways[self.ways_of[camera, j]]
        for j in range(2):
            things += 0.2 * _normal(rng, n, 1) * self.ways[(which * 7 + j) % len(self.ways)]
        frames += 0.3 * (rng.random((n, 1)) < 0.3) * (things - frames)
        shown = np.where(crop[:, None], things, frames) + 0.05 / np.sqrt(DIM) * _normal(rng, n, DIM)
        return unit(shown), camera, crop

    def texts(self, n: int) -> np.ndarray:
        prior = shipped("clip-vit-b32")
        values, directions = np.linalg.eigh(prior.concepts)
        factor = directions * np.sqrt(np.maximum(values, 0))
        return unit(prior.text_mean + np.random.default_rng(4).normal(size=(n, DIM)) @ factor.T)


def _normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape, np.float32)


# ── the store ────────────────────────────────────────────────────────────────────────────────────────


def fill(store: SqlStore, some: Elements, first: int) -> None:
    """Straight into the table: a million through the collector would take an hour. Element i was taken at second i."""
    for start in range(0, len(some.vectors), 10_000):
        rows = [
            {
                "frame_id": f"{first + i:032x}", "row": int(some.crop[i]), "embedding_version": VERSION,
                "camera": f"camera-{some.camera[i]}", "taken_at": float(first + i), "box": [0, 0, 640, 480],
                "label": f"label-{i % 100}" if some.crop[i] else "", "confidence": 0.9, "vector": half(some.vectors[i]),
            }
            for i in range(start, min(start + 10_000, len(some.vectors)))
        ]  # fmt: skip
        with store._database.writing() as connection:
            connection.execute(elements.insert(), rows)


def stored(store: SqlStore) -> Rows:
    """All of them, as a search sees them."""
    parts, after = [], 0
    while len(rows := store.archive.rows(VERSION, after=after, limit=20_000)):
        parts.append(rows)
        after = int(rows.id[-1])
    columns = [np.concatenate([getattr(part, name) for part in parts]) for name in ("id", "vectors", "taken_at", "row")]
    return Rows(*columns, *([n for part in parts for n in getattr(part, name)] for name in ("camera", "label")))


def exact(queries: np.ndarray, ids: np.ndarray, vectors: np.ndarray) -> list[set[int]]:
    truth = []
    for query in queries:
        cosines = vectors @ query
        n = min(K, len(ids))
        truth.append({int(i) for i in ids[np.argpartition(-cosines, n - 1)[:n]]})
    return truth


def recall(found: Sequence[set[int]], truth: Sequence[set[int]]) -> float:
    return float(np.mean([len(a & b) / len(b) for a, b in zip(found, truth, strict=True) if b]))


def ours(corpus: Corpus, where: Filter = ANY) -> Callable[[np.ndarray], set[int]]:
    return lambda query: {hit.element.id for hit in corpus.search(query[None], K, where)[0]}


def measured(ask: Callable[[np.ndarray], set[int]], queries: np.ndarray, truth: list[set[int]]) -> tuple[float, ...]:
    """recall@10, median and 99th percentile in ms."""
    ask(queries[0])
    found, took = [], []
    for query in queries:
        start = time.perf_counter()
        found.append(ask(query))
        took.append((time.perf_counter() - start) * 1e3)
    return recall(found, truth), float(np.median(took)), float(np.quantile(took, 0.99))


# ── recall ───────────────────────────────────────────────────────────────────────────────────────────


def recalls(world: World, n: int, kinds: Sequence[str], queries: int) -> None:
    print(f"\nrecall@10 of Corpus.search among {n:,} elements; median and p99 in ms\n")
    print(f"{'index':8} {'asked':48} {'pass':>7} {'recall':>7} {'median':>8} {'p99':>8}")
    like, texts = world.elements(queries, 1).vectors, world.texts(queries)
    for kind in kinds:
        with tempfile.TemporaryDirectory() as folder:
            store = open_store(f"sqlite:///{folder}/hub.sqlite")
            fill(store, world.elements(n, 0), 0)
            corpus = Corpus(store.archive, VERSION, Path(folder) / "index", index=kind)
            corpus.build()
            _asked(kind, "", corpus, store, like, n)
            _row(kind, "by text", corpus, store, texts, ANY)
            fill(store, world.elements(5_000, 2), n)
            ids = store.archive.living(VERSION, first=1, last=2**62)
            gone = np.random.default_rng(3).choice(ids, 5_000, replace=False)
            store.archive.remove([int(i) for i in gone])
            _asked(kind, ", 5,000 added, 5,000 deleted", corpus, store, like, n)
            stats = corpus.stats()
            print(f"{kind:8} {stats.indexed:,} indexed, {stats.delta:,} in the delta, {stats.dead:,} dead", flush=True)
            for each in stats.segments:
                print(f"{kind:8} {each}", flush=True)


def _asked(kind: str, after: str, corpus: Corpus, store: SqlStore, queries: np.ndarray, n: int) -> None:
    filters = {
        "all": ANY,
        "2 cameras": Filter(cameras=("camera-7", "camera-8")),
        "1 % of the time": Filter(since=n * 0.5, until=n * 0.51),
        "crops of 10 cameras": Filter(cameras=tuple(f"camera-{i}" for i in range(10)), kind=ElementKind.CROP),
        "half of the time": Filter(since=n * 0.5),
    }
    for name, where in filters.items():
        _row(kind, name + after, corpus, store, queries, where)


def _row(kind: str, name: str, corpus: Corpus, store: SqlStore, queries: np.ndarray, where: Filter) -> None:
    rows = stored(store)
    keep = (rows.taken_at >= (where.since or 0)) & (rows.taken_at < (where.until or np.inf))
    if where.cameras:
        keep &= np.isin(rows.camera, where.cameras)
    if where.kind is not None:
        keep &= rows.row > 0
    found = measured(ours(corpus, where), queries, exact(queries, rows.id[keep], rows.vectors[keep]))
    print(f"{kind:8} {name:48} {keep.mean():7.1%} {found[0]:7.4f} {found[1]:8.2f} {found[2]:8.2f}", flush=True)


# ── latency ──────────────────────────────────────────────────────────────────────────────────────────

Ask = Callable[[np.ndarray], set[int]]
Engine = Callable[[np.ndarray, Path], Iterator[tuple[Callable[[int], Ask], Sequence[int], float]]]


def numpy_flat(vectors: np.ndarray, folder: Path) -> Iterator[tuple]:
    def ask(query: np.ndarray) -> set[int]:
        cosines = vectors @ query
        return {int(i) for i in np.argpartition(-cosines, K)[:K]}

    yield lambda effort: ask, [0], vectors.nbytes


def faiss_index(index, efforts: Sequence[int], apply: Callable, train: int = 0) -> Engine:
    def engine(vectors: np.ndarray, folder: Path) -> Iterator[tuple]:
        made = index(len(vectors))
        if train:
            made.train(vectors[: train * 1000])
        made.add(vectors)
        faiss.write_index(made, str(folder / "faiss"))

        def at(effort: int) -> Ask:
            apply(made, effort)
            return lambda query: {int(i) for i in made.search(query[None], K)[1][0]}

        yield at, efforts, (folder / "faiss").stat().st_size

    return engine


def usearch_flat(vectors: np.ndarray, folder: Path) -> Iterator[tuple]:
    halves = vectors.astype(np.float16)

    def ask(query: np.ndarray) -> set[int]:
        found = usearch.index.search(
            halves, query.astype(np.float16), K, usearch.index.MetricKind.IP, exact=True, threads=1
        )
        return {int(i) for i in found.keys}

    yield lambda effort: ask, [0], halves.nbytes


def usearch_graph(vectors: np.ndarray, folder: Path) -> Iterator[tuple]:
    index = usearch.index.Index(ndim=DIM, metric="cos", dtype="f16", connectivity=16, expansion_add=128)
    index.add(np.arange(len(vectors)), vectors, threads=1)
    index.save(str(folder / "usearch"))

    def at(effort: int) -> Ask:
        index.expansion_search = effort
        return lambda query: {int(i) for i in index.search(query, K, threads=1).keys}

    yield at, (16, 32, 64, 128, 256, 512, 1024), (folder / "usearch").stat().st_size


def hnswlib_graph(vectors: np.ndarray, folder: Path) -> Iterator[tuple]:
    index = hnswlib.Index("ip", DIM)
    index.init_index(len(vectors), M=16, ef_construction=128)
    index.add_items(vectors, num_threads=1)
    index.save_index(str(folder / "hnswlib"))

    def at(effort: int) -> Ask:
        index.set_ef(effort)
        return lambda query: {int(i) for i in index.knn_query(query, K, num_threads=1)[0][0]}

    yield at, (16, 32, 64, 128, 256, 512, 1024), (folder / "hnswlib").stat().st_size


def _lists(n: int) -> faiss.IndexIVFFlat:
    lists = int(4 * np.sqrt(n))
    return faiss.IndexIVFFlat(faiss.IndexFlatIP(DIM), DIM, lists, faiss.METRIC_INNER_PRODUCT)


ENGINES: dict[str, Engine] = {
    "numpy, exact": numpy_flat,
    "FAISS flat": faiss_index(lambda n: faiss.IndexFlatIP(DIM), [0], lambda index, effort: None),
    "usearch exact, float16": usearch_flat,
    "FAISS IVF": faiss_index(
        _lists, (1, 2, 4, 8, 16, 32, 64, 128, 256), lambda index, n: setattr(index, "nprobe", n), train=100
    ),
    "usearch graph, float16": usearch_graph,
    "hnswlib": hnswlib_graph,
    "FAISS HNSW": faiss_index(
        lambda n: faiss.IndexHNSWFlat(DIM, 16, faiss.METRIC_INNER_PRODUCT),
        (16, 32, 64, 128, 256, 512, 1024),
        lambda index, n: setattr(index.hnsw, "efSearch", n),
    ),
}


def latencies(world: World, n: int, kinds: Sequence[str], engines: Sequence[str], queries: int) -> None:
    print(f"\n{n:,} vectors of {DIM}: ms a query, one thread\n")
    print(f"{'':34} {'recall':>7} {'median':>8} {'p99':>8} {'build s':>8} {'bytes a vector':>15}")
    some, asked = world.elements(n, 0), world.elements(2 * queries, 1).vectors
    with tempfile.TemporaryDirectory() as folder:
        for kind in kinds:
            _ours(world, some, asked[queries:], kind, Path(folder) / kind)
    truth = exact(asked, np.arange(n), some.vectors)
    for name in engines:
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            for at, efforts, size in ENGINES[name](some.vectors, Path(folder)):
                took = time.perf_counter() - start
                for effort in efforts:
                    ask = at(effort)
                    if measured(ask, asked[:queries], truth[:queries])[0] >= ENOUGH:
                        break
                label = f"{name} ({effort})" if effort else name
                _print(label, measured(ask, asked[queries:], truth[queries:]), took, size / n)


def _ours(world: World, some: Elements, queries: np.ndarray, kind: str, folder: Path) -> None:
    folder.mkdir()
    store = open_store(f"sqlite:///{folder}/hub.sqlite")
    fill(store, some, 0)
    corpus = Corpus(store.archive, VERSION, folder / "index", index=kind)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = _peak_gb()
    built = corpus.build()
    grown = _peak_gb() - before
    rows = stored(store)
    truth = exact(queries, rows.id, rows.vectors)
    del rows
    stats = corpus.stats()
    kinds = "+".join(f"{each.kind} {each.effort or ''}".strip() for each in stats.segments)
    _print(
        f"ours, {kinds}"[:34], measured(ours(corpus), queries, truth), built.seconds, stats.bytes / len(some.vectors)
    )
    lookup = measured(lambda query: {s.element.id for s in store.archive.stored(sorted(truth[0]))}, queries, truth)
    print(f"  of which the database: {lookup[1]:.2f} ms; building took {grown:.2f} GB of memory")


def _peak_gb() -> float:
    """Of this process's resident memory."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 2**20


def _print(name: str, found: tuple[float, ...], built: float, size: float) -> None:
    print(f"{name:34} {found[0]:7.4f} {found[1]:8.2f} {found[2]:8.2f} {built:8.1f} {size:15,.0f}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--recall", type=int, default=100_000, help="elements of the first table; 0 to leave it out")
    parser.add_argument("--sizes", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--kinds", nargs="*", default=["annoy", "usearch"])
    parser.add_argument("--engines", nargs="*", default=list(ENGINES), choices=list(ENGINES))
    parser.add_argument("--queries", type=int, default=200)
    chosen = parser.parse_args()
    faiss.omp_set_num_threads(1)
    world = World()
    if chosen.recall:
        recalls(world, chosen.recall, chosen.kinds, chosen.queries)
    for size in chosen.sizes:
        latencies(world, size, chosen.kinds, chosen.engines, chosen.queries)
