"""The Roboflow destination: uploads pictures with why they were taken, and detections as predicted annotations."""

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import ClassVar

from hub.deliveries import Pace, Parcel
from hub.roboflow import Roboflow, Uploaded
from hub.sinks.batches import Batches, batch_of
from hub.sinks.facts import flat_facts
from hub.sinks.options import PERIODS, SPLITS, RoboflowOptions, SinkOptions
from hub.sinks.roboflow_terms import file_name, predictions_of, project_and_image, remote_id, tags_of
from hub.types import Sample
from shared.errors import InvalidInput, NotSetUp, Paused, Refused, RetryLater

_SLUG = re.compile(r"[\w.-]+")

_log = logging.getLogger(__name__)

ABREAST = 8
REQUEST_S = 30.0
SEND_S = 60.0
"""The longest that one request, and one `send` of several, takes."""

DETECTION = "object-detection"
"""The type of projects that take boxes."""


class RoboflowSink:
    """Uploads samples to one project.

    Roboflow knows a picture by its bytes, so a sample that comes again is found there, not doubled. What was uploaded
    and then failed says so with its id, and the next try goes on from there.
    """

    name: ClassVar[str] = "roboflow"
    leaves: ClassVar[bool] = True

    @staticmethod
    def check(options: SinkOptions, argument: str) -> None:
        """NotSetUp without a key or a project; InvalidInput for a split or a period that is none."""
        checked(options.roboflow, argument)

    @staticmethod
    def open(options: SinkOptions, argument: str) -> "RoboflowSink":
        """Ready to upload; nothing is connected to yet. argument: the project, "" for that of the options."""
        return RoboflowSink(checked(options.roboflow, argument))

    def __init__(self, options: RoboflowOptions, *, request_s: float = REQUEST_S, send_s: float = SEND_S) -> None:
        self.pace = Pace(abreast=ABREAST, rate=options.rate, timeout_s=send_s + 5.0)
        self._options, self._project, self._send_s = options, options.project, send_s
        self._api = Roboflow(options.key, workspace=options.workspace, url=options.url, timeout_s=request_s)
        self._batches: Batches | None = None
        self._lock = threading.Lock()
        self._type = ""

    def send(self, parcel: Parcel) -> str:
        """Upload, tag and annotate one sample; returns project/image there. Raises DeliveryError, with `remote_id`
        once the picture is there."""
        with self._api.within(self._send_s):
            project, known = project_and_image(parcel.remote_id)
            image = Uploaded(known, duplicate=True) if project == self._project else self._upload(parcel)
            there = remote_id(self._project, image.id)
            if image.duplicate:
                with _beyond_upload(parcel.sample, there, "tags"):
                    self._api.add_tags(self._project, image.id, tags_of(parcel.sample))
            with _beyond_upload(parcel.sample, there, "annotation"):
                self._annotate(parcel.sample, image.id)
        return there

    def flush(self) -> None:
        """Nothing is left to be done."""

    def _upload(self, parcel: Parcel) -> Uploaded:
        sample = parcel.sample
        name = file_name(parcel)
        batch, fresh = self._batch(sample)
        try:
            image = self._api.upload(
                self._project,
                parcel.picture,
                name=name,
                split=self._options.split,
                batch=batch,
                tags=tags_of(sample),
                metadata=flat_facts(parcel),
            )
        except Refused:
            self._place_done(sample, filled=False)
            raise
        # One that is there already, and not by an earlier try of ours, is in a batch that counts it.
        self._place_done(sample, filled=not (image.duplicate and fresh))
        return image

    def _annotate(self, sample: Sample, image_id: str) -> None:
        if not self._options.annotate or not (predictions := predictions_of(sample)):
            return
        if not self._type:
            with _of_the_destination():
                self._type = self._api.project(self._project).type
        if self._type != DETECTION:
            return
        width, height = sample.size_wh
        annotation = {"image": {"width": width, "height": height}, "predictions": predictions}
        self._api.annotate(
            self._project, image_id, annotation, name=f"{sample.frame_id}.json", job=self._period_of(sample)
        )

    # ── batches ──────────────────────────────────────────────────────────────────────────────────────

    def _batch(self, sample: Sample) -> tuple[str, bool]:
        batch = self._period_of(sample)
        if not self._options.batch_size:
            return batch, True
        if self._batches is None:
            with _of_the_destination():
                counts = self._api.batch_sizes(self._project)
            with self._lock:  # threads that asked at the same time go on with one count
                self._batches = self._batches or Batches(self._options.batch_size, counts)
        return self._batches.take(batch, sample.id)

    def _place_done(self, sample: Sample, *, filled: bool) -> None:
        if self._batches is not None:
            self._batches.done(sample.id, filled=filled)

    def _period_of(self, sample: Sample) -> str:
        return batch_of(self._options.batch, self._options.batch_every, sample.created_at or sample.taken_at)


def checked(options: RoboflowOptions, argument: str) -> RoboflowOptions:
    """Options that name a project. argument: of the destination. NotSetUp and InvalidInput as in RoboflowSink.check."""
    project = argument or options.project
    if not options.key:
        raise NotSetUp(
            "the Roboflow destination has no key", hint="Set ROBOFLOW_KEY to a private key of the workspace."
        )
    if not project:
        raise NotSetUp(
            "the Roboflow destination has no project", hint="Set ROBOFLOW_PROJECT, or name it as: roboflow:my-project"
        )
    if not _SLUG.fullmatch(project):
        raise InvalidInput(
            f"{project!r} is no project's name in a URL",
            hint="It is what follows the workspace in the address of the project's page, such as birds-of-prey.",
        )
    if options.split not in SPLITS:
        raise InvalidInput(f"{options.split!r} is no split", hint=f"One of: {', '.join(SPLITS)}")
    if options.batch_every not in PERIODS:
        raise InvalidInput(f"{options.batch_every!r} is no period of batches", hint=f"One of: {', '.join(PERIODS)}")
    return replace(options, project=project)


@contextmanager
def _beyond_upload(sample: Sample, there: str, what: str) -> Iterator[None]:
    """The picture is there: passing trouble says so, and a refusal must not lose it."""
    try:
        yield
    except Refused as error:
        about = {"sink": RoboflowSink.name, "campaign": sample.campaign, "frame": sample.frame_id}
        _log.warning("uploaded, but its %s was refused: %s", what, error.message, extra=about)
    except RetryLater as error:
        raise RetryLater(error.message, after_s=error.after_s, remote_id=there, of_sample=error.of_sample) from None
    except Paused as error:
        raise Paused(error.message, hint=error.hint, remote_id=there) from None


@contextmanager
def _of_the_destination() -> Iterator[None]:
    """What is refused here was not of the sample."""
    try:
        yield
    except Refused as error:
        raise Paused(error.message, hint=error.hint) from None
