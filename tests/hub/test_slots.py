import asyncio
import time
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from hub.slots import Slots, Taken
from shared.frame import Frame


def frame(camera: str, seq: int = 1, size: int = 10) -> Frame:
    return Frame(camera, seq, float(seq), bytes([seq % 256]) * size)


def take_now(slots: Slots, most: int) -> Taken:
    return asyncio.run(slots.take(most, 0))


def names(taken: Taken) -> list[str]:
    return [f.camera for f in taken.frames]


def test_the_newest_frame_wins_and_the_other_is_counted():
    slots = Slots()
    for seq in (1, 2, 3):
        slots.offer(frame("porch", seq))
    assert [f.seq for f in take_now(slots, 5).frames] == [3]
    assert slots.dropped("porch") == 2


def test_a_fast_camera_keeps_its_place_but_gains_none():
    slots = Slots()
    for name in ("fast", "slow", "fast", "other", "fast"):
        slots.offer(frame(name))
    assert names(take_now(slots, 2)) == ["fast", "slow"]
    slots.offer(frame("fast"))
    assert names(take_now(slots, 2)) == ["other", "fast"]


@given(st.lists(st.one_of(st.integers(0, 4), st.just("take")), max_size=80))
def test_under_overload_cameras_are_served_in_turn_and_nothing_is_lost_uncounted(events):
    slots, seq = Slots(), 0
    offered: Counter[str] = Counter()
    taken: Counter[str] = Counter()
    newest: dict[str, int] = {}
    passed_over: dict[str, list[str]] = {}  # waiting camera → who was served since it began to wait
    for event in events:
        if event != "take":
            seq += 1
            name = f"c{event}"
            slots.offer(Frame(name, seq, 0.0, b"x"))
            offered[name] += 1
            newest[name] = seq
            passed_over.setdefault(name, [])
        elif passed_over:
            [served] = take_now(slots, 1).frames
            assert served.seq == newest[served.camera]
            taken[served.camera] += 1
            del passed_over[served.camera]
            for others in passed_over.values():
                others.append(served.camera)
                assert len(set(others)) == len(others), "somebody was served twice while another waited"
    for name in offered:
        assert offered[name] == taken[name] + slots.dropped(name) + (name in passed_over)


def test_a_full_batch_does_not_wait():
    async def run() -> float:
        slots = Slots()
        slots.offer(frame("a"))
        slots.offer(frame("b"))
        began = time.monotonic()
        assert names(await slots.take(2, 5.0)) == ["a", "b"]
        return time.monotonic() - began

    assert asyncio.run(run()) < 0.5


def test_a_batch_that_fills_up_while_waiting_is_given_at_once():
    async def run() -> float:
        slots = Slots()
        loop = asyncio.get_running_loop()
        for delay, name in ((0.02, "a"), (0.05, "b"), (0.08, "c")):
            loop.call_later(delay, slots.offer, frame(name))
        began = time.monotonic()
        assert names(await slots.take(3, 5.0)) == ["a", "b", "c"]
        return time.monotonic() - began

    assert 0.07 < asyncio.run(run()) < 1


def test_a_batch_that_does_not_fill_waits_from_its_first_frame():
    async def run() -> float:
        slots = Slots()
        loop = asyncio.get_running_loop()
        loop.call_later(0.1, slots.offer, frame("a"))
        loop.call_later(0.9, slots.offer, frame("b"))
        began = time.monotonic()
        assert names(await slots.take(2, 0.2)) == ["a"]
        return time.monotonic() - began

    assert 0.25 < asyncio.run(run()) < 0.8


def test_unchanged_pictures_travel_with_the_next_frames():
    slots = Slots()
    for camera in ("still", "still", "other"):
        slots.unchanged(camera)
    slots.offer(frame("porch"))
    assert take_now(slots, 4).unchanged == {"still": 2, "other": 1}
    slots.offer(frame("porch"))
    assert take_now(slots, 4).unchanged == {}


def test_unchanged_pictures_alone_arrive_too_but_seldom():
    async def run() -> tuple[Taken, float]:
        slots = Slots(count_wait_s=0.3)
        for _ in range(5):
            slots.unchanged("still")
        began = time.monotonic()
        return await slots.take(4, 0.005), time.monotonic() - began

    taken, waited_s = asyncio.run(run())
    assert taken == Taken([], {"still": 5})
    assert waited_s > 0.25


def test_a_frame_that_comes_while_counts_wait_is_not_held_up():
    async def run() -> float:
        slots = Slots(count_wait_s=5)
        slots.unchanged("still")
        asyncio.get_running_loop().call_later(0.05, slots.offer, frame("porch"))
        began = time.monotonic()
        assert await slots.take(4, 0.01) == Taken([frame("porch")], {"still": 1})
        return time.monotonic() - began

    assert asyncio.run(run()) < 1


def test_waiting_for_nothing_costs_nothing():
    async def run() -> float:
        take = asyncio.create_task(Slots().take(4, 0.005))
        before = time.process_time()
        await asyncio.sleep(0.5)
        take.cancel()
        return time.process_time() - before

    assert asyncio.run(run()) < 0.05


def test_a_cancelled_take_loses_nothing():
    async def run() -> Taken:
        slots = Slots()
        slots.offer(frame("a"))
        slots.unchanged("still")
        take = asyncio.create_task(slots.take(2, 5.0))
        await asyncio.sleep(0.01)
        take.cancel()
        await asyncio.gather(take, return_exceptions=True)
        return await slots.take(1, 0)

    assert asyncio.run(run()) == Taken([frame("a")], {"still": 1})


def test_memory_is_bounded_by_dropping_those_that_waited_longest():
    slots = Slots(max_bytes=100)
    for name in ("a", "b", "c"):
        slots.offer(frame(name, size=40))
    assert slots.dropped("a") == 1
    assert names(take_now(slots, 9)) == ["b", "c"]
    slots.offer(frame("a", size=90))
    assert names(take_now(slots, 9)) == ["a"], "what was taken takes no more room"


def test_a_removed_camera_leaves_nothing_behind():
    slots = Slots(max_bytes=100)
    slots.offer(frame("gone", size=90))
    slots.offer(frame("gone", 2, size=90))
    slots.unchanged("gone")
    slots.remove("gone")
    slots.remove("never there")
    slots.offer(frame("here", size=90))
    assert take_now(slots, 9) == Taken([frame("here", size=90)], {})
    assert slots.dropped("gone") == 0
