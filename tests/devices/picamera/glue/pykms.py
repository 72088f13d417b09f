"""Stands in for kmsxx, which only picamera2's DRM preview would use."""


class _Anything:
    def __getattr__(self, name: str) -> str:
        return name


PixelFormat = _Anything()
