"""What changed between two versions."""

from dataclasses import replace

import numpy as np
import pytest

from hub.triggers.detection import Detection
from hub.triggers.similarity import Similarity
from hub.types import Budget, ElementKind, Fitted, RateLimit, Scope
from hub.versions import Change, difference
from tests.hub.making import seed, version

OWL, DOVE = seed([1, 0], "owl"), seed([0, 1], "dove")
NOT_DOVE = replace(seed([0, 1], "dove"), id="not-dove", negative=True)
FIRST = version(Similarity(), (OWL,))


def _changes(**changes):
    return [(c.what, c.before, c.after) for c in difference(FIRST, replace(FIRST, number=2, **changes)).changes]


def test_a_version_committed_again_without_a_change_differs_in_nothing():
    same = difference(FIRST, replace(FIRST, id=9, number=2, created_at=9.0))
    assert (same.before, same.after) == (1, 2)
    assert (same.changes, same.added, same.removed) == ((), (), ())


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"budget": Budget(0.7)}, [("budget.threshold", 0.5, 0.7)]),
        (
            {"budget": Budget(0.5, target=RateLimit(3, 60.0))},
            [("budget.target", None, {"count": 3, "per_s": 60.0, "per_camera": False})],
        ),
        ({"budget": Budget(0.5, control=0.1, burst_s=2.0)}, [("budget.burst_s", 0, 2), ("budget.control", 0, 0.1)]),
        ({"scope": Scope(("porch",))}, [("scope.cameras", (), ("porch",))]),
        ({"scope": Scope(timezone="Europe/Berlin")}, [("scope.timezone", "", "Europe/Berlin")]),
        ({"destinations": ("folder", "other")}, [("destinations", ["folder"], ["folder", "other"])]),
        ({"tags": ("t",)}, [("tags", [], ["t"])]),
        ({"trigger": Similarity(ElementKind.CROP)}, [("trigger.element", "frame", "crop")]),
        ({"embedding_version": "v2"}, [("embedding_version", "v1", "v2")]),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_each_setting_that_changed_is_named_with_both_values(changes, expected):
    assert _changes(**changes) == expected


def test_another_trigger_shows_what_came_and_what_went():
    changed = {c.what: c for c in difference(FIRST, replace(FIRST, trigger=Detection(("bird",)))).changes}
    assert changed["trigger.name"] == Change("trigger.name", "similarity", "detection")
    assert (changed["trigger.labels"].before, changed["trigger.labels"].after) == ((), ("bird",))
    assert (changed["trigger.element"].before, changed["trigger.element"].after) == ("frame", None)
    assert changed["trigger.min_count"].before is None


def test_a_scorer_that_was_calibrated_shows_its_facts_but_no_tables():
    fitted = Fitted("exemplar-1", {"background": 400, "calibrated": True}, {"mean": np.zeros(2)})
    assert _changes(scorer=fitted) == [
        ("scorer", "typical-1", "exemplar-1"),
        ("scorer.background", None, 400),
        ("scorer.calibrated", None, True),
    ]
    without = difference(replace(FIRST, scorer=fitted), replace(FIRST, scorer=None)).changes
    assert ("scorer", "exemplar-1", None) in [(c.what, c.before, c.after) for c in without]


@pytest.mark.parametrize(
    ("before", "after", "added", "removed"),
    [
        ((OWL,), (OWL, DOVE), ("dove",), ()),
        ((OWL, DOVE), (OWL,), (), ("dove",)),
        ((DOVE, OWL), (OWL, DOVE), (), ()),
        ((OWL, DOVE), (OWL, NOT_DOVE), ("not like dove",), ("dove",)),
        ((OWL,), (replace(OWL, vector=None, embedding_version="v2"),), (), ()),
    ],
)
def test_seeds_that_came_and_went_are_named(before, after, added, removed):
    found = difference(replace(FIRST, seeds=before), replace(FIRST, number=2, seeds=after))
    assert (found.added, found.removed) == (added, removed)


def test_backwards_is_the_same_the_other_way_round():
    second = replace(FIRST, number=2, budget=Budget(0.7), seeds=(OWL, DOVE))
    there, back = difference(FIRST, second), difference(second, FIRST)
    assert (back.before, back.after, back.removed) == (2, 1, there.added)
    assert [(c.what, c.after, c.before) for c in back.changes] == [(c.what, c.before, c.after) for c in there.changes]
