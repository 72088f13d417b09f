"""Where the cosines of known models lie: what a campaign goes by before it has seen what its cameras show.

As with a campaign's own background (hub/score.py): the floor is the median of unrelated pairs, and the boundary lets
1 % of them through.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from hub.types import Calibration

Typical = Mapping[str, Calibration]

_NO_TEXT = Calibration(0.0, 0.5, "not calibrated: this model understands no text")


@dataclass(frozen=True)
class Known:
    """What we know of a model with certain weights. name: what it is called in listings."""

    name: str
    typical: Typical


BUILTIN: Typical = {"image": Calibration(0.2, 0.6, "x"), "text": _NO_TEXT}
UNKNOWN: Typical = BUILTIN
KNOWN: Mapping[str, Known] = {}
