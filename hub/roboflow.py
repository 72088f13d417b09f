"""Roboflow's HTTP API, as far as the hub speaks it: the only module that knows its addresses and answers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self


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


class Roboflow:
    """One key on one server. May be used by several threads at once; close it when done.

    workspace: "" for the one the key belongs to (asked for once). Every method raises Paused (key, payment),
    Refused (this request will never do) or RetryLater, never with the key in its message.
    """

    def __init__(self, key: str, *, workspace: str = "", url: str, timeout_s: float = 30.0) -> None:
        raise NotImplementedError

    @property
    def workspace(self) -> str:
        """Its name in URLs; asked for with the key at the first call."""
        raise NotImplementedError

    def project(self, project: str) -> Project:
        """Refused when there is none of that name in the workspace."""
        raise NotImplementedError

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
        """Add a picture. name: a file name whose ending says JPEG or PNG."""
        raise NotImplementedError

    def annotate(self, project: str, image_id: str, annotation: Mapping[str, Any], *, name: str) -> None:
        """Add a predicted annotation; one that has one already is fine. RetryLater(of_sample=True) while Roboflow
        can't find the image that it just took."""
        raise NotImplementedError

    def add_tags(self, project: str, image_id: str, tags: Sequence[str]) -> None:
        """Tag an image; tags that it has are fine."""
        raise NotImplementedError

    def search(
        self, project: str, *, tag: str = "", fields: Sequence[str] = (), embeddings: bool = False
    ) -> Iterator[RemoteImage]:
        """Every image of a project, or those with a tag, page by page to the last."""
        raise NotImplementedError

    def image(self, project: str, image_id: str) -> RemoteImage | None:
        """One image; None when it is not there (any longer)."""
        raise NotImplementedError

    def download(self, url: str) -> bytes:
        """The bytes at an image's url, no more than a picture may have. The key is not sent along."""
        raise NotImplementedError

    def batch_sizes(self, project: str) -> Mapping[str, int]:
        """How many images each batch of a project has, by its name."""
        raise NotImplementedError

    def close(self) -> None:
        """Give up its connections."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def legal_tag(text: str) -> str:
    """`text` as a tag that Roboflow accepts: spaces become "-", what is not allowed is left out, 64 characters at
    most; "" when nothing is left."""
    raise NotImplementedError
