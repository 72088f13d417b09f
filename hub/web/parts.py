"""What the routes may ask of a hub. Each part is made when it is first asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from hub.protocols import Blobs, Detector, Embedder, Store, Target

if TYPE_CHECKING:
    from hub.corpus import Corpus
    from hub.pictures import Pictures
    from hub.settings import Settings


class Parts(Protocol):
    """The parts of a hub, from any thread. Each raises a BowerbirdError where it can't be had."""

    @property
    def settings(self) -> Settings: ...

    @property
    def store(self) -> Store: ...

    @property
    def blobs(self) -> Blobs:
        """Pictures of samples and seeds."""

    @property
    def pictures(self) -> Pictures:
        """Pictures of everything seen, where they are kept."""

    def corpus(self, embedding_version: str | None = None) -> Corpus:
        """What searches the elements of an embedding version, by default that of `embedder`."""

    def embedder(self) -> Embedder:
        """Loaded at the first call; its `embed` may be called by several threads."""

    def detector(self) -> Detector:
        """Loaded at the first call."""

    def targets(self, names: Sequence[str] = ()) -> list[Target]:
        """Active campaigns, or the newest versions of those named."""
