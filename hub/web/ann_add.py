"""`POST /api/v1/ann/add`: fetch a picture, embed the boxes in it, and store them under the ids they come with."""

import asyncio
import threading
import time
from typing import Any, NamedTuple

from hub.addresses import AddressRules, bare, check_url, shown
from hub.answer import Limits
from hub.archive import Newcomer
from hub.fetch import fetch, target_of
from hub.protocols import Embedder
from hub.transport import CameraTransport
from hub.types import Box, Camera, Frame
from hub.vision import DecodeLimits, crop, decode
from hub.web.parts import Parts
from hub.web.values import numbers, whole
from shared.errors import CameraError, ImageError, InvalidInput

CAMERA = "ann"
"""The name elements of pictures that were brought in go by."""

MOST_LOGOS = 100
HIGHEST_ID = 2**62 - 1
LIMITS = Limits(connect_s=5.0, read_s=10.0, total_s=20.0)

_ROUNDING = 0.01
"""Detectors give boxes that reach a little beyond the picture."""


class Logo(NamedTuple):
    """id: what it is to be known by. box: ymin, xmin, ymax, xmax as shares of the picture, cut to it."""

    id: int
    box: tuple[float, float, float, float]


class Adding:
    """One picture at a time is embedded and stored, whoever asks: rows of a frame are counted up."""

    def __init__(self, parts: Parts, rules: AddressRules | None = None) -> None:
        self._parts = parts
        self._rules = rules or AddressRules()
        self._one = threading.Lock()

    def add(self, body: dict[str, Any]) -> int:
        """How many of the logos of a request are new now. InvalidInput for a wrong request or picture.

        Nothing is fetched when all ids are known. The address goes by the rules of cameras' addresses; a redirect is
        followed on the same server only.
        """
        url, logos = _read(body)
        embedder = self._parts.embedder()
        source = _checked(url, self._rules)
        logos = self._unknown(logos, embedder.version)
        if not logos:
            return 0
        picture = _fetch(url, self._rules)
        with self._one:
            logos = self._unknown(logos, embedder.version)  # somebody may have brought the same
            return self._store(picture, logos, embedder, source) if logos else 0

    def _unknown(self, logos: list[Logo], version: str) -> list[Logo]:
        known = {each.element.key for each in self._parts.store.archive.by_key([logo.id for logo in logos], version)}
        return [logo for logo in logos if logo.id not in known]

    def _store(self, picture: bytes, logos: list[Logo], embedder: Embedder, source: str) -> int:
        try:
            image = decode(picture, DecodeLimits(LIMITS.body_bytes, LIMITS.pixels))
        except ImageError as error:
            raise InvalidInput(f"invalid image: {error.message}", hint=error.hint) from error
        height, width = image.shape[:2]
        boxes = [_in_pixels(logo, width, height) for logo in logos]
        vectors = embedder.embed([crop(image, box) for box in boxes])
        now, version = time.time(), embedder.version
        frame = Frame(CAMERA, 0, now, picture).id
        first = self._free_row(frame, version)
        newcomers = [
            Newcomer(
                frame, first + i, version, CAMERA, now, box, vector, external_id=logo.id, metadata={"image_url": source}
            )
            for i, (logo, box, vector) in enumerate(zip(logos, boxes, vectors, strict=True))
        ]
        return self._parts.store.archive.add(newcomers)

    def _free_row(self, frame: str, version: str) -> int:
        """The first crop's row that no element of the frame has, nor any detection that a camera's frame came with."""
        archive = self._parts.store.archive
        taken = [each.element.row for each in archive.of_frames([frame], version).get(frame, [])]
        seen = archive.recall([frame], version).get(frame)
        return 1 + max([0, len(seen.detections) if seen else 0, *taken])


def _read(body: dict[str, Any]) -> tuple[str, list[Logo]]:
    url, given = body.get("image_url"), body.get("logos")
    if not isinstance(url, str) or len(url) > 2_000:
        raise InvalidInput("image_url must be a URL of at most 2000 characters")
    if not isinstance(given, list) or len(given) > MOST_LOGOS:
        raise InvalidInput(f"logos must be a list of at most {MOST_LOGOS}")
    logos = [_logo(each) for each in given]
    return url, list({logo.id: logo for logo in reversed(logos)}.values())[::-1]


def _logo(given: object) -> Logo:
    if not isinstance(given, dict):
        raise InvalidInput("each of logos must be an object with id and bounding_box")
    number = whole(given.get("id"), "id", 0, HIGHEST_ID)
    box = numbers(given.get("bounding_box"), "bounding_box", 4)
    if not all(-_ROUNDING <= each <= 1 + _ROUNDING for each in box):
        raise InvalidInput("bounding_box must be ymin, xmin, ymax, xmax as shares of the picture, from 0 to 1")
    ymin, xmin, ymax, xmax = (min(max(each, 0.0), 1.0) for each in box)
    if ymin >= ymax or xmin >= xmax:
        raise InvalidInput("bounding_box is empty: it must be ymin, xmin, ymax, xmax")
    return Logo(number, (ymin, xmin, ymax, xmax))


def _in_pixels(logo: Logo, width: int, height: int) -> Box:
    ymin, xmin, ymax, xmax = logo.box
    return xmin * width, ymin * height, xmax * width, ymax * height


def _checked(url: str, rules: AddressRules) -> str:
    """The address without its secrets. InvalidInput when it is none, or may not be asked."""
    try:
        return shown(bare(check_url(url, rules)))
    except (CameraError, InvalidInput) as error:
        raise InvalidInput(f"invalid image_url: {error.message}") from error


def _fetch(url: str, rules: AddressRules) -> bytes:
    """The bytes at a URL, within limits of time and size. InvalidInput when there are none to be had."""

    async def once() -> tuple[int, bytes]:
        transport = CameraTransport(rules)
        try:
            got = await fetch(transport, target_of(Camera(CAMERA, url), rules), {}, limits=LIMITS, wall=time.time)
            return got.status, got.body
        finally:
            await transport.aclose()

    try:
        status, body = asyncio.run(once())
    except CameraError as error:
        raise InvalidInput(f"invalid image: its address gives none: {error.message}", hint=error.hint) from error
    if status != 200:
        raise InvalidInput(f"invalid image: its address answers {status}")
    return body
