"""`CollectionClient`: sync the campaigns, sample frames, save what fits."""

import os
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol

import httpx

from hub.appraise import Appraiser
from hub.client.frames import LabeledFrame
from hub.client.pictures import fetch_picture
from hub.client.remote import RemoteCollection
from hub.client.reports import Collected, SampleProbability
from hub.client.sampling import Sampled, in_time, sample, space_of
from hub.client.scoring import probabilities, report
from hub.client.uploading import upload
from hub.collection.local import LocalCollection, Parts
from hub.collection.values import Collection, State
from hub.pipeline import needs_of
from hub.protocols import Target
from hub.target import SeedTarget
from hub.types import Sample, Version
from hub.types import State as Remembered
from shared.errors import InvalidInput, NotSetUp

_AT_ONCE = 256
"""Frames judged together."""


class _Owned(Protocol):
    """A hub that was opened here."""

    def close(self) -> None: ...


class CollectionClient:
    """Offers frames to the active campaigns of a hub; scores them here, uploads those that are taken.

    A hub elsewhere goes by its URL and token, one in this process by `hub`: what `hub.app.open_hub` gives, or its data
    directory. A client is a context manager, keeps what was sampled until it is saved, and shares nothing with others.
    It is for one thread.

    >>> client = CollectionClient()                                                     # doctest: +SKIP
    >>> client.set_credentials(api_url="http://127.0.0.1:8000", api_key="secret")       # doctest: +SKIP
    >>> client.sync_state(target_project_names=["tow-trucks"])                          # doctest: +SKIP
    >>> frame = LabeledFrame(frame_id="000132")                                         # doctest: +SKIP
    >>> frame.add_image("000132.jpg")                                                   # doctest: +SKIP
    >>> client.sample_probabilities([frame])                                            # doctest: +SKIP
    >>> print(client.save_for_collection(dry_run=True))                                 # doctest: +SKIP
    """

    def __init__(
        self,
        api_endpoint: str = "",
        *,
        hub: Parts | str | Path | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """api_endpoint: URL of the hub, as `set_credentials(api_url=…)`. clock: Unix seconds."""
        self._clock = clock
        self._owned: _Owned | None = None
        self._hub: Collection | None = None
        self._api_url = api_endpoint
        self._fetcher: httpx.Client | None = None
        self._synced: State | None = None
        self._targets: list[Target] = []
        self._states: dict[int, dict[str, Remembered]] = {}
        self._sampled: dict[str, Sampled] = {}
        if hub is not None:
            self._hub = LocalCollection(self._open(hub) if isinstance(hub, str | Path) else hub, clock=clock)
        elif api_endpoint:
            self._hub = RemoteCollection(api_endpoint)

    def __repr__(self) -> str:
        return f"CollectionClient({self._hub!r}, campaigns={len(self._targets)}, sampled={len(self._sampled)})"

    def __enter__(self) -> "CollectionClient":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give up the connections, and a hub that was opened by its data directory."""
        for each in (self._hub, self._fetcher, self._owned):
            if each is not None:
                each.close()

    def set_credentials(self, *, api_key: str = "", api_url: str = "", timeout_s: float = 120.0) -> None:
        """Where the hub is, and the token (HUB_API_TOKEN) it asks for. timeout_s: of each wait for an answer."""
        if isinstance(self._hub, LocalCollection):
            raise InvalidInput("this client has its hub in the process, which asks for no credentials")
        self._api_url = api_url or self._api_url
        if not self._api_url:
            raise NotSetUp("where the hub is was not said", hint="Give api_url, such as http://127.0.0.1:8000")
        if self._hub is not None:
            self._hub.close()
        self._hub = RemoteCollection(self._api_url, api_key, timeout_s=timeout_s)

    def sync_state(
        self, target_project_names: Sequence[str] = (), target_segment_uuids: Sequence[str] = ()
    ) -> list[Version]:
        """Take the active campaigns as they stand now, and forget what was sampled; returns their versions.

        What is one project with segments at Aquarium is a set of campaigns here, so both say which of these: by name or
        id, all that are active when neither says any. What is changed at the hub later has no part in this until the
        next `sync_state`. NotFound for an unknown campaign, InvalidInput for one that is not active.
        """
        for given in (target_project_names, target_segment_uuids):
            if isinstance(given, str):
                raise InvalidInput("campaigns are given as a list of names", hint=f"Write [{given!r}].")
        names = [str(each) for each in (*target_project_names, *target_segment_uuids)]
        state = self._collection.state(names)
        targets: list[Target] = [SeedTarget(version, None) for version in state.versions]
        self._synced, self._targets = state, targets
        self._states, self._sampled = {}, {}
        return list(state.versions)

    def sample_probabilities(
        self, frames: Iterable[LabeledFrame], embedding_model_id: str | None = None
    ) -> dict[str, list[SampleProbability | None]]:
        """Score frames with every synced campaign: by campaign, for each frame in order; None for one that is out of
        its scope (cameras, hours). They are kept for `save_for_collection`; a frame_id that was sampled is not again.

        embedding_model_id: the campaigns' embedding version, or the name of their embedder; may be left out where
        frames bring no embeddings, since the hub then embeds them. A frame without embeddings of its own needs a
        picture. InvalidInput, with both names, for another model; nothing of the call is kept when a frame can't be
        used.
        """
        synced, frames = self._require_sync(), list(frames)
        space = space_of(synced.versions, synced.embedders, embedding_model_id)
        if space.version and embedding_model_id is None:
            _require_models(frames)
        needs = needs_of(synced.versions)
        new = {frame.frame_id: frame for frame in reversed(frames) if frame.frame_id not in self._sampled}
        wanted = [new.pop(frame.frame_id) for frame in frames if frame.frame_id in new]
        sampled = sample(wanted, needs, space, self._collection, self._fetch)
        self._sampled |= {each.frame.frame_id: each for each in sampled}
        offered = [self._sampled[frame.frame_id] for frame in frames]
        found: dict[str, list[SampleProbability | None]] = {}
        for target in self._targets:
            version = target.version
            before = self._states.get(version.campaign_id, {})
            found[version.campaign], self._states[version.campaign_id] = probabilities(target, offered, before)
        return found

    def save_for_collection(
        self,
        override_sampling_threshold: float | None = None,
        target_sample_count: int | None = None,
        dry_run: bool = False,
    ) -> Collected:
        """Choose among everything sampled since the last save, and upload what is chosen.

        A campaign takes the frames that reach override_sampling_threshold, or its own threshold (0.5 unless it was
        set), within its budget. With target_sample_count the best frames of all are taken instead, that many, each by
        the one campaign it fits best. dry_run: say what would be, and upload nothing.

        Uploads may be repeated at will: a hub keeps a picture once for each campaign. When one fails for good its error
        comes through, and what was sampled is kept, so that saving again finishes it.
        """
        self._require_sync()
        _check_choice(override_sampling_threshold, target_sample_count)
        appraiser = Appraiser(
            self._targets, clock=self._clock, threshold=override_sampling_threshold, best=target_sample_count
        )
        ordered = in_time(list(self._sampled.values()))
        taken: list[Sample] = []
        for at in range(0, len(ordered), _AT_ONCE):
            taken += appraiser.add([each.seen for each in ordered[at : at + _AT_ONCE]])
        taken += appraiser.finish()
        known = {each.seen.frame.id: each for each in reversed(ordered)}
        receipt = None
        if not dry_run:
            versions = [target.version for target in self._targets]
            receipt = upload(taken, ordered, versions, self._collection, self._fetch)
        said = report(appraiser.statistics, taken, self._targets, known, receipt, self._fetch)
        if not dry_run:
            self._sampled = {}
        return said

    # ── the hub ──────────────────────────────────────────────────────────────────────────────────────

    @property
    def _collection(self) -> Collection:
        if self._hub is None:
            raise NotSetUp(
                "which hub this client is for was not said",
                hint="Call set_credentials(api_url=…, api_key=…), or make it with hub=…",
            )
        return self._hub

    def _require_sync(self) -> State:
        if self._synced is None:
            raise NotSetUp("the campaigns were not fetched yet", hint="Call sync_state() first.")
        return self._synced

    def _fetch(self, url: str) -> bytes:
        """By a connection of its own: the hub's token is nobody else's."""
        if self._fetcher is None:
            self._fetcher = httpx.Client(headers={"User-Agent": "bowerbird-client"})
        return fetch_picture(self._fetcher, url)

    def _open(self, data_dir: str | Path) -> Parts:
        # Here, since whoever asks a hub elsewhere must not need what this draws in.
        from hub.app import open_hub
        from hub.settings import read_settings

        opened = open_hub(read_settings(os.environ, {"data_dir": Path(data_dir)}))
        self._owned = opened
        return opened


def _require_models(frames: Sequence[LabeledFrame]) -> None:
    for frame in frames:
        if any(not each.model_id for each in frame.embeddings):
            raise InvalidInput(
                f"frame {frame.frame_id!r} has an embedding, and no model is named",
                hint="Give embedding_model_id: the campaigns' embedding version, or the name of their embedder.",
            )


def _check_choice(threshold: float | None, count: int | None) -> None:
    if threshold is not None and count is not None:
        raise InvalidInput("a threshold and a count of the best exclude each other", hint="Give one of them.")
    if threshold is not None and not 0.0 <= threshold <= 1.0:
        raise InvalidInput("override_sampling_threshold must lie between 0 and 1")
    if count is not None and count < 1:
        raise InvalidInput("target_sample_count must be at least 1")
