"""Whether a picture that stays the same means a camera that died. Pure.

Light noise makes every picture of a living sensor differ, so a server that sends the same bytes again and again
has lost its camera. But some cameras are slow, and some are files: what is too long is learned from each camera.
"""

from dataclasses import dataclass, replace

FLOOR_S = 60.0
"""No camera is called frozen before."""

LEARNED = 3
"""How many times a picture must have been replaced before its camera is judged at all: one that never changed is a
file or a test picture, and nothing says that it should change."""

MARGIN = 2.0
"""How much longer than ever before a picture must have stood."""


@dataclass(frozen=True)
class Stillness:
    """What is remembered of one camera.

    picture: hash of its newest picture. since: when it first came, seconds on any steady clock. replaced: how many
    pictures gave way to another. longest_s: the longest that one of them stood, save the first, whose beginning
    nobody saw.
    """

    picture: int | None = None
    since: float = 0.0
    replaced: int = 0
    longest_s: float = 0.0

    def seen(self, picture: int, now: float) -> "Stillness":
        """After `picture` came at `now`."""
        if picture == self.picture:
            return self
        if self.picture is None:
            return Stillness(picture, now)
        longest = max(self.longest_s, now - self.since) if self.replaced else 0.0
        return replace(self, picture=picture, since=now, replaced=self.replaced + 1, longest_s=longest)

    def stood_s(self, now: float) -> float:
        """How long the newest picture has been the same."""
        return now - self.since if self.picture is not None else 0.0

    def is_frozen(self, now: float) -> bool:
        """Whether the newest picture stood longer than this camera's pictures ever did."""
        return self.replaced >= LEARNED and self.stood_s(now) > max(FLOOR_S, MARGIN * self.longest_s)
