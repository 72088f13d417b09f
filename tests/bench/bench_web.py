"""What the web process answers a second: neighbours of an item, through gunicorn, with the token set.

    python -m tests.bench web [--elements 100000] [--seconds 5]

Clients keep their connections and run in processes of their own on the same machine; the same searches called in
one process, without HTTP, stand beside them.
"""

import argparse
import http.client
import json
import multiprocessing
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from hub.archive import Newcomer
from tests.hub.making import unit
from tests.hub.web.making import TOKEN, Parts
from tests.hub.web.serving import serving

CLIENTS = 8
COUNT = 10
ELEMENTS_AT_ONCE = 10_000


def main(arguments: list[str]) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--elements", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=5.0, help="for each measurement")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        rows = run(Path(folder), asked.elements, asked.seconds)
    print(f"{asked.elements:,} elements, {COUNT} neighbours, {CLIENTS} clients\n")
    print("| what | requests/s | p50 ms | p99 ms |\n|---|---:|---:|---:|")
    for what, per_s, p50, p99 in rows:
        print(f"| {what} | {per_s:,.0f} | {p50:.1f} | {p99:.1f} |")


def run(folder: Path, elements: int, seconds: float) -> list[tuple[str, float, float, float]]:
    """(what, requests a second, median and 99th percentile in ms)."""
    fill(folder, elements)
    alone = _called(folder, elements, seconds)
    with serving(folder, TOKEN) as (url, _):
        _ask(url, "/api/v1/ann/1?count=1", 0.5, 1)  # opens the index
        asked, name = f"/api/v1/ann/%d?count={COUNT}", f"GET /api/v1/ann/{{id}}?count={COUNT}"
        over_http = [
            (name, *_asked_by(CLIENTS, url, asked, seconds, elements)),
            ("the same, one client", *_asked_by(1, url, asked, seconds, elements)),
            ("GET /healthz", *_asked_by(CLIENTS, url, "/healthz", seconds, elements)),
        ]
    return [*over_http, ("by_key and search, called in one thread", *alone)]


def fill(folder: Path, elements: int) -> None:
    """Vectors in clusters, as cameras give them, stored and indexed."""
    parts, random = Parts(folder, index=folder / "indexes"), np.random.default_rng(0)
    embedder = parts.embedder()
    centres = unit(random.normal(size=(200, embedder.dim)))
    for first in range(0, elements, ELEMENTS_AT_ONCE):
        n = min(ELEMENTS_AT_ONCE, elements - first)
        near = centres[random.integers(0, len(centres), n)]
        rows = unit(near + 0.5 * random.normal(size=near.shape) / np.sqrt(embedder.dim))
        parts.store.archive.add(
            [
                Newcomer(f"{first + i:032x}", 0, embedder.version, "porch", 1e3 + i, (0, 0, 9, 9), row)
                for i, row in enumerate(rows)
            ]
        )
    parts.corpus().build()
    parts.store.close()


def _called(folder: Path, elements: int, seconds: float) -> tuple[float, float, float]:
    parts, random = Parts(folder, index=folder / "indexes"), np.random.default_rng(1)
    corpus, version, taken = parts.corpus(), parts.embedder().version, []
    until = time.perf_counter() + seconds
    while (began := time.perf_counter()) < until:
        (item,) = parts.store.archive.by_key([int(random.integers(1, elements + 1))], version)
        corpus.search(item.vector[None], COUNT)
        taken.append(time.perf_counter() - began)
    parts.store.close()
    return _summary(taken[1:], sum(taken[1:]))


def _asked_by(clients: int, url: str, path: str, seconds: float, elements: int) -> tuple[float, float, float]:
    with multiprocessing.get_context("spawn").Pool(clients) as pool:
        each = pool.starmap(_ask, [(url, path, seconds, elements, n) for n in range(clients)])
    return _summary([taken for times, _ in each for taken in times], max(wall for _, wall in each))


def _ask(url: str, path: str, seconds: float, elements: int, seed: int = 0) -> tuple[list[float], float]:
    """Seconds of each request, and of all."""
    random, taken = np.random.default_rng(seed), []
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    start = time.perf_counter()
    while time.perf_counter() < start + seconds:
        began = time.perf_counter()
        asked = path % random.integers(1, elements + 1) if "%" in path else path
        connection.request("GET", asked, headers={"Authorization": f"Bearer {TOKEN}"})
        answer = connection.getresponse()
        json.loads(answer.read())
        assert answer.status == 200, answer.status
        taken.append(time.perf_counter() - began)
    return taken, time.perf_counter() - start


def _summary(taken: list[float], wall_s: float) -> tuple[float, float, float]:
    return len(taken) / wall_s, *(1000 * float(np.percentile(taken, p)) for p in (50, 99))


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
