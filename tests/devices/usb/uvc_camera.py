"""A USB camera in a few hundred bytes of descriptors: UVC 1.0 over bulk, MJPG only, plugged in through USB/IP.

The kernel's `vhci_hcd` takes one end of a socket pair as a USB port; this module is the device on the other
end, so the kernel's own `uvcvideo` drives it and /dev/video* comes and goes as with a real plug. Written from
the USB Video Class 1.0 specification and the kernel's USB/IP protocol document.
"""

import itertools
import os
import socket
import struct
import threading
import time
from collections import OrderedDict
from pathlib import Path

_VHCI = Path("/sys/devices/platform/vhci_hcd.0")
_PORT, _DEVICE_ID, _HIGH_SPEED = 0, 0x00010002, 3
_SUBMIT, _UNLINK, _SUBMITTED, _UNLINKED = 1, 2, 3, 4
_STALL, _GONE = -32, -104
_PAYLOAD = 16 * 1024
_END_OF_FRAME, _END_OF_HEADER, _FRAME_ID = 0x02, 0x80, 0x01


def _descriptor(*body: bytes) -> bytes:
    joined = b"".join(body)
    return bytes([len(joined) + 1]) + joined


def _frame(index: int, width: int, height: int, interval: int) -> bytes:
    bits = width * height * 2 * 8 * (10_000_000 // interval)
    return _descriptor(
        struct.pack("<BBBBHHIIIIBI", 0x24, 0x07, index, 0, width, height, bits, bits, width * height * 2, interval, 1, interval)
    )


class UvcCamera:
    """Plays `frames` (JPEGs of one size) at `fps`.

    `stalled` holds the stream back; `cut` sends only that share of every frame, as a bad cable does.
    """

    def __init__(self, frames: list[bytes], size_wh: tuple[int, int], fps: int = 10) -> None:
        self.frames, self.size_wh, self.fps = frames, size_wh, fps
        self.stalled, self.cut = False, 1.0
        self.sent = 0
        self._interval = 10_000_000 // fps
        self._waiting: OrderedDict[int, int] = OrderedDict()
        self._change = threading.Condition()
        self._plug: socket.socket | None = None

    def plug(self, within_s: float = 30) -> str:
        """Plugs the camera in; the path of its /dev/video* once the kernel has made it."""
        before = set(Path("/dev").glob("video*"))
        ours, theirs = socket.socketpair()
        self._plug = ours
        (_VHCI / "attach").write_text(f"{_PORT} {theirs.fileno()} {_DEVICE_ID} {_HIGH_SPEED}")
        theirs.close()
        threading.Thread(target=self._answer, args=(ours,), daemon=True).start()
        threading.Thread(target=self._stream, args=(ours,), daemon=True).start()
        end = time.monotonic() + within_s
        while time.monotonic() < end:
            new = sorted(set(Path("/dev").glob("video*")) - before)
            if new and all(os.access(path, os.R_OK) for path in new):
                return str(new[0])
            time.sleep(0.1)
        raise TimeoutError("the kernel made no video device for the camera plugged in")

    def unplug(self, within_s: float = 20) -> None:
        """Pulls the plug and waits until the kernel has seen it."""
        assert self._plug is not None
        (_VHCI / "detach").write_text(str(_PORT))
        with self._change:
            self._plug.close()
            self._plug = None
            self._waiting.clear()
            self._change.notify_all()
        end = time.monotonic() + within_s
        while not (_VHCI / "status").read_text().splitlines()[1].startswith("hs  0000 004"):
            if time.monotonic() > end:
                raise TimeoutError("the kernel did not let go of the camera")
            time.sleep(0.1)

    # USB/IP

    def _answer(self, plug: socket.socket) -> None:
        try:
            while True:
                head = self._take(plug, 48)
                command, seq, _, inward, endpoint = struct.unpack(">5I", head[:20])
                if command == _UNLINK:
                    self._unlink(plug, seq, struct.unpack(">I", head[20:24])[0])
                    continue
                length = struct.unpack(">i", head[24:28])[0]
                data = b"" if inward else self._take(plug, length)
                if endpoint == 0:
                    reply = self._control(head[40:48], data)
                    self._reply(plug, seq, _STALL if reply is None else 0, reply or b"", 0 if inward else length)
                else:
                    with self._change:
                        self._waiting[seq] = length
                        self._change.notify_all()
        except OSError:
            return  # the plug was pulled

    def _take(self, plug: socket.socket, length: int) -> bytes:
        parts = []
        while length:
            part = plug.recv(length)
            if not part:
                raise ConnectionResetError
            parts.append(part)
            length -= len(part)
        return b"".join(parts)

    def _reply(self, plug: socket.socket, seq: int, status: int, data: bytes, taken: int = 0) -> None:
        head = struct.pack(">5I5i8x", _SUBMITTED, seq, 0, 0, 0, status, len(data) or taken, 0, 0, 0)
        with self._change:
            plug.sendall(head + data)

    def _unlink(self, plug: socket.socket, seq: int, unwanted: int) -> None:
        with self._change:
            status = _GONE if self._waiting.pop(unwanted, None) is not None else 0
            plug.sendall(struct.pack(">5Ii24x", _UNLINKED, seq, 0, 0, 0, status))

    # UVC

    def _control(self, setup: bytes, data: bytes) -> bytes | None:
        kind, request, value, _, length = struct.unpack("<BBHHH", setup)
        if (kind, request) == (0x80, 6):
            found = {1: self._device, 2: self._configuration, 3: lambda: self._string(value & 0xFF)}.get(value >> 8)
            return found()[:length] if found else None
        if (kind, request) in {(0x80, 0), (0x81, 0), (0x82, 0)}:
            return b"\1\0"[:length]
        if kind in {0x00, 0x01, 0x02}:
            return b""
        if kind == 0x21 and value >> 8 in (1, 2):
            return b""
        if kind == 0xA1 and value >> 8 in (1, 2):
            answers = {0x85: struct.pack("<H", 26), 0x86: b"\3"}
            return answers.get(request, self._probe())[:length]
        return None

    def _device(self) -> bytes:
        return _descriptor(struct.pack("<BHBBBBHHHBBBB", 1, 0x0200, 0xEF, 2, 1, 64, 0x1D6B, 0x0102, 0x0100, 0, 1, 0, 1))

    def _string(self, index: int) -> bytes:
        return _descriptor(b"\3", b"\x09\x04" if index == 0 else "Bowerbird test camera".encode("utf-16-le"))

    def _configuration(self) -> bytes:
        units = _descriptor(struct.pack("<BBBHBBHB", 0x24, 2, 1, 0x0201, 0, 0, 0, 0), struct.pack("<HHB", 0, 0, 3), bytes(3))
        units += _descriptor(struct.pack("<BBBHBBB", 0x24, 3, 2, 0x0101, 0, 1, 0))
        control = _descriptor(struct.pack("<BBHHIBB", 0x24, 1, 0x0100, 13 + len(units), 48_000_000, 1, 1)) + units
        formats = _descriptor(struct.pack("<BBBBBBBBBB", 0x24, 6, 1, 1, 1, 1, 0, 0, 0, 0))
        formats += _frame(1, *self.size_wh, self._interval)
        formats += _descriptor(struct.pack("<BBBBB", 0x24, 0x0D, 1, 1, 4))
        streaming = _descriptor(struct.pack("<BBBHBBBBBBBB", 0x24, 1, 1, 14 + len(formats), 0x81, 0, 2, 0, 0, 0, 1, 0)) + formats
        interfaces = b"".join(
            (
                _descriptor(struct.pack("<BBBBBBB", 0x0B, 0, 2, 0x0E, 3, 0, 0)),
                _descriptor(struct.pack("<BBBBBBBB", 4, 0, 0, 0, 0x0E, 1, 0, 0)),
                control,
                _descriptor(struct.pack("<BBBBBBBB", 4, 1, 0, 1, 0x0E, 2, 0, 0)),
                streaming,
                _descriptor(struct.pack("<BBBHB", 5, 0x81, 2, 512, 0)),
            )
        )
        return _descriptor(struct.pack("<BHBBBBB", 2, 9 + len(interfaces), 2, 1, 0, 0x80, 250)) + interfaces

    def _probe(self) -> bytes:
        width, height = self.size_wh
        return struct.pack("<HBBIHHHHHII", 1, 1, 1, self._interval, 0, 0, 0, 0, 0, width * height * 2, _PAYLOAD)

    def _stream(self, plug: socket.socket) -> None:
        due = time.monotonic()
        try:
            for number in itertools.count():
                due = max(due + 1 / self.fps, time.monotonic())
                while self._plug is plug and (self.stalled or time.monotonic() < due):
                    time.sleep(0.005)
                frame = self.frames[number % len(self.frames)]
                frame = frame[: int(len(frame) * self.cut)]
                chunks = [frame[at : at + _PAYLOAD - 2] for at in range(0, len(frame), _PAYLOAD - 2)]
                for index, chunk in enumerate(chunks):
                    flags = _END_OF_HEADER | (number % 2 and _FRAME_ID) | (index == len(chunks) - 1 and _END_OF_FRAME)
                    seq = self._next_request(plug)
                    if seq is None:
                        return
                    self._reply(plug, seq, 0, bytes([2, flags]) + chunk)
                self.sent += 1
        except OSError:
            return  # the plug was pulled

    def _next_request(self, plug: socket.socket) -> int | None:
        with self._change:
            while self._plug is plug and not self._waiting:
                self._change.wait(0.5)
            return self._waiting.popitem(last=False)[0] if self._plug is plug else None
