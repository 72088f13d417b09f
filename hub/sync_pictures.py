"""Remote images as seeds: downloaded and embedded, and told apart from seeds that people gave."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from hub.protocols import Blobs, Embedder
from hub.roboflow import RemoteImage, Roboflow
from hub.seeds import Pictures, picture_seeds
from hub.sync_tags import Origin, origin_of
from hub.types import Seed, SeedKind
from hub.vision import decode
from shared.errors import DeliveryError, ImageError, RetryLater

_GIVE_UP_AFTER = 3
"""Downloads in a row that Roboflow did not answer; the others wait for the next sync."""


@dataclass
class RemotePictures:
    """The pictures of one sync, each downloaded and embedded once, whatever number of tags ask for it."""

    api: Roboflow
    project: str
    blobs: Blobs
    embedder: Callable[[], Embedder]
    seeds: dict[str, Seed] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    unanswered: int = 0

    def seed(self, image: RemoteImage) -> Seed | None:
        """The image as a seed, None when it could not be had (`failed` says why)."""
        if image.id in self.seeds or image.id in self.failed:
            return self.seeds.get(image.id)
        try:
            data = self._download(image)
            decode(data)
        except RetryLater as error:
            self.unanswered += 1
            self.failed[image.id] = f"it could not be downloaded: {error.message}"
        except (DeliveryError, ImageError) as error:
            self.failed[image.id] = f"it could not be used: {error.message}"
        else:
            self.unanswered = 0
            name = Origin((image.id,), image.name).seed_name
            found = picture_seeds(Pictures([(name, data)]), SeedKind.IMAGE, self.blobs, self.embedder())
            self.seeds[image.id] = found[0]
        return self.seeds.get(image.id)

    def _download(self, image: RemoteImage) -> bytes:
        if self.unanswered >= _GIVE_UP_AFTER:
            raise RetryLater("not tried, since others before it were not answered")
        url = image.url
        if not url:
            details = self.api.image(self.project, image.id)
            url = details.url if details else ""
        if not url:
            raise DeliveryError("Roboflow does not say where its picture is")
        return self.api.download(url)


def origin(seed: Seed) -> Origin | None:
    """Which remote images it is the picture of; None for one that did not come from Roboflow."""
    return origin_of(seed.name)


def merged(had: Sequence[Seed], new: Sequence[Seed]) -> list[Seed]:
    """New seeds under names that keep the remote ids of those with the same picture."""
    origins = {seed.id: found for seed in had if (found := origin(seed))}
    together: dict[str, Seed] = {}
    for seed in new:
        found, before = origin(seed), origins.get(seed.id)
        if found is not None and before is not None:
            found = replace(found, ids=tuple(dict.fromkeys((*before.ids, *found.ids))), file=before.file)
        if found is not None:
            origins[seed.id] = found
            seed = replace(seed, name=found.seed_name)
        together[seed.id] = seed
    return list(together.values())
