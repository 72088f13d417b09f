import gzip
import io
import os
import tarfile
import time
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.footage import archives as archived_files
from hub.footage.files import LocalFile, Unreadable, measure, natural, parse_source, read_source, taken_at, walk
from hub.vision import LIMITS
from shared.errors import ImageError, InvalidInput, NotFound
from shared.exif import segment
from shared.image import with_capture_time


def jpeg(seed=0):
    picture = np.random.default_rng(seed).integers(0, 255, (48, 64, 3), np.uint8)
    return cv2.imencode(".jpg", picture)[1].tobytes()


def names(found):
    return [Path(each.source).name for each in found]


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "garden"
    for i, name in enumerate(("img10.jpg", "img2.JPG", "deep/down/a.png", ".hidden.jpg", ".git/b.jpg", "notes.txt")):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(i))
    return root


def tar_of(path, files, mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(data), 1_000_000
            archive.addfile(info, io.BytesIO(data))
    return path


def zip_of(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name, (2020, 5, 1, 12, 0, 0)), data, zipfile.ZIP_DEFLATED)
    return path


def test_a_folder_is_searched_to_the_bottom_and_hidden_files_are_left_out(folder):
    found = list(walk([folder]))
    assert names(found) == ["img2.JPG", "img10.jpg", "a.png"]
    assert {each.camera for each in found} == {"garden"}


def test_what_can_be_measured_is_what_is_walked(folder):
    assert sum(measure([folder])) == sum(each.size for each in walk([folder]))


def test_globs_are_resolved_and_files_take_their_folder_for_a_camera(folder):
    found = list(walk([str(folder / "**" / "*.png"), folder / "img10.jpg"]))
    assert names(found) == ["a.png", "img10.jpg"]
    assert [each.camera for each in found] == ["down", "garden"]


def test_a_path_that_leads_nowhere_is_an_error(tmp_path):
    with pytest.raises(InvalidInput, match="no file or folder"):
        list(walk([tmp_path / "nowhere"]))


def test_pictures_of_a_kind_nobody_can_read_are_told_and_not_passed_over(folder):
    (folder / "a.heic").write_bytes(b"x")
    (said,) = (each for each in walk([folder]) if isinstance(each, Unreadable))
    assert ".heic is not supported" in said.reason


def test_a_file_that_is_given_is_tried_whatever_its_name(folder):
    assert names(walk([folder / "notes.txt", folder / ".hidden.jpg"])) == ["notes.txt", ".hidden.jpg"]


def test_links_to_folders_are_not_followed(folder):
    (folder / "loop").symlink_to(folder)
    assert len(list(walk([folder]))) == 3


@pytest.mark.parametrize("ending", ["zip", "tar", "tar.gz", "tgz", "tar.bz2", "tar.xz"])
def test_archives_are_read_in_place_and_read_again_by_name(tmp_path, ending):
    files = {"in/a.jpg": jpeg(1), "in/b!c.jpg": jpeg(2), "in/.hidden.jpg": jpeg(3), "readme.txt": b"x"}
    path = tmp_path / f"garden.{ending}"
    modes = {"tar": "w", "tgz": "w:gz", "tar.gz": "w:gz", "tar.bz2": "w:bz2", "tar.xz": "w:xz"}
    zip_of(path, files) if ending == "zip" else tar_of(path, files, modes[ending])
    before = set(tmp_path.rglob("*"))
    found = list(walk([path]))
    assert [each.source for each in found] == [f"{path}!in/a.jpg", f"{path}!in/b!c.jpg"]
    assert {each.camera for each in found} == {"garden"}
    assert [read_source(each.source) for each in found] == [jpeg(1), jpeg(2)] == [each.data for each in found]
    assert set(tmp_path.rglob("*")) == before


def test_members_have_the_time_their_archive_says(tmp_path):
    (zipped,) = walk([zip_of(tmp_path / "a.zip", {"a.jpg": jpeg()})])
    (tarred,) = walk([tar_of(tmp_path / "a.tgz", {"a.jpg": jpeg()})])
    assert zipped.modified_at == datetime(2020, 5, 1, 12).timestamp()
    assert tarred.modified_at == 1_000_000


def test_names_that_climb_out_of_an_archive_stay_names(tmp_path):
    (found,) = walk([zip_of(tmp_path / "a.zip", {"../../etc/a.jpg": jpeg()})])
    assert read_source(found.source) == jpeg()
    assert not (tmp_path.parent / "etc").exists()


def test_a_zip_bomb_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archived_files, "FREE_BYTES", 1 << 20)
    files = {f"{i}.bmp": bytes(8 << 20) for i in range(3)}
    for path in (zip_of(tmp_path / "a.zip", files), tar_of(tmp_path / "a.tar.gz", files)):
        *_, last = walk([path])
        assert isinstance(last, Unreadable)
        assert "unpacks to more than" in last.reason


def test_a_member_that_is_too_large_is_left_out_and_the_rest_read(tmp_path):
    files = {"a.jpg": bytes(LIMITS.max_bytes + 1), "b.jpg": jpeg()}
    for path in (zip_of(tmp_path / "a.zip", files), tar_of(tmp_path / "a.tar", files, "w")):
        large, other = walk([path])
        assert "the most is" in large.reason
        assert other.data == jpeg()


def test_a_member_that_lies_about_its_size_is_not_believed(tmp_path):
    path = zip_of(tmp_path / "a.zip", {"a.jpg": bytes(100_000)})
    data = path.read_bytes().replace((100_000).to_bytes(4, "little"), (100).to_bytes(4, "little"))
    path.write_bytes(data)
    (found,) = walk([path])
    assert isinstance(found, Unreadable)


def test_a_giant_tar_header_is_not_read_into_memory(tmp_path):
    info = tarfile.TarInfo("././@PaxHeader")
    info.type, info.size = tarfile.XHDTYPE, 1 << 40
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(info.tobuf() + bytes(1 << 20)))
    (found,) = walk([path])
    assert isinstance(found, Unreadable)


@given(st.binary(max_size=400), st.sampled_from([".zip", ".tar", ".tar.gz", ".tar.xz"]))
def test_garbage_is_a_damaged_archive(tmp_path_factory, data, ending):
    path = tmp_path_factory.mktemp("garbage") / f"a{ending}"
    path.write_bytes(data)
    assert all(isinstance(each, Unreadable) for each in walk([path]))


@pytest.mark.parametrize("ending", ["zip", "tar.gz"])
def test_a_cut_archive_gives_what_can_be_read(tmp_path, ending):
    files = {f"{i}.jpg": jpeg(i) for i in range(5)}
    path = tmp_path / f"a.{ending}"
    zip_of(path, files) if ending == "zip" else tar_of(path, files)
    path.write_bytes(path.read_bytes()[:-4000])
    found = list(walk([path]))
    assert isinstance(found[-1], Unreadable)
    assert ending == "zip" or any(isinstance(each, LocalFile) for each in found)


def test_a_password_is_told(tmp_path):
    path = zip_of(tmp_path / "a.zip", {"a.jpg": jpeg()})
    data = bytearray(path.read_bytes())
    for mark, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        data[data.find(mark) + at] |= 1
    path.write_bytes(data)
    (found,) = walk([path])
    assert "encrypted" in found.reason


def test_bytes_that_are_no_utf8_survive_as_text(tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.jpg"))
    path.write_bytes(jpeg())
    (found,) = walk([tmp_path])
    assert found.source.encode()  # no surrogates
    assert read_source(found.source) == jpeg()


def test_a_source_whose_file_is_gone_is_not_found(tmp_path):
    for source in ("a.jpg", "a.zip!b.jpg", "a.mp4#1.000"):
        with pytest.raises(NotFound):
            read_source(str(tmp_path / source))
    with pytest.raises(NotFound):
        read_source(f"{zip_of(tmp_path / 'a.zip', {'a.jpg': jpeg()})}!other.jpg")


def test_a_source_is_taken_apart(tmp_path):
    for name in ("a#1.5", "b.mp4", "c.zip"):
        (tmp_path / name).touch()
    assert parse_source(f"{tmp_path}/a#1.5") == (tmp_path / "a#1.5", "", None)
    assert parse_source(f"{tmp_path}/b.mp4#1.500") == (tmp_path / "b.mp4", "", 1.5)
    assert parse_source(f"{tmp_path}/c.zip!x/y.mp4#2.000") == (tmp_path / "c.zip", "x/y.mp4", 2.0)


def test_a_file_that_is_too_large_is_refused(tmp_path):
    path = tmp_path / "a.jpg"
    with path.open("wb") as file:
        file.truncate(LIMITS.max_bytes + 1)
    with pytest.raises(ImageError, match="more than"):
        read_source(str(path))


def test_capture_time_is_that_of_the_exif_with_its_offset():
    at = datetime(2021, 3, 4, 5, 6, 7, 250_000, UTC).timestamp()
    assert taken_at(with_capture_time(jpeg(), at), 5.0) == pytest.approx(at)


def test_without_an_offset_the_time_is_of_this_machine(monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    try:
        exif = segment(datetime(2021, 3, 4, 5, 6, 7, tzinfo=UTC).timestamp(), 1).replace(b"\x90\x11", b"\x90\x10")
        data = jpeg()[:2] + exif + jpeg()[2:]
        assert taken_at(data, 5.0) == datetime(2021, 3, 3, 23, 36, 7, tzinfo=UTC).timestamp()
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("data", [b"", b"\xff\xd8", b"\x89PNG", jpeg(), jpeg()[:30]])
def test_without_exif_it_is_the_files_time(data):
    assert taken_at(data, 5.0) == 5.0


def test_names_sort_as_people_count():
    assert sorted(["a10", "a9", "b", "a", "10", "9"], key=natural) == ["9", "10", "a", "a9", "a10", "b"]
