"""The poller through its front door: cameras in, frames and health out."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from itertools import pairwise
from statistics import median

import httpx
import psutil
import pytest

from hub.answer import Limits
from hub.poll import Poller, next_due
from hub.slots import Slots
from hub.types import Camera, CameraHealth, Frame
from shared.errors import CameraError
from shared.retry import Backoff
from tests.hostile_cameras import HostileCameras, picture

QUICK = Limits(connect_s=0.5, read_s=0.4, total_s=0.8, body_bytes=2 << 20)
SOON = Backoff(base_s=0.05, cap_s=0.2)
PICTURES = [picture(number) for number in range(40)]


@pytest.fixture(scope="module")
def server():
    with HostileCameras() as running:
        yield running


class Seen:
    """What came out of the slots."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.at: dict[str, list[float]] = {}
        self.unchanged: dict[str, int] = {}

    async def watch(self, slots: Slots) -> None:
        while True:
            taken = await slots.take(100, 0)
            self.frames += taken.frames
            for frame in taken.frames:
                self.at.setdefault(frame.camera, []).append(time.monotonic())
            for camera, count in taken.unchanged.items():
                self.unchanged[camera] = self.unchanged.get(camera, 0) + count


def polling(script: Callable[[Poller, Seen], Awaitable[None]], **options) -> tuple[Seen, dict[str, CameraHealth]]:
    """Run `script` beside a poller whose slots are emptied all the time."""

    async def run() -> tuple[Seen, dict[str, CameraHealth]]:
        seen, slots = Seen(), Slots(count_wait_s=0.05)
        poller = Poller(slots, **{"limits": QUICK, "backoff": SOON, **options})
        taker = asyncio.create_task(seen.watch(slots))
        try:
            await script(poller, seen)
        finally:
            await poller.close()
            taker.cancel()
        return seen, {health.camera: health for health in poller.health()}

    return asyncio.run(run())


async def until(condition: Callable[[], object], wait_s: float = 5.0) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + wait_s
    while not condition():
        assert time.monotonic() < end, "it never happened"
        await asyncio.sleep(0.005)


def state(poller: Poller, camera: str = "porch") -> tuple[str, str]:
    [health] = [health for health in poller.health() if health.camera == camera]
    return health.state, health.reason


class Scripted:
    """A camera as a function under httpx's API: answers with what `next` says; remembers what it was asked."""

    def __init__(self, answer: Callable[[int, httpx.Request], httpx.Response]) -> None:
        self.asked: list[httpx.Request] = []
        self.answer = answer

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        return self.answer(len(self.asked) - 1, request)

    @property
    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self)


def ok(number: int, **headers: str) -> httpx.Response:
    return httpx.Response(
        200, content=PICTURES[number % 40], headers={k.replace("_", "-"): v for k, v in headers.items()}
    )


PORCH = Camera("porch", "http://porch/image.jpg", interval_s=0.02)


# ── the schedule ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("now", "due"),
    [
        (100.0, 101.0),
        (100.9, 101.0),
        (101.0, 101.0),
        (101.5, 101.0),  # late by less than an interval: polled at once
        (102.0, 102.0),  # a whole interval late: the missed tick is skipped
        (107.3, 107.0),
        (1e6 + 0.5, 1e6),
    ],
)
def test_the_next_poll_stays_on_the_grid(now, due):
    assert next_due(100.0, 1.0, now) == due


def test_a_million_ticks_do_not_drift():
    due, draw = 0.25, random.Random(1)
    for _ in range(1_000_000):
        due = next_due(due, 1.0, due + draw.random() * 0.9)
    assert due == 1_000_000.25


def test_polls_keep_their_rate_though_each_takes_time(server):
    async def script(poller, seen):
        await poller.set_cameras([Camera("slow", server.url + "/slow?s=0.03", interval_s=0.05)])
        await until(lambda: len(seen.frames) > 2)
        before, began = len(seen.frames), time.monotonic()
        await asyncio.sleep(2)
        assert abs((len(seen.frames) - before) - (time.monotonic() - began) / 0.05) <= 3

    polling(script)


def test_an_answer_slower_than_the_interval_skips_ticks_and_never_overlaps(server):
    async def script(poller, seen):
        await poller.set_cameras([Camera("slow", server.url + "/slow?s=0.2", interval_s=0.02)])
        await asyncio.sleep(1.5)
        assert 5 <= len(seen.frames) <= 8
        assert max(tick.began_s for tick in poller.ticks) < 0.3

    polling(script)


def test_cameras_do_not_begin_all_at_once():
    camera = Scripted(lambda number, request: ok(number))
    began: list[float] = []

    async def script(poller, seen):
        start = time.monotonic()
        await poller.set_cameras([Camera(f"c{i}", f"http://c{i}/", interval_s=0.5) for i in range(50)])
        await until(lambda: len(camera.asked) >= 50)
        began.append(time.monotonic() - start)

    polling(script, transport=camera.transport, random=random.Random(1).random)
    assert 0.4 < began[0] < 1.0


# ── frames ───────────────────────────────────────────────────────────────────────────────────────────


def test_frames_arrive_in_order_with_their_camera_and_count():
    camera = Scripted(lambda number, request: ok(number))

    async def script(poller, seen):
        await poller.set_cameras([PORCH])
        await until(lambda: len(seen.frames) >= 5)

    seen, health = polling(script, transport=camera.transport)
    assert [(f.camera, f.seq, f.jpeg) for f in seen.frames[:5]] == [("porch", i + 1, PICTURES[i]) for i in range(5)]
    assert (health["porch"].state, health["porch"].failed) == ("up", 0)
    assert health["porch"].last_frame_at == pytest.approx(time.time(), abs=5)


def test_a_picture_with_a_name_is_asked_for_only_when_it_changed(server):
    async def script(poller, seen):
        await poller.set_cameras([Camera("node", server.url + "/node", interval_s=0.04)])
        await asyncio.sleep(1.2)

    seen, health = polling(script)
    assert 5 <= len(seen.frames) <= 8, "one per picture, though it was polled 30 times"
    assert len({f.id for f in seen.frames}) == len(seen.frames)
    assert health["node"].unchanged >= 15
    assert seen.unchanged["node"] == pytest.approx(health["node"].unchanged, abs=3)
    assert health["node"].polled == pytest.approx(len(seen.frames) + health["node"].unchanged, abs=1)


def test_the_same_bytes_again_are_counted_as_unchanged_whatever_their_etag_says(server):
    async def script(poller, seen):
        await poller.set_cameras([Camera("same", server.url + "/same", interval_s=0.02)])
        await until(lambda: sum(seen.unchanged.values()) > 5)

    seen, health = polling(script)
    assert len(seen.frames) == 1
    assert health["same"].state == "up"


def test_forgetting_brings_the_same_picture_once_more():
    def answer(number, request):
        return httpx.Response(304) if "If-None-Match" in request.headers else ok(0, ETag='"a"')

    camera = Scripted(answer)

    async def script(poller, seen):
        await poller.set_cameras([PORCH])
        await until(lambda: len(camera.asked) >= 5)
        assert len(seen.frames) == 1
        await asyncio.to_thread(poller.forget)
        await until(lambda: len(seen.frames) == 2)
        await until(lambda: len(camera.asked) >= 12)
        assert len(seen.frames) == 2

    polling(script, transport=camera.transport)


def test_an_etag_that_cannot_be_sent_back_is_left_alone():
    camera = Scripted(
        lambda number, request: httpx.Response(200, content=PICTURES[number % 40], headers=[(b"ETag", b'"\xff\xe9"')])
    )

    async def script(poller, seen):
        await poller.set_cameras([PORCH])
        await until(lambda: len(seen.frames) >= 3)

    polling(script, transport=camera.transport)
    assert "If-None-Match" not in camera.asked[-1].headers


def test_one_connection_is_kept_for_a_camera(server):
    async def script(poller, seen):
        before = server.connections
        await poller.set_cameras([Camera("good", server.url + "/good", interval_s=0.02)])
        await until(lambda: len(seen.frames) >= 10)
        assert server.connections == before + 1

    polling(script)


def test_a_connection_the_camera_has_closed_meanwhile_is_no_failure(server):
    async def script(poller, seen):
        await poller.set_cameras([Camera("idle", server.url + "/closes-idle", interval_s=0.1)])
        await until(lambda: len(seen.frames) >= 8)

    _, health = polling(script)
    assert health["idle"].failed == 0


# ── failures ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_failing_camera_is_asked_less_and_less_and_is_back_at_full_rate_at_once():
    at: list[float] = []

    def answer(number, request):
        at.append(time.monotonic())
        return httpx.Response(500) if 3 <= number < 9 or number == 12 else ok(number)

    async def script(poller, seen):
        await poller.set_cameras([PORCH])
        await until(lambda: state(poller) == ("failing", "bad-status"))
        await until(lambda: state(poller) == ("up", ""))
        await until(lambda: len(at) >= 20)

    _, health = polling(script, transport=Scripted(answer).transport, backoff=Backoff(0.05, 0.4), random=lambda: 0.9)
    gaps = [b - a for a, b in pairwise(at)]
    assert gaps[3] > 0.08
    assert gaps[3] < gaps[4] < gaps[5]
    assert max(gaps[3:9]) < 0.5
    assert gaps[12] < gaps[5], "the next failure begins anew"
    assert sum(gaps[13:19]) < 6 * 0.02 + 0.3
    assert health["porch"].failed == 7


def test_retry_after_is_kept():
    at: list[float] = []

    def answer(number, request):
        at.append(time.monotonic())
        return ok(number) if number else httpx.Response(503, headers={"Retry-After": "1"}, text="starting")

    async def script(poller, seen):
        await poller.set_cameras([PORCH])
        await until(lambda: poller.health()[0].message == "starting")
        assert state(poller) == ("failing", "unavailable")
        await until(lambda: len(at) >= 2)

    polling(script, transport=Scripted(answer).transport)
    assert 0.95 < at[1] - at[0] < 1.4


def test_a_frozen_camera_is_named_not_counted_and_recovers_by_itself():
    offset = 0.0
    frozen = False

    def answer(number, request):
        return ok(7 if frozen else number, ETag=f'"{number}"')

    async def script(poller, seen):
        nonlocal offset, frozen
        await poller.set_cameras([PORCH])
        await until(lambda: len(seen.frames) >= 5)
        frozen = True
        await until(lambda: sum(seen.unchanged.values()) >= 3)
        assert state(poller) == ("up", "")
        offset = 100.0
        await until(lambda: state(poller) == ("failing", "frozen"))
        counted = sum(seen.unchanged.values())
        await asyncio.sleep(0.15)
        assert sum(seen.unchanged.values()) <= counted + 1
        frozen = False
        await until(lambda: state(poller) == ("up", ""))

    camera = Scripted(answer)
    polling(script, transport=camera.transport, clock=lambda: time.monotonic() + offset)


def test_a_node_that_names_its_frame_again_is_believed_but_a_foreign_server_is_not():
    for node, expected in ((True, ("up", "")), (False, ("failing", "frozen"))):
        offset = 0.0

        def answer(number, request, node=node):
            age = {"X_Frame_Age_Ms": "5"} if node else {}
            return ok(number, ETag='"a"', **age) if number < 6 else httpx.Response(304)

        async def script(poller, seen, expected=expected):
            nonlocal offset
            await poller.set_cameras([PORCH])
            await until(lambda: sum(seen.unchanged.values()) >= 3)
            offset = 100.0
            before = poller.health()[0].polled
            await until(lambda: poller.health()[0].polled > before + 3)
            assert state(poller) == expected

        polling(script, transport=Scripted(answer).transport, clock=lambda: time.monotonic() + offset)  # noqa: B023


def test_a_picture_that_can_not_be_decoded_is_a_failure_until_another_comes():
    broken = True

    async def script(poller, seen):
        nonlocal broken
        await poller.set_cameras([PORCH])
        await until(lambda: len(seen.frames) == 1)
        await asyncio.to_thread(poller.reject, "porch", CameraError("not-an-image", "undecodable"))
        await until(lambda: state(poller) == ("failing", "not-an-image"))
        polled = poller.health()[0].polled
        await until(lambda: poller.health()[0].polled > polled + 3)
        assert state(poller) == ("failing", "not-an-image"), "the same picture again is no recovery"
        assert len(seen.frames) == 1
        broken = False
        await until(lambda: state(poller) == ("up", ""))

    polling(script, transport=Scripted(lambda number, request: ok(0 if broken else number)).transport)


def test_pictures_that_all_fail_to_decode_do_not_make_the_camera_flicker():
    async def script(poller, seen):
        await poller.set_cameras([PORCH])
        rejected = 0
        states = []
        while rejected < 8:
            await until(lambda: len(seen.frames) > rejected)  # noqa: B023
            states.append(state(poller))
            poller.reject("porch", CameraError("truncated", "undecodable"))
            rejected = len(seen.frames)
            await asyncio.sleep(0)
        assert ("up", "") not in states[1:]

    polling(script, transport=Scripted(lambda number, request: ok(number)).transport)


def test_an_error_nobody_thought_of_is_a_failure_of_that_camera_alone(caplog):
    def answer(number, request):
        if request.url.host == "odd":
            raise ZeroDivisionError
        return ok(number)

    async def script(poller, seen):
        await poller.set_cameras([PORCH, Camera("odd", "http://odd/", interval_s=0.02)])
        await until(lambda: state(poller, "odd") == ("failing", "unreachable") and len(seen.frames) > 3)

    polling(script, transport=Scripted(answer).transport)
    assert "ZeroDivisionError" in caplog.text


def test_an_interval_of_nothing_neither_spins_nor_ends_the_polling():
    camera = Scripted(lambda number, request: ok(number))

    async def script(poller, seen):
        await poller.set_cameras([Camera("eager", "http://eager/", interval_s=0)])
        await asyncio.sleep(0.5)

    polling(script, transport=camera.transport)
    assert 10 <= len(camera.asked) <= 51


def test_a_camera_with_a_bad_url_fails_by_name_and_others_go_on():
    async def script(poller, seen):
        await poller.set_cameras([PORCH, Camera("meta", "http://169.254.169.254/"), Camera("odd", "ftp://x")])
        await until(lambda: state(poller, "meta") == ("failing", "forbidden-address"))
        await until(lambda: state(poller, "odd") == ("failing", "unreachable") and len(seen.frames) > 3)

    polling(script, transport=Scripted(lambda number, request: ok(number)).transport)


def test_a_camera_that_dies_and_returns_is_up_again(server):
    async def script(poller, seen):
        camera = Camera("dies", server.url + "/dies-and-returns?up=0.5&down=0.5", interval_s=0.05)
        await poller.set_cameras([camera])
        for expected in ("up", "failing", "up", "failing", "up"):
            await until(lambda: state(poller, "dies")[0] == expected)  # noqa: B023

    polling(script)


# ── other cameras ────────────────────────────────────────────────────────────────────────────────────

HOSTILE = (
    "/hang", "/hang-in-body", "/drip?s=0.1", "/drip-headers?s=0.1", "/endless-body", "/endless-headers",
    "/says-it-is-large", "/garbage", "/not-http", "/huge-header", "/bomb-png", "/truncated", "/multipart",
    "/drops", "/redirect-loop", "/dies-and-returns",
)  # fmt: skip


def test_hostile_cameras_delay_no_other_and_fill_no_memory(server):
    """Ten of each kind beside five good ones, on one core and one event loop with the server's own thread."""
    grown: list[int] = []
    interval_s = 0.25
    good = [Camera(f"good-{i}", f"{server.url}/good?{i}", interval_s=interval_s) for i in range(5)]
    bad = [Camera(f"{p}-{i}", f"{server.url}{p}", interval_s=interval_s) for p in HOSTILE for i in range(10)]

    async def script(poller, seen):
        await poller.set_cameras(good + bad)
        await asyncio.sleep(2)
        before = psutil.Process().memory_info().rss
        await asyncio.sleep(4)
        grown.append(psutil.Process().memory_info().rss - before)

    seen, health = polling(script, backoff=Backoff(0.25, 1.0))
    for camera in good:
        gaps = [b - a for a, b in pairwise(seen.at[camera.name])]
        assert median(gaps) < 1.2 * interval_s, f"{camera.name} waited {median(gaps):.2f} s as a rule"
        # Far less than what a hostile one can keep a connection for, and what a busy machine makes of it.
        assert max(gaps) < 4 * interval_s, f"{camera.name} waited {max(gaps):.2f} s"
        assert health[camera.name].failed == 0
    failing = [camera.name for camera in bad if health[camera.name].failed]
    assert len(failing) == len(bad)
    assert grown[0] < 40 << 20


# ── live changes ─────────────────────────────────────────────────────────────────────────────────────


def test_cameras_are_added_changed_and_removed_live():
    camera = Scripted(lambda number, request: ok(number))
    other = Camera("yard", "http://yard/", interval_s=0.02)

    def hosts() -> set[str]:
        return {request.url.host for request in camera.asked}

    async def script(poller, seen):
        await poller.set_cameras([PORCH])
        await until(lambda: len(camera.asked) >= 3)
        await poller.set_cameras([PORCH, other])
        await until(lambda: "yard" in hosts())
        assert [h.camera for h in poller.health()] == ["porch", "yard"]
        moved = Camera("porch", "http://moved/", interval_s=0.02)
        await poller.set_cameras([moved, other])
        polled = next(h.polled for h in poller.health() if h.camera == "porch")
        assert polled >= 3, "its counters go on"
        camera.asked.clear()
        await until(lambda: "moved" in hosts())
        assert "porch" not in hosts()
        await poller.set_cameras([Camera("yard", other.url, 0.02, enabled=False)])
        camera.asked.clear()
        await asyncio.sleep(0.1)
        assert camera.asked == []
        assert poller.health() == []

    polling(script, transport=camera.transport)


def test_a_camera_that_stays_is_not_disturbed(server):
    async def script(poller, seen):
        camera = Camera("slow", server.url + "/slow?s=0.3", interval_s=10)
        await poller.set_cameras([camera])
        for i in range(20):
            await asyncio.sleep(0.03)
            await poller.set_cameras([camera, Camera(f"c{i}", "http://127.0.0.1:1/")])
        await until(lambda: any(f.camera == "slow" for f in seen.frames))

    polling(script, random=lambda: 0.0)


def test_counters_go_on_from_the_last_run():
    known = {"porch": CameraHealth("porch", "up", polled=100, unchanged=50, dropped=7, failed=3, since=5.0)}
    camera = Scripted(lambda number, request: ok(number) if number < 5 else httpx.Response(500))

    async def script(poller, seen):
        await poller.set_cameras([PORCH], known)
        assert state(poller) == ("new", ""), "nothing is known of it yet"
        await until(lambda: state(poller)[0] == "failing")

    _, health = polling(script, transport=camera.transport)
    porch = health["porch"]
    assert (porch.polled >= 106, porch.unchanged, porch.dropped, porch.failed >= 4) == (True, 50, 7, True)


def test_frames_nobody_took_are_counted_as_dropped():
    async def run() -> CameraHealth:
        camera = Scripted(lambda number, request: ok(number))
        poller = Poller(Slots(), transport=camera.transport)
        await poller.set_cameras([PORCH])
        await until(lambda: len(camera.asked) >= 6)
        await poller.close()
        return poller.health()[0]

    assert asyncio.run(run()).dropped >= 4


def test_the_log_names_a_change_once_and_no_secret(caplog):
    async def script(poller, seen):
        await poller.set_cameras([Camera("porch", "http://admin:hunter2@porch/?pwd=hunter2", 0.02, "s3cret")])
        await until(lambda: poller.health()[0].failed >= 4)

    with caplog.at_level("DEBUG"):
        polling(script, transport=Scripted(lambda number, request: httpx.Response(401)).transport)
    told = [record for record in caplog.records if record.name.startswith("hub")]
    assert [(r.getMessage(), r.camera) for r in told] == [
        ("unauthorised: refuses our credentials (401 Unauthorized)", "porch")
    ]
    assert "hunter2" not in caplog.text
    assert "s3cret" not in caplog.text
