"""The SCORERS table: how likeness to seeds becomes a score. Pure; a new scorer is a module here and a line in it."""

from collections.abc import Callable, Mapping

from hub.protocols import Scorer
from hub.scorers.aquarium import AquariumV1
from hub.scorers.calibration import LEAST_BACKGROUND
from hub.scorers.classifier import Classifier, choose
from hub.scorers.examples import Examples
from hub.scorers.exemplar import Exemplar
from hub.scorers.nearest import Cosine, Typical
from hub.types import Fitted
from shared.errors import InvalidInput, NotFound

OPENERS: Mapping[str, Callable[[Fitted, Examples], Scorer]] = {
    Exemplar.name: Exemplar,
    Classifier.name: Classifier,
    Typical.name: Typical,
    Cosine.name: Cosine,
    AquariumV1.name: AquariumV1,
}
"""By the name in `Fitted`."""


def _fit_calibrated(examples: Examples) -> Fitted:
    """By what the background allows, and the classifier where it has shown to be better."""
    enough = len(set(examples.background.frame.tolist())) >= LEAST_BACKGROUND
    return choose(examples) if enough else Typical.fit(examples)


SCORERS: Mapping[str, Callable[[Examples], Fitted]] = {
    "calibrated": _fit_calibrated,
    AquariumV1.name: AquariumV1.fit,
    Cosine.name: Cosine.fit,
}
"""By what a campaign asks for; `calibrated` is the default."""


def fit(name: str, examples: Examples) -> Fitted:
    """Learn from examples. NotFound for an unknown scorer."""
    if name not in SCORERS:
        raise NotFound("scorer", name, SCORERS)
    return SCORERS[name](examples)


def open_scorer(fitted: Fitted, examples: Examples) -> Scorer:
    """A scorer as it was fitted. InvalidInput when it is of a newer hub."""
    if fitted.name not in OPENERS:
        raise InvalidInput(
            f"this hub does not know the scorer {fitted.name!r}", hint="Commit the campaign again, or update the hub."
        )
    return OPENERS[fitted.name](fitted, examples)
