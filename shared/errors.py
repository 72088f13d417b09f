"""Every error we raise on purpose.

BowerbirdError                    the message says what is wrong, `hint` what to do next
├── InvalidInput                  what the caller gave can't be used (exit code 2)
│   ├── ConfigError               settings: lists every mistake at once
│   ├── NotFound                  no such camera, campaign, label …; names the nearest ones
│   ├── NotSetUp                  a setting is missing that would make it work, such as a key
│   └── AlreadyExists
├── ImageError                    bytes that are not a picture we accept; `reason` is a slug
├── CameraError                   a camera did not give a picture; `reason` is a slug
├── ModelError                    a model is missing, of the wrong kind, or does not work
│   └── DownloadError
├── StoreError                    database or blob store
│   ├── DatabaseTooNew
│   └── StorageFull
└── DeliveryError                 a destination did not take a sample
    ├── RetryLater                try again, after `after_s` seconds when the destination said so
    ├── Refused                   this sample will never be taken: park it for a person
    └── Paused                    the destination as a whole is unusable (key, quota): stop and say so
"""

import difflib
from collections.abc import Iterable


class BowerbirdError(Exception):
    """Base of all errors raised on purpose. `hint` tells the user the next step."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message

    @property
    def told(self) -> str:
        """Message and hint on one line."""
        return f"{self.message.rstrip('.')}. {self.hint}" if self.hint else self.message


class InvalidInput(BowerbirdError):
    """What the caller gave can't be used."""


class ConfigError(InvalidInput):
    """One or more settings are wrong; the message has a line for each."""

    def __init__(self, mistakes: Iterable[str], *, hint: str = "") -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(self.mistakes), hint=hint)


class NotFound(InvalidInput):
    """`what` (a kind of thing) named `name` is not among `known`; the hint names the nearest."""

    def __init__(self, what: str, name: str, known: Iterable[str] = (), *, hint: str = "") -> None:
        names = sorted(known)
        near = difflib.get_close_matches(name, names, n=5, cutoff=0.5)
        if not hint and near:
            hint = f"Did you mean {', '.join(near)}?"
        elif not hint and names:
            hint = f"Known: {', '.join(names[:12])}{' …' if len(names) > 12 else ''}."
        super().__init__(f"no {what} named {name!r}", hint=hint)


class NotSetUp(InvalidInput):
    """What was asked for would work, were a setting not missing (a key, an address); the hint names it."""


class AlreadyExists(InvalidInput):
    """`what` named `name` exists."""

    def __init__(self, what: str, name: str, *, hint: str = "") -> None:
        super().__init__(f"a {what} named {name!r} exists already", hint=hint)


class ImageError(BowerbirdError):
    """Bytes that are not a picture we accept.

    `reason`: not-an-image, truncated, too-large, too-many-pixels, animated, undecodable, wrong-type.
    """

    def __init__(self, reason: str, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.reason = reason


class CameraError(BowerbirdError):
    """A camera did not give a picture.

    `reason` is one of `REASONS`, or of `NODE_REASONS` where the camera is our own device.
    `retry_after_s` is what the camera asked for, if it did.
    """

    NODE_REASONS = ("starting", "stalled", "no device", "unavailable", "stopping")

    REASONS = (
        "unreachable", "timeout", "unauthorised", "bad-status", "unavailable", "redirect", "offline",
        "empty", "truncated", "too-large", "too-many-pixels", "not-an-image", "frozen", "forbidden-address",
    )  # fmt: skip

    def __init__(self, reason: str, message: str, *, retry_after_s: float | None = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.reason = reason
        self.retry_after_s = retry_after_s


class ModelError(BowerbirdError):
    """A model is missing, of the wrong kind, or does not work."""


class DownloadError(ModelError):
    """A model file could not be fetched whole and verified."""


class StoreError(BowerbirdError):
    """The database or the blob store can't do what it was asked."""


class DatabaseTooNew(StoreError):
    """The database was written by a newer version of the hub."""


class StorageFull(StoreError):
    """No space, or the disk is read-only."""


class DeliveryError(BowerbirdError):
    """A destination did not take a sample."""


class RetryLater(DeliveryError):
    """Passing trouble; `after_s` is the wait the destination asked for, if it did.

    `remote_id`: the destination's id of the sample, where it is there already and something else is still to be done.
    `of_sample`: whether it says something of this sample alone, and nothing of the destination.
    """

    def __init__(
        self, message: str, *, after_s: float | None = None, remote_id: str = "", of_sample: bool = False
    ) -> None:
        super().__init__(message)
        self.after_s, self.remote_id, self.of_sample = after_s, remote_id, of_sample


class Refused(DeliveryError):
    """The destination will never take this sample; the message is in its own words."""


class Paused(DeliveryError):
    """The destination can't be used at all for now (key, quota, folder gone); the message says what a person can do.

    `remote_id`: as in `RetryLater`.
    """

    def __init__(self, message: str, *, hint: str = "", remote_id: str = "") -> None:
        super().__init__(message, hint=hint)
        self.remote_id = remote_id
