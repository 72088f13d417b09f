import pytest

from hub.still import FLOOR_S, Stillness


def after(*stretches: float) -> tuple[Stillness, float]:
    """A camera whose pictures stood for these seconds each; the last one has just come."""
    still, now = Stillness().seen(0, 0.0), 0.0
    for number, stretch in enumerate(stretches, 1):
        now += stretch
        still = still.seen(number, now)
    return still, now


@pytest.mark.parametrize(
    ("stretches", "stood_s", "frozen"),
    [
        ((1, 1, 1, 1), FLOOR_S + 1, True),
        ((1, 1, 1, 1), FLOOR_S - 1, False),
        ((1, 300, 1, 1), 301, False),  # it was still before, for 300 s
        ((1, 300, 1, 1), 599, False),
        ((1, 300, 1, 1), 601, True),
        ((), 1e6, False),  # a file
        ((1, 1), 1e6, False),  # too little is known
        ((500, 1, 1), FLOOR_S + 1, True),  # nobody saw how long the first one really stood
    ],
)
def test_a_picture_is_frozen_when_it_stood_longer_than_its_camera_ever_did(stretches, stood_s, frozen):
    still, now = after(*stretches)
    assert still.is_frozen(now + stood_s) is frozen


def test_a_frozen_camera_recovers_with_its_next_picture_and_is_given_more_time():
    still, now = after(1, 1, 1, 1)
    assert still.is_frozen(now + 100)
    still = still.seen(99, now + 100)
    assert not still.is_frozen(now + 101)
    assert not still.is_frozen(now + 100 + 199)
    assert still.is_frozen(now + 100 + 201)


def test_seeing_the_same_picture_again_does_not_restart_its_time():
    still, now = after(1, 1, 1, 1)
    for second in range(70):
        still = still.seen(still.picture or 0, now + second)
    assert still.stood_s(now + 70) == 70
