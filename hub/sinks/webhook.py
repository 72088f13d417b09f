"""The webhook destination: posts each sample to a URL, signed after the Standard Webhooks specification.

Receivers know a message that comes again by its `webhook-id`, which is the same at every try. Source: Standard
Webhooks, github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import json
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, ClassVar

import httpx

from hub.deliveries import Pace, Parcel
from hub.sinks.facts import facts_of, hub_version, iso_time
from hub.sinks.options import SinkOptions, WebhookOptions
from shared.errors import DeliveryError, ImageError, InvalidInput, NotSetUp, Paused, Refused, RetryLater
from shared.image import image_facts
from shared.retry_after import retry_after_s

EVENT = "sample.selected"
CONNECT_S, READ_S, WRITE_S = 5.0, 15.0, 15.0
TOTAL_S = 25.0
"""The longest that a request takes in all, even if the receiver drips its answer byte by byte."""

WORDS_S = 2.0
"""How long is waited for a receiver's own words once its status is there."""

ANSWER_BYTES = 4096
LONGEST_WORDS = 300
_LEAST_SECRET = 8
"""Shorter parts of a URL than this are not looked for in a receiver's words: they are words themselves."""


@dataclass(frozen=True)
class _Answer:
    status: int
    headers: httpx.Headers
    words: str


class WebhookSink:
    """Posts samples to one URL. Without a secret they are not signed, so that anybody could have sent them.

    clock: Unix seconds. total_s: see TOTAL_S.
    """

    name: ClassVar[str] = "webhook"
    leaves: ClassVar[bool] = True

    @staticmethod
    def check(options: SinkOptions, argument: str) -> None:
        """NotSetUp without a URL; InvalidInput for an argument, a URL that is none, a secret that can't be read."""
        if argument:
            raise InvalidInput(
                f"the webhook destination takes no {argument!r}", hint="Name it as: webhook; its URL is HUB_WEBHOOK_URL"
            )
        _checked_url(options.webhook.url)
        signing_key(options.webhook.secret)

    @staticmethod
    def open(options: SinkOptions, argument: str) -> "WebhookSink":
        """Ready to post; nothing is connected to yet."""
        WebhookSink.check(options, argument)
        return WebhookSink(options.webhook)

    def __init__(
        self, options: WebhookOptions, *, clock: Callable[[], float] = time.time, total_s: float = TOTAL_S
    ) -> None:
        self.pace = Pace(rate=options.rate, timeout_s=total_s + 5.0)
        self._url = _checked_url(options.url)
        self._key = signing_key(options.secret)
        self._secrets = _secrets(self._url, options.secret)
        self._pictures = options.pictures
        self._clock = clock
        self._total_s = total_s
        self._tls = httpx.create_ssl_context()

    def send(self, parcel: Parcel) -> str:
        """Post one sample; returns its webhook-id. Raises DeliveryError, never with the URL or the secret in it.

        Paused when the receiver does not want any, Refused when not this one.
        """
        body = _body(parcel, self._pictures)
        message_id = f"sample_{parcel.sample.campaign_id}_{parcel.sample.frame_id}"
        request = httpx.Request("POST", self._url, content=body, headers=self._headers(message_id, body))
        _raise_unless_taken(self._exchange(request), self._url.host, self._clock())
        return message_id

    def flush(self) -> None:
        """Nothing is left to be done."""

    def _headers(self, message_id: str, body: bytes) -> dict[str, str]:
        timestamp = int(self._clock())
        headers = {
            "content-type": "application/json",
            "accept-encoding": "identity",
            "user-agent": f"bowerbird/{hub_version()}",
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp),
        }
        if self._key:
            headers["webhook-signature"] = signature(self._key, message_id, timestamp, body)
        return headers

    def _exchange(self, request: httpx.Request) -> _Answer:
        # asyncio, and a loop for each request, because only so the whole of it can be bounded: httpx's time-outs are
        # of single reads and writes. Closing the loop does not wait for a name that is still being looked up.
        loop = asyncio.new_event_loop()
        try:
            return loop.run_until_complete(asyncio.wait_for(self._talk(request), self._total_s))
        except TimeoutError as error:
            raise RetryLater(f"{self._url.host} took more than {self._total_s:.0f} s") from error
        except httpx.TransportError as error:
            raise _unreached(error, self._url.host) from error
        finally:
            loop.close()

    async def _talk(self, request: httpx.Request) -> _Answer:
        timeout = httpx.Timeout(READ_S, connect=CONNECT_S, write=WRITE_S)
        async with httpx.AsyncClient(verify=self._tls, timeout=timeout) as client:
            answer = await client.send(request, stream=True)
            try:
                words = "" if answer.is_success else self._fit(await _words(answer))
                return _Answer(answer.status_code, answer.headers, words)
            finally:
                await answer.aclose()

    def _fit(self, words: str) -> str:
        """Words fit to be shown: on one line, bounded, and without what is secret."""
        for secret in self._secrets:
            words = words.replace(secret, "***")
        line = " ".join("".join(c if c.isprintable() else " " for c in words).split())
        return line if len(line) <= LONGEST_WORDS else line[:LONGEST_WORDS] + "…"


def signing_key(secret: str) -> bytes:
    """The key of the HMAC: `whsec_` and base64, or else the text itself. b"" for none. InvalidInput for no base64."""
    if not secret.startswith("whsec_"):
        return secret.encode()
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        key = b""
    if not key:
        raise InvalidInput(
            "the webhook's secret begins with whsec_ but no base64 follows",
            hint="Set HUB_WEBHOOK_SECRET to the whole secret as the receiver shows it.",
        )
    return key


def signature(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """The `webhook-signature` header: v1, and HMAC-SHA256 over `id.timestamp.body` in base64."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def _checked_url(text: str) -> httpx.URL:
    """NotSetUp for none, InvalidInput, which does not quote it, unless it is an http(s) URL."""
    hint = "Set HUB_WEBHOOK_URL to an http(s) URL that samples are to be posted to."
    if not text:
        raise NotSetUp("the webhook destination has no URL", hint=hint)
    try:
        url = httpx.URL(text.strip())
    except httpx.InvalidURL:
        raise InvalidInput("the webhook's URL is malformed", hint=hint) from None
    if url.scheme not in ("http", "https") or not url.host:
        raise InvalidInput("the webhook's URL is not http(s)://host…", hint=hint)
    return url


def _secrets(url: httpx.URL, secret: str) -> list[str]:
    """What a receiver may echo and nobody is to see, the longest first."""
    path = url.raw_path.decode()
    parts = {str(url), path, url.path, *path.split("/"), *url.path.split("/"), *url.params.values()}
    told = {part for part in parts if len(part) >= _LEAST_SECRET} | {url.password, secret}
    return sorted(told - {""}, key=len, reverse=True)


def _body(parcel: Parcel, with_picture: bool) -> bytes:
    """The same bytes at every try. Refused when the picture is none."""
    data: dict[str, Any] = facts_of(parcel)
    if with_picture:
        try:
            media_type = image_facts(parcel.picture).mime
        except ImageError as error:
            raise Refused(f"the stored picture is damaged: {error.message}") from error
        data["picture"] = {"media_type": media_type, "base64": base64.b64encode(parcel.picture).decode()}
    message = {"type": EVENT, "timestamp": iso_time(parcel.sample.created_at), "data": data}
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()


async def _words(answer: httpx.Response) -> str:
    """The beginning of an answer's text, as much of it as comes soon; "" for anything else than text."""
    kind = answer.headers.get("content-type", "text/plain").partition(";")[0].strip().lower()
    if answer.headers.get("content-encoding") or not (kind == "text/plain" or kind.endswith("json")):
        return ""
    begun = b""
    try:
        async with asyncio.timeout(WORDS_S):
            async for piece in answer.aiter_raw(ANSWER_BYTES):
                begun += piece
                if len(begun) >= ANSWER_BYTES:
                    break
    except (TimeoutError, httpx.TransportError):
        pass  # the status was what mattered
    return begun[:ANSWER_BYTES].decode("utf-8", "replace")


_HELP = {
    HTTPStatus.UNAUTHORIZED: "Check HUB_WEBHOOK_SECRET, and the user and password in HUB_WEBHOOK_URL.",
    HTTPStatus.FORBIDDEN: "Check HUB_WEBHOOK_SECRET, and whether the receiver lets this machine in.",
    HTTPStatus.NOT_FOUND: "Check the path in HUB_WEBHOOK_URL.",
    HTTPStatus.METHOD_NOT_ALLOWED: "Nothing there takes a POST: check the path in HUB_WEBHOOK_URL.",
    HTTPStatus.GONE: "The receiver wants no more: take webhook out of the campaigns' destinations, or set a new URL.",
    HTTPStatus.PAYMENT_REQUIRED: "The receiver wants to be paid.",
    HTTPStatus.PROXY_AUTHENTICATION_REQUIRED: "Check the user and password in HTTPS_PROXY.",
    HTTPStatus.LOCKED: "Ask who runs the receiver.",
}
"""Answers that say something of the destination as a whole, and what a person can do."""

_PASSING = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)


def _raise_unless_taken(answer: _Answer, host: str, now: float) -> None:
    """The DeliveryError that an answer means; none for success. now: Unix seconds."""
    status = answer.status
    if 200 <= status < 300:
        return
    said = f"{host} answers {_named(status)}" + (f": {answer.words}" if answer.words else "")
    if 300 <= status < 400:
        raise _elsewhere(said, answer.headers.get("location", ""))
    if status in _HELP:
        raise Paused(said, hint=_HELP[HTTPStatus(status)])
    if status in _PASSING or status >= 500:
        raise RetryLater(said, after_s=retry_after_s(answer.headers.get("retry-after"), now))
    raise Refused(said)


def _elsewhere(said: str, location: str) -> Paused:
    """A redirect is not followed: what is signed for one host is not for another."""
    try:
        to = httpx.URL(location)
        where = f"{to.scheme}://{to.host}" if to.host else "another path of it"
    except httpx.InvalidURL:
        where = "nowhere that can be read"
    return Paused(f"{said}, which points to {where}", hint="Set HUB_WEBHOOK_URL to where it points to.")


def _unreached(error: httpx.TransportError, host: str) -> DeliveryError:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            hint = "Renew it, or name its authority by SSL_CERT_FILE."
            return Paused(f"the certificate of {host} is not trusted: {cause.verify_message}", hint=hint)
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx.TimeoutException):
        what = "could not be connected to in time" if isinstance(error, httpx.ConnectTimeout) else "does not answer"
        return RetryLater(f"{host} {what}")
    if isinstance(error, httpx.ConnectError):
        return RetryLater(f"{host} can't be reached")
    if isinstance(error, httpx.ProxyError):
        return RetryLater(f"the proxy on the way to {host} failed")
    return RetryLater(f"{host} broke off the connection")


def _named(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
