"""The best frames of a campaign on one picture, to be looked at: thumbnails with score, name and what won. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from hub.types import Box, Image
from shared.errors import ImageError, InvalidInput

FORMS = (".png", ".jpg", ".jpeg")
"""Suffixes of the files that a sheet may be written to."""

COLUMNS = 6
CELL_WH = (320, 240)
_CAPTION = 44
_MARGIN = 12
_TITLE = 48
_PAPER, _INK, _FAINT, _FRAME = (250, 250, 248), (30, 30, 30), (110, 110, 110), (255, 64, 0)
_FONT = cv2.FONT_HERSHEY_SIMPLEX


@dataclass(frozen=True, eq=False)
class Entry:
    """One frame. image: RGB, None where it can't be read. box: what won, pixels of the image; None for all of it."""

    image: Image | None
    score: float
    name: str
    box: Box | None = None


def check_form(suffix: str) -> None:
    """InvalidInput unless a sheet can be written as what a file of this suffix is."""
    if suffix.lower() not in FORMS:
        said = f"{suffix} files" if suffix else "a file without a suffix"
        raise InvalidInput(f"a contact sheet can't be written as {said}", hint="Name it .png or .jpg.")


def contact_sheet(title: str, entries: Sequence[Entry], columns: int = COLUMNS, form: str = ".png") -> bytes:
    """A picture with the entries in rows, as they come. form: one of FORMS, else InvalidInput."""
    check_form(form)
    columns = max(1, min(columns, len(entries)))
    rows = -(-len(entries) // columns)
    wide, high = CELL_WH[0] + _MARGIN, CELL_WH[1] + _CAPTION + _MARGIN
    sheet = np.full((_TITLE + max(rows, 1) * high, _MARGIN + columns * wide, 3), _PAPER, np.uint8)
    _write(sheet, title, (_MARGIN, 32), 0.8, _INK, sheet.shape[1] - 2 * _MARGIN)
    for i, entry in enumerate(entries):
        y, x = _TITLE + (i // columns) * high, _MARGIN + (i % columns) * wide
        _draw(sheet[y : y + CELL_WH[1] + _CAPTION, x : x + CELL_WH[0]], entry, i + 1)
    done, data = cv2.imencode(form.lower(), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
    if not done:
        raise ImageError("undecodable", f"the contact sheet can't be written as {form}")
    return data.tobytes()


def _draw(cell: Image, entry: Entry, place: int) -> None:
    width, height = CELL_WH
    cell[:height] = 225
    if entry.image is None:
        _write(cell, "its file can't be read", (70, height // 2), 0.5, _FAINT, width)
    else:
        _place(cell[:height], entry.image, entry.box)
    _write(cell, f"{place}.  {entry.score:.3f}", (2, height + 18), 0.55, _INK, width)
    _write(cell, entry.name, (2, height + 37), 0.45, _FAINT, width)


def _place(space: Image, image: Image, box: Box | None) -> None:
    """The image as large as fits, in the middle, and the box around what won."""
    height, width = space.shape[:2]
    scale = min(width / image.shape[1], height / image.shape[0])
    w, h = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    x, y = (width - w) // 2, (height - h) // 2
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    space[y : y + h, x : x + w] = cv2.resize(image, (w, h), interpolation=way)
    if box is not None:
        x1, y1, x2, y2 = (round(v * scale) for v in box)
        corners = (x + max(0, x1), y + max(0, y1)), (x + min(w, x2) - 1, y + min(h, y2) - 1)
        cv2.rectangle(space, *corners, (255, 255, 255), 4)  # so that it is seen on any ground
        cv2.rectangle(space, *corners, _FRAME, 2)


def _write(on: Image, text: str, at: tuple[int, int], size: float, colour: tuple[int, int, int], width: int) -> None:
    """Text, its beginning left out where there is no room: the end of a path tells more. The font has ASCII only."""
    text = "".join(letter if " " <= letter <= "~" else "?" for letter in text)
    shown = text
    while len(text) > 4 and cv2.getTextSize(shown, _FONT, size, 1)[0][0] > width - 4:
        text = text[1:]
        shown = f"...{text}"
    cv2.putText(on, shown, at, _FONT, size, colour, 1, cv2.LINE_AA)
