"""How much must go: enough, no more than there is, and pictures before thumbnails."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.room import (
    LEAST_FREE_BYTES,
    MOST_BYTES,
    THUMBNAILS_SHARE,
    Filled,
    Lagging,
    Space,
    budget_bytes,
    excess,
    room_for_more,
    size_of,
)

GB = 10**9
sizes = st.integers(0, 10**13)
filled = st.builds(
    Filled,
    budget=st.integers(1, 10**12),
    pictures=st.integers(0, 10**7),
    picture_bytes=sizes,
    thumbnails=st.integers(0, 10**7),
    thumbnail_bytes=sizes,
    database_bytes=sizes,
    index_bytes=sizes,
)
spaces = st.builds(Space, total=st.integers(1, 10**14), free=sizes)


@given(filled, spaces, st.integers(0, 10**10))
def test_what_must_go_makes_the_room_that_is_wanted_or_leaves_nothing(kept, space, reserve):
    over = excess(kept, space, reserve=reserve)
    assert 0 <= over.of_pictures <= kept.of_pictures
    assert 0 <= over.of_thumbnails <= kept.of_thumbnails
    made = room_for_more(kept, space) + over.of_pictures + over.of_thumbnails
    everything = over.of_pictures == kept.of_pictures and over.of_thumbnails == kept.of_thumbnails
    assert made >= reserve or everything
    assert kept.of_thumbnails - over.of_thumbnails <= kept.budget * THUMBNAILS_SHARE + 1


@given(filled, spaces)
def test_what_fits_stays(kept, space):
    if room_for_more(kept, space) >= 0:
        assert excess(kept, space).of_pictures == 0


@given(filled)
def test_as_many_vectors_go_as_bring_them_to_half_the_budget(kept):
    left = kept.of_vectors * (1 - excess(kept, Space(10**14, 10**14)).of_vectors)
    assert left <= max(kept.budget / 2 * 1.001, kept.of_vectors if kept.of_vectors <= kept.budget / 2 else 0)


@pytest.mark.parametrize(
    ("setting", "disk", "budget"),
    [
        (0.0, 100 * GB, 10 * GB),
        (0.0, 10_000 * GB, MOST_BYTES),
        (3.5, 100 * GB, int(3.5 * GB)),
        (0.0, 32 * GB, 3.2 * GB),
    ],
)
def test_a_budget_is_what_is_set_or_a_tenth_of_the_disk(setting, disk, budget):
    assert budget_bytes(setting, Space(disk, disk)) == budget


def test_a_small_disk_needs_less_left_free():
    assert Space(1000 * GB, 0).least_free == LEAST_FREE_BYTES
    assert Space(16 * GB, 0).least_free == 0.8 * GB


def test_a_database_that_gives_no_page_back_is_taken_to_shrink_with_what_it_holds():
    database = Lagging()
    assert database.now(0, 0) == 0
    assert database.now(1000, 100) == 1000
    assert database.now(1000, 50) == 500
    assert database.now(1010, 50) == 500, "a little more of something else"
    assert database.now(2000, 60) == 2000, "it grew: what was free in it is used up"
    assert database.now(100, 60) == 100, "it was built anew"


def test_the_size_of_a_folder_is_that_of_its_files(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(b"12345")
    (tmp_path / "c").write_bytes(b"1")
    assert size_of(tmp_path) == 6
    assert size_of(tmp_path / "nowhere") == size_of(None) == 0
