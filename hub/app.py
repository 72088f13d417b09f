"""The composition root: settings become a hub. The only module that names concrete classes."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from hub.blobs import open_blobs
from hub.collector import Collector, Models
from hub.forward import Forwarder
from hub.models.builtin_detector import BuiltinDetector
from hub.models.builtin_embedder import BuiltinEmbedder
from hub.models.catalog import LocalModel, find_model, search_dirs
from hub.models.check import self_test
from hub.models.embedder import load_embedder
from hub.models.yolo import load_detector
from hub.protocols import Blobs, Detector, Embedder, Sink, Store
from hub.settings import Settings
from hub.sinks import open_sinks
from hub.store import open_store
from shared.errors import BowerbirdError, StorageFull
