"""One poll of each hostile server, over real sockets."""

import asyncio
import socket
import time

import pytest

from hub.addresses import AddressRules
from hub.answer import Limits
from hub.poll import Poller
from hub.slots import Slots
from hub.transport import CameraTransport
from hub.types import Camera, Frame
from shared.errors import CameraError, InvalidInput
from tests.hostile_cameras import HostileCameras

QUICK = Limits(connect_s=0.5, read_s=0.4, total_s=0.8, body_bytes=2 << 20)


@pytest.fixture(scope="module")
def server():
    with HostileCameras() as running:
        yield running


def look(url: str, token: str = "", limits: Limits = QUICK, transport: CameraTransport | None = None) -> Frame:
    async def run() -> Frame:
        poller = Poller(Slots(), limits=limits, transport=transport)
        try:
            return await poller.fetch_once(Camera("porch", url, token=token))
        finally:
            await poller.close()

    return asyncio.run(run())


def failure(url: str, **kwargs) -> CameraError:
    with pytest.raises(CameraError) as caught:
        look(url, **kwargs)
    return caught.value


@pytest.mark.parametrize(
    "path", ["/good", "/node", "/slow", "/trailing", "/wrong-type-but-good", "/old-http", "/chunked", "/redirect"]
)
def test_odd_but_honest_cameras_work(server, path):
    frame = look(server.url + path)
    assert frame.jpeg.rstrip(b"\0").endswith(b"\xff\xd9")
    assert abs(frame.taken_at - time.time()) < 2


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/hang", "timeout"),
        ("/hang-in-body", "timeout"),
        ("/drip?s=0.1", "timeout"),
        ("/drip-headers?s=0.1", "timeout"),
        ("/endless-body", "too-large"),
        ("/says-it-is-large", "too-large"),
        ("/endless-headers", "bad-status"),
        ("/not-http", "bad-status"),
        ("/garbage", "not-an-image"),
        ("/html", "not-an-image"),
        ("/text", "not-an-image"),
        ("/gif", "not-an-image"),
        ("/gzip", "not-an-image"),
        ("/multipart", "not-an-image"),
        ("/huge-header", "too-many-pixels"),
        ("/bomb-png", "too-many-pixels"),
        ("/truncated", "truncated"),
        ("/short-body", "truncated"),
        ("/tiny", "truncated"),
        ("/ustreamer-offline", "offline"),
        ("/frigate-offline", "offline"),
        ("/go2rtc-empty", "empty"),
        ("/esp32-500", "bad-status"),
        ("/not-found", "bad-status"),
        ("/lying-304", "bad-status"),
        ("/unplugged", "unavailable"),
        ("/token", "unauthorised"),
        ("/redirect-loop", "redirect"),
        ("/redirect-elsewhere", "redirect"),
        ("/redirect-other-port", "redirect"),
        ("/drops", "unreachable"),
    ],
)
def test_every_hostile_server_has_its_named_reason(server, path, reason):
    began = time.monotonic()
    error = failure(server.url + path)
    assert error.reason == reason, str(error)
    assert error.message
    assert time.monotonic() - began < QUICK.total_s + 0.7


def test_a_dripping_camera_is_cut_by_the_whole_time_though_each_byte_is_in_time(server):
    assert "within 0.8 s" in failure(server.url + "/drip?s=0.1").message
    assert "for 0.4 s" in failure(server.url + "/hang").message


def test_an_endless_answer_is_cut_at_the_limit(server):
    before = server.endless_bytes
    assert failure(server.url + "/endless-body", limits=Limits(body_bytes=1_000_000)).reason == "too-large"
    assert server.endless_bytes - before < 12_000_000, "the limit and what the sockets buffer"


def test_a_port_nobody_listens_on_is_unreachable():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        error = failure(f"http://127.0.0.1:{free.getsockname()[1]}/")
    assert (error.reason, error.message) == ("unreachable", "connection refused")


def test_a_host_that_accepts_nothing_times_out():
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(deaf.getsockname())
        error = failure(f"http://127.0.0.1:{deaf.getsockname()[1]}/")
        for filler in fillers:
            filler.close()
    assert (error.reason, error.message) == ("timeout", "no connection within 0.5 s")


def test_a_server_without_tls_is_named(server):
    limits = Limits(connect_s=2, read_s=2, total_s=4)
    assert failure(server.url.replace("http:", "https:") + "/good", limits=limits).reason in (
        "unreachable",
        "timeout",
    )


@pytest.mark.parametrize("login", ["", "admin:s3cret@"])
def test_a_token_or_a_password_opens_the_camera(server, login):
    url = server.url.replace("//", f"//{login}") + "/token"
    assert look(url, token="" if login else "s3cret").jpeg
    assert "s3cret" not in server.log.requests["/token"][-1].path


def test_a_token_no_header_can_carry_is_refused_before_it_is_sent(server):
    asked = len(server.log.requests.get("/token", []))
    with pytest.raises(InvalidInput, match="token"):
        look(server.url + "/token", token="a\r\nX-Evil: 1")
    assert len(server.log.requests.get("/token", [])) == asked


def test_a_name_that_leads_to_a_forbidden_address_is_never_connected_to(server):
    def lookup(host, port, **_):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    url = server.url.replace("127.0.0.1", "camera.example") + "/good"
    assert look(url, transport=CameraTransport(AddressRules(), lookup=lookup)).jpeg
    asked = len(server.log.requests["/good"])
    error = failure(url, transport=CameraTransport(AddressRules(loopback=False), lookup=lookup))
    assert error.reason == "forbidden-address"
    assert "camera.example (127.0.0.1)" in error.message
    assert len(server.log.requests["/good"]) == asked


def test_an_unknown_name_is_named():
    def lookup(*_, **__):
        raise socket.gaierror(-2, "Name or service not known")

    error = failure("http://nowhere.invalid/x", transport=CameraTransport(lookup=lookup))
    assert (error.reason, error.message) == ("unreachable", "no host named nowhere.invalid is known here")
