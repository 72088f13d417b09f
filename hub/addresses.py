"""Which URLs may be a camera, and how they are shown. Pure but for `resolve`.

A hub polls whatever URL it is given, from inside a network: so it must not be a way to reach what only this
machine may reach, such as a cloud's metadata address.
"""

import asyncio
import ipaddress
import re
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from shared.errors import CameraError, InvalidInput

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

METADATA = frozenset(
    ipaddress.ip_address(address)
    for address in (
        "169.254.169.254",  # most clouds
        "fd00:ec2::254",  # AWS
        "fd20:ce::254",  # Google
        "100.100.100.200",  # Alibaba
        "192.0.0.192",  # Oracle
        "168.63.129.16",  # Azure
    )
)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_SECRET_PARAMETER = re.compile(
    r"(?i)\b((?:[\w-]*(?:key|token|pass|passwd|password|pwd|secret|auth))|user|usr|username|login)=[^&#]*"
)


@dataclass(frozen=True)
class AddressRules:
    """loopback: whether this machine itself may be a camera (the demo's are)."""

    loopback: bool = True

    def refusal(self, address: str) -> str:
        """Why a camera may not be at this IP address, or ""."""
        ip = _plain(ipaddress.ip_address(address))
        if ip in METADATA:
            return "a cloud's metadata address"
        if ip.is_link_local:
            return "a link-local address"
        if ip.is_unspecified or (ip.version == 4 and (ip.packed[0] == 0 or ip.packed == b"\xff" * 4)):
            return "no address of a host"
        if ip.is_multicast:
            return "a multicast address"
        if ip.is_loopback and not self.loopback:
            return "this machine itself"
        return ""

    def allowed(self, host: str, addresses: Sequence[str]) -> list[str]:
        """Those of a host's addresses that may be connected to; CameraError forbidden-address when none may."""
        refusals = {address: self.refusal(address) for address in addresses}
        kept = [address for address in addresses if not refusals[address]]
        if addresses and not kept:
            address, why = next(iter(refusals.items()))
            named = host if host == address else f"{host} ({address})"
            raise CameraError("forbidden-address", f"{named} is {why}, which no camera may have")
        return kept


def check_url(url: str, rules: AddressRules) -> SplitResult:
    """The parts of a camera's URL. InvalidInput when it isn't one, CameraError when its address is refused.

    Names are checked when they are resolved, at each new connection: see `resolve`.
    """
    try:
        parts = urlsplit(url)
        port_ok = parts.port is None or parts.port > 0
    except ValueError as error:
        raise InvalidInput(f"{shown(url)!r} is not a URL: {error}", hint=_EXAMPLE) from None
    if parts.scheme in ("rtsp", "rtsps", "rtmp"):
        raise InvalidInput(
            f"{shown(url)!r} is a video stream; a camera's URL gives single pictures",
            hint="Turn it into a camera: camera-node serve --source URL, and give that node's address.",
        )
    if parts.scheme not in ("http", "https"):
        raise InvalidInput(f"a camera's URL starts with http:// or https://, not {shown(url)!r}", hint=_EXAMPLE)
    host = parts.hostname or ""
    if not host or not port_ok or re.search(r"[\s\x00-\x1f\x7f]", url):
        raise InvalidInput(f"{shown(url)!r} is not a URL that can be polled", hint=_EXAMPLE)
    with suppress(ValueError):  # a name, not an address
        rules.allowed(host, [str(ipaddress.ip_address(host))])
    return parts


_EXAMPLE = "A camera's URL looks like http://porch.local:5000/image.jpg"


def credentials(parts: SplitResult) -> tuple[str, str] | None:
    """User and password in a URL, unescaped."""
    if parts.username is None:
        return None
    return unquote(parts.username), unquote(parts.password or "")


def bare(parts: SplitResult) -> str:
    """The URL without credentials and fragment: what is requested."""
    netloc = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, netloc, parts.path or "/", parts.query, ""))


def shown(url: str) -> str:
    """The URL as people and logs may see it: credentials, also those in its query, become ***."""
    url = re.sub(r"^([\w+.-]*:?//)[^/?#]*@", r"\1***@", url)
    head, mark, query = url.partition("?")
    return head + mark + _SECRET_PARAMETER.sub(r"\1=***", query)


def _plain(ip: IPAddress) -> IPAddress:
    """The IPv4 address that an IPv6 address carries (mapped, NAT64, 6to4), or the address itself."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if ip in _NAT64:
        return ipaddress.IPv4Address(ip.packed[-4:])
    return ip.ipv4_mapped or ip.sixtofour or ip


Lookup = Callable[..., Sequence[tuple[Any, ...]]]
"""`socket.getaddrinfo`, or one that answers like it."""


async def resolve(
    host: str, port: int, rules: AddressRules, *, lookup: Lookup = socket.getaddrinfo
) -> list[tuple[int, str]]:
    """(family, address) pairs of a host, forbidden ones left out. OSError when the name is unknown.

    The lookup runs in a daemon thread of its own: a name server that doesn't answer holds up neither another
    camera's lookup, nor decoding in the shared thread pool, nor the end of the program.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[tuple[int, str]]] = loop.create_future()

    def settle(found: list[tuple[int, str]], error: OSError | None) -> None:
        if answer.done():
            return
        if error:
            answer.set_exception(error)
        else:
            answer.set_result(found)

    def ask() -> None:
        found: list[tuple[int, str]] = []
        wrong: OSError | None = None
        try:
            infos = lookup(host, port, type=socket.SOCK_STREAM)
            found = list(dict.fromkeys((info[0], info[4][0]) for info in infos))
        except UnicodeError:
            wrong = OSError(f"{host!r} is not a host name")
        except OSError as error:
            wrong = error
        with suppress(RuntimeError):  # the loop ended before the name server answered
            loop.call_soon_threadsafe(settle, found, wrong)

    threading.Thread(target=ask, name=f"resolve {host}", daemon=True).start()
    pairs = await answer
    kept = set(rules.allowed(host, [address for _, address in pairs]))
    return [(family, address) for family, address in pairs if address in kept]
