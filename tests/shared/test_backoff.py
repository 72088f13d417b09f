"""How long we wait between tries."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.retry import Backoff


@pytest.mark.parametrize(
    ("attempt", "luck", "expected"),
    [(1, 0.0, 1.0), (1, 1.0, 2.0), (2, 0.5, 2.5), (3, 1.0, 8.0), (6, 1.0, 60.0), (1000, 1.0, 60.0)],
)
def test_waits_double_up_to_the_cap(attempt: int, luck: float, expected: float) -> None:
    assert Backoff().delay(attempt, lambda: luck) == expected


@given(st.integers(1, 10**9), st.floats(0, 1, exclude_max=True), st.floats(0.01, 10), st.floats(0.001, 100))
def test_waits_stay_between_base_and_cap(attempt: int, luck: float, base_s: float, cap_s: float) -> None:
    delay = Backoff(base_s, cap_s).delay(attempt, lambda: luck)
    assert base_s <= delay <= max(base_s, cap_s)


def test_attempts_are_counted_from_one() -> None:
    with pytest.raises(ValueError, match="counted from 1"):
        Backoff().delay(0, lambda: 0.0)
