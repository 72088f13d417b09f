"""The models that the settings mean: found, loaded when they are first asked for, and changed while a hub runs."""

import logging
import os
import threading
from collections.abc import Callable
from functools import cached_property

from hub.campaigns import LEAST_CONFIDENCE
from hub.models.builtin_detector import BuiltinDetector
from hub.models.builtin_embedder import BuiltinEmbedder
from hub.models.catalog import find_model, search_path
from hub.models.embedder import load_embedder
from hub.models.files import Kind, LocalModel
from hub.models.remote import RemoteClip
from hub.models.session import providers
from hub.models.yolo import load_detector
from hub.protocols import Detector, Embedder
from hub.settings import Settings
from shared.errors import ModelError

_log = logging.getLogger(__name__)

MAX_WORKERS = 8

BUILT_IN = "built-in"
"""What HUB_DETECTOR and HUB_EMBEDDER say to make do without weights."""


class Loading:
    """May be used from any thread. chosen_embedder: name of the one that was switched to, "" for none."""

    def __init__(self, settings: Settings, chosen_embedder: Callable[[], str]) -> None:
        self._settings, self._chosen = settings, chosen_embedder
        self._lock = threading.RLock()
        self._found: dict[Kind, LocalModel | None] = {}
        self._missing: dict[Kind, ModelError] = {}
        self._embedders: dict[str, Embedder] = {}

    def found(self, kind: Kind) -> LocalModel | None:
        """The model of a kind that is used, self-tested; None where the hub has to make do with its built-in one.

        ModelError when the model that the settings name can't be used.
        """
        if kind not in self._found:
            self._found[kind] = self._find(kind)
        return self._found[kind]

    def forget(self) -> None:
        """Look for models again: one was fetched."""
        self._found.clear()

    def detector(self) -> Detector:
        """Loaded and self-tested at the first call."""
        with self._lock:
            return self._detector

    def embedder(self, name: str | None = None) -> Embedder:
        """The one in use, or one by its name; loaded at the first call. The one in use may change while a hub runs."""
        with self._lock:
            wanted = self._wanted_embedder() if name is None else name
            if wanted not in self._embedders:
                self._embedders[wanted] = self._load_embedder(wanted)
            return self._embedders[wanted]

    @cached_property
    def plan(self) -> tuple[int, int, int]:
        """Frames per batch, batches side by side, threads per inference."""
        return inference_plan(self._settings.device, self._settings.batch, self._settings.threads)

    def close(self) -> None:
        """Give up the connections to a model elsewhere."""
        for embedder in self._embedders.values():
            if isinstance(embedder, RemoteClip):
                embedder.close()

    def _wanted_embedder(self) -> str:
        return self._settings.embedder or self._chosen()

    def _find(self, kind: Kind) -> LocalModel | None:
        wanted = self._settings.detector if kind == "detector" else self._wanted_embedder()
        if wanted == BUILT_IN:
            return None
        try:
            return find_model(kind, wanted or None, search_path(self._settings.models_dir))
        except ModelError as error:
            if wanted:
                raise
            self._missing[kind] = error
            return None

    def _warn_of_built_in(self, kind: Kind) -> None:
        if error := self._missing.get(kind):
            _log.warning("%s; the built-in one is used. %s", error.message, error.hint)

    @cached_property
    def _detector(self) -> Detector:
        found = self.found("detector")
        if found is None:
            self._warn_of_built_in("detector")
            return BuiltinDetector(confidence=LEAST_CONFIDENCE)
        _, _, threads = self.plan
        return load_detector(found.path, device=self._settings.device, threads=threads, confidence=LEAST_CONFIDENCE)

    def _load_embedder(self, name: str) -> Embedder:
        settings = self._settings
        if settings.infer_server_destination:
            return RemoteClip(
                settings.infer_server_destination, key=settings.roboflow_key, clip_version=settings.infer_server_clip
            )
        if name == BUILT_IN or name == BuiltinEmbedder().name:
            return BuiltinEmbedder()
        if name == self._wanted_embedder():
            self._found.pop("embedder", None)  # it may be another than before
            found = self.found("embedder")
        else:
            found = find_model("embedder", name, search_path(settings.models_dir))
        if found is None:
            self._warn_of_built_in("embedder")
            return BuiltinEmbedder()
        return load_embedder(found.path, device=settings.device, threads=self.plan[2])


def inference_plan(device: str, batch: int, threads: int) -> tuple[int, int, int]:
    """Frames per batch, batches side by side, threads per inference; 0 lets the device decide.

    On a CPU every inference gets one thread and two frames: n of them side by side finish more frames than one on n
    threads (measured: YOLOv8n on two cores, 38 against 45 ms a frame), and a second frame halves what a batch costs
    beside its models (27 against 25.7 frames/s end to end; four gain nothing more). An accelerator wants one big
    batch, and a second one being prepared meanwhile.
    """
    if device == "cpu" or (device == "auto" and set(providers()) <= {"cpu", "openvino"}):
        cores = os.cpu_count() or 1
        threads = threads or max(1, cores // MAX_WORKERS)
        return batch or 2, max(1, min(MAX_WORKERS, cores // threads)), threads
    return batch or 16, 2, threads
