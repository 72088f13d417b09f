"""Fetching model files: resumed where they broke off, verified, and there whole or not at all."""

import fcntl
import os
import random
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import httpx

from hub.models.catalog import FileCard, ModelCard
from hub.models.fetched import Fetched, git_hash, recorded, sha256_of, write_record
from shared.errors import DownloadError
from shared.retry import Backoff

Progress = Callable[[str, int, int | None], None]
"""Called with the file's name, bytes there, and bytes in all where known."""

TIMEOUT = httpx.Timeout(30.0, connect=10.0)
ATTEMPTS = 5
"""Failures in a row, with next to nothing (`SLOW_BYTES`) between them, after which we give up."""

MOST_ATTEMPTS = 50
SPARE_BYTES = 64 * 2**20
"""Left free on the disk."""

SLOW_S, SLOW_BYTES = 30.0, 30_000
"""A connection that gives less than this many bytes in this many seconds is dropped and resumed."""


@dataclass(frozen=True)
class Patience:
    """How long to go on. attempts: failures in a row after which we give up. The rest is replaced in tests."""

    backoff: Backoff = field(default_factory=lambda: Backoff(1.0, 30.0))
    sleep: Callable[[float], None] = time.sleep
    random: Callable[[], float] = random.random
    clock: Callable[[], float] = time.monotonic
    attempts: int = ATTEMPTS


def fetch_model(
    card: ModelCard,
    into: Path,
    *,
    progress: Progress | None = None,
    client: httpx.Client | None = None,
    patience: Patience | None = None,
) -> list[Fetched]:
    """Fetch all files of a model below the folder `into`. DownloadError, with the next step, when one fails."""
    if client is None:
        with httpx.Client(timeout=TIMEOUT, follow_redirects=True) as own:
            return fetch_model(card, into, progress=progress, client=own, patience=patience)
    return [fetch_file(file, into, client=client, progress=progress, patience=patience) for file in card.files]


def fetch_file(
    card: FileCard,
    into: Path,
    *,
    client: httpx.Client,
    progress: Progress | None = None,
    patience: Patience | None = None,
) -> Fetched:
    """Fetch one file, or nothing where it is there already with the right content."""
    target = into / card.filename
    if (known := recorded(target)) and (card.sha256 in (None, known.sha256)) and sha256_of(target) == known.sha256:
        return known
    _make_room(target, card)
    with part_of(target) as part:
        fetched = _Download(card, part, client, progress, patience or Patience()).run()
        Path(part.name).replace(target)
    write_record(target, fetched)
    return fetched


class _Again(Exception):
    """This attempt failed in a way that another may not; `after_s` is what the server asked for."""

    def __init__(self, why: str, after_s: float = 0.0) -> None:
        super().__init__(why)
        self.after_s = after_s


class _Download:
    """One file on its way: the open part file, and what the server said of it."""

    def __init__(
        self, card: FileCard, part: BinaryIO, client: httpx.Client, progress: Progress | None, patience: Patience
    ) -> None:
        self._card = card
        self._part = part
        self._client = client
        self._progress = progress or (lambda name, done, total: None)
        self._patience = patience
        self._validator = ""
        self._total = card.bytes
        self._digest = ""

    def run(self) -> Fetched:
        """Try until the file is whole and right."""
        if self._card.sha256 is None:
            self._part.truncate(0)  # nothing would tell if two versions were spliced
        failures, corrupt, farthest, why = 0, 0, self._size(), ""
        for _ in range(MOST_ATTEMPTS):
            asked_s = 0.0
            try:
                self._attempt()
                return self._verified()
            except _Again as error:
                why, asked_s = str(error), error.after_s
                corrupt += isinstance(error, _Corrupt)
            except (httpx.TransportError, httpx.StreamError) as error:
                why = str(error) or type(error).__name__
            failures = 1 if self._size() - farthest >= SLOW_BYTES else failures + 1
            farthest = max(farthest, self._size())
            if failures >= self._patience.attempts or corrupt > 1:
                break
            wait_s = max(self._patience.backoff.delay(failures, self._patience.random), asked_s)
            self._patience.sleep(min(wait_s, self._patience.backoff.cap_s))
        raise DownloadError(f"{self._card.url} could not be fetched: {why}", hint=self._by_hand())

    def _attempt(self) -> None:
        start = self._size()
        if self._total is not None and start == self._total:
            return
        with self._client.stream("GET", self._card.url, headers=self._range(start)) as response:
            self._check_status(response)
            self._learn(response)
            if response.status_code == 200:
                self._part.truncate(0)  # the whole file: the server ignores ranges, or the file changed
            elif _first_byte(response) != start:
                self._part.truncate(0)
                raise _Again("the server answers with another part of the file than was asked for")
            self._part.seek(0, os.SEEK_END)
            self._receive(response)
        if self._total is not None and self._size() < self._total:
            raise _Again(f"the connection ended after {self._size()} of {self._total} bytes")

    def _range(self, start: int) -> dict[str, str]:
        headers = {"Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
            if self._validator:
                headers["If-Range"] = self._validator
        return headers

    def _check_status(self, response: httpx.Response) -> None:
        code = response.status_code
        if code in (200, 206):
            return
        if code == 416:
            self._part.truncate(0)
            raise _Again("the server has fewer bytes than we do")
        if code in (408, 425, 429) or code >= 500:
            wait = response.headers.get("Retry-After", "")
            raise _Again(f"the server answers {code}", float(wait) if wait.isdigit() else 0.0)
        raise DownloadError(f"{self._card.url}: the server answers {code}", hint=self._by_hand())

    def _learn(self, response: httpx.Response) -> None:
        """Length, validator and digest, which a store behind a redirect may have named before it redirected."""
        etag = response.headers.get("ETag", "")
        self._validator = etag if etag.startswith('"') else response.headers.get("Last-Modified", "")
        length = response.headers.get("Content-Length", "")
        if length.isdigit():
            total = int(length) + (_first_byte(response) or 0 if response.status_code == 206 else 0)
            if self._card.bytes is not None and total != self._card.bytes:
                raise DownloadError(
                    f"{self._card.url} has {total} bytes, the catalog says {self._card.bytes}",
                    hint=self._by_hand(),
                )
            self._total = total
        for answer in (*response.history, response):
            said = answer.headers.get("X-Linked-ETag") or answer.headers.get("ETag", "")
            if re.fullmatch(r'(W/)?"?([0-9a-f]{64}|[0-9a-f]{40})"?', said):
                self._digest = said.removeprefix("W/").strip('"')
                return

    def _receive(self, response: httpx.Response) -> None:
        clock = self._patience.clock
        since, size = clock(), self._size()
        most = self._total if self._total is not None else shutil.disk_usage(Path(self._part.name).parent).free
        for chunk in response.iter_raw():
            self._part.write(chunk)
            done = self._size()
            if done > most:
                self._part.truncate(0)
                raise _Again(f"the server sends more than {most} bytes")
            self._progress(self._card.filename, done, self._total)
            if clock() - since > SLOW_S:
                if done - size < SLOW_BYTES:
                    raise _Again(f"the connection is stuck: {done - size} bytes in {SLOW_S:g} s")
                since, size = clock(), done

    def _verified(self) -> Fetched:
        self._part.flush()
        os.fsync(self._part.fileno())
        path, size = Path(self._part.name), self._size()
        sha256 = sha256_of(path)
        wanted, verified = self._card.sha256 or self._digest, "catalog" if self._card.sha256 else "server"
        got = sha256 if len(wanted) == 64 else git_hash(path)
        if wanted and got != wanted:
            self._part.truncate(0)
            raise _Corrupt(f"its content is not what it should be: digest {got}, expected {wanted}")
        return Fetched(self._card.filename, self._card.url, size, sha256, verified if wanted else "size")

    def _size(self) -> int:
        return self._part.seek(0, os.SEEK_END)

    def _by_hand(self) -> str:
        return (
            f"Check the network (a proxy is taken from HTTPS_PROXY), or fetch {self._card.url} with a browser "
            f"and put it into HUB_MODELS_DIR as {self._card.filename}."
        )


class _Corrupt(_Again):
    """All bytes came and they are wrong."""


def _make_room(target: Path, card: FileCard) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(target.parent).free
    except OSError as error:
        raise DownloadError(f"can't write to {target.parent}: {error.strerror}", hint="Set HUB_MODELS_DIR.") from error
    missing = (card.bytes or 0) + SPARE_BYTES - free
    if missing > 0:
        raise DownloadError(
            f"{target.parent} lacks {missing / 2**20:.0f} MiB for {card.filename}",
            hint="Free some space, or set HUB_MODELS_DIR to a larger disk.",
        )


@contextmanager
def part_of(target: Path) -> Iterator[BinaryIO]:
    """The file being filled, kept between runs so that the next one resumes; one process at a time."""
    path = Path(f"{target}.part")
    try:
        with path.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield file
    except BlockingIOError as error:
        raise DownloadError(f"another process is fetching {target}", hint="Wait for it.") from error
    except OSError as error:
        raise DownloadError(f"can't write {path}: {error.strerror}", hint="Check the disk.") from error


def _named_digest(response: httpx.Response) -> str:
    """The digest Hugging Face names: sha256 of large files, git's id (40 digits) of small ones; or ""."""
    for answer in (*response.history, response):
        said = answer.headers.get("X-Linked-ETag", "")
        if not said and "X-Repo-Commit" in answer.headers:
            said = answer.headers.get("ETag", "")
        if found := re.fullmatch(r'(?:W/)?"?([0-9a-f]{64}|[0-9a-f]{40})"?', said):
            return found[1]
    return ""


def _first_byte(response: httpx.Response) -> int | None:
    found = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(found[1]) if found else None
