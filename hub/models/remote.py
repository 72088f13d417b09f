"""CLIP on a Roboflow inference server, in place of a model on this machine."""

import base64
import json
import logging
import random
import time
from collections.abc import Callable, Sequence
from typing import Any, Self

import cv2
import httpcore
import httpx
import numpy as np

from hub.models.nouns import noun_vectors
from hub.models.prior import NOTHING
from hub.models.typical import UNKNOWN_CLIP
from hub.models.vectors import model_version, unit
from hub.roboflow_http import Exchange, TooLarge
from hub.types import Image, Vectors
from shared.errors import InvalidInput, ModelError
from shared.log import redact
from shared.retry import Backoff

_log = logging.getLogger(__name__)

DEFAULT_CLIP = "ViT-B-16"
"""What the server takes when nothing is said; said all the same, for a server's default can be set."""

DIMENSIONS = {
    "RN50": 1024, "RN101": 512, "RN50x4": 640, "RN50x16": 768, "RN50x64": 1024,
    "ViT-B-16": 512, "ViT-B-32": 512, "ViT-L-14": 768, "ViT-L-14-336px": 768,
}  # fmt: skip
"""Length of a vector of each CLIP that the server has (OpenAI's CLIP, model cards)."""

AT_ONCE = 8
"""Pictures or texts in a request: the server's own default limit."""

SHORT_SIDE = 448
QUALITY = 95
ATTEMPTS = 4
MOST_BYTES = 16 * 2**20
"""Of an answer; eight vectors as text are some 200 kB."""

TIMEOUT_S = 60.0
"""Of a try; long, since a server loads the weights at the first request."""

BACKOFF = Backoff(base_s=0.5, cap_s=8.0)

_PASSING = frozenset((408, 425, 429, 500, 502, 503, 504))


class RemoteClip:
    """Embeds by asking a server. Used by several threads at once; close it when done.

    A frame leaves this machine as a JPEG of quality 95, its short side scaled down to 448 pixels. Measured with the
    CLIP student, against the picture as it was: at 448 the cosine is 0.9985 or more (160 kB of a photo become 125), at
    336 it falls to 0.994 (79 kB), at 224 to 0.991.
    """

    typical = UNKNOWN_CLIP
    prior = NOTHING

    def __init__(
        self,
        server: str,
        key: str,
        *,
        clip_version: str = DEFAULT_CLIP,
        sleep: Callable[[float], None] = time.sleep,
        backoff: Backoff = BACKOFF,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """server: such as http://localhost:9001. key: Roboflow's, "" where the server needs none.
        clip_version: one of DIMENSIONS. InvalidInput for what can't be; nothing is asked of the server yet."""
        if not _is_address(server):
            raise InvalidInput(
                f"INFER_SERVER_DESTINATION is {redact(server)!r}, which is no address of a server",
                hint="It looks like http://localhost:9001.",
            )
        if clip_version not in DIMENSIONS:
            raise InvalidInput(f"there is no CLIP {clip_version!r}", hint=f"The server has: {', '.join(DIMENSIONS)}.")
        self._server, self._key, self._clip = server.rstrip("/"), key, clip_version
        self._sleep, self._backoff = sleep, backoff
        self._exchange = Exchange(key, timeout_s=timeout_s)
        self.dim = DIMENSIONS[clip_version]
        self.name = f"CLIP {clip_version} at {redact(self._server)}"
        how = {"short_side": SHORT_SIDE, "jpeg_quality": QUALITY}
        self.version = model_version(f"roboflow inference CLIP {clip_version}", "embeddings", how)

    def embed(self, images: Sequence[Image]) -> Vectors:
        """(n, dim) unit float32, a row per picture. ModelError when the server does not answer, or not with vectors."""
        return self._in_batches("embed_image", "image", [_value(image) for image in images])

    def embed_text(self, texts: Sequence[str]) -> Vectors:
        """(n, dim) unit float32. ModelError as for pictures."""
        return self._in_batches("embed_text", "text", list(texts))

    def nouns(self) -> Vectors:
        """(n, dim) unit float32, asked for once and kept: see nouns.py. ModelError as for pictures."""
        return noun_vectors(self.version, self.embed_text)

    def close(self) -> None:
        """Give up the connections."""
        self._exchange.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _in_batches(self, call: str, what: str, values: Sequence[Any]) -> Vectors:
        rows = [self._ask(call, what, values[i : i + AT_ONCE]) for i in range(0, len(values), AT_ONCE)]
        return np.concatenate(rows) if rows else np.zeros((0, self.dim), np.float32)

    def _ask(self, call: str, what: str, values: Sequence[Any]) -> Vectors:
        """One request, again while the trouble may pass."""
        for attempt in range(1, ATTEMPTS + 1):
            trouble, answer = self._try(call, {"clip_version_id": self._clip, what: list(values)})
            if not trouble:
                return self._vectors(answer, len(values))
            if attempt < ATTEMPTS:
                _log.info("%s: %s; asked again", self.name, trouble)
                self._sleep(self._backoff.delay(attempt, random.random))
        raise ModelError(
            f"{self.name} gave no vectors in {ATTEMPTS} tries: {trouble}",
            hint=f"Is the Roboflow inference server running, and can it be reached at {redact(self._server)}? "
            "Without INFER_SERVER_DESTINATION a model on this machine is used.",
        )

    def _try(self, call: str, body: dict[str, Any]) -> tuple[str, Any]:
        """(passing trouble, or "", the JSON answered). ModelError for trouble that will not pass."""
        url = f"{self._server}/clip/{call}"
        try:
            answer = self._exchange.send("POST", url, most=MOST_BYTES, signed=bool(self._key), json=body)
        except TooLarge:
            raise ModelError(f"{self.name} answered more than {MOST_BYTES:,} bytes", hint=_NO_SERVER) from None
        except (httpx.TimeoutException, httpcore.TimeoutException):
            return "no answer in time", None
        except (httpx.HTTPError, httpcore.NetworkError, httpcore.ProtocolError, httpcore.ProxyError, OSError) as error:
            return self._without_key(str(error) or type(error).__name__), None
        if answer.status in _PASSING:
            return f"status {answer.status} {self._words(answer.body)}".strip(), None
        if answer.status != 200:
            raise self._refused(answer.status, self._words(answer.body))
        return "", _json(answer.body)

    def _refused(self, status: int, words: str) -> ModelError:
        if status in (401, 402, 403):
            return ModelError(
                f"{self.name} does not take the key: status {status} {words}".strip(), hint="Check ROBOFLOW_KEY."
            )
        return ModelError(f"{self.name} refused: status {status} {words}".strip(), hint=_NO_SERVER)

    def _words(self, data: bytes) -> str:
        """What the server says is wrong, at most a line, without the key."""
        said = _json(data)
        text = said.get("message") or said.get("detail") or said.get("error") if isinstance(said, dict) else None
        return self._without_key(" ".join(str(text or "").split())[:300])

    def _without_key(self, text: str) -> str:
        return redact(text.replace(self._key, "***") if self._key else text)

    def _vectors(self, answer: Any, count: int) -> Vectors:
        """(count, dim) of an answer; ModelError where it holds no such thing."""
        rows = answer.get("embeddings") if isinstance(answer, dict) else None
        try:
            with np.errstate(over="ignore"):  # what is too large becomes infinite, which `unit` refuses
                vectors = np.asarray(rows, np.float32)
        except (TypeError, ValueError):
            vectors = np.zeros(0, np.float32)
        if vectors.shape != (count, self.dim):
            got = f"shape {vectors.shape}" if vectors.size else "no numbers"
            raise ModelError(
                f"{self.name} should have answered {count} vectors of {self.dim} numbers, got {got}", hint=_NO_SERVER
            )
        return unit(vectors, self.name)


_NO_SERVER = "Does INFER_SERVER_DESTINATION lead to a Roboflow inference server, and is it up to date?"


def _is_address(server: str) -> bool:
    try:
        url = httpx.URL(server)
    except httpx.InvalidURL:
        return False
    return url.scheme in ("http", "https") and bool(url.host)


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return None


def _value(image: Image) -> dict[str, str]:
    """A picture as the server takes it: base64 of a JPEG no larger than it is of use."""
    height, width = image.shape[:2]
    scale = SHORT_SIDE / min(height, width)
    if scale < 1:
        size_wh = max(1, round(width * scale)), max(1, round(height * scale))
        image = np.asarray(cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA), np.uint8)
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    done, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not done:
        raise ModelError(f"a picture of {width}×{height} pixels can't be sent as a JPEG")
    return {"type": "base64", "value": base64.b64encode(jpeg.tobytes()).decode("ascii")}
