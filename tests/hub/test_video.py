import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from hub.footage.files import read_source
from hub.footage.video import film_facts, frame_at, sample
from hub.vision import decode
from shared.errors import ImageError, NotFound

FPS = 10


def scene(seed, size=(240, 320)):
    """A picture with some structure, and another for each seed."""
    small = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), np.uint8)
    return cv2.resize(small, (size[1], size[0]), interpolation=cv2.INTER_CUBIC)


def film(path, pictures):
    height, width = pictures[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), FPS, (width, height))
    assert writer.isOpened()
    for picture in pictures:
        writer.write(picture)
    writer.release()
    return path


def moving(count, seed=0):
    """Something passes from left to right."""
    ground = scene(seed)
    pictures = []
    for i in range(count):
        picture = ground.copy()
        x = 10 + 6 * i
        cv2.rectangle(picture, (x, 100), (x + 40, 160), (255, 255, 255), -1)
        pictures.append(picture)
    return pictures


def times(path, every=1.0):
    return [still.at for still in sample(path, every)]


def test_a_moving_scene_is_sampled_at_the_pace_asked_for(tmp_path):
    path = film(tmp_path / "a.avi", moving(40))
    assert times(path) == [0.0, 1.0, 2.0, 3.0]
    assert times(path, 0.5) == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5]
    assert len(times(path, 0.1)) == 40


def test_a_scene_that_stands_still_is_sampled_once(tmp_path):
    assert times(film(tmp_path / "a.avi", [scene(0)] * 60)) == [0.0]


def test_a_change_of_scene_is_sampled_at_the_next_look(tmp_path):
    pictures = [scene(0)] * 14 + [scene(1)] * 20
    assert times(film(tmp_path / "a.avi", pictures), 10.0) == [0.0, 1.6]


def test_what_appears_after_a_still_spell_is_seen_at_the_next_look(tmp_path):
    pictures = [scene(0)] * 24 + moving(4)
    assert times(film(tmp_path / "a.avi", pictures)) == [0.0, 2.6]


def test_sampling_twice_gives_the_same_bytes(tmp_path):
    path = film(tmp_path / "a.avi", moving(20))
    assert [s.jpeg for s in sample(path)] == [s.jpeg for s in sample(path, threads=4)]


def test_a_film_in_memory_is_the_same_film(tmp_path):
    path = film(tmp_path / "a.avi", moving(20))
    assert [s.jpeg for s in sample(path.read_bytes())] == [s.jpeg for s in sample(path)]


@pytest.mark.parametrize("name", ["car-detection.mp4", "road.avi"])
def test_a_frame_is_read_back_to_the_very_same_bytes(data_dir, name):
    path = data_dir / "video" / name
    stills = list(sample(path))
    assert len(stills) > 10
    for still in (*stills[:2], stills[len(stills) // 2], stills[-1]):
        assert read_source(f"{path}#{still.at:.3f}") == still.jpeg
    assert decode(stills[0].jpeg).shape == (432, 768, 3) if name.endswith("mp4") else True


def test_a_time_that_no_frame_has_is_not_found(tmp_path):
    path = film(tmp_path / "a.avi", moving(10))
    for at in (0.05, 99.0):
        with pytest.raises(NotFound):
            frame_at(path, at)


def test_of_a_cut_film_what_is_readable_counts_and_the_rest_is_told(tmp_path):
    path = film(tmp_path / "a.avi", [scene(i) for i in range(40)])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    stills = []
    with pytest.raises(ImageError, match=r"ends after|can't be|not"):
        for still in sample(path, 0.1):
            stills.append(still)  # noqa: PERF402  (it raises on the way)
    assert 10 <= len(stills) < 30


@pytest.mark.parametrize("data", [b"", b"no film at all", bytes(5000)])
def test_what_is_no_film_is_an_error(tmp_path, data):
    path = tmp_path / "a.mp4"
    path.write_bytes(data)
    for what in (path, data):
        with pytest.raises(ImageError):
            list(sample(what))


def test_a_film_says_how_long_it_is_and_when_it_was_made(data_dir, tmp_path):
    facts = film_facts(data_dir / "video" / "car-detection.mp4")
    assert facts.duration_s == pytest.approx(30.16)
    assert facts.created_at == 1_524_177_960.0
    assert film_facts(film(tmp_path / "a.avi", moving(10))).created_at is None


def test_a_film_that_is_gone_is_an_error(tmp_path):
    with pytest.raises(ImageError):
        list(sample(Path(tmp_path / "gone.mp4")))


def test_options_for_live_streams_do_not_reach_a_film(tmp_path, monkeypatch):
    options = "fflags;nobuffer|flags;low_delay"
    monkeypatch.setenv("OPENCV_FFMPEG_CAPTURE_OPTIONS", options)
    assert times(film(tmp_path / "a.avi", moving(20))) == [0.0, 1.0]
    assert os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] == options
