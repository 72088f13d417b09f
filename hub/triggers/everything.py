"""Take every frame."""

from dataclasses import dataclass
from typing import ClassVar

from hub.types import ElementKind, Matches, Needs, Observation, Score, State


@dataclass(frozen=True)
class Everything:
    """Every frame scores 1: what is kept is up to the budget alone."""

    name: ClassVar[str] = "everything"
    capped_by_matches: ClassVar[bool] = False

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
        """There is nothing to be like."""
        return False

    def score(self, seen: Observation, matches: Matches | None, state: State) -> tuple[Score, State]:
        """Always 1."""
        return Score(1.0, scorer=self.name, why="everything is taken"), state
