"""Runs in every Python of the Debian 13 root: lets an unmodified picamera2 open libcamera's virtual camera.

Nothing of the product is touched. Four things of a Raspberry Pi are missing here and are filled in once
picamera2 has been imported:

- the virtual pipeline has no raw stream, from which picamera2 reads the sensor's modes;
- its buffers come from libcamera's own allocator, not from the Pi's dma-heap, and have to be mapped whole;
- it delivers frames as fast as they are taken. A real sensor paces, so the buffers' pace is held here
  (VIRTUAL_CAMERA_FPS, default 15; 0 lets it run free);
- a second process may open it too. A real pipeline refuses with the error raised here
  (VIRTUAL_CAMERA_LOCK: the file that stands for the device).

VIRTUAL_CAMERA_STALL_FILE: while a file of that name exists, no frame arrives, as on a stalled sensor.
"""

import fcntl
import importlib.abc
import importlib.machinery
import importlib.util
import mmap
import os
import sys
import time


def _fill_in(picamera2):
    from picamera2.allocators import LibcameraAllocator

    class Mapped:
        """Maps a frame's planes as one block."""

        def __init__(self, allocator, buffer, write):
            self.buffer, self.map = buffer, None

        def __enter__(self):
            length = sum(plane.length for plane in self.buffer.planes)
            protection = mmap.PROT_READ | mmap.PROT_WRITE
            self.map = mmap.mmap(self.buffer.planes[0].fd, length, mmap.MAP_SHARED, protection)
            return self.map

        def __exit__(self, *_):
            if self.map is not None:
                self.map.close()

    class FromLibcamera(LibcameraAllocator):
        def __init__(self, camera):
            super().__init__(camera)
            self.sync = Mapped

    camera = picamera2.Picamera2
    opened, completed, closed, take = camera.__init__, camera.process_requests, camera.close, camera._open_camera
    pace = float(os.environ.get("VIRTUAL_CAMERA_FPS", "15"))
    stall_file = os.environ.get("VIRTUAL_CAMERA_STALL_FILE", "")

    def open_with_own_buffers(self, *args, **kwargs):
        opened(self, *args, **kwargs)
        self.allocator = FromLibcamera(self.camera)

    def take_it_alone(self):
        self.device = open(os.environ.get("VIRTUAL_CAMERA_LOCK", os.devnull), "ab")
        try:
            fcntl.flock(self.device, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RuntimeError("Failed to acquire camera: Device or resource busy") from None
        take(self)

    def give_back(self):
        closed(self)
        if getattr(self, "device", None):
            self.device.close()

    def at_a_sensors_pace(self, display):
        if pace:
            time.sleep(1 / pace)
        while stall_file and os.path.exists(stall_file):
            time.sleep(0.05)
        return completed(self, display)

    camera.__init__ = open_with_own_buffers
    camera._open_camera = take_it_alone
    camera.close = give_back
    camera.process_requests = at_a_sensors_pace
    camera._get_raw_modes = lambda self: [{"format": "NV12", "size": (1920, 1080)}]


class _AfterImport(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Calls `_fill_in` once picamera2 has been imported, whoever imports it."""

    def find_spec(self, name, path, target=None):
        if name != "picamera2":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            return None
        self.real = spec.loader
        spec.loader = self
        return spec

    def create_module(self, spec):
        return self.real.create_module(spec)

    def exec_module(self, module):
        self.real.exec_module(module)
        _fill_in(module)


sys.meta_path.insert(0, _AfterImport())
