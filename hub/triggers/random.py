"""Take 1 frame in N by lot: the sample that shows what the other campaigns never look at."""

import hashlib
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hub.rarity import FALSE_POSITIVE_RATE, score_of_rarity
from hub.types import ElementKind, Matches, Needs, Observation, Score, State
from shared.errors import InvalidInput

_BITS = 53
"""As many as a float holds exactly, so that no draw is rounded up to 1."""

_BELOW_BOUNDARY = float(np.nextafter(0.5, 0.0))


@dataclass(frozen=True)
class Random:
    """1 frame in `one_in` scores 0.5 or more, drawn by a hash of the frame: the same frame is always decided alike.

    one_in: 1 takes every frame. seed: another seed draws other frames. A threshold of 0.75 takes a tenth of them.
    """

    name: ClassVar[str] = "random"
    capped_by_matches: ClassVar[bool] = False

    one_in: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        if type(self.one_in) is not int or self.one_in < 1:
            raise InvalidInput(
                f"one_in is {self.one_in!r}", hint="Give a whole number from 1 (every frame) up: 100 takes 1 in 100."
            )
        if type(self.seed) is not int:
            raise InvalidInput(f"seed is {self.seed!r}", hint="Give any whole number, such as 0.")

    @property
    def element(self) -> ElementKind:
        """The frame is what is kept."""
        return ElementKind.FRAME

    @property
    def needs(self) -> Needs:
        """No model at all."""
        return Needs()

    @property
    def wants_seeds(self) -> bool:
        """A lot looks at nothing."""
        return False

    def score(self, seen: Observation, matches: Matches | None, state: State) -> tuple[Score, State]:
        """By the frame's lot: the smaller, the rarer, the higher the score."""
        lot = _lot(self.seed, seen.frame.camera, seen.frame.id)
        taken = lot * self.one_in < 2**_BITS
        what = "drawn" if taken else "not drawn"
        value = _score(lot / 2**_BITS, self.one_in, taken)
        return Score(value, scorer=self.name, why=f"{what}, 1 in {self.one_in:,}"), state


def _lot(seed: int, camera: str, frame_id: str) -> int:
    """Uniform in [0, 2^_BITS), and the same on every machine at any time."""
    digest = hashlib.blake2b(f"{seed}\0{camera}\0{frame_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> (64 - _BITS)


def _score(u: float, one_in: int, taken: bool) -> float:
    """Never lower for a smaller u; 0.5 or more exactly when taken, whatever the logarithm rounds to."""
    if taken:
        # Taken ones are rarer than the boundary by u·N. Said so, it holds for N = 1 too, where 1/N has no decades.
        return max(0.5, float(score_of_rarity(u * one_in * FALSE_POSITIVE_RATE)))
    return min(_BELOW_BOUNDARY, float(score_of_rarity(u, 1.0 / one_in)))
