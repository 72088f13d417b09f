"""The ring of recent pictures: within its budget whatever comes, and harmless wherever it is cut off."""

import shutil
import time
from dataclasses import replace

import cv2
import numpy as np
import pytest

from hub import recent as module
from hub.app import open_hub
from hub.blobs import YOUNG_S, open_blobs
from hub.doctor import _memory
from hub.recent import Recent, is_whole
from hub.room import HALF_A_BLOCK, Space
from hub.settings import Settings
from hub.store import open_store
from hub.types import Batch, Detections, Frame, Observation
from shared.errors import StorageFull
from tests.hub.dying import _in_a_process, _Step, _Watched
from tests.hub.full_disk import files_no_larger_than

DAY = 86400.0
SIZE_WH = (640, 360)


def picture(number: int) -> bytes:
    """A JPEG of about 50 kB like no other, whose thumbnail is small."""
    rng = np.random.default_rng(number)
    ground = cv2.resize(rng.integers(0, 200, (3, 5, 3), dtype=np.uint8), SIZE_WH, interpolation=cv2.INTER_CUBIC)
    noise = rng.integers(0, 25, (*SIZE_WH[::-1], 3), dtype=np.uint8)
    return cv2.imencode(".jpg", ground + noise, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()


PICTURES = [picture(number) for number in range(40)]
BYTES = sum(map(len, PICTURES)) // len(PICTURES)


def seen(number: int, at: float | None = None, vector=None) -> Observation:
    """A frame, taken `number` seconds after the first unless said otherwise."""
    vectors = np.zeros((0, 0), np.float32) if vector is None else np.asarray([vector], np.float32)
    frame = Frame("porch", number, 1000.0 + number if at is None else at, PICTURES[number % 40])
    return Observation(frame, SIZE_WH, Detections.empty(), vectors, None if vector is None else "v1")


class Ring:
    """A ring on disk, its database, and a disk whose size is pretended. budget: bytes for pictures and thumbnails."""

    def __init__(self, root, budget: int = 100 * BYTES) -> None:
        self.root, self.budget, self.space = root, budget, Space(10**12, 10**12)
        self.at = 0.0
        root.mkdir(exist_ok=True)
        self.store = open_store(f"sqlite:///{root / 'hub.sqlite'}")
        self.archive = self.store.archive
        self.start_anew()

    def start_anew(self) -> None:
        """As after a restart of the hub."""
        # What the database takes is not what is being tested.
        database = self.archive.usage().database_bytes
        self.recent = Recent(
            open_blobs(f"file://{self.root / 'recent'}"),
            open_blobs(f"file://{self.root / 'thumbnails'}"),
            self.store,
            disk=lambda: self.space,
            max_disk_gb=(self.budget + database) / 1e9,
            retention_s=30 * DAY,
            clock=lambda: self.at,
        )

    def see(self, *frames: Observation) -> None:
        self.store.write(Batch(frames, frames=self.recent.keep(frames)))

    def tend(self, now: float = 2000.0) -> None:
        while self.recent.tend(now):
            pass

    def kept(self) -> list[str]:
        """Ids of the frames whose picture is said to be kept."""
        return [each.id for each in self.archive.oldest_pictures(1000)]

    def files(self, folder: str) -> set[str]:
        return {path.name for path in (self.root / folder).glob("??/*")}

    def on_disk(self) -> int:
        return sum(path.stat().st_size for path in self.root.glob("[rt]*/??/*"))


@pytest.fixture
def ring(tmp_path):
    made = Ring(tmp_path)
    yield made
    made.store.close()


def test_a_picture_is_kept_as_it_came(ring):
    ring.see(seen(1), seen(2))
    assert ring.recent.pictures.get(seen(1).frame.id) == PICTURES[1]
    assert ring.kept() == [seen(1).frame.id, seen(2).frame.id]
    assert ring.recent.filled.picture_bytes == ring.archive.usage().picture_bytes == len(PICTURES[1] + PICTURES[2])


def _distinct(number: int) -> Observation:
    """Like `seen`, for any number of different frames."""
    one = seen(number)
    return replace(one, frame=replace(one.frame, jpeg=one.frame.jpeg + number.to_bytes(4, "big")))


def test_a_stream_stays_within_the_budget_and_the_oldest_fade_first(ring):
    ring.budget = 50 * BYTES
    ring.start_anew()
    for start in range(0, 200, 4):
        ring.see(*(_distinct(start + i) for i in range(4)))
        ring.tend()
        assert ring.on_disk() <= ring.budget
    assert ring.kept() == [_distinct(i).frame.id for i in range(200 - len(ring.kept()), 200)], "the newest"
    assert 25 < len(ring.kept()) < 50
    assert ring.files("recent") == set(ring.kept())
    assert ring.recent.problem is None


def test_what_faded_can_still_be_looked_at(ring):
    ring.budget = 30 * BYTES
    ring.start_anew()
    for number in range(40):
        ring.see(seen(number))
        ring.tend()
    faded = ring.archive.oldest_thumbnails(100)
    assert len(faded) > 10
    for each in faded:
        data = ring.recent.thumbnails.get(each.id)
        assert len(data) == each.thumbnail_bytes
        assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape == (144, 256, 3)


def test_thumbnails_go_oldest_first_when_they_have_a_quarter(ring):
    ring.budget = 10 * BYTES
    ring.start_anew()
    for number in range(100):
        ring.see(_distinct(number))
        ring.tend()
    usage = ring.archive.usage()
    assert usage.thumbnail_bytes <= ring.recent.filled.budget / 4
    assert 0 < usage.thumbnails < 100 - usage.pictures
    gone = [_distinct(i).frame.id for i in range(100 - usage.pictures - usage.thumbnails)]
    assert not ring.files("thumbnails") & set(gone)
    assert len(ring.archive.frames(gone)) == len(gone), "what was seen is still known"


def test_what_comes_faster_than_it_can_be_put_away_is_not_kept(ring):
    ring.budget = 20 * BYTES
    ring.start_anew()
    ring.see(*(seen(number) for number in range(25)))
    assert ring.on_disk() <= ring.budget
    assert "recent pictures are not kept" in ring.recent.problem.message
    ring.tend()
    ring.see(seen(30))
    assert seen(30).frame.id in ring.kept()
    assert ring.recent.problem is None


def test_a_budget_that_shrank_is_kept_to_at_once(ring):
    ring.see(*(seen(number) for number in range(40)))
    ring.budget = 10 * BYTES
    ring.start_anew()
    ring.tend()
    assert 0 < ring.on_disk() <= ring.budget
    assert ring.kept()[-1] == seen(39).frame.id


def test_others_may_fill_the_disk_and_pictures_make_way(ring):
    ring.see(*(seen(number) for number in range(40)))
    before = ring.on_disk()
    ring.space = Space(10**12, Space(10**12, 0).least_free - 10 * BYTES)
    ring.tend()
    assert ring.on_disk() <= before - 10 * BYTES or not ring.kept()
    ring.space = Space(10**12, 1000)
    ring.tend()
    assert ring.on_disk() == 0
    ring.see(seen(1))
    assert "less than 2.0 GB are left on the disk" in ring.recent.problem.message
    assert ring.kept() == []


def test_where_the_disk_is_full_pictures_are_left_out_until_there_is_room(ring):
    with files_no_larger_than(1000):
        assert ring.recent.keep([seen(1)]) == []
    assert isinstance(ring.recent.problem, StorageFull)
    assert ring.files("recent") == set()
    ring.see(seen(2))
    assert ring.kept() == [], "not tried again with every frame"
    ring.tend()
    ring.see(seen(3))
    assert ring.kept() == [seen(3).frame.id]
    assert ring.recent.problem is None


def test_pictures_go_even_where_there_is_no_room_for_their_thumbnails(ring, monkeypatch):
    ring.see(*(seen(number) for number in range(40)))
    ring.budget = int(ring.on_disk() * 1.2)
    ring.start_anew()

    def full(*_: object, **__: object) -> None:
        raise StorageFull("no room left")

    monkeypatch.setattr(ring.recent.thumbnails, "put", full)
    monkeypatch.setattr(ring, "budget", 0)
    ring.space = Space(10**12, Space(10**12, 0).least_free + 100)
    ring.tend()
    assert len(ring.kept()) < 40
    assert ring.archive.usage().thumbnails == 0
    assert ring.files("recent") == set(ring.kept())


# ── age ──────────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_too_old_goes_and_its_thumbnail_too(ring):
    ring.see(seen(1), seen(2, at=1000.0 + 5 * DAY))
    ring.tend(now=1000.0 + 31 * DAY)
    assert ring.kept() == [seen(2).frame.id]
    assert ring.archive.forget_frames(1000.0 + DAY, limit=10) == 1
    ring.tend(now=1000.0 + 40 * DAY)
    assert ring.on_disk() == 0


def test_a_clock_that_is_set_back_costs_nothing_that_was_kept(ring):
    ring.see(seen(1, at=100 * DAY), seen(2, at=101 * DAY))
    ring.see(seen(3, at=5.0))
    ring.tend(now=10.0)
    assert len(ring.kept()) == 3
    ring.budget = 4 * BYTES
    ring.start_anew()
    ring.see(*(seen(10 + i, at=20.0 + i) for i in range(3)))
    ring.tend(now=30.0)
    assert ring.on_disk() <= ring.budget


# ── being killed ─────────────────────────────────────────────────────────────────────────────────────


def _see_and_die(root, budget: int, step: int) -> bool:
    """Keep some more and tend in a process that is killed at its n-th step, which is before or after a call of the
    archive or of where pictures are; whether it came to its end first."""

    def work() -> None:
        dying = Ring(root, budget)
        count = _Step(step)
        dying.recent.pictures = _Watched(dying.recent.pictures, count)
        dying.recent.thumbnails = _Watched(dying.recent.thumbnails, count)
        dying.recent._archive = _Watched(dying.archive, count)
        dying.see(seen(36), seen(37), seen(38))
        dying.tend()

    return _in_a_process(work)


@pytest.mark.parametrize("budget", [42 * (BYTES + HALF_A_BLOCK), 37 * (BYTES + HALF_A_BLOCK)], ids=["fade", "drop"])
def test_a_kill_at_any_step_leaves_nothing_that_is_not_mended(tmp_path, budget):
    before = Ring(tmp_path / "before")
    before.see(*(seen(number) for number in range(36)))
    before.store.close()
    step, ended = 1, False
    while not ended:
        root = tmp_path / str(step)
        shutil.copytree(tmp_path / "before", root)
        ended = _see_and_die(root, budget, step)
        ring = Ring(root, budget)
        ring.tend()
        ring.recent.sweep(time.time() + 2 * YOUNG_S)
        assert ring.files("recent") <= set(ring.kept())
        assert ring.files("recent") >= set(ring.kept()[4:]), "what is said to be kept and is not is about to go"
        assert ring.files("thumbnails") >= {each.id for each in ring.archive.oldest_thumbnails(100)}
        assert ring.on_disk() <= budget
        ring.tend(now=1000.0 + 31 * DAY)
        assert (ring.kept(), ring.archive.oldest_thumbnails(9), ring.on_disk()) == ([], [], 0)
        ring.store.close()
        step += 1
    assert step > 20


def test_a_restart_counts_what_is_there(ring):
    ring.see(*(seen(number) for number in range(10)))
    before = ring.recent.filled
    ring.start_anew()
    ring.see(seen(11))
    assert ring.recent.filled.picture_bytes == before.picture_bytes + len(PICTURES[11])
    assert ring.recent.filled.pictures == 11


def test_pictures_whose_rows_were_not_stored_are_taken_back(ring):
    kept = ring.recent.keep([seen(1), seen(2)])
    ring.recent.discard(kept)
    assert ring.files("recent") == set()
    assert ring.recent.filled.picture_bytes == 0


def test_a_picture_without_a_row_is_swept_once_it_is_old(ring):
    ring.see(seen(1))
    ring.recent.keep([seen(2)])
    now = ring.root.stat().st_mtime
    assert ring.recent.sweep(now) == 0, "its row may be about to be written"
    assert ring.recent.sweep(now + 2 * YOUNG_S) == 0, "not again so soon"
    ring.at += module.SWEEP_S
    assert ring.recent.sweep(now + 2 * YOUNG_S) == 1
    assert ring.files("recent") == {seen(1).frame.id}


def test_a_picture_cut_short_by_a_power_cut_leaves_no_thumbnail(ring):
    ring.see(*(seen(number) for number in range(5)))
    path = ring.root / "recent" / seen(0).frame.id[:2] / seen(0).frame.id
    path.write_bytes(path.read_bytes()[:4096])
    ring.budget = int(4.5 * BYTES)
    ring.start_anew()
    ring.recent._fade(ring.archive.oldest_pictures(2))
    assert ring.files("thumbnails") == {seen(1).frame.id}
    assert ring.archive.frames([seen(0).frame.id])[seen(0).frame.id].picture_bytes == 0


def test_a_whole_picture_is_told_from_one_cut_short():
    data = PICTURES[0]
    assert is_whole(data) and is_whole(data, len(data))
    assert not is_whole(data[:-2])
    assert not is_whole(data, len(data) + 1)
    assert not is_whole(bytes(len(data)), len(data))
    assert not is_whole(b"")


# ── vectors ──────────────────────────────────────────────────────────────────────────────────────────


def test_where_vectors_take_more_than_half_the_oldest_of_them_go(ring):
    rows = np.random.default_rng(0).standard_normal((3000, 256))
    for start in range(0, 3000, 500):
        ring.store.write(Batch([_embedded(i, rows[i]) for i in range(start, start + 500)]))
    taken = ring.archive.usage().database_bytes
    ring.recent = Recent(
        ring.recent.pictures,
        ring.recent.thumbnails,
        ring.store,
        disk=lambda: ring.space,
        max_disk_gb=taken * 1.5 / 1e9,
        clock=lambda: ring.at,
    )
    ring.tend()
    usage = ring.archive.usage()
    assert 500 < usage.elements < 2700
    assert usage.database_bytes < taken * 0.8
    left = ring.archive.rows("v1", after=0, limit=5000)
    assert left.taken_at.min() > 1000.0, "the oldest went"
    assert left.taken_at.max() == 1000.0 + 2999


def _embedded(number: int, vector) -> Observation:
    one = seen(0, at=1000.0 + number, vector=vector / np.linalg.norm(vector))
    return replace(one, frame=replace(one.frame, jpeg=b"", digest=f"{number:032x}"))


def test_the_doctor_says_how_much_is_kept_and_since_when(ring):
    ring.see(seen(1), seen(2))
    ring.recent._fade(ring.archive.oldest_pictures(1))
    (found,) = _memory(open_hub(Settings(data_dir=ring.root, max_disk_gb=1.0)))
    assert found.state == "ok"
    since = time.strftime("%Y-%m-%d %H:%M", time.localtime(1002.0))
    assert f"of 1.0 GB: 0 vectors, 1 pictures since {since}, 1 thumbnails" in found.found
    (found,) = _memory(open_hub(Settings(data_dir=ring.root, max_disk_gb=1e-6)))
    assert (found.state, "HUB_MAX_DISK_GB" in found.next_step) == ("warning", True)
