"""Pictures of frames are found wherever they are, and whoever asks for one that is gone is told why."""

import zipfile
from dataclasses import replace

import cv2
import numpy as np
import pytest

from hub.archive import Element, SeenFrame
from hub.blobs import open_blobs
from hub.pictures import Pictures
from hub.recent import thumbnail_of
from hub.store import open_store
from shared.errors import ImageError, NotFound
from tests.hub.making import frame

SIZE_WH = (800, 400)


def _picture() -> bytes:
    """Left half red, right half blue."""
    image = np.zeros((SIZE_WH[1], SIZE_WH[0], 3), np.uint8)
    image[:, :400, 2] = 255
    image[:, 400:, 0] = 255
    return cv2.imencode(".jpg", image)[1].tobytes()


PICTURE = _picture()
ID = replace(frame(), jpeg=PICTURE).id


def pixels(data: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


class Places:
    """Everywhere a picture can be."""

    def __init__(self, root) -> None:
        self.store = open_store(f"sqlite:///{root / 'hub.sqlite'}")
        self.blobs, self.recent, self.thumbnails = (
            open_blobs(f"file://{root / name}") for name in ("frames", "recent", "thumbnails")
        )
        self.pictures = Pictures(self.blobs, self.recent, self.thumbnails, self.store.archive)

    def know(self, **what) -> None:
        """Record what is kept of the frame."""
        self.store.archive.add_frames([SeenFrame(ID, "porch", 1000.0, SIZE_WH, **what)])

    def element(self, row: int, box=(0.0, 0.0, 800.0, 400.0)) -> Element:
        return Element(1, ID, row, "v1", "porch", 1000.0, box)


@pytest.fixture
def places(tmp_path):
    made = Places(tmp_path)
    yield made
    made.store.close()


def test_a_samples_picture_is_found_without_anything_else(places):
    places.blobs.put(ID, PICTURE)
    assert places.pictures.picture(ID) == PICTURE
    assert places.pictures.held([ID, "0" * 32]) == {ID}


def test_a_recent_picture_is_found(places):
    places.recent.put(ID, PICTURE)
    places.know(picture_bytes=len(PICTURE))
    assert places.pictures.picture(ID) == PICTURE
    assert places.pictures.held([ID]) == {ID}


def test_a_recent_picture_that_was_cut_short_is_gone(places):
    places.recent.put(ID, PICTURE[:1000])
    places.know(picture_bytes=len(PICTURE))
    with pytest.raises(NotFound):
        places.pictures.picture(ID)


def test_a_row_whose_picture_was_deleted_holds_nothing(places):
    places.know(picture_bytes=len(PICTURE))
    assert places.pictures.held([ID]) == set()
    with pytest.raises(NotFound):
        places.pictures.picture(ID)


def test_a_scanned_picture_is_read_from_its_file(places, tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(PICTURE)
    places.know(source=str(path))
    assert places.pictures.picture(ID) == PICTURE
    assert places.pictures.held([ID]) == {ID}


def test_a_scanned_picture_is_read_from_its_archive(places, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("b/c.jpg", PICTURE)
    places.know(source=f"{tmp_path / 'a.zip'}!b/c.jpg")
    assert places.pictures.picture(ID) == PICTURE


def test_a_file_that_shows_something_else_by_now_is_not_taken_for_the_picture(places, tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(thumbnail_of(PICTURE))
    places.know(source=str(path))
    with pytest.raises(NotFound, match="gone or was changed"):
        places.pictures.picture(ID)
    path.unlink()
    assert places.pictures.held([ID]) == set()


@pytest.mark.parametrize(
    ("known", "said"),
    [({}, "no longer kept: see HUB_MAX_DISK_GB and"), ({"thumbnail_bytes": 9}, "only its thumbnail")],
)
def test_a_picture_that_is_gone_says_why(places, known, said):
    places.know(**known)
    with pytest.raises(NotFound, match=said):
        places.pictures.picture(ID)


@pytest.mark.parametrize("frame_id", ["0" * 32, "", "../../etc/passwd", "a/b"])
def test_a_frame_that_is_unknown_is_not_found(places, frame_id):
    for ask in (places.pictures.picture, places.pictures.thumbnail):
        with pytest.raises(NotFound, match="no frame named"):
            ask(frame_id)
    assert places.pictures.held([frame_id]) == set()


def test_a_thumbnail_is_made_of_what_is_there(places):
    places.blobs.put(ID, PICTURE)
    assert pixels(places.pictures.thumbnail(ID)).shape == (128, 256, 3)


def test_a_thumbnail_is_left_when_the_picture_is_gone(places):
    small = thumbnail_of(PICTURE)
    places.thumbnails.put(ID, small)
    places.know(thumbnail_bytes=len(small))
    assert places.pictures.thumbnail(ID) == small
    assert places.pictures.held([ID]) == set()


def test_what_is_no_picture_has_no_thumbnail(places):
    places.blobs.put(ID, b"nothing that can be looked at")
    with pytest.raises(ImageError):
        places.pictures.thumbnail(ID)


@pytest.mark.parametrize("faded", [False, True])
def test_a_crop_is_cut_out_of_what_is_left(places, faded):
    small = thumbnail_of(PICTURE)
    (places.thumbnails if faded else places.blobs).put(ID, small if faded else PICTURE)
    places.know(thumbnail_bytes=len(small) if faded else 0)
    cut = pixels(places.pictures.crop(places.element(1, (500.0, 100.0, 700.0, 200.0))))
    assert cut.shape[1] == pytest.approx(64 if faded else 200, abs=1)
    assert cut.shape[0] == pytest.approx(32 if faded else 100, abs=1)
    blue, _, red = cut.reshape(-1, 3).mean(axis=0)
    assert blue > 240 > 15 > red
    whole = pixels(places.pictures.crop(places.element(0)))
    assert whole.shape == ((128, 256, 3) if faded else (400, 800, 3))


def test_a_crop_of_a_frame_of_which_nothing_is_left_is_not_found(places):
    places.know()
    with pytest.raises(NotFound):
        places.pictures.crop(places.element(1))


def test_pictures_are_secured_where_samples_have_theirs(places):
    places.recent.put(ID, PICTURE, durable=False)
    places.know(picture_bytes=len(PICTURE))
    assert places.pictures.secure([ID, "0" * 32, ID]) == {ID}
    assert places.blobs.get(ID) == PICTURE
