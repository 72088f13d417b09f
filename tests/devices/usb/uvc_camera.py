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
_STANDARD_IN, _CLASS_OUT, _CLASS_IN = 0x80, 0x21, 0xA1
_GET_DESCRIPTOR, _GET_LENGTH, _GET_INFO = 6, 0x85, 0x86
_PROBE_OR_COMMIT = (1, 2)
_END_OF_FRAME, _END_OF_HEADER, _FRAME_ID = 0x02, 0x80, 0x01


def _descriptor(layout: str, *values: int, then: bytes = b"") -> bytes:
    """A descriptor: its length, then values of this struct layout, then more bytes."""
    body = struct.pack(f"<{layout}", *values) + then
    return bytes([len(body) + 1]) + body


class UvcCamera:
    """Plays `frames` (JPEGs of one size) at `fps`.

    `stalled` holds the stream back; `cut` sends only that share of every frame, as a bad cable does.
    """

    def __init__(self, frames: list[bytes], size_wh: tuple[int, int], fps: int = 10) -> None:
        self.frames, self.size_wh, self.fps = frames, size_wh, fps
        self.stalled, self.cut = False, 1.0
        self.path = ""
        self._interval = 10_000_000 // fps
        self._waiting: OrderedDict[int, int] = OrderedDict()
        self._change = threading.Condition()
        self._plug: socket.socket | None = None

    @property
    def plugged(self) -> bool:
        return self._plug is not None

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
                self.path = str(new[0])
                return self.path
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
        """The answer to a control request; None refuses it."""
        kind, request, value, _, length = struct.unpack("<BBHHH", setup)
        if (kind, request) == (_STANDARD_IN, _GET_DESCRIPTOR):
            return self._descriptors(value >> 8, value & 0xFF)[:length] or None
        if kind in {0x80, 0x81, 0x82}:  # status of device, interface, endpoint
            return b"\1\0"[:length]
        if kind in {0x00, 0x01, 0x02}:  # set configuration, set interface, clear halt
            return b""
        if kind == _CLASS_OUT and value >> 8 in _PROBE_OR_COMMIT:
            return b""
        if kind == _CLASS_IN and value >> 8 in _PROBE_OR_COMMIT:
            return {_GET_LENGTH: struct.pack("<H", 26), _GET_INFO: b"\3"}.get(request, self._probe())[:length]
        return None

    def _descriptors(self, kind: int, index: int) -> bytes:
        if kind == 1:
            return _descriptor("BHBBBBHHHBBBB", 1, 0x0200, 0xEF, 2, 1, 64, 0x1D6B, 0x0102, 0x0100, 0, 1, 0, 1)
        if kind == 2:
            return self._configuration()
        if kind == 3:
            return _descriptor("B", 3, then=b"\x09\x04" if index == 0 else "Bowerbird camera".encode("utf-16-le"))
        return b""

    def _configuration(self) -> bytes:
        interfaces = b"".join(
            (
                _descriptor("BBBBBBB", 0x0B, 0, 2, 0x0E, 3, 0, 0),  # both interfaces are one video function
                _descriptor("BBBBBBBB", 4, 0, 0, 0, 0x0E, 1, 0, 0),  # video control
                self._units(),
                _descriptor("BBBBBBBB", 4, 1, 0, 1, 0x0E, 2, 0, 0),  # video streaming
                self._formats(),
                _descriptor("BBBHB", 5, 0x81, 2, 512, 0),  # bulk, towards the host
            )
        )
        return _descriptor("BHBBBBB", 2, 9 + len(interfaces), 2, 1, 0, 0x80, 250) + interfaces

    def _units(self) -> bytes:
        sensor = _descriptor("BBBHBBHHHBBBB", 0x24, 2, 1, 0x0201, 0, 0, 0, 0, 0, 3, 0, 0, 0)
        output = _descriptor("BBBHBBB", 0x24, 3, 2, 0x0101, 0, 1, 0)
        units = sensor + output
        return _descriptor("BBHHIBB", 0x24, 1, 0x0100, 13 + len(units), 48_000_000, 1, 1) + units

    def _formats(self) -> bytes:
        width, height = self.size_wh
        most = width * height * 2
        bits = most * 8 * self.fps
        sizes = (1, 0, width, height, bits, bits, most, self._interval, 1, self._interval)
        formats = _descriptor("BBBBBBBBBB", 0x24, 6, 1, 1, 1, 1, 0, 0, 0, 0)  # MJPG
        formats += _descriptor("BBBBHHIIIIBI", 0x24, 7, *sizes)
        formats += _descriptor("BBBBB", 0x24, 0x0D, 1, 1, 4)
        total = 14 + len(formats)
        return _descriptor("BBBHBBBBBBBB", 0x24, 1, 1, total, 0x81, 0, 2, 0, 0, 0, 1, 0) + formats

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
                if not self._send(plug, self.frames[number % len(self.frames)], number % 2 and _FRAME_ID):
                    return
        except OSError:
            return  # the plug was pulled

    def _send(self, plug: socket.socket, frame: bytes, frame_id: int) -> bool:
        """One frame, as payloads with their headers; False when the plug was pulled."""
        frame = frame[: int(len(frame) * self.cut)]
        for at in range(0, len(frame), _PAYLOAD - 2):
            chunk = frame[at : at + _PAYLOAD - 2]
            last = _END_OF_FRAME if at + len(chunk) == len(frame) else 0
            payload = bytes([2, _END_OF_HEADER | frame_id | last]) + chunk
            # Under one lock: a request that is unlinked between its choice and its answer must not be answered.
            with self._change:
                seq = self._next_request(plug)
                if seq is None:
                    return False
                self._reply(plug, seq, 0, payload)
        return True

    def _next_request(self, plug: socket.socket) -> int | None:
        """The oldest request that waits for data; None when the plug was pulled. Call it with `_change` held."""
        while self._plug is plug and not self._waiting:
            self._change.wait(0.5)
        return self._waiting.popitem(last=False)[0] if self._plug is plug else None
