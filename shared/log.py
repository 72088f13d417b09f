"""Logging: one line an event, with the camera and frame it is about, and never a secret."""

import logging
import re
import sys
import time
from typing import TextIO

_SECRET = re.compile(
    r"(?i)(?P<key>\b[\w-]*(?:apikey|token|password|secret|key)(?:=|[\"']\s*:\s*[\"']))(?P<value>[^&\s\"']+)"
    r"|(?P<scheme>\w+://)(?P<user>[^/\s?#]+)@"
    r"|(?P<auth>\b(?:bearer|basic)\s+)(?P<credential>[\w.~+/=-]{6,})"
)


def redact(text: str) -> str:
    """`text` without credentials: those in URLs, key=value secrets and Authorization values become ***."""

    def hide(found: re.Match[str]) -> str:
        if found["key"]:
            return f"{found['key']}***"
        if found["scheme"]:
            return f"{found['scheme']}***@"
        return f"{found['auth']}***"

    return _SECRET.sub(hide, text)


class _Line(logging.Formatter):
    """`2026-01-02T03:04:05Z INFO hub.poll camera=porch frame=ab12 message`."""

    def __init__(self) -> None:
        super().__init__(datefmt="%Y-%m-%dT%H:%M:%SZ")
        self.converter = time.gmtime

    def format(self, record: logging.LogRecord) -> str:
        facts = ((name, getattr(record, name, "")) for name in ("camera", "frame", "campaign", "sink"))
        about = "".join(f"{name}={value} " for name, value in facts if value)
        when = self.formatTime(record, self.datefmt)
        line = f"{when} {record.levelname} {record.name} {about}{' '.join(record.getMessage().splitlines())}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return redact(line)


def setup(level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send all log lines of this process to `stream` (standard error). Calling it again replaces the first."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_Line())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for noisy in ("httpx", "httpcore", "aiohttp", "alembic", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
