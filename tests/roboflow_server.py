"""A Roboflow of our own on loopback: datasets, search, CLIP, and whatever can go wrong with them.

    python -m tests.roboflow_server [--port 0] [--faults 0.2 --seed 1] [--hold 60] [--forget]

prints its URL; `GET /_state` then tells, as JSON, what it has and how often each picture came. Tests use it in a
thread:

    with RoboflowServer() as server:
        server.fail("reset-after", route="upload")
"""

import argparse
import base64
import hashlib
import json
import random
import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

KEY = "sEcReTkEy0123456789"
WORKSPACE = "bower"
ROUTES: tuple[tuple[str, str, str], ...] = (
    ("key", "GET|POST", r"/"),
    ("upload", "POST", r"/dataset/(?P<project>[^/]+)/upload"),
    ("annotate", "POST", r"/dataset/(?P<project>[^/]+)/annotate/(?P<image>[^/]+)"),
    ("clip_text", "POST", r"/clip/embed_text"),
    ("clip_image", "POST", r"/clip/embed_image"),
    ("download", "GET", r"/_bytes/(?P<image>[^/]+)/original.jpg"),
    ("workspace_search", "POST", r"/(?P<workspace>[^/]+)/search/v1"),
    ("metadata", "POST", r"/(?P<workspace>[^/]+)/images/(?P<image>[^/]+)/metadata"),
    ("search", "POST", r"/(?P<workspace>[^/]+)/(?P<project>[^/]+)/search"),
    ("batches", "GET", r"/(?P<workspace>[^/]+)/(?P<project>[^/]+)/batches"),
    ("tags", "POST", r"/(?P<workspace>[^/]+)/(?P<project>[^/]+)/images/(?P<image>[^/]+)/tags"),
    ("image", "GET", r"/(?P<workspace>[^/]+)/(?P<project>[^/]+)/images/(?P<image>[^/]+)"),
    ("workspace", "GET", r"/(?P<workspace>[^/]+)"),
    ("project", "GET", r"/(?P<workspace>[^/]+)/(?P<project>[^/]+)"),
)
_ANNOTATED = {
    "message": "Image was already annotated.",
    "type": "InvalidImageException",
    "hint": "Pass overwrite=true.",
}
ANSWERS: dict[str, tuple[int, Any, dict[str, str]]] = {
    "rate-limited": (429, {"error": "Too many requests"}, {"Retry-After": "7"}),
    "rate-limited-silently": (429, {"error": "Too many requests"}, {}),
    "broken": (500, {"error": {"message": "Internal error", "type": "Error"}}, {}),
    "bad-gateway": (502, "<html><head><title>502</title></head><body><h1>Bad Gateway</h1></body></html>", {}),
    "unsuccessful": (200, {"success": False, "message": "Something went wrong."}, {}),
    "bad-image": (200, {"success": False, "error": {"message": "Invalid image.", "type": "InvalidImageException"}}, {}),
    "garbage": (200, "<html>Please log in to this network</html>", {}),
    "refused": (400, {"error": {"message": "Invalid image.", "type": "InvalidImageException"}}, {}),
    "revoked": (401, {"error": {"message": f"This API key ({KEY}) does not exist (or has been revoked)."}}, {}),
    "unpaid": (402, {"error": {"message": "Your plan's quota is used up.", "type": "AccessException"}}, {}),
    "forbidden": (403, {"error": "This key has no access to the project."}, {}),
    "locked": (423, {"error": "Billing of this workspace is paused."}, {}),
    "too-large": (413, "<html><body>413 Request Entity Too Large</body></html>", {}),
    "image-not-found": (404, {"error": {"message": "Image not found in dataset.", "type": "NotFound"}}, {}),
    "annotated-before": (400, {"error": _ANNOTATED}, {}),
    "annotated": (409, {"error": {"message": "Image is already annotated"}}, {}),
    "redirected": (302, "", {"Location": "http://127.0.0.1:1/elsewhere"}),
}
"""Faults that are an answer, given without doing what was asked."""

HAPPENINGS = (
    "timeout-before", "timeout-after", "reset-during", "reset-after", "slow-reader", "drip", "drip-head",
    "garbage-after",
)  # fmt: skip
"""Faults of the connection. …-after: when what was asked is done."""

RANDOM_FAULTS = (
    "rate-limited-silently", "broken", "bad-gateway", "unsuccessful", "garbage", "timeout-before", "timeout-after",
    "reset-during", "reset-after", "slow-reader", "garbage-after",
)  # fmt: skip
"""Those that pass by themselves."""


@dataclass(frozen=True)
class Asked:
    """A request as it came. query: without the key. body: what JSON says; of a form its parts, each with name,
    filename, type and, where it is no file, text. signed: whether the key came along, and where."""

    route: str
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: Any
    signed: str = ""


@dataclass
class Stored:
    """An image. sent: how often its bytes came. annotation: predicted. labels: what a person drew."""

    id: str
    project: str
    name: str
    sha256: str
    data: bytes = field(repr=False)
    size: int = 0
    split: str = "train"
    batch: str = ""
    tags: list[str] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)
    annotation: dict[str, Any] | None = None
    annotated: int = 0
    labels: list[str] = field(default_factory=list)
    embedding: list[float] = field(default_factory=list)
    created_ms: int = 0
    sent: int = 1


@dataclass
class _Fault:
    kind: str
    route: str
    left: int


class RoboflowServer:
    """projects: name → type. embed: bytes of a picture, or text, → vector. hold_s: how long a time-out hangs.
    tls: files of a certificate and its key."""

    def __init__(
        self,
        *,
        projects: dict[str, str] | None = None,
        port: int = 0,
        hold_s: float = 30.0,
        keep: bool = True,
        tls: tuple[Path, Path] | None = None,
        embed: Callable[[bytes | str], Sequence[float]] | None = None,
    ) -> None:
        self.key, self.workspace, self.hold_s, self.keep = KEY, WORKSPACE, hold_s, keep
        self.projects = projects if projects is not None else {"birds": "object-detection"}
        self.requests: list[Asked] = []
        self.embed = embed or pseudo_vector
        self.faulty: Callable[[str], str] = lambda route: ""
        self.closing = threading.Event()
        self._images: dict[str, Stored] = {}
        self._faults: list[_Fault] = []
        self._lock = threading.RLock()
        self._http = _Listener(("127.0.0.1", port), _Handler)
        self._http.roboflow = self
        if tls is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(*tls)
            # The handshake belongs to the thread that serves the connection.
            self._http.socket = context.wrap_socket(self._http.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def serve(self) -> None:
        """In this thread, for ever."""
        self._http.serve_forever()

    # ── for tests ────────────────────────────────────────────────────────────────────────────────────

    def fail(self, kind: str, *, route: str = "", times: int = 1) -> None:
        """Let the next requests, or those of a route, go wrong. kind: of ANSWERS or HAPPENINGS."""
        if kind not in ANSWERS and kind not in HAPPENINGS:
            raise ValueError(f"no fault {kind!r}")
        with self._lock:
            self._faults.append(_Fault(kind, route, times))

    def heal(self) -> None:
        """No more faults."""
        with self._lock:
            self._faults.clear()

    def images(self, project: str = "birds") -> list[Stored]:
        """What a project has, oldest first."""
        with self._lock:
            return [image for image in self._images.values() if image.project == project]

    def add(self, project: str, data: bytes, **facts: Any) -> Stored:
        """Put an image there. facts: fields of Stored."""
        sha256 = hashlib.sha256(data).hexdigest()
        image_id = hashlib.sha256(f"{project} {sha256}".encode()).hexdigest()[:20]
        with self._lock:
            image = self._images.get(image_id)
            if image is not None:
                image.sent += 1
                return image
            facts = {"name": f"{image_id}.jpg", "created_ms": int(time.time() * 1000), **facts}
            image = Stored(image_id, project, sha256=sha256, data=data if self.keep else b"", size=len(data), **facts)
            self._images[image_id] = image
            return image

    def remove(self, image_id: str) -> None:
        """As a person throws an image away."""
        with self._lock:
            del self._images[image_id]

    def asked(self, route: str) -> list[Asked]:
        """The requests of a route."""
        return [request for request in self.requests if request.route == route]

    # ── for the handler ──────────────────────────────────────────────────────────────────────────────

    def fault(self, route: str) -> str:
        """What is to go wrong now, "" for nothing."""
        with self._lock:
            for fault in self._faults:
                if fault.left > 0 and fault.route in ("", route):
                    fault.left -= 1
                    return fault.kind
            return self.faulty(route)

    def answer(self, asked: Asked, named: dict[str, str], file: bytes) -> tuple[int, Any]:
        """Do what was asked. file: the bytes of a form's file."""
        if asked.route != "download" and not asked.signed:
            return 401, ANSWERS["revoked"][1]
        if named.get("workspace", self.workspace) != self.workspace:
            return 404, {"error": "Workspace not found"}
        if "project" in named and named["project"] not in self.projects:
            return 404, {"error": f"Project '{named['project']}' not found"}
        with self._lock:
            image = self._images.get(named.get("image", ""))
            if "image" in named and (image is None or named.get("project", image.project) != image.project):
                return 404, ANSWERS["image-not-found"][1]
            return getattr(self, f"_{asked.route}")(asked, named, image or file)

    def _key(self, *_: Any) -> tuple[int, Any]:
        return 200, {"welcome": "Welcome to the Roboflow API.", "workspace": self.workspace}

    def _workspace(self, *_: Any) -> tuple[int, Any]:
        projects = [self._described(name) for name in self.projects]
        return 200, {
            "workspace": {"name": "Bower", "url": self.workspace, "members": 1, "projects": projects},
        }

    def _project(self, asked: Asked, named: dict[str, str], _: Any) -> tuple[int, Any]:
        return 200, {
            "workspace": {"name": "Bower", "url": self.workspace, "members": 1},
            "project": self._described(named["project"]),
            "versions": [],
        }

    def _described(self, name: str) -> dict[str, Any]:
        images = self.images(name)
        return {
            "id": f"{self.workspace}/{name}", "type": self.projects[name], "name": name.title(), "created": 1.6e9,
            "updated": 1.6e9, "images": len(images), "unannotated": len(images), "annotation": "things",
            "versions": 0, "public": False, "splits": {}, "colors": {}, "classes": {},
        }  # fmt: skip

    def _upload(self, asked: Asked, named: dict[str, str], file: bytes) -> tuple[int, Any]:
        if not file:
            return 400, ANSWERS["refused"][1]
        form = {part["name"]: part.get("text", "") for part in asked.body}
        before = len(self._images)
        image = self.add(
            named["project"],
            file,
            name=form["name"],
            split=form.get("split", "train"),
            batch=asked.query.get("batch", ["Uploaded via API"])[0],
            tags=asked.query.get("tag", []),
            metadata=json.loads(form.get("metadata", "{}")),
        )
        if len(self._images) == before:
            return 200, {"duplicate": True, "id": image.id, "message": "This image already exists in your dataset."}
        return 200, {"success": True, "id": image.id}

    def _annotate(self, asked: Asked, named: dict[str, str], image: Stored) -> tuple[int, Any]:
        if image.annotation is not None and asked.query.get("overwrite") != ["true"]:
            return 409, ANSWERS["annotated"][1]
        image.annotation = json.loads(asked.body["annotationFile"])
        image.annotated += 1
        return 200, {"success": True}

    def _tags(self, asked: Asked, named: dict[str, str], image: Stored) -> tuple[int, Any]:
        given = asked.body["tags"]
        kept = {"add": image.tags, "set": [], "remove": [tag for tag in image.tags if tag not in given]}
        image.tags = list(
            dict.fromkeys([*kept[asked.body["operation"]], *(given if asked.body["operation"] != "remove" else [])])
        )
        return 200, {"success": True}

    def _metadata(self, asked: Asked, named: dict[str, str], image: Stored) -> tuple[int, Any]:
        body = asked.body
        left = [tag for tag in image.tags if tag not in body.get("removeTags", [])]
        image.tags = list(dict.fromkeys([*left, *body.get("addTags", [])]))
        image.metadata |= body.get("metadata", {})
        return 200, {"success": True}

    def _image(self, asked: Asked, named: dict[str, str], image: Stored) -> tuple[int, Any]:
        return 200, {"image": self._hit(image)}

    def _search(self, asked: Asked, named: dict[str, str], _: Any) -> tuple[int, Any]:
        body = asked.body
        fits = [i for i in reversed(self.images(named["project"])) if not body.get("tag") or body["tag"] in i.tags]
        offset, limit = body.get("offset", 0), min(body.get("limit", 50), 250)
        fields = {*body.get("fields", ["id", "name"]), "id"}
        hits = [{k: v for k, v in self._hit(i).items() if k in fields} for i in fits[offset : offset + limit]]
        return 200, {"offset": offset, "total": len(fits), "results": hits}

    def _workspace_search(self, asked: Asked, named: dict[str, str], _: Any) -> tuple[int, Any]:
        start, size = int(asked.body.get("continuationToken") or 0), asked.body.get("pageSize", 50)
        images = list(self._images.values())
        token = str(start + size) if start + size < len(images) else None
        hits = [self._hit(image) for image in images[start : start + size]]
        return 200, {"results": hits, "total": len(images), "continuationToken": token}

    def _batches(self, asked: Asked, named: dict[str, str], _: Any) -> tuple[int, Any]:
        sizes: dict[str, int] = {}
        for image in self.images(named["project"]):
            sizes[image.batch] = sizes.get(image.batch, 0) + 1
        return 200, {
            "batches": [{"id": f"b{i}", "name": n, "images": sizes[n], "numJobs": 0} for i, n in enumerate(sizes)]
        }

    def _clip_text(self, asked: Asked, named: dict[str, str], _: Any) -> tuple[int, Any]:
        texts = asked.body["text"]
        vectors = [list(self.embed(text)) for text in ([texts] if isinstance(texts, str) else texts)]
        return 200, {"embeddings": vectors, "time": 0.01, "frame_id": None}

    def _clip_image(self, asked: Asked, named: dict[str, str], _: Any) -> tuple[int, Any]:
        images = asked.body["image"]
        listed = images if isinstance(images, list) else [images]
        vectors = [list(self.embed(base64.b64decode(image["value"]))) for image in listed]
        return 200, {"embeddings": vectors, "time": 0.01, "frame_id": None}

    def _download(self, asked: Asked, named: dict[str, str], image: Stored) -> tuple[int, Any]:
        return 200, image.data

    def _hit(self, image: Stored) -> dict[str, Any]:
        url = f"{self.url}/_bytes/{image.id}/original.jpg"
        return {
            "id": image.id, "name": image.name, "tags": image.tags, "labels": image.labels, "split": image.split,
            "created": image.created_ms, "url": url, "urls": {"original": url}, "user_metadata": image.metadata,
            "embedding": image.embedding or (list(self.embed(image.data)) if self.keep else []),
            "annotations": {"count": len(image.labels), "classes": {}},
        }  # fmt: skip

    def state(self) -> list[dict[str, Any]]:
        """Every image, without its bytes."""
        with self._lock:
            return [{k: v for k, v in asdict(image).items() if k != "data"} for image in self._images.values()]


def pseudo_vector(what: bytes | str) -> list[float]:
    """A unit vector of 512, the same for the same picture or text."""
    source = random.Random(what)
    values = [source.gauss(0, 1) for _ in range(512)]
    length = sum(v * v for v in values) ** 0.5
    return [v / length for v in values]


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    roboflow: RoboflowServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Listener

    def log_message(self, format: str, *args: Any) -> None:
        """Silent."""

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_GET

    def _serve(self) -> None:
        roboflow = self.server.roboflow
        parts = urlsplit(self.path)
        if parts.path == "/_state":
            return self._say(200, roboflow.state())
        route, named = _route(self.command, parts.path)
        fault = roboflow.fault(route)
        length = int(self.headers.get("Content-Length") or 0)
        if fault == "timeout-before":
            return self._hang()
        if fault == "reset-during":
            self.rfile.read(length // 2)
            return self._reset()
        raw = self._read(length, slowly=fault == "slow-reader")
        asked, file = self._asked(route, parts.path, parts.query, raw)
        roboflow.requests.append(asked)
        if fault in ANSWERS:
            status, said, headers = ANSWERS[fault]
            return self._say(status, said, headers)
        if not route:
            return self._say(404, {"error": "Not found"})
        status, said = roboflow.answer(asked, named, file)
        if fault == "timeout-after":
            return self._hang()
        if fault == "reset-after":
            return self._reset()
        if fault == "garbage-after":
            return self._say(*ANSWERS["garbage"])
        return self._say(status, said, drip=fault)

    def _read(self, length: int, *, slowly: bool) -> bytes:
        if not slowly:
            return self.rfile.read(length)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        read = b""
        pause_s = min(self.server.roboflow.hold_s, 2.0) / 20
        while len(read) < length and not self.server.roboflow.closing.wait(pause_s):
            more = self.rfile.read1(length // 20 + 1)
            if not more:
                break
            read += more
        return read

    def _asked(self, route: str, path: str, query: str, raw: bytes) -> tuple[Asked, bytes]:
        values = parse_qs(query, keep_blank_values=True)
        key = self.server.roboflow.key
        signed = "query" if values.pop("api_key", None) == [key] else ""
        kind = self.headers.get("Content-Type", "")
        body: Any = None
        file = b""
        if kind.startswith("multipart/form-data"):
            body, file = _form(kind, raw)
        elif kind.startswith("application/json"):
            body = json.loads(raw)
            if isinstance(body, dict) and body.get("api_key") == key:
                signed = "body"
                body = {k: v for k, v in body.items() if k != "api_key"}
        elif raw:
            body = raw.decode(errors="replace")
        headers = {name.lower(): value for name, value in self.headers.items()}
        return Asked(route, self.command, path, values, headers, body, signed), file

    def _say(self, status: int, said: Any, headers: dict[str, str] | None = None, drip: str = "") -> None:
        kind = "image/jpeg" if isinstance(said, bytes) else "text/html" if isinstance(said, str) else "application/json"
        body = said if isinstance(said, bytes) else (said if isinstance(said, str) else json.dumps(said)).encode()
        if drip == "drip-head":
            return self._drip(b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 60_000)
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if drip == "drip":
            return self._drip(body + b" " * 60_000)
        self.wfile.write(body)
        return self.wfile.flush()

    def _drip(self, data: bytes) -> None:
        for at in range(len(data)):
            if self.server.roboflow.closing.wait(0.02):
                return
            self.wfile.write(data[at : at + 1])
            self.wfile.flush()

    def _hang(self) -> None:
        self.server.roboflow.closing.wait(self.server.roboflow.hold_s)
        self.close_connection = True

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True
        raise ConnectionResetError  # nothing is to be flushed to it


def _route(method: str, path: str) -> tuple[str, dict[str, str]]:
    for route, methods, pattern in ROUTES:
        found = re.fullmatch(pattern, path)
        if found and method in methods.split("|"):
            return route, {name: unquote(value) for name, value in found.groupdict().items()}
    return "", {}


def _form(kind: str, raw: bytes) -> tuple[list[dict[str, str]], bytes]:
    boundary = b"--" + kind.partition("boundary=")[2].strip('"').encode()
    parts, file = [], b""
    for chunk in raw.split(boundary)[1:-1]:
        head, _, value = chunk.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        value = value.removesuffix(b"\r\n")
        part = {
            name: found[1]
            for name in ("name", "filename")
            if (found := re.search(rf'[ ;]{name}="([^"]*)"', head.decode()))
        }
        content_type = re.search(r"(?i)content-type: *(\S+)", head.decode())
        if content_type:
            part["type"] = content_type[1]
        if "filename" in part:
            file = value
        else:
            part["text"] = value.decode()
        parts.append(part)
    return parts, file


def main() -> None:
    """A process of its own, for whole runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--faults", type=float, default=0.0, help="share of the requests that go wrong")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--hold", type=float, default=60.0, help="seconds that a time-out hangs")
    parser.add_argument("--forget", action="store_true", help="keep of a picture only its hash")
    parser.add_argument("--project", action="append", default=[], help="NAME or NAME=TYPE")
    given = parser.parse_args()
    named = [p.partition("=") for p in given.project] or [("birds", "", "")]
    projects = {name: kind or "object-detection" for name, _, kind in named}
    server = RoboflowServer(projects=projects, port=given.port, hold_s=given.hold, keep=not given.forget)
    source = random.Random(given.seed)
    server.faulty = lambda route: source.choice(RANDOM_FAULTS) if source.random() < given.faults else ""
    print(server.url, flush=True)
    server.serve()


if __name__ == "__main__":
    main()
