"""What tags on Roboflow's images ask for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.roboflow import RemoteImage
from hub.sync_tags import Origin, groups_of, marks_of, origin_of

LEGAL = st.text("abcXYZ0189-_:/.[]<>{}@", min_size=1, max_size=40)


def _image(image_id: str, *tags: str) -> RemoteImage:
    return RemoteImage(image_id, f"{image_id}.jpg", ("sample-more", *tags))


@pytest.mark.parametrize(
    ("tags", "threshold", "wanted", "wrong"),
    [
        (("sample-threshold:80", "sample-tag:fork"), 0.8, ("fork",), ""),
        (("sample-threshold:72.5", "sample-tag:a", "sample-tag:b", "other"), 0.725, ("a", "b"), ""),
        (("sample-threshold:0", "sample-tag:a"), 0.0, ("a",), ""),
        (("sample-threshold:100", "sample-tag:a"), 1.0, ("a",), ""),
        (("sample-threshold:80", "sample-threshold:80.0", "sample-tag:a"), 0.8, ("a",), ""),
        (("sample-threshold:80", "sample-tag:left:right/[x]@y"), 0.8, ("left:right/[x]@y",), ""),
        (("sample-threshold:80",), 0.8, (), "no sample-tag"),
        (("sample-threshold:80", "sample-tag:"), 0.8, (), "no sample-tag"),
        (("sample-threshold:80", "sample-tag:", "sample-tag:a"), 0.8, ("a",), "without a tag"),
        (("sample-tag:a",), None, ("a",), "no sample-threshold"),
        (("sample-threshold:", "sample-tag:a"), None, ("a",), "not a percentage"),
        (("sample-threshold:high", "sample-tag:a"), None, ("a",), "not a percentage"),
        (("sample-threshold:-1", "sample-tag:a"), None, ("a",), "not a percentage"),
        (("sample-threshold:100.1", "sample-tag:a"), None, ("a",), "not a percentage"),
        (("sample-threshold:nan", "sample-tag:a"), None, ("a",), "not a percentage"),
        (("sample-threshold:1e1", "sample-tag:a"), None, ("a",), "not a percentage"),
        (("sample-threshold:70", "sample-threshold:80", "sample-tag:a"), None, ("a",), "70, 80"),
    ],
)
def test_tags_say_how_alike_and_what_to_call_it_or_what_is_wrong(tags, threshold, wanted, wrong):
    marks = marks_of(tags)
    assert (marks.threshold, marks.tags) == (threshold, wanted)
    assert bool(marks.wrong) == bool(wrong)
    assert wrong in " ".join(marks.wrong)


@given(st.lists(LEGAL, min_size=1, max_size=5, unique=True), st.integers(0, 100))
def test_every_tag_of_an_image_counts_and_keeps_its_punctuation(tags, percent):
    image = _image("i", f"sample-threshold:{percent}", *(f"sample-tag:{tag}" for tag in tags))
    groups, problems = groups_of([image])
    assert not problems
    assert {tag: (g.images, g.threshold) for tag, g in groups.items()} == dict.fromkeys(tags, ((image,), percent / 100))


def test_a_bad_image_is_named_and_others_go_on():
    bad, good = _image("bad", "sample-tag:a"), _image("good", "sample-tag:a", "sample-threshold:60")
    groups, problems = groups_of([bad, good])
    assert groups["a"].images == (good,)
    assert [(p.image, "sample-threshold" in p.what) for p in problems] == [("bad.jpg", True)]


def test_of_different_thresholds_the_lowest_holds_and_it_is_said():
    images = [_image(f"i{p}", "sample-tag:a", f"sample-threshold:{p}") for p in (80, 60, 70)]
    groups, (problem,) = groups_of(images)
    assert groups["a"].threshold == 0.6
    assert problem.image == "i60.jpg"
    assert "70, 80" in problem.what


def test_images_that_do_not_ask_for_more_are_passed_over_and_repeated_ones_count_once():
    image = _image("i", "sample-tag:a", "sample-threshold:60")
    groups, problems = groups_of([image, RemoteImage("other", "other.jpg", ("sample-tag:a",)), image])
    assert groups["a"].images == (image,)
    assert not problems


@given(st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=4), st.text(max_size=200), st.booleans())
def test_where_a_seed_is_from_can_be_read_from_its_name(ids, file, tagged):
    origin = Origin(tuple(ids), file, tagged)
    assert origin_of(origin.seed_name) == origin


@pytest.mark.parametrize("name", ["owl.jpg", "roboflow:", "roboflow:abc", "a roboflow:abc x.jpg", ""])
def test_other_seeds_are_not_taken_for_roboflows(name):
    assert origin_of(name) is None
