"""Cameras that lie, hang, drip and die, and two that are well, as one HTTP server.

    python tests/hostile_cameras.py [--port 0]        prints its URL; paths are those of CAMERAS

Tests import `HostileCameras` and run it in a thread of its own.
"""

import argparse
import asyncio
import itertools
import struct
import threading
import time
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

import cv2
import numpy as np

Writer = asyncio.StreamWriter


def picture(number: int = 0, *, width: int = 320, height: int = 240) -> bytes:
    """A real JPEG; every number gives another picture (a moving square, and its number as a comment)."""
    pixels = np.tile(np.linspace(0, 255, width, dtype=np.uint8), (height, 1))
    image = cv2.merge([pixels, pixels[:, ::-1], np.full_like(pixels, number * 7 % 256)])
    x = number * 13 % (width - 40)
    cv2.rectangle(image, (x, 80), (x + 40, 120), (255, 255, 255), -1)
    jpeg = cv2.imencode(".jpg", image)[1].tobytes()
    comment = str(number).encode()
    return jpeg[:2] + struct.pack(">HH", 0xFFFE, 2 + len(comment)) + comment + jpeg[2:]


def huge_header() -> bytes:
    """A JPEG whose header says 30,000 × 30,000."""
    jpeg = bytearray(picture())
    at = jpeg.index(b"\xff\xc0")
    jpeg[at + 5 : at + 9] = struct.pack(">HH", 30_000, 30_000)
    return bytes(jpeg)


def bomb_png() -> bytes:
    """A small PNG of 30,000 × 30,000 black pixels: whole and valid."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">L", len(data)) + kind + data + struct.pack(">L", zlib.crc32(kind + data))

    row = b"\0" * 3751
    pack = zlib.compressobj(9)
    pixels = b"".join(pack.compress(row * 100) for _ in range(300)) + pack.flush()
    header = struct.pack(">LLBBBBB", 30_000, 30_000, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@dataclass(frozen=True)
class Request:
    """What a camera was asked. headers: lower-case names."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]


@dataclass
class Log:
    """When each path was asked (time.monotonic), and what with."""

    asked_at: dict[str, list[float]] = field(default_factory=dict)
    requests: dict[str, list[Request]] = field(default_factory=dict)


def answer(
    writer: Writer,
    body: bytes = b"",
    *,
    status: str = "200 OK",
    kind: str = "image/jpeg",
    length: int | None = -1,
    **headers: str,
) -> None:
    """Write an answer. length: -1 for the true one, None for none at all. headers: X_Name becomes X-Name."""
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}"]
    if length is not None:
        lines.append(f"Content-Length: {len(body) if length < 0 else length}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    writer.write("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)


async def for_ever() -> None:
    """Hang."""
    await asyncio.sleep(3600)


# ── the cameras ──────────────────────────────────────────────────────────────────────────────────────

Camera = Callable[["HostileCameras", Request, Writer], Awaitable[None]]
CAMERAS: dict[str, Camera] = {}


def camera(path: str) -> Callable[[Camera], Camera]:
    """Serve `path`."""

    def add(function: Camera) -> Camera:
        CAMERAS[path] = function
        return function

    return add


@camera("/good")
async def _good(server: "HostileCameras", request: Request, writer: Writer) -> None:
    answer(writer, server.next_picture())


@camera("/node")
async def _node(server: "HostileCameras", request: Request, writer: Writer) -> None:
    """As our own node: a new picture each 0.2 s, with ETag and age, 304 in between."""
    number = int(time.monotonic() / 0.2)
    etag, age = f'"boot-{number}"', str(int(time.monotonic() * 1000) % 200)
    if request.headers.get("if-none-match") == etag:
        answer(writer, status="304 Not Modified", length=None, ETag=etag)
    else:
        answer(writer, server.pictures[number % len(server.pictures)], ETag=etag, X_Frame_Age_Ms=age)


@camera("/same")
async def _same(server: "HostileCameras", request: Request, writer: Writer) -> None:
    """The same bytes for ever, under a new name each time."""
    answer(writer, server.pictures[0], ETag=f'"{next(server.count)}"')


@camera("/slow")
async def _slow(server: "HostileCameras", request: Request, writer: Writer) -> None:
    await asyncio.sleep(float(request.query.get("s", "0.3")))
    answer(writer, server.next_picture())


@camera("/trailing")
async def _trailing(server: "HostileCameras", request: Request, writer: Writer) -> None:
    """Some cameras pad their pictures."""
    answer(writer, server.next_picture() + b"\0" * 700)


@camera("/wrong-type-but-good")
async def _wrong_type(server: "HostileCameras", request: Request, writer: Writer) -> None:
    answer(writer, server.next_picture(), kind="text/html")


@camera("/old-http")
async def _old_http(server: "HostileCameras", request: Request, writer: Writer) -> None:
    """mjpg-streamer: HTTP/1.0, no length, the driver's clock."""
    writer.write(
        b"HTTP/1.0 200 OK\r\nContent-type: image/jpeg\r\nX-Timestamp: 1234.567\r\n\r\n" + server.next_picture()
    )
    writer.close()


@camera("/chunked")
async def _chunked(server: "HostileCameras", request: Request, writer: Writer) -> None:
    answer(writer, length=None, Transfer_Encoding="chunked")
    data = server.next_picture()
    for at in range(0, len(data), 1000):
        piece = data[at : at + 1000]
        writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
    writer.write(b"0\r\n\r\n")


@camera("/closes-idle")
async def _closes_idle(server: "HostileCameras", request: Request, writer: Writer) -> None:
    """Closes a connection that was idle for 50 ms, without having said so."""
    answer(writer, server.next_picture())
    asyncio.get_running_loop().call_later(0.05, writer.close)


@camera("/hang")
async def _hang(server: "HostileCameras", request: Request, writer: Writer) -> None:
    await for_ever()


@camera("/hang-in-body")
async def _hang_in_body(server: "HostileCameras", request: Request, writer: Writer) -> None:
    answer(writer, server.pictures[0][:500], length=100_000)
    await for_ever()


@camera("/drip")
async def _drip(server: "HostileCameras", request: Request, writer: Writer) -> None:
    data = server.next_picture()
    answer(writer, length=len(data))
    await _dripping(writer, data, request)


@camera("/drip-headers")
async def _drip_headers(server: "HostileCameras", request: Request, writer: Writer) -> None:
    await _dripping(writer, b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 10_000, request)


async def _dripping(writer: Writer, data: bytes, request: Request) -> None:
    for at in range(len(data)):
        writer.write(data[at : at + 1])
        await writer.drain()
        await asyncio.sleep(float(request.query.get("s", "1")))


@camera("/endless-body")
async def _endless(server: "HostileCameras", request: Request, writer: Writer) -> None:
    answer(writer, server.pictures[0], length=None)
    while True:
        writer.write(b"\0" * 65536)
        server.endless_bytes += 65536
        await writer.drain()


@camera("/endless-headers")
async def _endless_headers(server: "HostileCameras", request: Request, writer: Writer) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    for number in itertools.count():
        writer.write(f"X-{number}: {'a' * 100}\r\n".encode())
        await writer.drain()


@camera("/says-it-is-large")
async def _large(server: "HostileCameras", request: Request, writer: Writer) -> None:
    answer(writer, length=10**11)
    await for_ever()


@camera("/garbage")
async def _garbage(server: "HostileCameras", request: Request, writer: Writer) -> None:
    answer(writer, np.random.default_rng(1).bytes(20_000))


@camera("/not-http")
async def _not_http(server: "HostileCameras", request: Request, writer: Writer) -> None:
    writer.write(b"\x16\x03\x01\x00SSH-2.0 hello\r\n\r\n" * 100)
    writer.close()


@camera("/html")
async def _html(server: "HostileCameras", request: Request, writer: Writer) -> None:
    answer(writer, b"<!DOCTYPE html><title>Login</title>" + b"<p>hi</p>" * 100, kind="text/html")


@camera("/text")
async def _text(server: "HostileCameras", request: Request, writer: Writer) -> None:
    answer(writer, b"Camera not configured\n", kind="text/plain")


@camera("/huge-header")
async def _huge_header(server: "HostileCameras", request: Request, writer: Writer) -> None:
    answer(writer, huge_header())


@camera("/bomb-png")
async def _bomb_png(server: "HostileCameras", request: Request, writer: Writer) -> None:
    answer(writer, server.bomb, kind="image/png")


@camera("/gzip")
async def _gzip(server: "HostileCameras", request: Request, writer: Writer) -> None:
    answer(writer, zlib.compress(b"\0" * 10_000_000), Content_Encoding="gzip")


@camera("/gif")
async def _gif(server: "HostileCameras", request: Request, writer: Writer) -> None:
    dot = b"\x21\xfe\x80" + b"-" * 128 + b"\0\x2c\0\0\0\0\1\0\1\0\0\2\2\x4c\1\0"
    answer(writer, b"GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff" + dot + b";", kind="image/gif")


@camera("/truncated")
async def _truncated(server: "HostileCameras", request: Request, writer: Writer) -> None:
    answer(writer, server.next_picture()[:-500])


@camera("/short-body")
async def _short_body(server: "HostileCameras", request: Request, writer: Writer) -> None:
    """Fewer bytes than its Content-Length, then gone."""
    answer(writer, server.next_picture()[:1000], length=5000)
    writer.close()


@camera("/tiny")
async def _tiny(server: "HostileCameras", request: Request, writer: Writer) -> None:
    answer(writer, b"\xff\xd8\xff\xe0\x00\x10JFIF\x00")


@camera("/multipart")
async def _multipart(server: "HostileCameras", request: Request, writer: Writer) -> None:
    answer(writer, kind="multipart/x-mixed-replace; boundary=frame", length=None)
    while True:
        data = server.next_picture()
        writer.write(b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n" % (len(data), data))
        await writer.drain()
        await asyncio.sleep(0.05)


@camera("/ustreamer-offline")
async def _ustreamer(server: "HostileCameras", request: Request, writer: Writer) -> None:
    answer(writer, server.next_picture(), X_UStreamer_Online="false", X_Timestamp=f"{time.time():.6f}")


@camera("/frigate-offline")
async def _frigate(server: "HostileCameras", request: Request, writer: Writer) -> None:
    answer(writer, server.next_picture(), X_Frigate_Offline="true")


@camera("/go2rtc-empty")
async def _go2rtc(server: "HostileCameras", request: Request, writer: Writer) -> None:
    answer(writer)


@camera("/esp32-500")
async def _esp32(server: "HostileCameras", request: Request, writer: Writer) -> None:
    answer(writer, status="500 Internal Server Error", kind="text/html")


@camera("/not-found")
async def _not_found(server: "HostileCameras", request: Request, writer: Writer) -> None:
    answer(writer, b"no such camera", status="404 Not Found", kind="text/plain")


@camera("/unplugged")
async def _unplugged(server: "HostileCameras", request: Request, writer: Writer) -> None:
    """As our own node without its device."""
    answer(
        writer, b"no device\n", status="503 Service Unavailable", kind="text/plain; charset=utf-8",
        Retry_After=request.query.get("s", "2"),
    )  # fmt: skip


@camera("/token")
async def _token(server: "HostileCameras", request: Request, writer: Writer) -> None:
    if request.headers.get("authorization") in ("Bearer s3cret", "Basic YWRtaW46czNjcmV0"):
        answer(writer, server.next_picture())
    else:
        answer(writer, b"no\n", status="401 Unauthorized", kind="text/plain", WWW_Authenticate="Bearer")


@camera("/lying-304")
async def _lying_304(server: "HostileCameras", request: Request, writer: Writer) -> None:
    answer(writer, status="304 Not Modified", length=None)


@camera("/redirect")
async def _redirect(server: "HostileCameras", request: Request, writer: Writer) -> None:
    answer(writer, status="302 Found", Location="/good")


@camera("/redirect-loop")
async def _redirect_loop(server: "HostileCameras", request: Request, writer: Writer) -> None:
    answer(writer, status="302 Found", Location="/redirect-loop")


@camera("/redirect-elsewhere")
async def _redirect_elsewhere(server: "HostileCameras", request: Request, writer: Writer) -> None:
    answer(writer, status="302 Found", Location="http://169.254.169.254/latest/meta-data/?token=abc")


@camera("/redirect-other-port")
async def _redirect_port(server: "HostileCameras", request: Request, writer: Writer) -> None:
    answer(writer, status="302 Found", Location="http://127.0.0.1:1/good")


@camera("/drops")
async def _drops(server: "HostileCameras", request: Request, writer: Writer) -> None:
    """Accepts, reads the request, and is gone without a word."""
    writer.transport.abort()


@camera("/dies-and-returns")
async def _dies(server: "HostileCameras", request: Request, writer: Writer) -> None:
    """Well for `up` seconds, then without a word for `down` seconds, and so on."""
    up, down = float(request.query.get("up", "2")), float(request.query.get("down", "2"))
    if (time.monotonic() - server.began) % (up + down) < up:
        answer(writer, server.next_picture())
    else:
        writer.transport.abort()


@camera("/freezes")
async def _freezes(server: "HostileCameras", request: Request, writer: Writer) -> None:
    """Well for 5 pictures, then the same one for ever."""
    answer(writer, server.pictures[min(5, next(server.count))])


# ── the server ───────────────────────────────────────────────────────────────────────────────────────


class HostileCameras:
    """`with HostileCameras() as server:` serves on loopback until the block ends; `server.url` is its root."""

    def __init__(self, port: int = 0) -> None:
        self.pictures = [picture(number) for number in range(50)]
        self.bomb = bomb_png()
        self.count = itertools.count()
        self.log = Log()
        self.connections = 0
        self.endless_bytes = 0
        self.began = time.monotonic()
        self.port = port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._up = threading.Event()
        self._down: asyncio.Event

    @property
    def url(self) -> str:
        """Without a slash at its end."""
        return f"http://127.0.0.1:{self.port}"

    def next_picture(self) -> bytes:
        """Another picture than the one before."""
        return self.pictures[next(self.count) % len(self.pictures)]

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._up.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._down.set)
        self._thread.join(10)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._down = asyncio.Event()
        server = await asyncio.start_server(self._connection, "127.0.0.1", self.port, backlog=1000)
        self.port = server.sockets[0].getsockname()[1]
        self._up.set()
        await self._down.wait()
        server.close()

    async def _connection(self, reader: asyncio.StreamReader, writer: Writer) -> None:
        self.connections += 1
        try:
            while not writer.is_closing() and (request := await _request(reader)):
                self.log.asked_at.setdefault(request.path, []).append(time.monotonic())
                self.log.requests.setdefault(request.path, []).append(request)
                await CAMERAS.get(request.path, _not_found)(self, request, writer)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the other side has had enough, or the server ends
        finally:
            writer.close()


async def _request(reader: asyncio.StreamReader) -> Request | None:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").strip().split("\r\n")
    parts = urlsplit(first.split(" ")[1])
    headers = dict(line.split(": ", 1) for line in lines)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    return Request(parts.path, query, {name.lower(): value for name, value in headers.items()})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    with HostileCameras(parser.parse_args().port) as cameras:
        print(cameras.url, flush=True)
        threading.Event().wait()
