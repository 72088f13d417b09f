"""Pictures as people have them (a file, bytes, pixels, a URL) as the bytes a hub takes."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
from numpy.typing import NDArray

from hub.collection.values import PICTURE_BYTES
from hub.vision import decode, encode
from shared.errors import ImageError, InvalidInput
from shared.image import image_facts

PictureLike = str | Path | bytes | NDArray[Any]
"""A path, an http(s) URL, the bytes of a picture file, or pixels: (height, width, 3) uint8 RGB, or (height, width)."""

QUALITY = 95
"""Of the JPEG that pixels, and files of other kinds than JPEG and PNG, become."""

_TIMEOUT = httpx.Timeout(20.0, connect=5.0)
_TOTAL_S = 60.0


def is_url(picture: object) -> bool:
    """Whether a picture is to be fetched."""
    return isinstance(picture, str) and urlsplit(picture).scheme in ("http", "https")


def read_picture(picture: PictureLike, fetch: Callable[[str], bytes]) -> bytes:
    """JPEG or PNG bytes. InvalidInput when it can't be had, ImageError when it is no picture. fetch: gets a URL."""
    if isinstance(picture, np.ndarray):
        return encode(_pixels(picture), QUALITY)
    if isinstance(picture, bytes):
        data = picture
    elif is_url(picture):
        data = fetch(str(picture))
    else:
        data = _read_file(Path(picture))
    facts = image_facts(data)
    if facts.format in ("jpeg", "png") and not facts.animated:
        return data
    return encode(decode(data), QUALITY)


def fetch_picture(client: httpx.Client, url: str) -> bytes:
    """The body of a URL. InvalidInput, without what may be secret in it, when it can't be had in time and size."""
    where = _bare(url)
    until = time.monotonic() + _TOTAL_S
    try:
        with client.stream("GET", url, timeout=_TIMEOUT, follow_redirects=True) as answer:
            if answer.status_code != 200:
                raise InvalidInput(f"{where} answers {answer.status_code}")
            return _body(answer, where, until)
    except httpx.HTTPError as error:
        raise InvalidInput(f"{where} can't be fetched: {type(error).__name__}") from None  # its words hold the URL


def _body(answer: httpx.Response, where: str, until: float) -> bytes:
    data = bytearray()
    for part in answer.iter_bytes():
        data += part
        if len(data) > PICTURE_BYTES:
            raise ImageError("too-large", f"{where} is larger than {PICTURE_BYTES:,} bytes")
        if time.monotonic() > until:
            raise InvalidInput(f"{where} did not come whole within {_TOTAL_S:.0f} s")
    return bytes(data)


def _read_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(PICTURE_BYTES + 1)
    except OSError as error:
        raise InvalidInput(f"{path} can't be read: {error.strerror or error}") from error
    if len(data) > PICTURE_BYTES:
        raise ImageError("too-large", f"{path} is larger than {PICTURE_BYTES:,} bytes")
    return data


def _pixels(image: NDArray[Any]) -> NDArray[np.uint8]:
    if (
        image.dtype != np.uint8
        or image.ndim not in (2, 3)
        or not image.size
        or (image.ndim == 3 and image.shape[2] != 3)
    ):
        raise InvalidInput(
            f"pixels of shape {image.shape} and type {image.dtype} are no picture",
            hint="Give (height, width, 3) uint8 in RGB order, or (height, width).",
        )
    rgb = np.repeat(image[:, :, None], 3, axis=2) if image.ndim == 2 else image
    return np.ascontiguousarray(rgb)


def _bare(url: str) -> str:
    """Without credentials, query and fragment."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{parts.path}"
