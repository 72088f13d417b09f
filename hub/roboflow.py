"""Roboflow's HTTP API, as far as the hub speaks it: the only module that knows its addresses. What is asked, and how,
was compared with what Roboflow's own Python client asks."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, Self
from urllib.parse import quote

import httpcore
import httpx

from hub.roboflow_answers import (
    Project,
    RemoteImage,
    Uploaded,
    already_annotated,
    failure,
    legal_tag,
    parsed,
    remote_image,
    unsuccessful,
    uploaded,
)
from hub.roboflow_http import Answer, Exchange, TooLarge
from shared.errors import DeliveryError, InvalidInput, Paused, Refused, RetryLater

__all__ = ["Project", "RemoteImage", "Roboflow", "Uploaded", "legal_tag"]

PAGE = 250
"""Images a page of a search: the most that Roboflow gives."""

PICTURE_BYTES = 32 * 2**20
_MOST = 2**20
_MOST_OF_A_PAGE = 32 * 2**20
"""Bytes of an answer; those of a page hold as many embeddings."""

_FIELDS = ("id", "name", "tags", "created", "split", "labels", "url")


class Roboflow:
    """One key on one server. May be used by several threads at once; close it when done.

    workspace: "" for the one the key belongs to (asked for once). url: http or https, else InvalidInput. timeout_s: of
    a whole request. Every method raises Paused (key, payment), Refused (this request will never do) or RetryLater,
    never with the key in its message.
    """

    def __init__(self, key: str, *, workspace: str = "", url: str, timeout_s: float = 30.0) -> None:
        self._key, self._workspace, self._url = key, workspace, url.rstrip("/")
        try:
            parts = httpx.URL(self._url)
        except httpx.InvalidURL:
            parts = httpx.URL("")
        if parts.scheme not in ("http", "https") or not parts.host:
            raise InvalidInput(
                "Roboflow's address is no http or https URL", hint="ROBOFLOW_API_URL=https://api.roboflow.com"
            )
        self._exchange = Exchange(key, timeout_s=timeout_s)

    def within(self, seconds: float) -> AbstractContextManager[None]:
        """Whatever this thread asks in here ends within that time, with RetryLater if need be."""
        return self._exchange.within(seconds)

    @property
    def workspace(self) -> str:
        """Its name in URLs; asked for with the key at the first call."""
        if not self._workspace:
            named = self._json("POST", "/").get("workspace")
            if not isinstance(named, str) or not named:
                raise Paused("Roboflow names no workspace for this key. Set ROBOFLOW_WORKSPACE, or use another key.")
            self._workspace = named
        return self._workspace

    def project(self, project: str) -> Project:
        """Refused when there is none of that name in the workspace."""
        answer = self._json("GET", self._path(project), missing=Refused(self._no_project(project)))
        found = answer.get("project")
        if not isinstance(found, dict):
            raise RetryLater("Roboflow did not describe the project")
        return Project(
            str(found.get("id", project)).rpartition("/")[2],
            str(found.get("name", project)),
            str(found.get("type", "")),
        )

    def upload(
        self,
        project: str,
        picture: bytes,
        *,
        name: str,
        split: str = "train",
        batch: str = "",
        tags: Sequence[str] = (),
        metadata: Mapping[str, Any] | None = None,
    ) -> Uploaded:
        """Add a picture. name: a file name whose ending says JPEG or PNG. Paused when there is no such project."""
        query: dict[str, Any] = {"batch": batch} if batch else {}
        fields = {"name": name, "split": split}
        if metadata is not None:
            fields["metadata"] = json.dumps(metadata)
        kind = "image/png" if name.endswith(".png") else "image/jpeg"
        answer = self._json(
            "POST",
            f"/dataset/{_part(project)}/upload",
            missing=Paused(self._no_project(project)),
            params={**query, "tag": list(tags)},
            data=fields,
            files={"file": (name, picture, kind)},
        )
        return uploaded(answer)

    def annotate(self, project: str, image_id: str, annotation: Mapping[str, Any], *, name: str, job: str = "") -> None:
        """Add a predicted annotation; one that has one already is fine. RetryLater(of_sample=True) while Roboflow
        can't find the image that it just took. name: of the annotation's file, .json. job: name of the annotation job,
        "" for Roboflow's own choice."""
        query = {"name": name, **({"jobName": job} if job else {}), "prediction": "true"}
        answer = self._ask(
            "POST",
            f"/dataset/{_part(project)}/annotate/{_part(image_id)}",
            params=query,
            json={"annotationFile": json.dumps(annotation), "labelmap": None},
        )
        if already_annotated(answer.status, answer.body):
            return
        done = self._parsed(answer, _not_yet(image_id))
        if "already annotated" in str(done.get("error", "")).lower():
            return
        if done.get("error") or not done.get("success"):
            raise unsuccessful(done)

    def add_tags(self, project: str, image_id: str, tags: Sequence[str]) -> None:
        """Tag an image; tags that it has are fine. A tag belongs to the image in whichever project of the workspace."""
        self._json(
            "POST",
            f"/{_part(self.workspace)}/images/{_part(image_id)}/metadata",
            missing=_not_yet(image_id),
            json={"addTags": list(tags)},
        )

    def search(
        self, project: str, *, tag: str = "", fields: Sequence[str] = (), embeddings: bool = False
    ) -> Iterator[RemoteImage]:
        """Every image of a project once, or those with a tag, page by page to the last. fields: to ask for, () for all
        that RemoteImage has but the embedding."""
        asked = [*(fields or _FIELDS), *(["embedding"] if embeddings and "embedding" not in fields else [])]
        seen: set[str] = set()
        offset = 0
        while True:
            query = {"offset": offset, "limit": PAGE, "batch": False, **({"tag": tag} if tag else {}), "fields": asked}
            page = self._page(project, query)
            found = [remote_image(each) for each in page if isinstance(each, dict)]
            # What is added while we read moves the rest on to the next page.
            fresh = [image for image in found if image.id not in seen]
            seen.update(image.id for image in fresh)
            yield from fresh
            offset += PAGE
            if len(page) < PAGE or not fresh:
                return

    def image(self, project: str, image_id: str) -> RemoteImage | None:
        """One image; None when it is not there (any longer)."""
        answer = self._ask("GET", f"{self._path(project)}/images/{_part(image_id)}", most=_MOST_OF_A_PAGE)
        if answer.status == 404:
            return None
        found = self._parsed(answer, None).get("image")
        if not isinstance(found, dict):
            raise RetryLater("Roboflow did not describe the image")
        return remote_image(found)

    def download(self, url: str) -> bytes:
        """The bytes at an image's url, no more than a picture may have. The key is not sent along."""
        try:
            parts = httpx.URL(url)
        except (httpx.InvalidURL, TypeError):
            parts = httpx.URL("")
        if parts.scheme not in ("http", "https") or not parts.host:
            raise Refused("Roboflow gave no address of the image's bytes")
        answer = self._sent("GET", str(parts), signed=False, most=PICTURE_BYTES)
        if answer.status != 200:
            raise failure(answer.status, answer.headers, answer.body, now=time.time())
        return answer.body

    def batch_sizes(self, project: str) -> Mapping[str, int]:
        """How many images each batch of a project has, by its name."""
        answer = self._json(
            "GET", f"{self._path(project)}/batches", missing=Refused(self._no_project(project)), most=_MOST_OF_A_PAGE
        )
        sizes: dict[str, int] = {}
        for batch in answer.get("batches") or ():
            if isinstance(batch, dict) and isinstance(batch.get("name"), str) and isinstance(batch.get("images"), int):
                sizes[batch["name"]] = sizes.get(batch["name"], 0) + batch["images"]
        return sizes

    def close(self) -> None:
        """Give up its connections."""
        self._exchange.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ── asking ───────────────────────────────────────────────────────────────────────────────────────

    def _page(self, project: str, query: Mapping[str, Any]) -> list[Any]:
        answer = self._json(
            "POST",
            f"{self._path(project)}/search",
            missing=Refused(self._no_project(project)),
            most=_MOST_OF_A_PAGE,
            json=query,
        )
        results = answer.get("results")
        if not isinstance(results, list):
            raise RetryLater("Roboflow's answer to a search has no results")
        return results

    def _path(self, project: str) -> str:
        return f"/{_part(self.workspace)}/{_part(project)}"

    def _no_project(self, project: str) -> str:
        return (
            f"Roboflow has no project {project!r} that this key may use. Set ROBOFLOW_PROJECT, or the destination "
            "roboflow:<project>, to the last part of the project's address, or create the project."
        )

    def _json(self, method: str, path: str, *, missing: DeliveryError | None = None, **more: Any) -> dict[str, Any]:
        """missing: what 404 means here."""
        return self._parsed(self._ask(method, path, **more), missing)

    def _parsed(self, answer: Answer, missing: DeliveryError | None) -> dict[str, Any]:
        if answer.status == 404 and missing is not None:
            raise missing
        if answer.status != 200:
            raise failure(answer.status, answer.headers, answer.body, now=time.time())
        return parsed(answer.body)

    def _ask(self, method: str, path: str, *, most: int = _MOST, **body: Any) -> Answer:
        answer = self._sent(method, self._url + path, most=most, **body)
        # A server may quote what it was asked. (A key shorter than that is none.)
        return replace(answer, body=answer.body.replace(self._key.encode(), b"***")) if len(self._key) > 7 else answer

    def _sent(self, method: str, url: str, **more: Any) -> Answer:
        try:
            return self._exchange.send(method, url, **more)
        except (httpx.TimeoutException, httpcore.TimeoutException):
            raise RetryLater("Roboflow did not answer in time") from None
        except TooLarge:
            raise RetryLater("Roboflow's answer is larger than any of its kind") from None
        except (httpx.HTTPError, httpx.InvalidURL, httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
            raise RetryLater(f"Roboflow can't be reached: {str(error) or type(error).__name__}") from None


def _part(text: str) -> str:
    return quote(text, safe="")


def _not_yet(image_id: str) -> RetryLater:
    return RetryLater("Roboflow can't find the image that it took just now", remote_id=image_id, of_sample=True)
