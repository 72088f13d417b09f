"""A node as its clients meet it: a process behind a socket."""

import concurrent.futures
import email.utils
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from camera_node.app import MAX_IN_FLIGHT
from camera_node.cli import main
from camera_node.clock import clock_synchronised
from shared.frame import capture_time
from shared.image import capture_time_from_exif, image_facts

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Serve = Callable[..., Any]


def test_a_picture_comes_with_everything_the_contract_says(serve: Serve) -> None:
    answer = serve("pattern", "--name", "porch").get()
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert int(answer.headers["Content-Length"]) == len(answer.body)
    assert answer.headers["Cache-Control"] == "no-cache"
    assert answer.headers["X-Camera-Name"] == "porch"
    assert 0 <= int(answer.headers["X-Frame-Age-Ms"]) < 1000
    boot, _, number = answer.headers["ETag"].strip('"').partition("-")
    assert len(boot) == 8
    assert number == "1"
    facts = image_facts(answer.body)
    assert (facts.width, facts.height, facts.complete) == (1280, 720, True)


def test_times_are_given_where_the_clock_can_be_believed(serve: Serve) -> None:
    answer = serve("pattern").get()
    stamp = answer.headers["X-Timestamp"]
    if not clock_synchronised():
        assert stamp is None
        return
    assert float(stamp) == pytest.approx(time.time(), abs=2)
    assert len(stamp.split(".")[1]) == 6
    modified = email.utils.parsedate_to_datetime(answer.headers["Last-Modified"]).timestamp()
    assert modified == int(float(stamp))
    assert capture_time_from_exif(answer.body) == pytest.approx(float(stamp), abs=1e-5)
    received = capture_time(answer.headers, sent_at=time.time(), received_at=time.time())
    assert received == pytest.approx(float(stamp), abs=0.5)


def test_head_is_get_without_the_body(serve: Serve, stills: Path) -> None:
    node = serve(f"folder:{stills / '0.jpg'}?fps=0.1")
    got, head = node.get(), node.get(method="HEAD")
    assert head.status == 200
    assert head.body == b""
    for name in ("Content-Type", "Content-Length", "ETag", "Cache-Control", "X-Camera-Name"):
        assert head.headers[name] == got.headers[name]


def test_a_picture_the_client_has_is_not_sent_again(serve: Serve, stills: Path) -> None:
    node = serve(f"folder:{stills}?fps=0.5")
    first = node.get()
    again = node.get(If_None_Match=first.headers["ETag"])
    assert (again.status, again.body) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]
    assert again.headers["Content-Type"] is None
    assert node.get(If_None_Match='"other-1"').status == 200
    assert node.get(If_None_Match=f'"other-1", W/{first.headers["ETag"]}').status == 304
    time.sleep(2.2)
    assert node.get(If_None_Match=first.headers["ETag"]).status == 200


def test_everything_else_is_404(serve: Serve) -> None:
    node = serve("pattern")
    paths = ("/", "/image.jpg/", "/image.png", "/static/x", "/../image.jpg")
    assert {path: node.get(path).status for path in paths} == dict.fromkeys(paths, 404)
    methods = ("POST", "PUT", "DELETE", "OPTIONS", "PATCH")
    assert {method: node.get(method=method).status for method in methods} == dict.fromkeys(methods, 404)


def test_with_a_token_only_its_bearer_sees_anything(serve: Serve) -> None:
    node = serve("pattern", CAMERA_TOKEN="s3cret")
    refused = node.get()
    assert refused.status == 401
    assert refused.headers["WWW-Authenticate"] == "Bearer"
    assert any(value.startswith("Basic") for value in refused.headers.get_all("WWW-Authenticate"))
    assert node.get(Authorization="Bearer wrong").status == 401
    assert node.get(Authorization="Bearer s3cret").status == 200
    assert node.get(Authorization="Basic YW5uYTpzM2NyZXQ=").status == 200  # anna:s3cret
    assert "s3cret" not in str(refused.headers) + refused.text


def test_no_device_is_503_with_a_reason_and_never_a_picture(serve: Serve) -> None:
    answer = serve("opencv:/dev/video63").get()
    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.text == "no device: camera /dev/video63 is not there\n"


def test_a_folder_that_loses_its_pictures_is_503_and_not_an_old_one(serve: Serve, stills: Path) -> None:
    node = serve(f"folder:{stills}?fps=20")
    assert node.get().status == 200
    for file in stills.iterdir():
        file.unlink()
    assert "can be shown" in node.until(503).text


def test_an_idle_node_costs_nothing_and_wakes_up(serve: Serve) -> None:
    node = serve("pattern", "--idle-seconds", "0.3")
    for _ in range(20):
        node.get()
    busy = max(_threads(node) for _ in range(3) if node.get())
    give_up_at = time.monotonic() + 10
    while _threads(node) >= busy and time.monotonic() < give_up_at:
        time.sleep(0.1)
    assert _threads(node) < busy  # the capture thread has ended
    before = node.cpu_s()
    time.sleep(2)
    assert node.cpu_s() - before <= 0.03
    assert node.get().status == 200


def _threads(node: Any) -> int:
    return sum(process.num_threads() for process in node.family())


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_told_to_stop_it_has_gone_within_two_seconds(serve: Serve, sig: int) -> None:
    node = serve("pattern")
    node.get()
    worker = node.family()[1]
    code, took_s = node.stop(sig)
    assert code == 0
    assert took_s < 2
    assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_in_time_though_a_client_waits_and_another_reads_nothing(
    serve: Serve, sig: int, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "silent.ts")  # opening it hangs
    node = serve(f"folder:{tmp_path / 'silent.ts'}")
    waiting = [socket.create_connection(("127.0.0.1", node.port)) for _ in range(3)]
    for client in waiting:
        client.sendall(b"GET /image.jpg HTTP/1.1\r\nHost: x\r\n\r\n")
    time.sleep(0.5)
    code, took_s = node.stop(sig)
    for client in waiting:
        client.close()
    assert code == 0
    assert took_s < 2.5


def test_a_source_that_hangs_is_503_while_others_are_answered(serve: Serve, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "silent.ts")
    node = serve(f"folder:{tmp_path / 'silent.ts'}")
    began = time.monotonic()
    answer = node.get()
    assert answer.status == 503
    assert answer.text.startswith(("starting", "stalled"))
    assert time.monotonic() - began < 7


def test_a_worker_that_is_killed_comes_back_under_another_name(serve: Serve) -> None:
    node = serve("pattern")
    before = node.get().headers["ETag"]
    node.family()[1].kill()
    deadline = time.monotonic() + 10
    while True:
        try:
            after = node.get().headers["ETag"]
            break
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    assert after.split("-")[0] != before.split("-")[0]


def test_too_many_at_once_are_sent_away_and_memory_stays_bounded(serve: Serve, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "silent.ts")
    node = serve(f"folder:{tmp_path / 'silent.ts'}")
    assert node.get("/").status == 404
    worker = node.family()[1]
    before = worker.memory_info().rss
    with concurrent.futures.ThreadPoolExecutor(3 * MAX_IN_FLIGHT) as clients:
        answers = list(clients.map(lambda _: node.get(), range(3 * MAX_IN_FLIGHT)))
    sent_away = [answer for answer in answers if "too many" in answer.text]
    assert {answer.status for answer in answers} == {503}
    assert len(sent_away) >= MAX_IN_FLIGHT
    assert {answer.headers["Retry-After"] for answer in sent_away} == {"1"}
    assert worker.memory_info().rss - before < 50e6


def test_clients_that_read_nothing_do_not_keep_others_waiting(serve: Serve) -> None:
    node = serve("pattern")
    slow = []
    for _ in range(20):
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", node.port))
        client.sendall(b"GET /image.jpg HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
        slow.append(client)
    silent = [socket.create_connection(("127.0.0.1", node.port)) for _ in range(20)]
    began = time.monotonic()
    assert node.get().status == 200
    assert time.monotonic() - began < 1
    for client in slow + silent:
        client.close()


def test_many_clients_share_one_camera_on_kept_connections(serve: Serve) -> None:
    node = serve("pattern", "--fps", "30")

    def client(_: int) -> set[int]:
        return {node.get().status for _ in range(10)}

    with concurrent.futures.ThreadPoolExecutor(16) as clients:
        assert set.union(*clients.map(client, range(16))) == {200}


def test_nodes_side_by_side_choose_free_ports(serve: Serve) -> None:
    one, two = serve("pattern?scene=1"), serve("pattern?scene=2")
    assert one.port != two.port
    assert one.get().body != two.get().body


def test_the_environment_sets_what_flags_do_not(serve: Serve, stills: Path) -> None:
    node = serve(None, "--name", "from flag", CAMERA_SOURCE=f"folder:{stills}", CAMERA_NAME="from env")
    assert node.get().headers["X-Camera-Name"] == "from flag"
    assert node.get().body == (stills / "0.jpg").read_bytes()


def test_stream_url_is_another_name_for_the_source(serve: Serve, stills: Path) -> None:
    assert serve(None, STREAM_URL=f"folder:{stills}").get().body == (stills / "0.jpg").read_bytes()


def test_a_turned_picture(serve: Serve, stills: Path) -> None:
    pixels = serve(f"folder:{stills / '3.jpg'}", "--rotate", "90").get().pixels
    assert pixels.shape == (64, 48, 3)
    assert pixels[4, 24, 0] > 200  # the blue strip was on the left and is at the top now
    assert pixels[4, 24, 2] < 60


def test_a_picture_larger_than_wanted_is_made_to_fit(serve: Serve, stills: Path) -> None:
    pixels = serve(f"folder:{stills}", "--width", "32", "--height", "32").get().pixels
    assert pixels.shape == (24, 32, 3)


# ── mistakes ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--source", "camera"], "no source named 'camera'"),
        (["--source", "opencv:front"], "neither an index nor a device path"),
        (["--source", "folder:/nowhere"], "there is no folder or file /nowhere"),
        (["--source", "/nowhere"], "folder:/nowhere"),
        (["--source", "folder:."], "nothing to show"),
        (["--source", "pattern?speed=3"], "?speed= is not known here"),
        (["--source", "pattern?scene=many"], "not a number between"),
        (["--source", "gopher://x/"], "no video URL"),
        (["--source", "https://www.youtube.com/watch?v=1"], "pip install yt-dlp"),
        (["--rotate", "45", "--quality", "0"], "--quality: 0 is not between 1 and 100\n--rotate: 45 is none of"),
        (["--port", "http"], "'http' is not a whole number"),
        (["--name", "Küche"], "printable ASCII"),
        (["--no-such-flag"], "No such option"),
    ],
)
def test_a_wrong_setting_is_explained_and_exits_with_2(
    flags: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["camera-node", "serve", *flags])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def test_a_port_in_use_is_explained_and_exits_with_1(serve: Serve, run: Run) -> None:
    port = serve("pattern").port
    ended = run("serve", "--source", "pattern", "--host", "127.0.0.1", "--port", str(port))
    assert ended.returncode == 1
    assert f"can't listen on 127.0.0.1 port {port}" in ended.stderr
    assert "--port" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_missing_picamera2_says_how_to_install_it(run: Run) -> None:
    ended = run("serve", "--source", "picamera")
    assert ended.returncode == 1
    assert "apt install -y python3-picamera2" in ended.stderr
    assert "--system-site-packages" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_secret_is_in_no_output(run: Run) -> None:
    ended = run("check", "--source", "rtsp://anna:s3cret@127.0.0.1:1/x")
    assert ended.returncode == 1
    assert "s3cret" not in ended.stdout + ended.stderr
    assert "no device: the stream rtsp://***@127.0.0.1:1/x" in ended.stderr


def test_check_takes_a_picture_and_says_what_came(run: Run, stills: Path, tmp_path: Path) -> None:
    ended = run("check", "--source", f"folder:{stills}", "--save", str(tmp_path / "got.jpg"))
    assert ended.returncode == 0
    assert "64×48 JPEG" in ended.stdout
    assert (tmp_path / "got.jpg").read_bytes() == (stills / "0.jpg").read_bytes()


def test_check_without_a_device_fails_with_the_reason(run: Run) -> None:
    ended = run("check", "--source", "opencv:63")
    assert ended.returncode == 1
    assert "no device: camera 63 is not there" in ended.stderr


def test_its_version_is_known(run: Run) -> None:
    ended = run("--version")
    assert ended.returncode == 0
    assert ended.stdout.startswith("camera-node, version ")
