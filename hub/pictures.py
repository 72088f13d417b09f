"""Pictures of frames, wherever they are: a sample's, a recent one's, or in the file that it was scanned from."""

import hashlib
from collections.abc import Iterable, Sequence
from contextlib import suppress

from hub.archive import BROUGHT_IN, Archive, Element, SeenFrame
from hub.footage.files import parse_source, read_source
from hub.protocols import Blobs
from hub.recent import is_whole, thumbnail_of
from hub.types import Image
from hub.vision import crop, decode, encode
from shared.errors import ImageError, InvalidInput, NotFound

CROP_QUALITY = 90

Known = dict[str, SeenFrame]


class Pictures:
    """Finds pictures; may be used from any thread.

    blobs: of samples. recent, thumbnails: of frames that were only seen. archive: knows where frames come from.
    """

    def __init__(self, blobs: Blobs, recent: Blobs, thumbnails: Blobs, archive: Archive) -> None:
        self._blobs, self._recent, self._thumbnails, self._archive = blobs, recent, thumbnails, archive

    def picture(self, frame_id: str) -> bytes:
        """A frame as it came. NotFound, with what became of it, where it is no longer kept."""
        known = self._archive.frames([frame_id])
        found = self._of_sample(frame_id) or self._of_ring(known.get(frame_id)) or self._of_source(known.get(frame_id))
        if found is None:
            raise _gone(frame_id, known)
        return found

    def thumbnail(self, frame_id: str) -> bytes:
        """A JPEG with a longest side of 256 pixels at most. NotFound where nothing is kept, ImageError where what is
        kept is no picture."""
        known = self._archive.frames([frame_id])
        return self._small(known.get(frame_id)) or thumbnail_of(self.picture(frame_id))

    def crop(self, element: Element) -> bytes:
        """What an element shows, as a JPEG; out of the thumbnail where that is all that is left. NotFound, ImageError
        as for `thumbnail`."""
        try:
            image = decode(self.picture(element.frame_id))
        except NotFound:
            return encode(self._crop_of_small(element), CROP_QUALITY)
        return encode(crop(image, element.box) if element.row else image, CROP_QUALITY)

    def held(self, frame_ids: Iterable[str]) -> set[str]:
        """Those whose picture can be had, each as large as it came."""
        ids = list(dict.fromkeys(frame_ids))
        known = self._archive.frames(ids)
        return {each for each in ids if self._is_in_ring(known.get(each)) or self._is_elsewhere(each, known)}

    def secure(self, frame_ids: Sequence[str]) -> set[str]:
        """Copy pictures to where those of samples are, before rows of samples name them; returns the ids of those that
        are there now, the rest are no longer kept. StorageFull where there is no room for one."""
        secured = set()
        for frame_id in dict.fromkeys(frame_ids):
            try:
                self._blobs.put(frame_id, self.picture(frame_id))
            except NotFound:
                continue
            secured.add(frame_id)
        return secured

    # ── the places ───────────────────────────────────────────────────────────────────────────────────

    def _of_sample(self, frame_id: str) -> bytes | None:
        return _got(self._blobs, frame_id)

    def _of_ring(self, frame: SeenFrame | None) -> bytes | None:
        if frame is None or not frame.picture_bytes:
            return None
        found = _got(self._recent, frame.id)
        return found if found is not None and is_whole(found, frame.picture_bytes) else None

    def _of_source(self, frame: SeenFrame | None) -> bytes | None:
        """What a frame was scanned from; None where that is gone, or shows something else by now."""
        if frame is None or not frame.source:
            return None
        try:
            _, _, at = parse_source(frame.source)
            found = read_source(frame.source)
        except (NotFound, ImageError):
            return None
        # A film's frame is encoded when it is read, and need not be the same to the byte.
        return found if at is not None or _id_of(found) == frame.id else None

    def _small(self, frame: SeenFrame | None) -> bytes | None:
        if frame is None or not frame.thumbnail_bytes:
            return None
        found = _got(self._thumbnails, frame.id)
        return found if found is not None and is_whole(found, frame.thumbnail_bytes) else None

    def _crop_of_small(self, element: Element) -> Image:
        known = self._archive.frames([element.frame_id])
        frame = known.get(element.frame_id)
        found = self._small(frame)
        if frame is None or found is None:
            raise _gone(element.frame_id, known)
        small = decode(found)
        if not element.row:
            return small
        x, y = small.shape[1] / max(1, frame.size_wh[0]), small.shape[0] / max(1, frame.size_wh[1])
        x1, y1, x2, y2 = element.box
        return crop(small, (x1 * x, y1 * y, x2 * x, y2 * y))

    def _is_in_ring(self, frame: SeenFrame | None) -> bool:
        return frame is not None and frame.picture_bytes > 0 and frame.id in self._recent

    def _is_elsewhere(self, frame_id: str, known: Known) -> bool:
        """A look at files first: a blob store may be far away."""
        frame = known.get(frame_id)
        if frame is not None and frame.source:
            with suppress(NotFound):
                parse_source(frame.source)
                return True
        with suppress(InvalidInput):  # no id of a picture
            return frame_id in self._blobs
        return False


def _got(blobs: Blobs, key: str) -> bytes | None:
    """What is there, None for nothing."""
    try:
        return blobs.get(key)
    except InvalidInput:  # NotFound, too
        return None


def _id_of(picture: bytes) -> str:
    """As `Frame.id`."""
    return hashlib.blake2b(picture, digest_size=16).hexdigest()


def _gone(frame_id: str, known: Known) -> NotFound:
    """Why there is no picture."""
    frame = known.get(frame_id)
    if frame is None:
        return NotFound("frame", frame_id)
    if frame.source == BROUGHT_IN:
        hint = "It was imported without its picture."
    elif frame.source:
        hint = f"It was scanned from {frame.source}, which is gone or was changed."
    elif frame.thumbnail_bytes:
        hint = "It is no longer kept, only its thumbnail is: see HUB_MAX_DISK_GB."
    else:
        hint = "It is no longer kept: see HUB_MAX_DISK_GB and HUB_RETENTION_DAYS."
    return NotFound("picture", frame_id, hint=hint)
