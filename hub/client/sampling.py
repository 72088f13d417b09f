"""From frames as people offer them to what campaigns judge: whatever is missing is asked of the hub."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hub.client.frames import Embedding, LabeledFrame
from hub.client.pictures import is_url, read_picture
from hub.collection.checks import check_boxes
from hub.collection.values import PICTURES, REQUEST_BYTES, Collection, EmbedderName, Looked, Picture
from hub.pipeline import needs_of
from hub.types import Detections, Frame, Needs, Observation, Version
from shared.errors import ImageError, InvalidInput
from shared.image import image_facts

Fetch = Callable[[str], bytes]

OWN_BOXES = "client"
"""What found the boxes that a frame brings."""


@dataclass(frozen=True, eq=False)
class Sampled:
    """A frame and what campaigns see of it. digest: id of its picture, "" where that was not read yet."""

    frame: LabeledFrame
    seen: Observation
    digest: str

    def element_id(self, row: int) -> str:
        """What its user calls a row."""
        boxes = self.frame.ordered_boxes
        if row == 0:
            return self.frame.frame_id
        return boxes[row - 1].label_id if row <= len(boxes) else f"box {row}"


@dataclass(frozen=True, eq=False)
class _Draft:
    """A frame on its way. data: its picture, b"" where it was not read. size_wh: (0, 0) then."""

    frame: LabeledFrame
    data: bytes
    size_wh: tuple[int, int]


@dataclass(frozen=True)
class Space:
    """The embedding version that campaigns go by, None where they embed nothing. dim: of its vectors, 0: not known."""

    version: str | None
    names: tuple[str, ...] = ()
    dim: int = 0


def space_of(versions: Sequence[Version], embedders: Sequence[EmbedderName], model_id: str | None) -> Space:
    """What `model_id` means to these campaigns. InvalidInput, with both names, when it is not theirs.

    model_id: an embedding version or an embedder's name; None for the one that all campaigns go by.
    """
    wanted = sorted({each.embedding_version for each in versions if each.embedding_version is not None})
    named = {each.version: each for each in embedders}
    needs = needs_of(versions)
    if not wanted and (needs.frame_vector or needs.crop_vectors):
        wanted = sorted(named)  # what looks for changes goes by whatever the hub embeds by

    def says(version: str) -> str:
        return f"{named[version].name} ({version})" if version in named and named[version].name else version

    if not wanted:
        return Space(None)
    for version in wanted:
        name = named[version].name if version in named else ""
        others = [each for each in wanted if each != version]
        if model_id in (version, name or version) or (model_id is None and not others):
            if others:
                campaign = next(each.campaign for each in versions if each.embedding_version != version)
                raise InvalidInput(
                    f"campaign {campaign!r} goes by the embedding model {says(others[0])}, and not by {says(version)}",
                    hint="Sync the campaigns of one model: sync_state(target_project_names=[…]).",
                )
            dim = named[version].dim if version in named else 0
            return Space(version, (version, *([name] if name else [])), dim or _dim(versions))
    if model_id is None:
        raise InvalidInput(
            f"the campaigns go by several embedding models: {', '.join(map(says, wanted))}",
            hint="Sync the campaigns of one of them: sync_state(target_project_names=[…]).",
        )
    raise InvalidInput(
        f"embedding_model_id is {model_id!r}, and the campaigns go by {', '.join(map(says, wanted))}",
        hint="Embeddings of two models can't be compared. Embed by theirs, or let the hub embed your pictures.",
    )


def _dim(versions: Sequence[Version]) -> int:
    seeds = (seed for version in versions for seed in version.seeds if seed.vector is not None)
    return next((len(seed.vector) for seed in seeds if seed.vector is not None), 0)


def sample(frames: Sequence[LabeledFrame], needs: Needs, space: Space, hub: Collection, fetch: Fetch) -> list[Sampled]:
    """Each frame with the vectors that campaigns need; those that are missing come from the hub, some at a time.

    InvalidInput, naming the frame, for what can't be used: nothing of the call is sampled then.
    """
    done: list[Sampled] = []
    waiting: list[_Draft] = []

    def look() -> None:
        asked = [draft for draft in waiting if _must_look(draft.frame, needs, space)]
        seen = dict(zip(map(id, asked), _look(asked, needs, space, hub), strict=True))
        done.extend(_sampled(draft, seen.get(id(draft)), needs, space) for draft in waiting)
        waiting.clear()

    for frame in frames:
        _check(frame, space)
        draft = _draft(frame, needs, space, fetch)
        size = sum(len(each.data) for each in waiting)
        if len(waiting) >= PICTURES or size + len(draft.data) > REQUEST_BYTES // 2:
            look()
        waiting.append(draft)
    look()
    return done


def _check(frame: LabeledFrame, space: Space) -> None:
    for each in frame.embeddings if space.version else []:
        if each.model_id and each.model_id not in space.names:
            raise InvalidInput(
                f"frame {frame.frame_id!r} has an embedding of the model {each.model_id!r}, "
                f"and the campaigns go by {' or '.join(space.names)}"
            )
        if space.dim and len(each.vector) != space.dim:
            raise InvalidInput(
                f"frame {frame.frame_id!r} has an embedding of {len(each.vector)} numbers, "
                f"and those of {space.names[-1]} have {space.dim}"
            )


def _draft(frame: LabeledFrame, needs: Needs, space: Space, fetch: Fetch) -> _Draft:
    """With its picture where it is at hand or needed; what is behind a URL is fetched only then."""
    needed = _must_look(frame, needs, space) or needs.detections
    if frame.image is None:
        if _must_look(frame, needs, space):
            raise InvalidInput(
                f"frame {frame.frame_id!r} has no picture, and not every embedding that the campaigns need",
                hint="Add the one (add_image) or the others (add_frame_embedding, add_crop_embedding).",
            )
        return _Draft(frame, b"", (0, 0))
    if is_url(frame.image) and not needed:
        return _Draft(frame, b"", (0, 0))
    data = picture_of(frame, fetch)
    facts = image_facts(data)
    turned = facts.orientation >= 5
    size_wh = (facts.height, facts.width) if turned else (facts.width, facts.height)
    try:
        check_boxes(frame.detections().xyxy, size_wh)
    except InvalidInput as error:
        raise InvalidInput(f"frame {frame.frame_id!r}: {error.message}") from error
    return _Draft(frame, data, size_wh)


def picture_of(frame: LabeledFrame, fetch: Fetch) -> bytes:
    """The bytes of a frame's picture; errors name the frame."""
    if frame.image is None:
        raise InvalidInput(f"frame {frame.frame_id!r} has no picture", hint="Add it: add_image(…).")
    try:
        return read_picture(frame.image, fetch)
    except ImageError as error:
        raise ImageError(error.reason, f"frame {frame.frame_id!r}: {error.message}", hint=error.hint) from error
    except InvalidInput as error:
        raise InvalidInput(f"frame {frame.frame_id!r}: {error.message}", hint=error.hint) from error


def _must_look(frame: LabeledFrame, needs: Needs, space: Space) -> bool:
    """Whether something is missing that only the hub can say."""
    if not frame.boxes and (needs.detections or needs.crop_vectors) and frame.image is not None:
        return True
    if space.version is None:
        return False
    crops_missing = needs.crop_vectors and any(label not in frame.crop_embeddings for label in frame.boxes)
    return crops_missing or (frame.embedding is None and not _only_crops(frame, needs))


def _only_crops(frame: LabeledFrame, needs: Needs) -> bool:
    """Whether a frame brings the embeddings of its crops, and campaigns look at crops only."""
    return needs.crop_vectors and bool(frame.crop_embeddings) and frame.image is None


def _look(drafts: Sequence[_Draft], needs: Needs, space: Space, hub: Collection) -> list[Looked]:
    if not drafts:
        return []
    pictures = [Picture(draft.data, draft.frame.detections().xyxy if draft.frame.boxes else None) for draft in drafts]
    try:
        return hub.look(pictures, needs, space.version or "")
    except ImageError as error:
        if len(drafts) > 1:  # which one?
            return [seen for draft in drafts for seen in _look([draft], needs, space, hub)]
        frame_id = drafts[0].frame.frame_id
        raise ImageError(error.reason, f"frame {frame_id!r}: {error.message}", hint=error.hint) from error


def _sampled(draft: _Draft, looked: Looked | None, needs: Needs, space: Space) -> Sampled:
    frame = draft.frame
    digest = hashlib.blake2b(draft.data, digest_size=16).hexdigest() if draft.data else ""
    own_name = hashlib.blake2b(f"client frame\0{frame.frame_id}".encode(), digest_size=16).hexdigest()
    found = frame.detections() if frame.boxes else looked.detections if looked else Detections.empty()
    vectors = _vectors(frame, looked, space, found)
    version = space.version if len(vectors) else None
    seen = Observation(
        Frame(frame.camera, 0, frame.taken_at, b"", digest=digest or own_name),
        looked.size_wh if looked else draft.size_wh,
        found,
        vectors,
        version,
        OWN_BOXES if frame.boxes else looked.detector if looked else "",
    )
    return Sampled(frame, seen, digest)


def _vectors(frame: LabeledFrame, looked: Looked | None, space: Space, found: Detections) -> NDArray[np.float32]:
    """A row for the frame and each box: its own embedding, else the hub's, else zeros."""
    if space.version is None:
        return np.zeros((0, 0), np.float32)
    if not frame.embeddings:
        return looked.vectors if looked else np.zeros((0, 0), np.float32)
    labels = [box.label_id for box in frame.ordered_boxes]
    own: list[Embedding | None] = [frame.embedding, *(frame.crop_embeddings.get(label) for label in labels)]
    rows = np.zeros((1 + len(found), len(frame.embeddings[0].vector)), np.float32)
    if looked is not None:
        rows[: len(looked.vectors)] = looked.vectors
    for row, each in enumerate(own):
        if each is not None:
            rows[row] = each.vector
    if not rows[1:].any():
        return rows[:1]
    return rows


def in_time(sampled: Sequence[Sampled]) -> list[Sampled]:
    """In the order of their time, as campaigns judge them."""
    return sorted(sampled, key=lambda each: each.seen.frame.taken_at)
