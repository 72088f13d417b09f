"""Requests to Roboflow within bounds of time and size. The key joins the address below httpx, so that neither its log
records nor its exceptions can hold it."""

import threading
import time
import weakref
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from urllib.request import getproxies, proxy_bypass

import httpcore
import httpx

CONNECT_S = 10.0
CONNECTIONS = 32
_SLICE = 65536
"""Bytes written before the time is looked at again."""

_SIGNED = "roboflow_signed"


class TooLarge(Exception):
    """An answer of more bytes than it may have."""


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: httpx.Headers
    body: bytes


class Exchange:
    """One key, any number of requests from any number of threads."""

    def __init__(self, key: str, *, timeout_s: float) -> None:
        self._bound = _Bound()
        self._timeout_s = timeout_s
        self._client = httpx.Client(
            transport=_Transport(key, self._bound),
            follow_redirects=False,
            headers={"User-Agent": "bowerbird-hub", "Accept": "application/json, */*;q=0.5"},
        )
        # Destinations live as long as they are used, and nobody closes them.
        self._closed = weakref.finalize(self, self._client.close)

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """All that this thread asks in here ends within that time, whatever comes."""
        before = self._bound.until
        self._bound.until = min(before, time.monotonic() + seconds)
        try:
            yield
        finally:
            self._bound.until = before

    def send(self, method: str, url: str, *, most: int, signed: bool = True, **body: Any) -> Answer:
        """One request. most: bytes of the answer. signed: whether the key goes along. body: as httpx takes it.

        Raises TooLarge, and what httpx and httpcore raise.
        """
        left = {"connect": CONNECT_S, "read": self._timeout_s, "write": self._timeout_s, "pool": self._timeout_s}
        extensions = {"timeout": left, _SIGNED: signed}
        with self.within(self._timeout_s):
            request = self._client.build_request(method, url, extensions=extensions, **body)
            response = self._client.send(request, stream=True)
            try:
                return Answer(response.status_code, response.headers, _read(response, most))
            finally:
                response.close()

    def close(self) -> None:
        """Give up the connections."""
        self._closed()


def _read(response: httpx.Response, most: int) -> bytes:
    parts, size = [], 0
    for part in response.iter_bytes():
        parts.append(part)
        size += len(part)
        if size > most:
            raise TooLarge
    return b"".join(parts)


class _Bound(threading.local):
    """Until when, on the monotonic clock, the requests of this thread may last."""

    until = float("inf")

    def left(self, timeout: float | None) -> float:
        left = self.until - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("out of time")
        return left if timeout is None else min(left, timeout)


class _Stream(httpcore.NetworkStream):
    """A connection of which every read and write ends in time: a peer that drips gains nothing by it."""

    def __init__(self, stream: httpcore.NetworkStream, bound: _Bound) -> None:
        self._stream, self._bound = stream, bound

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._bound.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for at in range(0, len(buffer), _SLICE):
            self._stream.write(buffer[at : at + _SLICE], self._bound.left(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> "_Stream":
        stream = self._stream.start_tls(ssl_context, server_hostname, self._bound.left(timeout))
        return _Stream(stream, self._bound)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Backend(httpcore.SyncBackend):
    def __init__(self, bound: _Bound) -> None:
        self._bound = bound

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> _Stream:
        left = self._bound.left(timeout)
        return _Stream(super().connect_tcp(host, port, left, local_address, socket_options), self._bound)


class _Transport(httpx.BaseTransport):
    """httpcore's pools: one for each scheme, and proxy that the environment names for it."""

    def __init__(self, key: str, bound: _Bound) -> None:
        self._query = urlencode({"api_key": key}).encode()
        self._bound = bound
        self._pools: dict[tuple[str, str], httpcore.ConnectionPool] = {}
        self._lock = threading.Lock()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        target = request.url.raw_path
        if request.extensions[_SIGNED]:
            target += (b"&" if b"?" in target else b"?") + self._query
        url = httpcore.URL(
            scheme=request.url.raw_scheme, host=request.url.raw_host, port=request.url.port, target=target
        )
        asked = httpcore.Request(
            request.method, url, headers=request.headers.raw, content=request.stream, extensions=request.extensions
        )
        answer = self._pool(request.url).handle_request(asked)
        return httpx.Response(answer.status, headers=answer.headers, stream=_Body(answer), request=request)

    def close(self) -> None:
        for pool in self._pools.values():
            pool.close()

    def _pool(self, url: httpx.URL) -> httpcore.ConnectionPool:
        proxies: Mapping[str, str] = {} if proxy_bypass(url.host) else getproxies()
        proxy = proxies.get(url.scheme) or proxies.get("all") or ""
        with self._lock:
            if (url.scheme, proxy) not in self._pools:
                self._pools[url.scheme, proxy] = self._open(url.scheme, proxy)
            return self._pools[url.scheme, proxy]

    def _open(self, scheme: str, proxy: str) -> httpcore.ConnectionPool:
        settings: dict[str, Any] = {
            "ssl_context": httpx.create_ssl_context() if scheme == "https" else None,
            "max_connections": CONNECTIONS,
            "keepalive_expiry": 5.0,
            "network_backend": _Backend(self._bound),
        }
        if not proxy:
            return httpcore.ConnectionPool(**settings)
        through = httpx.Proxy(proxy if "://" in proxy else f"http://{proxy}")
        where = httpcore.URL(
            scheme=through.url.raw_scheme,
            host=through.url.raw_host,
            port=through.url.port,
            target=through.url.raw_path,
        )
        return httpcore.HTTPProxy(proxy_url=where, proxy_auth=through.raw_auth, **settings)


class _Body(httpx.SyncByteStream):
    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        yield from self._answer.iter_stream()

    def close(self) -> None:
        self._answer.close()
