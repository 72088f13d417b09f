"""Runs in every Python of the Debian 13 root: lets an unmodified picamera2 open libcamera's virtual camera.

Nothing of the product is touched. What a Raspberry Pi has and this machine lacks is filled in as picamera2 is
imported:

- the virtual pipeline has no raw stream, from which picamera2 reads the sensor's modes;
- its buffers come from libcamera's own allocator, not from the Pi's dma-heap, and have to be mapped whole;
- it delivers frames as fast as they are taken; a sensor has a pace (VIRTUAL_CAMERA_FPS, default 15);
- a second process may open it too; a real pipeline refuses, with the error raised here;
- without a Pi's devices picamera2 takes the machine for a Pi 4. It is a Pi 5, which encodes in software; with
  VIRTUAL_CAMERA_ENCODER=hardware it is a Pi 4 whose encoder stands in for the chip's, taking NV12.

In the folder VIRTUAL_CAMERA, the file `lock` stands for the device; while there is a file `silent`, no frame
arrives, and not until the camera is opened anew; while there is `hang`, picamera2's own thread hangs.
"""

import fcntl
import importlib.abc
import mmap
import os
import sys
import time
from importlib.machinery import PathFinder
from pathlib import Path

FOLDER = Path(os.environ.get("VIRTUAL_CAMERA", "/nowhere"))
PACE_S = 1 / float(os.environ.get("VIRTUAL_CAMERA_FPS", "15"))
HARDWARE = os.environ.get("VIRTUAL_CAMERA_ENCODER") == "hardware"


def _be_a_pi_5(platform):
    if not HARDWARE:
        platform._platform = platform.Platform.PISP


def _encode_as_the_chip_does(encoders):
    import numpy
    import simplejpeg
    from picamera2.request import MappedArray

    class V4L2Encoder(encoders.MultiEncoder):
        """Named as picamera2's base of the hardware encoders."""

    class MJPEGEncoder(V4L2Encoder):
        def _setup(self, quality):
            self.q = 85

        def encode_func(self, request, name):
            width, height = request.config[name]["size"]
            with MappedArray(request, name) as mapped:
                nv12 = numpy.copy(mapped.array)
            luma, chroma = nv12[:height, :width], nv12[height:]
            planes = (luma, chroma[:, 0:width:2], chroma[:, 1:width:2])
            return simplejpeg.encode_jpeg_yuv_planes(*map(numpy.ascontiguousarray, planes), self.q)

    if HARDWARE:
        encoders.MJPEGEncoder = MJPEGEncoder


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

    def open_with_own_buffers(self, *args, **kwargs):
        opened(self, *args, **kwargs)
        self.allocator = FromLibcamera(self.camera)

    def take_it_alone(self):
        self.device = (FOLDER / "lock").open("ab")
        try:
            fcntl.flock(self.device, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RuntimeError("Failed to acquire camera: Device or resource busy") from None
        take(self)

    def give_back(self):
        closed(self)
        if getattr(self, "device", None):
            self.device.close()

    def deliver(self, display):
        time.sleep(PACE_S)
        while (FOLDER / "hang").exists():
            time.sleep(0.05)
        self.silent = getattr(self, "silent", False) or (FOLDER / "silent").exists()
        if self.silent:
            with self._requestslock:
                self._requests = []
        return completed(self, display)

    camera.__init__ = open_with_own_buffers
    camera._open_camera = take_it_alone
    camera.close = give_back
    camera.process_requests = deliver
    camera._get_raw_modes = lambda self: [{"format": "NV12", "size": (1920, 1080)}]


AFTER = {"picamera2": _fill_in, "picamera2.platform": _be_a_pi_5, "picamera2.encoders": _encode_as_the_chip_does}


class _AfterImport(importlib.abc.MetaPathFinder):
    """Lets a function of AFTER see a module once it has been imported, whoever imports it."""

    def find_spec(self, name, path, target=None):
        if name not in AFTER:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            AFTER[name](module)

        spec.loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, _AfterImport())
