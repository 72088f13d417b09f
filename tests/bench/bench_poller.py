"""How many cameras at 1 frame/s one core polls on time, and what a snapshot costs over each transport.

    python tests/bench/bench_poller.py [--counts 250,500,1000] [--seconds 12]

A separate process on another core answers with 100 KB pictures, each a different one, over loopback. The poller
and a task that empties its slots share one core. "began" is how late a poll began; "picture" how long after the
poll was due its picture was in its slot. On time: 99 % of the pictures within 100 ms, and none skipped.
"""

import argparse
import asyncio
import contextlib
import os
import struct
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import aiohttp
import cv2
import httpx
import httpx_aiohttp
import numpy as np

from hub.answer import Limits
from hub.poll import Poller, Tick
from hub.slots import Slots
from hub.transport import CameraTransport
from hub.types import Camera

TARGET_LATE_S = 0.1
SIZE = 100_000


# ── the server: its own process ──────────────────────────────────────────────────────────────────────


def snapshot(size: int = SIZE) -> bytes:
    """A JPEG of `size` bytes whose bytes 6…14 are a comment that may be overwritten."""
    noise = np.random.default_rng(0).integers(0, 255, (720, 1280, 3), dtype=np.uint8)
    image = cv2.GaussianBlur(noise, (0, 0), 1.2)
    options = (cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, q])[1].tobytes() for q in range(95, 5, -1))
    jpeg = next(data for data in options if len(data) < size - 16)
    return jpeg[:2] + struct.pack(">HH8s", 0xFFFE, 10, b"") + jpeg[2:-2] + bytes(size - 12 - len(jpeg)) + b"\xff\xd9"


class Snapshots(asyncio.Protocol):
    """Answers whatever is asked with one picture, numbered."""

    picture = b""
    number = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def data_received(self, data: bytes) -> None:
        if not data.endswith(b"\r\n\r\n"):
            return
        Snapshots.number += 1
        head = b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(self.picture)
        self.transport.write(head + self.picture[:6] + struct.pack(">Q", Snapshots.number) + self.picture[14:])


async def serve() -> None:
    """Print the port, then answer until killed."""
    Snapshots.picture = snapshot()
    server = await asyncio.get_running_loop().create_server(Snapshots, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextlib.contextmanager
def server() -> Iterator[str]:
    """The server's URL."""
    process = subprocess.Popen([sys.executable, __file__, "--serve"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.wait()


def pin(core: int) -> None:
    """Stay on one core, counted among those we may use."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[core % len(cores)]})


# ── transports ───────────────────────────────────────────────────────────────────────────────────────


class PerCamera(httpx.AsyncBaseTransport):
    """httpx's own transport, one for each camera, as it fares best."""

    def __init__(self) -> None:
        self._each: dict[str, httpx.AsyncHTTPTransport] = {}
        self._tls = httpx.create_ssl_context()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path not in self._each:
            self._each[path] = httpx.AsyncHTTPTransport(verify=self._tls, trust_env=False)
        return await self._each[path].handle_async_request(request)

    async def aclose(self) -> None:
        for transport in self._each.values():
            await transport.aclose()


def packaged() -> httpx.AsyncBaseTransport:
    """The httpx-aiohttp package, its limit of 100 connections lifted."""
    connector = lambda: aiohttp.TCPConnector(limit=0)  # noqa: E731
    return httpx_aiohttp.AiohttpTransport(client=lambda: aiohttp.ClientSession(connector=connector()))


TRANSPORTS: dict[str, Callable[[], httpx.AsyncBaseTransport]] = {
    "ours over aiohttp": CameraTransport,
    "httpx-aiohttp package": packaged,
    "httpx's own": PerCamera,
}

Get = Callable[[str], Awaitable[bytes]]


# ── cost of one snapshot ─────────────────────────────────────────────────────────────────────────────


async def cpu_ms(get: Get, url: str, *, count: int, abreast: int = 16) -> float:
    """CPU milliseconds of this process per snapshot, at full speed."""

    async def some(name: int, times: int) -> None:
        for _ in range(times):
            assert len(await get(f"{url}/{name}")) == SIZE

    await asyncio.gather(*(some(name, 5) for name in range(abreast)))
    before = time.process_time()
    await asyncio.gather(*(some(name, count // abreast) for name in range(abreast)))
    return (time.process_time() - before) * 1000 / (count // abreast * abreast)


async def costs(url: str) -> None:
    """Print what a snapshot costs with each client."""
    print("client, full speed, 16 abreast      CPU ms per snapshot")
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def raw(address: str) -> bytes:
            async with session.get(address) as response:
                return await response.read()

        print(f"  {'aiohttp alone':34}{await cpu_ms(raw, url, count=3000):8.3f}")
    for name, make in TRANSPORTS.items():
        poller = Poller(Slots(), transport=make())

        async def polled(address: str, poller: Poller = poller) -> bytes:
            return (await poller.fetch_once(Camera(address, address))).jpeg

        print(f"  {'our poll, ' + name:34}{await cpu_ms(polled, url, count=1000):8.3f}")
        await poller.close()
    clients = {f"{url}/{i}": httpx.AsyncClient(trust_env=False, verify=False) for i in range(16)}

    async def client(address: str) -> bytes:
        return (await clients[address].get(address)).content

    print(f"  {'httpx.AsyncClient per camera':34}{await cpu_ms(client, url, count=600):8.3f}")
    for each in clients.values():
        await each.aclose()


# ── cameras on time ──────────────────────────────────────────────────────────────────────────────────


async def run(url: str, count: int, seconds: float, transport: httpx.AsyncBaseTransport) -> str:
    """One line of the table."""
    slots = Slots()
    poller = Poller(slots, transport=transport, limits=Limits())
    await poller.set_cameras([Camera(f"c{i}", f"{url}/{i}") for i in range(count)])
    taker = asyncio.create_task(_take(slots))
    await asyncio.sleep(3)  # connections are made
    poller.ticks = ticks = _Ticks()
    cpu, wall = time.process_time(), time.monotonic()
    await asyncio.sleep(seconds)
    cpu, wall = time.process_time() - cpu, time.monotonic() - wall
    failed = sum(health.failed for health in poller.health())
    taker.cancel()
    await poller.close()
    began, over = (np.percentile([getattr(t, name) for t in ticks], [50, 99]) * 1000 for name in ("began_s", "over_s"))
    verdict = "yes" if over[1] < TARGET_LATE_S * 1000 and len(ticks) / wall > 0.99 * count else "NO"
    return (
        f"{count:6} {len(ticks) / wall:9.0f} {began[0]:9.1f} {began[1]:9.1f} {over[0]:10.1f} {over[1]:10.1f}"
        f" {cpu / wall:7.0%} {cpu * 1000 / max(1, len(ticks)):8.3f} {failed:6}  {verdict}"
    )


class _Ticks(list[Tick]):
    """All of them, not only the newest."""


async def _take(slots: Slots) -> None:
    while True:
        await slots.take(16, 0.005)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--counts", default="250,500,750,1000,1500,2000,2500")
    parser.add_argument("--seconds", type=float, default=12)
    parser.add_argument("--transports", default=",".join(TRANSPORTS))
    options = parser.parse_args(arguments)
    if options.serve:
        pin(0)
        return asyncio.run(serve())
    pin(1)
    with server() as url:
        asyncio.run(costs(url))
        for name in options.transports.split(","):
            print(f"\n{name}")
            print("cameras frames/s began p50   p99 ms picture p50   p99 ms    CPU  ms/poll failed on time")
            for count in map(int, options.counts.split(",")):
                line = asyncio.run(run(url, count, options.seconds, TRANSPORTS[name]()))
                print(line, flush=True)
                if line.endswith("NO"):
                    break
    return None


if __name__ == "__main__":
    main()
