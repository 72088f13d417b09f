import shutil
import tarfile
import threading
import zipfile
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.scan import Models, Rules, scan
from hub.scan.frame_order import FrameOrder
from hub.target import SeedTarget
from hub.types import Budget, RateLimit
from shared.errors import InvalidInput
from shared.frame import Frame
from shared.image import with_capture_time
from tests.hub.making import seed, version
from tests.hub.scanning import HOUR, Bench, picture, put
from tests.hub.test_video import film, moving, scene


@pytest.fixture
def hub(tmp_path):
    bench = Bench(tmp_path / "hub-data")
    yield bench
    bench.store.close()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "garden"


def test_what_reaches_the_threshold_is_taken_with_its_picture(hub, folder):
    hub.campaign()
    paths = put(folder, 0.2, 0.8, 0.6, 0.3)
    done = hub.scan(folder)
    wanted = {Frame("", 0, 0, path.read_bytes()).id: path.read_bytes() for path in paths[1:3]}
    assert hub.taken() == set(wanted)
    assert {frame: hub.blobs.get(frame) for frame in wanted} == wanted
    assert (done.new, done.progress.frames, hub.processed()) == (2, 4, (4, 2))


def test_frames_are_stored_with_where_they_are_and_can_be_searched(hub, folder):
    (path,) = put(folder, 0.2)
    hub.scan(folder, without=True)
    frame_id = Frame("", 0, 0, path.read_bytes()).id
    (known,) = hub.store.archive.frames([frame_id]).values()
    assert (known.camera, known.taken_at, known.source, known.size_wh) == ("garden", 1e6, str(path), (64, 48))
    assert hub.store.archive.count(hub.embedder.version) == 1
    assert hub.places.pictures.picture(frame_id) == path.read_bytes()


def test_retention_does_not_make_old_pictures_count_again(hub, folder):
    hub.campaign()
    put(folder, 0.2, 0.8)
    hub.scan(folder)
    hub.store.prune(1e10, limit=99)
    hub.scan(folder)
    assert hub.processed() == (2, 1)


def test_a_second_scan_looks_at_nothing_and_changes_nothing(hub, folder):
    hub.campaign()
    put(folder, 0.2, 0.8, 0.6)
    hub.scan(folder)
    before = hub.taken(), hub.processed(), hub.detector.looked
    done = hub.scan(folder)
    assert (hub.taken(), hub.processed(), hub.detector.looked) == before
    assert (done.new, done.progress.known, done.statistics[0].collected) == (0, 3, 2)


def test_a_new_campaign_takes_from_what_was_scanned_before(hub, folder):
    put(folder, 0.2, 0.8, 0.6)
    hub.campaign("dim", budget=Budget(0.1))
    hub.scan(folder)
    looked = hub.detector.looked
    hub.campaign()
    hub.scan(folder)
    assert (len(hub.taken()), hub.detector.looked) == (2, looked)


def test_frames_without_what_is_needed_are_looked_at_again(hub, folder):
    put(folder, 0.8)
    hub.scan(folder, without=True)
    assert hub.detector.looked == 0
    hub.campaign()
    assert hub.scan(folder).new == 1
    assert hub.detector.looked == 1


def test_crops_are_embedded_when_asked_for(hub, folder):
    put(folder, 0.8, 0.6)
    hub.scan(folder, without=True, rules=Rules(crops=True))
    assert hub.store.archive.count(hub.embedder.version) == 4
    hub.scan(folder, without=True, rules=Rules(crops=True))
    assert hub.detector.looked == 2


def test_the_same_picture_twice_is_one_frame(hub, folder):
    hub.campaign()
    (path,) = put(folder, 0.8)
    shutil.copy(path, folder / "copy.jpg")
    done = hub.scan(folder)
    assert (done.progress.frames, done.progress.repeated, done.statistics[0].seen) == (1, 1, 1)
    assert hub.processed() == (1, 1)


def test_a_picture_that_moved_is_found_at_its_new_place(hub, folder, tmp_path):
    (path,) = put(folder, 0.8)
    hub.scan(folder, without=True)
    new = tmp_path / "elsewhere"
    folder.rename(new)
    hub.scan(new, without=True)
    frame_id = Frame("", 0, 0, picture(0.8)).id
    assert hub.places.pictures.picture(frame_id) == (new / path.name).read_bytes()


def test_unreadable_files_are_listed_and_the_rest_is_scanned(hub, folder):
    put(folder, 0.2, 0.8)
    (folder / "a.jpg").write_bytes(b"no picture")
    (folder / "b.mp4").write_bytes(b"no film")
    (folder / "c.zip").write_bytes(b"no archive")
    (folder / "d.jpg").write_bytes(picture(0.5)[:-20])
    done = hub.scan(folder, without=True)
    assert done.progress.frames == 2
    assert sorted(each.source.rpartition("/")[2] for each in done.unreadable) == ["a.jpg", "b.mp4", "c.zip", "d.jpg"]


def test_archives_and_films_are_scanned_and_read_back(hub, tmp_path):
    hub.campaign(budget=Budget(0.0))
    zipped = tmp_path / "a.zip"
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("in/a.jpg", picture(0.8, 1))
        archive.write(film(tmp_path / "b.avi", moving(12)), "b.avi")
    tarred = tmp_path / "c.tar.gz"
    put(tmp_path / "c", 0.4)
    with tarfile.open(tarred, "w:gz") as archive:
        archive.add(tmp_path / "c", "c")
    moved = film(tmp_path / "d.avi", moving(12, seed=5))
    done = hub.scan(zipped, tarred, moved)
    places = hub.store.archive.frames(list(hub.taken()))
    ends = sorted(each.source.rpartition("/")[2].rpartition("!")[2] for each in places.values())
    assert ends == ["a.jpg", "b.avi#0.000", "b.avi#1.000", "d.avi#0.000", "d.avi#1.000", "p0.jpg"]
    assert {each.camera for each in places.values()} == {"a", "c", "d"}
    assert all(Frame("", 0, 0, hub.places.pictures.picture(each)).id == each for each in places)
    assert (done.unreadable, hub.scan(zipped, tarred, moved).progress.known) == ((), 6)


def test_a_film_that_was_scanned_is_not_decoded_again_and_still_gives_samples(hub, tmp_path, monkeypatch):
    path = film(tmp_path / "a.avi", moving(30))
    hub.campaign("none", budget=Budget(1.0))
    assert hub.scan(path).progress.frames == 3
    hub.campaign(budget=Budget(0.0))
    looked, decoded = hub.detector.looked, []
    monkeypatch.setattr("hub.footage.reading.sample", lambda *args, **how: decoded.append(args))
    assert (hub.scan(path).progress.known, hub.detector.looked, decoded) == (3, looked, [])
    assert (len(hub.taken()), all(frame in hub.blobs for frame in hub.taken())) == (3, True)


def test_frames_of_a_film_have_its_time_and_their_own(hub, tmp_path):
    path = film(tmp_path / "a.avi", moving(20))
    modified = path.stat().st_mtime
    hub.scan(path, without=True, rules=Rules(camera="porch"))
    times = [seen.frame.taken_at for seen in hub.store.archive.observations(hub.embedder.version, cameras=["porch"])]
    assert times == pytest.approx([modified - 2.0, modified - 1.0])


def test_another_pace_samples_a_film_again(hub, tmp_path):
    path = film(tmp_path / "a.avi", moving(30))
    assert hub.scan(path, without=True).progress.frames == 3
    assert hub.scan(path, without=True, rules=Rules(every_s=0.5)).progress.frames == 6


# ── rules ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_dry_run_takes_nothing_and_says_what_would_be_taken(hub, folder):
    hub.campaign()
    put(folder, 0.2, 0.8, 0.6)
    done = hub.scan(folder, rules=Rules(dry=True, top=2))
    (said,) = done.statistics
    assert (said.collected, said.seen, round(said.most, 1)) == (2, 3, 0.8)
    assert [round(best.sample.score.value, 1) for best in done.best["bright"]] == [0.8, 0.6]
    assert [best.source for best in done.best["bright"]] == [str(folder / "p1.jpg"), str(folder / "p2.jpg")]
    assert (hub.taken(), hub.processed(), list(hub.blobs.keys())) == (set(), (0, 0), [])
    assert hub.scan(folder).progress.known == 3


def test_a_threshold_is_overridden(hub, folder):
    hub.campaign()
    put(folder, 0.2, 0.8, 0.6)
    assert hub.scan(folder, rules=Rules(threshold=0.7)).new == 1


def test_the_target_is_the_best_of_all_each_for_the_campaign_it_fits_best(hub, folder):
    hub.campaign("a", budget=Budget(0.99))
    hub.campaign("b")
    put(folder, 0.2, 0.8, 0.6, 0.9)
    done = hub.scan(folder, rules=Rules(best=2))
    assert (done.new, len(hub.taken("a")), len(hub.taken("b"))) == (2, 2, 0)
    assert hub.scan(folder, rules=Rules(best=2)).new == 0


@pytest.mark.parametrize("order", [1, -1])
def test_limits_and_windows_do_not_depend_on_the_names_of_files(hub, folder, order):
    hub.campaign("limited", budget=Budget(0.45, (RateLimit(1, HOUR),)))
    hub.campaign("daily", budget=Budget(0.1, target=RateLimit(1, 86_400.0)))
    folder.mkdir()
    for i in range(6):
        at = datetime(2024, 5, 1 + i // 3, i % 3, tzinfo=UTC).timestamp()
        name = f"{i if order == 1 else 9 - i}.jpg"
        (folder / name).write_bytes(with_capture_time(picture(0.9 - i / 10, i), at))
    hub.scan(folder)
    assert sorted(s.taken_at % 86_400 for s in hub.store.samples(campaign="daily")) == [0.0, 0.0]
    assert len(hub.taken("limited")) == 5
    before = hub.taken("daily"), hub.taken("limited")
    done = hub.scan(folder)
    assert (done.new, (hub.taken("daily"), hub.taken("limited"))) == (0, before)
    assert {said.campaign: said.collected for said in done.statistics} == {"limited": 5, "daily": 2}


def test_what_was_taken_elsewhere_counts_for_a_budget(hub, folder, tmp_path):
    hub.campaign(budget=Budget(0.1, stop_after=3))
    put(folder, 0.5, 0.6)
    put(tmp_path / "other", 0.5, 0.6, start=10)
    assert hub.scan(folder).new == 2
    assert hub.scan(tmp_path / "other").new == 1
    assert hub.scan(folder, tmp_path / "other").new == 0


def test_seeds_of_another_embedder_are_refused(hub, folder):
    put(folder, 0.5)
    stale = SeedTarget(version(seeds=(seed([0, 1]),)), None)
    with pytest.raises(InvalidInput, match="embedded by another model"):
        scan([folder], [stale], hub.places, Models(lambda: hub.detector, lambda: hub.embedder))


# ── stopping ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_stopped_scan_keeps_what_was_done_and_the_next_one_goes_on(hub, folder):
    hub.campaign()
    hub.campaign("limited", budget=Budget(0.1, (RateLimit(3, 1e9),)))
    put(folder, *[0.2, 0.8] * 40)
    stop = threading.Event()
    first = hub.scan(folder, stop=stop, progress=lambda now: now.frames >= 30 and stop.set())
    assert first.stopped
    assert first.unsettled == ("limited",)
    assert (len(hub.taken()), len(hub.taken("limited"))) == (15, 0)
    second = hub.scan(folder)
    assert (second.progress.frames, second.progress.known) == (80, 30)
    assert (len(hub.taken()), len(hub.taken("limited")), hub.processed()) == (40, 3, (80, 40))


def test_a_scan_that_is_stopped_while_it_settles_says_so(hub, folder):
    hub.campaign("limited", budget=Budget(0.1, (RateLimit(3, 1e9),)))
    put(folder, *[0.2, 0.8] * 5)
    stop = threading.Event()
    first = hub.scan(folder, stop=stop, progress=lambda now: now.settling and stop.set())
    assert (first.stopped, first.unsettled) == (True, ("limited",))
    second = hub.scan(folder)
    assert (second.stopped, len(hub.taken("limited"))) == (False, 3)


def test_a_stopped_scan_leaves_no_thread_behind(hub, tmp_path):
    path = film(tmp_path / "a.avi", [scene(i) for i in range(60)])
    before, stop = threading.active_count(), threading.Event()
    hub.scan(path, without=True, rules=Rules(every_s=0.1), stop=stop, progress=lambda _: stop.set())
    assert threading.active_count() == before


def test_a_model_that_fails_ends_the_scan_and_keeps_what_was_stored(hub, folder, monkeypatch):
    put(folder, *[0.5] * 200)

    embed = hub.embedder.embed

    def fail_in_the_end(images):
        if hub.store.archive.count(hub.embedder.version) >= 64:
            raise RuntimeError("out of memory")
        return embed(images)

    monkeypatch.setattr(hub.embedder, "embed", fail_in_the_end, raising=False)
    with pytest.raises(RuntimeError, match="out of memory"):
        hub.scan(folder, without=True)
    monkeypatch.undo()
    assert 64 <= hub.scan(folder, without=True).progress.known < 200


# ── the order of frames ──────────────────────────────────────────────────────────────────────────────


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 5))), st.integers(1, 7))
def test_frames_come_once_and_in_the_order_of_their_time(given_, size):
    order, wanted = FrameOrder(), {}
    for number, at in given_:
        frame = f"{number:032x}"[::-1]
        assert order.add(frame, float(at)) is (frame not in wanted)
        wanted.setdefault(frame, at)
        assert frame in order
    pages = list(order.pages(size))
    assert [len(page) for page in pages[:-1]] == [size] * max(0, len(pages) - 1)
    assert [f for page in pages for f in page] == sorted(wanted, key=lambda f: (wanted[f], f))


def test_many_frames_are_remembered_as_well(monkeypatch):
    monkeypatch.setattr("hub.scan.frame_order._RECENT", 8)
    order = FrameOrder()
    ids = [replace(Frame("", i, 0, str(i).encode())).id for i in range(100)]
    assert all(order.add(each, 0.0) for each in ids)
    assert not any(order.add(each, 0.0) for each in ids)
    assert len(order) == 100
