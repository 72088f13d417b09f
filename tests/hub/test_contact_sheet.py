import cv2
import numpy as np
import pytest

from hub.contact_sheet import CELL_WH, Entry, contact_sheet
from shared.errors import InvalidInput


def read(png):
    assert png.startswith(b"\x89PNG")
    return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR_RGB)


def picture(height=120, width=160, value=90):
    return np.full((height, width, 3), value, np.uint8)


@pytest.mark.parametrize(("count", "columns", "rows"), [(1, 1, 1), (6, 6, 1), (7, 6, 2), (30, 6, 5)])
def test_entries_stand_in_rows(count, columns, rows):
    sheet = read(contact_sheet("birds", [Entry(picture(), 0.5, "a.jpg")] * count))
    assert columns * CELL_WH[0] < sheet.shape[1] < columns * (CELL_WH[0] + 20) + 40
    assert rows * CELL_WH[1] < sheet.shape[0] < rows * (CELL_WH[1] + 80) + 60


def test_the_box_that_won_is_drawn_where_it_is():
    sheet = read(contact_sheet("birds", [Entry(picture(), 0.5, "a.jpg", (40.0, 30.0, 120.0, 90.0))]))
    ys, xs = np.nonzero((sheet == (255, 64, 0)).all(axis=2))
    assert (xs.max() - xs.min(), ys.max() - ys.min()) == pytest.approx((160, 120), abs=4)


def test_without_a_box_nothing_is_drawn_on_the_picture():
    sheet = read(contact_sheet("birds", [Entry(picture(), 0.5, "a.jpg")]))
    assert not (sheet == (255, 64, 0)).all(axis=2).any()


def test_a_picture_keeps_its_shape():
    sheet = read(contact_sheet("birds", [Entry(np.full((400, 100, 3), (10, 200, 10), np.uint8), 0.5, "a.jpg")]))
    ys, xs = np.nonzero((sheet == (10, 200, 10)).all(axis=2))
    assert (np.ptp(xs) + 1) / (np.ptp(ys) + 1) == pytest.approx(0.25, abs=0.02)


def test_a_picture_that_is_gone_and_a_long_name_of_any_letters_do_no_harm():
    long = "/räume/" + "sehr-" * 60 + "lang.jpg"
    one = contact_sheet("vögel", [Entry(None, 0.123, long), Entry(picture(1, 1), 1.0, "")])
    assert read(one).shape[1] < 800


def test_no_entry_is_a_sheet_with_its_title():
    assert read(contact_sheet("birds", [])).shape[0] > 40


@pytest.mark.parametrize(("form", "magic"), [(".png", b"\x89PNG"), (".jpg", b"\xff\xd8"), (".JPEG", b"\xff\xd8")])
def test_a_sheet_is_what_its_suffix_says(form, magic):
    assert contact_sheet("birds", [], form=form).startswith(magic)


@pytest.mark.parametrize("form", [".gif", "", ".tiff"])
def test_other_forms_are_refused(form):
    with pytest.raises(InvalidInput, match="can't be written as"):
        contact_sheet("birds", [], form=form)
