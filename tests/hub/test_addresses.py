import asyncio
import socket
import time

import pytest

from hub.addresses import AddressRules, bare, check_url, credentials, resolve, shown
from shared.errors import CameraError, InvalidInput


def infos(*addresses: str) -> list[tuple[object, ...]]:
    return [(socket.AF_INET6 if ":" in a else socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, 80)) for a in addresses]


@pytest.mark.parametrize("address", ["192.168.1.5", "10.0.0.1", "8.8.8.8", "127.0.0.1", "::1", "fd12::5"])
def test_a_camera_may_be_at(address):
    assert AddressRules().refusal(address) == ""


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("169.254.169.254", "metadata"),
        ("fd00:ec2::254", "metadata"),
        ("100.100.100.200", "metadata"),
        ("169.254.1.1", "link-local"),
        ("fe80::1", "link-local"),
        ("224.0.0.251", "multicast"),
        ("ff02::fb", "multicast"),
        ("0.0.0.0", "no address"),
        ("0.1.2.3", "no address"),
        ("::", "no address"),
        ("255.255.255.255", "no address"),
        ("::ffff:169.254.169.254", "metadata"),
        ("64:ff9b::a9fe:a9fe", "metadata"),
        ("2002:a9fe:a9fe::1", "metadata"),
    ],
)
def test_no_camera_may_be_at(address, why):
    assert why in AddressRules().refusal(address)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
def test_this_machine_is_no_camera_where_the_rules_say_so(address):
    assert AddressRules(loopback=False).refusal(address) == "this machine itself"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("porch.local/image.jpg", "starts with http"),
        ("ftp://porch/image.jpg", "starts with http"),
        ("file:///etc/passwd", "starts with http"),
        ("rtsp://admin:pw@porch/stream", "video stream"),
        ("http://", "not a URL"),
        ("http:///image.jpg", "not a URL"),
        ("http://porch:99999/", "not a URL"),
        ("http://porch:0/", "not a URL"),
        ("http://porch:abc/", "not a URL"),
        ("http://[::1/", "not a URL"),
        ("http://porch/a b", "not a URL"),
        ("http://porch/\r\nX-Evil: 1", "starts with http|not a URL"),
        ("", "starts with http"),
    ],
)
def test_a_wrong_url_is_named_with_the_next_step(url, says):
    with pytest.raises(InvalidInput, match=says) as caught:
        check_url(url, AddressRules())
    assert caught.value.hint
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://169.254.169.254/latest", "https://[fe80::1]/x", "http://0.0.0.0/"])
def test_a_forbidden_address_in_a_url_is_refused_before_anything_is_sent(url):
    with pytest.raises(CameraError) as caught:
        check_url(url, AddressRules())
    assert caught.value.reason == "forbidden-address"


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        ("http://porch:5000/image.jpg?fps=5", "http://porch:5000/image.jpg?fps=5"),
        ("http://admin:hunter2@porch/snap", "http://***@porch/snap"),
        ("http://admin:p@ss@porch/snap", "http://***@porch/snap"),
        ("http://token@porch/snap", "http://***@porch/snap"),
        ("http://porch/snap.cgi?user=admin&pwd=hunter2&n=1", "http://porch/snap.cgi?user=***&pwd=***&n=1"),
        ("http://porch/s?access_token=hunter2", "http://porch/s?access_token=***"),
        ("http://porch/s?api_key=hunter2#x", "http://porch/s?api_key=***#x"),
    ],
)
def test_credentials_are_never_shown(url, seen):
    assert shown(url) == seen


def test_credentials_are_taken_out_of_what_is_requested():
    parts = check_url("http://ad%6Din:p%40ss@porch:81/a?b=c#d", AddressRules())
    assert credentials(parts) == ("admin", "p@ss")
    assert bare(parts) == "http://porch:81/a?b=c"
    assert credentials(check_url("http://porch", AddressRules())) is None
    assert bare(check_url("http://porch", AddressRules())) == "http://porch/"


def test_forbidden_addresses_of_a_name_are_left_out():
    found = asyncio.run(
        resolve("porch", 80, AddressRules(), lookup=lambda *_, **__: infos("fe80::1", "192.168.1.5", "192.168.1.5"))
    )
    assert found == [(socket.AF_INET, "192.168.1.5")]


def test_a_name_that_leads_only_to_forbidden_addresses_is_refused():
    with pytest.raises(CameraError, match=r"evil\.example \(169\.254\.169\.254\)") as caught:
        asyncio.run(
            resolve("evil.example", 80, AddressRules(), lookup=lambda *_, **__: infos("169.254.169.254", "fe80::1"))
        )
    assert caught.value.reason == "forbidden-address"


def test_unknown_and_impossible_names_are_errors_not_crashes():
    def unknown(*_: object, **__: object) -> list[tuple[object, ...]]:
        raise socket.gaierror(-2, "Name or service not known")

    with pytest.raises(OSError, match="not known"):
        asyncio.run(resolve("nowhere.invalid", 80, AddressRules(), lookup=unknown))
    with pytest.raises(OSError, match="not a host name"):
        asyncio.run(resolve("a" * 70 + ".example", 80, AddressRules()))


def test_a_name_server_that_hangs_holds_up_no_other_name():
    def lookup(host: str, *_: object, **__: object) -> list[tuple[object, ...]]:
        if host == "wedged":
            time.sleep(1.5)
        return infos("10.0.0.1")

    async def run() -> float:
        wedged = [asyncio.create_task(resolve("wedged", 80, AddressRules(), lookup=lookup)) for _ in range(40)]
        await asyncio.sleep(0.05)
        began = time.monotonic()
        await resolve("porch", 80, AddressRules(), lookup=lookup)
        for task in wedged:
            task.cancel()
        return time.monotonic() - began

    began = time.monotonic()
    assert asyncio.run(run()) < 0.5
    assert time.monotonic() - began < 1.2, "nor the end of the program"
