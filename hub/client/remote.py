"""A hub elsewhere, over HTTP: each request within limits, and again when passing trouble may be over."""

import json
import random
import time
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

import httpx

from hub.collection.answers import looked_of, state_of
from hub.collection.requests import of_mark, of_needs, of_picture, of_upload
from hub.collection.values import Looked, Mark, Picture, Receipt, State, Upload
from hub.packed import unpack
from hub.types import Needs
from shared.errors import BowerbirdError, ImageError, InvalidInput, NotSetUp, StoreError
from shared.retry import Backoff
from shared.retry_after import retry_after_s

PREFIX = "/api/v1/collection"

TRIES = 6
BACKOFF = Backoff(base_s=0.5, cap_s=30.0)
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers after which the same is asked again; all that is asked may be asked twice."""

ANSWER_BYTES = 512 * 2**20
"""The most a hub may answer: the seeds of all its campaigns."""

LONGEST_WAIT_S = 120.0


class RemoteCollection:
    """hub.collection.values.Collection of the hub at a URL. transport, sleep: for tests."""

    def __init__(
        self,
        url: str,
        token: str = "",
        *,
        timeout_s: float = 120.0,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._url, self._sleep, self._timeout_s = checked_url(url), sleep, timeout_s
        headers = {"User-Agent": "bowerbird-client", "Accept": "*/*"}
        if token:
            headers["Authorization"] = f"Bearer {checked_token(token)}"
        self._client = httpx.Client(
            headers=headers,
            timeout=httpx.Timeout(timeout_s, connect=10.0),
            follow_redirects=False,
            transport=transport,
        )

    def __repr__(self) -> str:
        return f"RemoteCollection({self._url!r})"

    def state(self, names: Sequence[str]) -> State:
        """GET state."""
        return state_of(_unpacked(self._ask("GET", "/state", params=[("campaign", name) for name in names])))

    def look(self, pictures: Sequence[Picture], needs: Needs, embedding_version: str) -> list[Looked]:
        """POST embed."""
        said = {
            "needs": of_needs(needs),
            "embedding_version": embedding_version,
            "pictures": [of_picture(each) for each in pictures],
        }
        return looked_of(_unpacked(self._post("/embed", said, [each.data for each in pictures])))

    def add(self, uploads: Sequence[Upload], marks: Sequence[Mark]) -> Receipt:
        """POST samples."""
        said = {"frames": [of_upload(each) for each in uploads], "processed": [of_mark(each) for each in marks]}
        answer = json.loads(self._post("/samples", said, [each.picture for each in uploads]))
        return Receipt(**{name: int(answer[name]) for name in ("new", "known", "refused")})

    def close(self) -> None:
        """Give up the connections."""
        self._client.close()

    def _post(self, path: str, said: dict[str, Any], pictures: Sequence[bytes]) -> bytes:
        text = json.dumps(said, allow_nan=False).encode()
        files = [("request", ("request.json", text, "application/json"))]
        files += [("picture", (f"{i}", data, "application/octet-stream")) for i, data in enumerate(pictures)]
        return self._ask("POST", path, files=files)

    def _ask(self, method: str, path: str, **body: Any) -> bytes:
        """The body of an answer that is one. The same is asked again after passing trouble, `TRIES` times in all."""
        for tried in range(1, TRIES + 1):
            wait_s: float | None = None
            try:
                status, headers, data = self._once(method, path, **body)
            except httpx.TransportError as error:
                trouble = BowerbirdError(
                    f"the hub at {self._url} can't be reached: {type(error).__name__}",
                    hint="Is it running (hub web), and is this its address?",
                )
            else:
                if status < 300:
                    return data
                trouble = _of_answer(self._url, status, data)
                if status not in PASSING:
                    raise trouble
                wait_s = retry_after_s(headers.get("Retry-After"), time.time(), longest_s=LONGEST_WAIT_S)
            if tried < TRIES:
                self._sleep(max(wait_s or 0.0, BACKOFF.delay(tried, random.random)))
        raise trouble

    def _once(self, method: str, path: str, **body: Any) -> tuple[int, httpx.Headers, bytes]:
        until, data = time.monotonic() + 2 * self._timeout_s, bytearray()
        with self._client.stream(method, self._url + PREFIX + path, **body) as answer:
            for part in answer.iter_bytes():
                data += part
                if len(data) > ANSWER_BYTES:
                    raise BowerbirdError(f"the hub at {self._url} answers more than {ANSWER_BYTES:,} bytes")
                if time.monotonic() > until:
                    raise httpx.ReadTimeout("the answer takes too long")
            return answer.status_code, answer.headers, bytes(data)


def checked_url(url: str) -> str:
    """The address of a hub, without its API's path. InvalidInput for what is none."""
    try:
        parts = urlsplit(url.strip())
        proper = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        proper = False
    if not proper:
        raise InvalidInput("this is no address of a hub", hint="It is one such as http://127.0.0.1:8000")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise InvalidInput("a hub's address has no user, password or query", hint="Give the token as api_key.")
    return url.strip().rstrip("/").removesuffix("/api/v1")


def checked_token(token: str) -> str:
    """A token that can stand in a header. InvalidInput, without saying it, for another."""
    if not (token.isascii() and token.isprintable() and " " not in token):
        raise InvalidInput("api_key holds characters that no token has", hint="Give HUB_API_TOKEN of the hub.")
    return token


def _unpacked(data: bytes) -> dict[str, Any]:
    try:
        return unpack(data)
    except StoreError as error:
        raise BowerbirdError(
            "the hub's answer came damaged, or is no answer of a hub", hint="Is this the address of a hub?"
        ) from error


def _of_answer(url: str, status: int, data: bytes) -> BowerbirdError:
    """What an answer says is wrong, as the error it was at the hub."""
    try:
        said = json.loads(data)
        detail, hint = str(said.get("detail") or said.get("title")), str(said.get("hint", ""))
        kind, reason = str(said.get("type", "")), str(said.get("reason", ""))
    except (ValueError, AttributeError):
        return BowerbirdError(f"{url} answers {status}, and not as a hub does", hint="Is this the address of a hub?")
    if status in (401, 403):
        return NotSetUp(
            f"the hub at {url} refuses: {detail}", hint="Give its HUB_API_TOKEN: set_credentials(api_key=…)"
        )
    if kind == "urn:bowerbird:image":
        return ImageError(reason, detail, hint=hint)
    if kind == "about:blank" and status == 404:
        return BowerbirdError(
            f"{url} has no collection routes", hint="Is this the address of a hub, and of this version?"
        )
    kinds = {"urn:bowerbird:not-set-up": NotSetUp}
    return kinds.get(kind, InvalidInput if status < 500 else BowerbirdError)(detail, hint=hint)
