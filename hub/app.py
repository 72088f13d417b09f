"""The composition root: settings become a hub. The only module that names concrete classes."""

import asyncio
import fcntl
import logging
import os
import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cached_property

from hub.blobs import open_blobs
from hub.building import build_if_worth_it
from hub.collect_env import CAMERA, Applied, CollectEnv, apply, camera_source
from hub.collector import Collector
from hub.corpus import Corpus
from hub.errands import Errand
from hub.forward import Forwarder
from hub.loading import Loading
from hub.local_camera import LocalCamera
from hub.models.files import Kind, LocalModel
from hub.outcomes import read_outcomes
from hub.pictures import Pictures
from hub.plan import Models
from hub.poll import Poller
from hub.protocols import Blobs, Detector, Embedder, Sink, Store, Target
from hub.recent import Recent
from hub.redact import Redactor, parse_regions
from hub.roboflow import Roboflow
from hub.room import space_at
from hub.settings import Settings
from hub.sinks import open_sink
from hub.slots import Slots
from hub.store import open_store
from hub.sync import SyncReport, sync
from hub.sync_tags import Problem
from hub.target import SeedTarget
from hub.types import Camera, Frame, Needs, Version
from shared.errors import BowerbirdError, InvalidInput, NotFound, NotSetUp, StorageFull

_log = logging.getLogger(__name__)

AGAIN_S = 60.0
"""How often what is not as Roboflow Collect's variables want it is tried again."""

INDEX_S = 60.0
"""How often it is asked whether enough elements wait for the index."""

OUTCOMES_S = 6 * 3600.0
"""How often it is asked what became of a picture."""


_CERTAIN = 0.25
"""Detections less certain than that are not worth finding again."""

REMEMBERED = {
    "frames": Needs(frame_vector=True),
    "crops": Needs(
        detections=True, frame_vector=True, crop_vectors=True, confidence=_CERTAIN, crop_confidence=_CERTAIN
    ),
    "needed": Needs(),
}
"""What HUB_CORPUS wants of every frame."""


class Hub:
    """The parts of a hub, each made when it is first asked for."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._store: Store | None = None
        self._opening = threading.RLock()
        self._corpora: dict[str, Corpus] = {}
        self._loading = Loading(settings, lambda: self.store.archive.chosen_embedder())
        self._told: set[Problem] = set()

    @property
    def store(self) -> Store:
        """The database, migrated; the same for whatever thread."""
        with self._opening:
            if self._store is None:
                self._store = open_store(self.settings.database)
            return self._store

    @cached_property
    def blobs(self) -> Blobs:
        """The pictures."""
        return open_blobs(self.settings.frames)

    def sink(self, destination: str) -> Sink:
        """A destination by its name. InvalidInput, with what to do, when it can't work as it is set up."""
        return open_sink(destination, self.settings.sinks)

    def roboflow(self) -> Roboflow:
        """A client, to be closed. NotSetUp without a key."""
        options = self.settings.sinks.roboflow
        if not options.key:
            raise NotSetUp("there is no Roboflow key", hint="Set ROBOFLOW_KEY; see: hub roboflow check")
        return Roboflow(options.key, workspace=options.workspace, url=options.url)

    def sync_seeds(self) -> SyncReport:
        """Campaigns from the tagged images of the Roboflow project."""
        project = self.settings.roboflow_project
        if not project:
            raise NotSetUp("there is no Roboflow project to take seeds from", hint="Set ROBOFLOW_PROJECT.")
        rules = CollectEnv.of(self.settings).rules
        with self.roboflow() as api:
            return sync(self.store, self.blobs, api, project, self.embedder, now=time.time(), rules=rules)

    def collect_campaigns(self, *, starting: bool) -> Applied:
        """Campaigns as Roboflow Collect's variables want them; those that a person stopped go on at a start only."""
        env = CollectEnv.of(self.settings)
        return apply(self.store, self.blobs, env, self.embedder, now=time.time(), starting=starting)

    def collect_camera(self) -> AbstractContextManager[object]:
        """The camera that Roboflow Collect's variables want, served while the context lasts; else nothing."""
        source = camera_source(CollectEnv.of(self.settings), self.store.cameras())
        if source is None:
            return nullcontext()
        return LocalCamera(CAMERA, source, self.store, self.settings.sample_rate)

    def errands(self) -> list[Errand]:
        """What a running hub does now and then."""
        collect, every_s = CollectEnv.of(self.settings), self.settings.roboflow_minutes * 60.0
        errands = []
        if collect.has_project:
            errands.append(Errand("campaigns of Roboflow Collect's variables", AGAIN_S, self._collect_again))
        if every_s and self.settings.roboflow_key:  # a destination may name its project itself
            errands.append(Errand("outcomes from Roboflow", every_s, self._read_outcomes))
        if every_s and collect.syncs:
            errands.append(Errand("seeds from Roboflow", every_s, self._sync_and_tell))
        errands.append(Errand("the corpus index", INDEX_S, self._build_index))
        return errands

    def _build_index(self) -> None:
        """Behind a look that loads no model: nothing is to be built before something was embedded."""
        if self.store.archive.embedding_versions():
            build_if_worth_it(lambda: self.corpus().stats().waiting, self.settings.data_dir)

    def _collect_again(self) -> None:
        """What could not be done at the start, such as embedding a prompt by a server that was not up."""
        if problems := self.collect_campaigns(starting=False).problems:
            raise BowerbirdError("; ".join(problems))

    def _sync_and_tell(self) -> None:
        report = self.sync_seeds()
        for name in report.created + report.updated + report.reactivated + report.deactivated:
            _log.info("seeds from Roboflow changed %s", name)
        for image, what in set(report.problems) - self._told:
            _log.warning("left out the image %s of the Roboflow project: %s", image, what)
        self._told = set(report.problems)

    def _read_outcomes(self) -> None:
        with self.roboflow() as api:
            read_outcomes(self.store, api, now=time.time(), older_than_s=OUTCOMES_S)

    def found(self, kind: Kind) -> LocalModel | None:
        """The model of a kind that is used, self-tested; None where the hub has to make do with its built-in one.

        ModelError when the model that the settings name can't be used.
        """
        return self._loading.found(kind)

    def forget_models(self) -> None:
        """Look for models again: one was fetched."""
        self._loading.forget()

    def detector(self) -> Detector:
        """Loaded and self-tested at the first call, of whatever thread."""
        return self._loading.detector()

    def embedder(self, name: str | None = None) -> Embedder:
        """The one in use, or one by its name; loaded at the first call, of whatever thread."""
        return self._loading.embedder(name)

    @property
    def workers(self) -> int:
        """How many inferences pay side by side."""
        return self._loading.plan[1]

    def model_lines(self) -> list[str]:
        """What models are used, and what is to be known of them."""
        used = (("detector", self.detector()), ("embedder", self.embedder()))
        return [f"{kind}  {model.name}" for kind, model in used]

    @cached_property
    def recent(self) -> Recent:
        """The ring of recent pictures."""
        settings = self.settings
        return Recent(
            open_blobs(settings.recent),
            open_blobs(settings.thumbnails),
            self.store,
            disk=lambda: space_at(settings.data_dir),
            max_disk_gb=settings.max_disk_gb,
            retention_s=settings.retention_days * 86400.0,
            indexes=settings.indexes,
        )

    @cached_property
    def pictures(self) -> Pictures:
        """Pictures of everything seen, where they are kept."""
        return Pictures(self.blobs, self.recent.pictures, self.recent.thumbnails, self.store.archive)

    def corpus(self, embedding_version: str | None = None) -> Corpus:
        """Everything that was embedded, searchable: by the embedder in use, or of one embedding version."""
        version = embedding_version or self.embedder().version
        with self._opening:
            if version not in self._corpora:
                folder = self.settings.indexes / "corpus"
                self._corpora[version] = Corpus(self.store.archive, version, folder, index=self.settings.index)
            return self._corpora[version]

    def targets(self, names: Sequence[str] = ()) -> list[Target]:
        """The active campaigns, or the newest versions of those named, ready to be asked. InvalidInput for one that was
        never committed."""
        if not names:
            return [SeedTarget(version, self.settings.indexes) for version in self.store.active_versions()]
        return [SeedTarget(self._newest(name), self.settings.indexes) for name in names]

    def _newest(self, name: str) -> Version:
        self.store.campaign(name)
        versions = self.store.versions(name)
        if not versions:
            raise InvalidInput(f"{name!r} was never committed", hint=f"Commit it: hub campaigns commit {name!r}")
        return max(versions, key=lambda version: version.number)

    def fetch_once(self, camera: Camera) -> Frame:
        """One poll of a camera. CameraError when it gives no picture."""

        async def once() -> Frame:
            poller = Poller(Slots())
            try:
                return await poller.fetch_once(camera)
            finally:
                await poller.close()

        return asyncio.run(once())

    def collector(self) -> Collector:
        """A collector over this hub's parts."""
        batch, workers, _ = self._loading.plan
        return Collector(
            self.store,
            self.blobs,
            Models(self.detector, self.embedder, batch, workers),
            indexes=self.settings.indexes,
            retention_s=self.settings.retention_days * 86400.0,
            remember=self._remembered,
            recent=self.recent,
        )

    @property
    def _remembered(self) -> Needs:
        """What is computed of every frame; no more than is needed where each picture would go to a server."""
        return REMEMBERED["needed" if self.settings.infer_server_destination else self.settings.corpus]

    def forwarder(self) -> Forwarder:
        """What empties the outbox."""
        return Forwarder(self.store, self.blobs, self.sink, clock=time.time, random=random.random, redact=self.redactor)

    @contextmanager
    def single_collector(self) -> Iterator[None]:
        """Hold the data directory's collector lock. BowerbirdError when another process holds it."""
        path = self.settings.data_dir / "collector.lock"
        with path.open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise BowerbirdError(
                    f"a hub is already running on {self.settings.data_dir}",
                    hint="Stop it first, or give this one a directory of its own: hub --data-dir DIR run",
                ) from None
            yield

    def close(self) -> None:
        """Give up the database, and the connections to a model elsewhere."""
        self._loading.close()
        if self._store is not None:
            self._store.close()

    @cached_property
    def redactor(self) -> Redactor | None:
        """What makes parts of pictures unrecognisable before they leave, None where nothing is to be."""
        settings = self.settings
        if not settings.redact_labels and not settings.redact_regions:
            return None
        return Redactor(parse_regions(settings.redact_regions), settings.redact_labels, self.detector)

    def check_redaction(self) -> None:
        """NotFound for a label that the detector does not know, and for a camera that there is not: under another name
        its pictures would leave as they are."""
        if self.redactor is None:
            return
        self.redactor.check()
        names = {camera.name for camera in self.store.cameras()}
        if camera_source(CollectEnv.of(self.settings), self.store.cameras()) is not None:
            names.add(CAMERA)
        for camera in parse_regions(self.settings.redact_regions):
            if camera not in names:
                raise NotFound("camera (of HUB_REDACT_REGIONS)", camera, names)


def open_hub(settings: Settings) -> Hub:
    """A hub on its data directory, which is made if need be. StorageFull when it can't be written."""
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        probe = settings.data_dir / f".writable-{os.getpid()}"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise StorageFull(
            f"the data directory {settings.data_dir} can't be written: {error.strerror}",
            hint="Make it writable, or choose another with HUB_DATA_DIR or --data-dir.",
        ) from error
    return Hub(settings)
