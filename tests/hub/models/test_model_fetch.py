"""Fetching over HTTP from a server that misbehaves as real ones do."""

import contextlib
import dataclasses
import hashlib
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from hub.models import fetch
from hub.models.catalog import CATALOG, FileCard, ModelCard
from hub.models.fetch import Patience, fetch_file, fetch_model
from hub.models.fetched import recorded
from shared.errors import DownloadError
from shared.retry import Backoff

CONTENT = bytes(range(256)) * 4000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Origin:
    """A file server. drop_after: bytes after which the connection dies, one entry per answer.

    bad: bytes served in place of the content, one entry per answer. status: codes answered before any content.
    ranges: whether they are served. shift: how far a range begins before what was asked. drip: bytes sent at a
    time, 0 for all.
    """

    drop_after: list[int] = field(default_factory=list)
    bad: list[bytes] = field(default_factory=list)
    status: list[int] = field(default_factory=list)
    ranges: bool = True
    shift: int = 0
    drip: int = 0
    content: bytes = CONTENT
    headers: dict[str, str] = field(default_factory=lambda: {"ETag": '"v1"'})
    asked: list[dict[str, str]] = field(default_factory=list)
    url: str = ""


class _Handler(BaseHTTPRequestHandler):
    origin: Origin

    def do_GET(self) -> None:
        self.origin.asked.append(dict(self.headers))
        if self.path == "/redirect":
            self.send_response(302)
            self.send_header("Location", "/file")
            self.send_header("X-Linked-ETag", f'"{SHA256}"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if self.origin.status:
            self.send_response(self.origin.status.pop(0))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self._give(self.origin.bad.pop(0) if self.origin.bad else self.origin.content)

    def _give(self, body: bytes) -> None:
        start = self._start()
        if start >= len(body):
            self.send_response(416)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.send_header("Content-Length", str(len(body) - start))
        for name, value in self.origin.headers.items():
            self.send_header(name, value)
        self.end_headers()
        part = body[start:]
        if self.origin.drop_after:
            part = part[: self.origin.drop_after.pop(0)]
            self.close_connection = True
        step = self.origin.drip or max(len(part), 1)
        with contextlib.suppress(ConnectionError):
            for at in range(0, len(part), step):
                self.wfile.write(part[at : at + step])
                time.sleep(0.002 if self.origin.drip else 0)

    def _start(self) -> int:
        asked = self.headers.get("Range", "")
        same = self.headers.get("If-Range") in (None, self.origin.headers.get("ETag"))
        if not (asked and self.origin.ranges and same):
            return 0
        return max(0, int(asked.removeprefix("bytes=").split("-")[0]) - self.origin.shift)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def origin() -> Iterator[Origin]:
    state = Origin()
    handler = type("Handler", (_Handler,), {"origin": state})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}/file"
    yield state
    server.shutdown()
    server.server_close()
    thread.join(timeout=5)


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=5, follow_redirects=True, trust_env=False) as client:
        yield client


class Waits(list[float]):
    """The waits that were asked for; none is waited."""


@pytest.fixture
def waits() -> Waits:
    return Waits()


@pytest.fixture
def patience(waits: Waits) -> Patience:
    return Patience(Backoff(1.0, 30.0), sleep=waits.append, random=lambda: 0.5)


def file_card(origin: Origin, sha256: str | None = SHA256, size: int | None = len(CONTENT)) -> FileCard:
    return FileCard("detectors/m.onnx", origin.url, sha256, size)


def nothing_but_a_part(folder: Path) -> bool:
    return [p.name for p in folder.rglob("*") if p.is_file() and not p.name.endswith(".part")] == []


def test_a_file_arrives_whole_and_verified(
    origin: Origin, client: httpx.Client, patience: Patience, tmp_path: Path
) -> None:
    seen: list[tuple[str, int, int | None]] = []
    got = fetch_file(file_card(origin), tmp_path, client=client, patience=patience, progress=lambda *p: seen.append(p))
    assert (tmp_path / "detectors/m.onnx").read_bytes() == CONTENT
    assert (got.sha256, got.verified) == (SHA256, "catalog")
    assert seen[-1] == ("detectors/m.onnx", len(CONTENT), len(CONTENT))
    assert not list(tmp_path.rglob("*.part"))


def test_dropped_connections_are_resumed_where_they_broke_off(
    origin: Origin, client: httpx.Client, patience: Patience, waits: Waits, tmp_path: Path
) -> None:
    origin.drop_after = [300_000, 300_000, 200_000]
    fetch_file(file_card(origin), tmp_path, client=client, patience=patience)
    assert (tmp_path / "detectors/m.onnx").read_bytes() == CONTENT
    starts = [int(asked.get("Range", "bytes=0-")[6:-1]) for asked in origin.asked]
    assert starts == [0, 300_000, 600_000, 800_000]
    assert origin.asked[1]["If-Range"] == '"v1"'
    assert len(waits) == 3 and all(wait >= 1 for wait in waits)


def test_a_later_run_resumes_what_an_earlier_one_left(
    origin: Origin, client: httpx.Client, patience: Patience, tmp_path: Path
) -> None:
    origin.drop_after = [400_000] + [0] * 10
    with pytest.raises(DownloadError):
        fetch_file(file_card(origin), tmp_path, client=client, patience=patience)
    origin.drop_after.clear()
    origin.asked.clear()
    fetch_file(file_card(origin), tmp_path, client=client, patience=patience)
    assert origin.asked[0]["Range"] == "bytes=400000-"
    assert (tmp_path / "detectors/m.onnx").read_bytes() == CONTENT


def test_a_server_that_ignores_ranges_is_read_from_the_start(
    origin: Origin, client: httpx.Client, patience: Patience, tmp_path: Path
) -> None:
    origin.ranges = False
    origin.drop_after = [300_000]
    fetch_file(file_card(origin), tmp_path, client=client, patience=patience)
    assert (tmp_path / "detectors/m.onnx").read_bytes() == CONTENT


def test_a_range_that_begins_elsewhere_is_not_spliced_in(
    origin: Origin, client: httpx.Client, patience: Patience, tmp_path: Path
) -> None:
    origin.drop_after = [300_000]
    origin.shift = 1000
    fetch_file(file_card(origin), tmp_path, client=client, patience=patience)
    assert (tmp_path / "detectors/m.onnx").read_bytes() == CONTENT
    assert len(origin.asked) == 3 and "Range" not in origin.asked[2]


def test_a_file_that_changes_meanwhile_is_not_spliced(
    origin: Origin, client: httpx.Client, patience: Patience, waits: Waits, tmp_path: Path
) -> None:
    origin.drop_after = [300_000]
    newer = CONTENT[::-1]

    def change(wait: float) -> None:
        origin.content, origin.headers = newer, {"ETag": '"v2"'}

    card = file_card(origin, hashlib.sha256(newer).hexdigest())
    fetch_file(card, tmp_path, client=client, patience=dataclasses.replace(patience, sleep=change))
    assert (tmp_path / "detectors/m.onnx").read_bytes() == newer


def test_corrupt_bytes_are_fetched_once_more_and_never_kept(
    origin: Origin, client: httpx.Client, patience: Patience, tmp_path: Path
) -> None:
    bad = CONTENT[:-1] + b"\x00"
    origin.bad = [bad]
    fetch_file(file_card(origin), tmp_path, client=client, patience=patience)
    assert (tmp_path / "detectors/m.onnx").read_bytes() == CONTENT
    origin.bad = [bad] * 9
    other = tmp_path / "other"
    with pytest.raises(DownloadError, match="not what it should be") as caught:
        fetch_file(file_card(origin), other, client=client, patience=patience)
    assert "HUB_MODELS_DIR" in caught.value.hint
    assert nothing_but_a_part(other) and len(origin.bad) == 7


def test_a_file_of_another_size_is_refused_at_once(
    origin: Origin, client: httpx.Client, patience: Patience, tmp_path: Path
) -> None:
    origin.content = b"<html>Sign in to the hotel's network</html>"
    with pytest.raises(DownloadError, match="the catalog says 1024000"):
        fetch_file(file_card(origin), tmp_path, client=client, patience=patience)
    assert len(origin.asked) == 1 and nothing_but_a_part(tmp_path)


@pytest.mark.parametrize("code", [404, 403, 410])
def test_a_refusal_is_final(
    origin: Origin, client: httpx.Client, patience: Patience, tmp_path: Path, code: int
) -> None:
    origin.status = [code] * 9
    with pytest.raises(DownloadError, match=str(code)):
        fetch_file(file_card(origin), tmp_path, client=client, patience=patience)
    assert len(origin.asked) == 1


def test_a_busy_server_is_asked_again_a_bounded_number_of_times(
    origin: Origin, client: httpx.Client, patience: Patience, waits: Waits, tmp_path: Path
) -> None:
    origin.status = [503, 429]
    fetch_file(file_card(origin), tmp_path, client=client, patience=patience)
    assert len(waits) == 2
    origin.status = [503] * 99
    with pytest.raises(DownloadError, match="503"):
        fetch_file(file_card(origin), tmp_path / "other", client=client, patience=patience)
    assert len(waits) < 10


def test_nobody_there_is_an_error_with_a_next_step(client: httpx.Client, patience: Patience, tmp_path: Path) -> None:
    card = FileCard("m.onnx", "http://127.0.0.1:9/m.onnx", SHA256, 1)
    with pytest.raises(DownloadError, match="could not be fetched") as caught:
        fetch_file(card, tmp_path, client=client, patience=patience)
    assert "HTTPS_PROXY" in caught.value.hint


def test_a_dripping_connection_is_given_up(
    origin: Origin, client: httpx.Client, patience: Patience, tmp_path: Path
) -> None:
    ticks = iter(range(10**6))
    slow = dataclasses.replace(patience, clock=lambda: float(next(ticks)))  # a second passes with each look
    origin.drip = 100
    with pytest.raises(DownloadError, match="stuck"):
        fetch_file(file_card(origin), tmp_path, client=client, patience=slow)
    assert 1 < len(origin.asked) < 10


def test_what_is_here_already_is_not_fetched_again(
    origin: Origin, client: httpx.Client, patience: Patience, tmp_path: Path
) -> None:
    for _ in range(2):
        fetch_file(file_card(origin), tmp_path, client=client, patience=patience)
    assert len(origin.asked) == 1
    (tmp_path / "detectors/m.onnx").write_bytes(b"damaged since")
    fetch_file(file_card(origin), tmp_path, client=client, patience=patience)
    assert len(origin.asked) == 2 and (tmp_path / "detectors/m.onnx").read_bytes() == CONTENT


def test_without_a_published_digest_the_servers_own_is_used_and_told(
    origin: Origin, client: httpx.Client, patience: Patience, tmp_path: Path
) -> None:
    origin.url = origin.url.replace("/file", "/redirect")
    got = fetch_file(file_card(origin, sha256=None), tmp_path, client=client, patience=patience)
    assert got.verified == "server" and recorded(tmp_path / "detectors/m.onnx") == got
    origin.bad = [CONTENT[:-1] + b"\x00"] * 9
    with pytest.raises(DownloadError, match="not what it should be"):
        fetch_file(file_card(origin, sha256=None), tmp_path / "b", client=client, patience=patience)


def test_a_small_file_of_hugging_face_is_verified_by_its_git_id(
    origin: Origin, client: httpx.Client, patience: Patience, tmp_path: Path
) -> None:
    blob = hashlib.sha1(b"blob %d\0" % len(CONTENT) + CONTENT).hexdigest()
    origin.headers = {"ETag": f'"{blob}"', "X-Repo-Commit": "d15189d7"}
    got = fetch_file(file_card(origin, None, None), tmp_path, client=client, patience=patience)
    assert got.verified == "server"


def test_with_no_digest_at_all_only_the_size_is_vouched_for(
    origin: Origin, client: httpx.Client, patience: Patience, tmp_path: Path
) -> None:
    assert fetch_file(file_card(origin, None), tmp_path, client=client, patience=patience).verified == "size"


def test_a_full_disk_is_noticed_before_anything_is_fetched(
    origin: Origin, client: httpx.Client, patience: Patience, tmp_path: Path
) -> None:
    huge = file_card(origin, size=10**15)
    with pytest.raises(DownloadError, match="lacks"):
        fetch_file(huge, tmp_path, client=client, patience=patience)
    assert origin.asked == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_says_so(
    origin: Origin, client: httpx.Client, patience: Patience, tmp_path: Path
) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(DownloadError, match="can't write"):
        fetch_file(file_card(origin), tmp_path / "models", client=client, patience=patience)


def test_a_file_where_the_folder_should_be_says_so(
    origin: Origin, client: httpx.Client, patience: Patience, tmp_path: Path
) -> None:
    (tmp_path / "detectors").write_text("in the way")
    with pytest.raises(DownloadError, match="can't write"):
        fetch_file(file_card(origin), tmp_path, client=client, patience=patience)


def test_two_processes_do_not_fetch_the_same_file(
    origin: Origin, client: httpx.Client, patience: Patience, tmp_path: Path
) -> None:
    target = tmp_path / "detectors/m.onnx"
    target.parent.mkdir()
    with fetch.part_of(target), pytest.raises(DownloadError, match="another process"):
        fetch_file(file_card(origin), tmp_path, client=client, patience=patience)


def test_a_model_of_several_files_is_fetched_file_by_file(origin: Origin, client: httpx.Client, tmp_path: Path) -> None:
    files = tuple(FileCard(f"clip/{name}", origin.url, SHA256) for name in ("vision_model.onnx", "text_model.onnx"))
    card = ModelCard("clip", "embedder", files, "MIT", "", 224, "", "")
    fetched = fetch_model(card, tmp_path, client=client)
    assert [f.path for f in fetched] == ["clip/vision_model.onnx", "clip/text_model.onnx"]
    assert (tmp_path / "clip/text_model.onnx").read_bytes() == CONTENT


def test_the_catalogs_files_have_places_of_their_own() -> None:
    names = [file.filename for card in CATALOG for file in card.files]
    assert len(set(names)) == len(names)
