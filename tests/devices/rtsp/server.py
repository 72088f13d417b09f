"""An RTSP camera: rtsp://127.0.0.1:PORT/cam, 640×480 H.264 at 15 frames/s, until killed.

server.py PORT. Says `up` once it listens. A line on its input changes the pattern (`smpte`, `red`, `green`, …).
Needs the system's Python, which has the GStreamer bindings.
"""

import sys
import threading

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

LAUNCH = (
    "( videotestsrc is-live=true name=test ! video/x-raw,width=640,height=480,framerate=15/1"
    " ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=15"
    " ! rtph264pay name=pay0 pt=96 config-interval=1 )"
)


def main() -> None:
    Gst.init(None)
    patterns = []
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(sys.argv[1])
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(LAUNCH)
    factory.set_shared(True)
    factory.connect("media-configure", lambda _, media: patterns.append(media.get_element().get_by_name("test")))
    server.get_mount_points().add_factory("/cam", factory)
    server.attach(None)

    def obey() -> None:
        for line in sys.stdin:
            for source in patterns:
                source.set_property("pattern", line.strip())

    threading.Thread(target=obey, daemon=True).start()
    print("up", flush=True)
    GLib.MainLoop().run()


main()
