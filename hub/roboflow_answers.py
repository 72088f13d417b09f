"""What Roboflow's answers mean: an outcome, words for a person, or the values in them. Pure."""

import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.errors import DeliveryError, Paused, Refused, RetryLater
from shared.retry_after import retry_after_s

LONGEST_WORDS = 300
_TAG = re.compile(r"[^A-Za-z0-9\-_:/.\[\]<>{}@]")
_BAD_IMAGE = re.compile(
    r"(?i)invalid\W*image|unsupported|corrupt|not an image|too large"
    r"|(could|can)(n't| ?not) (be )?(read|decode|process|open)"
)
_KEY_HELP = "Set ROBOFLOW_KEY to a private key of the workspace (Settings → API keys in Roboflow)."
_PAUSED = {
    401: f"Roboflow does not accept the key: {{}}. {_KEY_HELP}",
    402: "Roboflow wants payment: {}. Look at the workspace's plan and usage.",
    423: "the Roboflow workspace or project is locked: {}. Unlock it there, or ask its owner.",
}


@dataclass(frozen=True)
class Uploaded:
    """id: of the image there. duplicate: whether the project had these very bytes already."""

    id: str
    duplicate: bool


@dataclass(frozen=True)
class Project:
    """A project as Roboflow describes it. type: such as object-detection."""

    id: str
    name: str
    type: str


@dataclass(frozen=True)
class RemoteImage:
    """An image in a project. url: where its original bytes are, "" where Roboflow did not say. split: train, valid,
    test or "" while it is in no split. annotated: whether it has labels. embedding: Roboflow's own, () if not asked
    for. created_at: Unix seconds, 0 when unknown."""

    id: str
    name: str
    tags: tuple[str, ...] = ()
    split: str = ""
    url: str = field(default="", repr=False)
    annotated: bool = False
    embedding: tuple[float, ...] = ()
    created_at: float = 0.0


def legal_tag(text: str) -> str:
    """`text` as a tag that Roboflow accepts: spaces become "-", what is not allowed is left out, 64 characters at
    most; "" when nothing is left."""
    plain = unicodedata.normalize("NFKD", text)
    return _TAG.sub("", re.sub(r"\s+", "-", plain.strip()))[:64]


def failure(status: int, headers: Mapping[str, str], body: bytes, *, now: float) -> DeliveryError:
    """What an answer other than 200 means. now: Unix seconds."""
    said = words(body) or f"HTTP {status}"
    if status in _PAUSED:
        return Paused(_PAUSED[status].format(said))
    if 400 <= status < 500 and status not in (408, 425, 429):
        return Refused(said)
    return RetryLater(f"Roboflow answered {status}: {said}", after_s=retry_after_s(headers.get("Retry-After"), now))


def unsuccessful(answer: Mapping[str, Any]) -> DeliveryError:
    """What a 200 means that is no success."""
    said = _words(answer) or "no reason given"
    if _BAD_IMAGE.search(json.dumps(answer)):
        return Refused(said)
    return RetryLater(f"Roboflow did not do it: {said}")


def already_annotated(status: int, body: bytes) -> bool:
    """Whether annotating failed only because it was done before: 409, and 400 from older servers."""
    return status in (400, 409) and b"already annotated" in body.lower()


def parsed(body: bytes) -> dict[str, Any]:
    """A JSON object. RetryLater for anything else, such as the page of a proxy in between."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        raise RetryLater("Roboflow's answer is not JSON") from None
    if not isinstance(answer, dict):
        raise RetryLater("Roboflow's answer is not a JSON object")
    return answer


def words(body: bytes) -> str:
    """What a body says to a person, on one line; "" when it says nothing."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return _line(re.sub(r"(?is)<(style|script).*?</\1>|<[^>]*>", " ", body[:10_000].decode(errors="replace")))
    return _words(answer) if isinstance(answer, dict) else _line(str(answer))


def uploaded(answer: Mapping[str, Any]) -> Uploaded:
    """What an upload's answer says. Refused or RetryLater when it is no success."""
    duplicate = answer.get("duplicate") is True
    if not (duplicate or answer.get("success") is True):
        raise unsuccessful(answer)
    image_id = answer.get("id")
    if not isinstance(image_id, str) or not re.fullmatch(r"[\w.-]{1,128}", image_id):
        raise RetryLater("Roboflow took a picture and did not say under which id")
    return Uploaded(image_id, duplicate)


def remote_image(answer: Mapping[str, Any]) -> RemoteImage:
    """An image of a search's results, or of image details. RetryLater when it has no id."""
    image_id = answer.get("id")
    if not isinstance(image_id, str) or not image_id:
        raise RetryLater("Roboflow named an image without an id")
    urls, embedding = answer.get("urls"), answer.get("embedding")
    url = urls.get("original") if isinstance(urls, dict) else answer.get("url")
    return RemoteImage(
        image_id,
        _text(answer.get("name")),
        tuple(tag for tag in _list(answer.get("tags")) if isinstance(tag, str)),
        _text(answer.get("split")),
        _text(url),
        bool(answer.get("labels")),
        tuple(float(x) for x in _list(embedding) if isinstance(x, (int, float))),
        _unix(answer.get("created")),
    )


def _unix(created: object) -> float:
    """Roboflow counts milliseconds, and has counted seconds; a count above 10¹¹ is no date in seconds."""
    if not isinstance(created, (int, float)) or isinstance(created, bool) or not 0 < created < 1e15:
        return 0.0
    return created / 1000 if created > 1e11 else float(created)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _words(answer: Mapping[str, Any]) -> str:
    """The error is a text, or an object with a message; some answers have the message at the top."""
    error = answer.get("error")
    if isinstance(error, dict):
        answer, error = error, None
    said = [part for part in (error, answer.get("message"), answer.get("hint")) if isinstance(part, str) and part]
    return _line(". ".join(dict.fromkeys(part.rstrip(". ") for part in said)))


def _line(text: str) -> str:
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= LONGEST_WORDS else line[: LONGEST_WORDS - 1] + "…"
