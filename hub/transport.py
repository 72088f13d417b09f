"""The network under httpx's API: an `httpx.AsyncBaseTransport` over aiohttp; the only module that knows aiohttp.

Why not httpx's own: polling many cameras from one core is bound by the client's CPU per request, and aiohttp
needs a fraction of it (tests/bench/bench_poller.py prints both).
"""

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator

import aiohttp
import httpx
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from hub.addresses import AddressRules, Lookup, resolve
from shared.errors import CameraError


class CameraTransport(httpx.AsyncBaseTransport):
    """Keep-alive connections to any number of cameras; connects only where `rules` allow.

    There is no limit on connections: a pool with one would let cameras that hang keep others waiting. The poller
    has one request at a time per camera. Answers are streamed, never decompressed, redirects never followed.
    Raises httpx's TransportErrors, and CameraError forbidden-address. ssl_context: None for the default.
    lookup: how names are resolved.
    """

    def __init__(
        self,
        rules: AddressRules | None = None,
        *,
        ssl_context: ssl.SSLContext | None = None,
        lookup: Lookup = socket.getaddrinfo,
    ) -> None:
        self._resolver = _Resolver(rules or AddressRules(), lookup)
        self._ssl = ssl_context
        self._session: aiohttp.ClientSession | None = None
        self._timeouts: dict[tuple[float | None, ...], aiohttp.ClientTimeout] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send, and return once the headers are there. The caller closes the response."""
        session = self._session or self._open()
        try:
            answer = await session.request(
                request.method,
                URL(str(request.url), encoded=True),
                headers=[(name.decode("ascii"), value.decode()) for name, value in request.headers.raw],
                data=request.content or None,
                allow_redirects=False,
                timeout=self._timeout(request.extensions.get("timeout", {})),
            )
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _as_httpx(error, request) from error
        return httpx.Response(
            answer.status,
            headers=answer.raw_headers,
            stream=_Body(answer, request),
        )

    async def aclose(self) -> None:
        """Close all connections."""
        if self._session:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=0,
            resolver=self._resolver,
            ttl_dns_cache=60,
            keepalive_timeout=120,
            ssl=self._ssl or True,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
        )
        return self._session

    def _timeout(self, wanted: dict[str, float | None]) -> aiohttp.ClientTimeout:
        key = (wanted.get("connect"), wanted.get("read"))
        if key not in self._timeouts:
            # `connect` includes looking up the name; the poller bounds the whole.
            self._timeouts[key] = aiohttp.ClientTimeout(total=None, connect=key[0], sock_read=key[1])
        return self._timeouts[key]


class _Body(httpx.AsyncByteStream):
    """Bytes as they arrive; closing before the end closes the connection, else it is kept."""

    def __init__(self, answer: aiohttp.ClientResponse, request: httpx.Request) -> None:
        self._answer = answer
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        read = self._answer.content.readany
        try:
            while chunk := await read():
                yield chunk
        except (aiohttp.ClientError, OSError) as error:
            raise _as_httpx(error, self._request) from error

    async def aclose(self) -> None:
        self._answer.close()  # read to its end, it has given its connection back before


class _Resolver(AbstractResolver):
    """Names to addresses, with the forbidden ones left out: what is checked is what is connected to."""

    def __init__(self, rules: AddressRules, lookup: Lookup) -> None:
        self._rules = rules
        self._lookup = lookup

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await resolve(host, port, self._rules, lookup=self._lookup)
        numeric = socket.AI_NUMERICHOST
        return [
            ResolveResult(hostname=host, host=address, port=port, family=kind, proto=0, flags=numeric)
            for kind, address in found
            if family in (socket.AF_UNSPEC, kind)
        ]

    async def close(self) -> None:
        """Nothing is kept."""


def _as_httpx(error: Exception, request: httpx.Request) -> Exception:
    """The httpx error that says the same, with a message for people."""
    if isinstance(error, CameraError):
        return error
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return httpx.ConnectTimeout("no connection in time", request=request)
    if isinstance(error, asyncio.TimeoutError):
        return httpx.ReadTimeout("no answer in time", request=request)
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return httpx.ConnectError(f"no host named {request.url.host} is known here", request=request)
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return httpx.ConnectError(f"its certificate is not trusted: {error.certificate_error}", request=request)
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        return httpx.ConnectError(f"no TLS connection: {error}", request=request)
    if isinstance(error, aiohttp.ClientConnectorError | ConnectionRefusedError):
        return httpx.ConnectError(_words(error), request=request)
    if isinstance(error, aiohttp.ClientPayloadError):
        return httpx.ReadError("the connection closed before the picture was whole", request=request)
    if isinstance(error, aiohttp.ServerDisconnectedError | OSError):
        return httpx.NetworkError("it closed the connection without an answer", request=request)
    if isinstance(error, aiohttp.ClientResponseError):
        return httpx.RemoteProtocolError(f"its answer is not HTTP: {_first_line(error.message)}", request=request)
    return httpx.RequestError(str(error), request=request)


def _words(error: OSError) -> str:
    return os.strerror(error.errno).lower() if error.errno else str(error)


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0].rstrip(":")[:120]
