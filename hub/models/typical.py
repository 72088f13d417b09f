"""What we know of certain weights: where the cosines of their vectors lie, which a campaign goes by before it has
seen what its cameras show.

As with a campaign's own background (hub/score.py): the floor is the median of unrelated pairs, and the boundary lets
1 % of them through. Measured on Caltech-101's validation split (1,649 pictures, 100 classes): for images all pairs of
different classes; for text "a <name>" against the pictures of other classes, 38 names.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from hub.models.preprocess import Preprocessing
from hub.types import Calibration

Typical = Mapping[str, Calibration]

MINUS_ONE_TO_ONE = Preprocessing(resize=(224, 224), crop_hw=None, resample=2, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
"""What MobileNetV2 takes. The whole picture, squeezed, finds the right class more often than a cut from the middle
(0.867 against 0.862 on Caltech-101) and leaves on people's heads and feet."""


@dataclass(frozen=True)
class Known:
    """name: for listings, "" for that of its folder. preprocessing: None for that of its own file. prior: of the
    statistics that ship with the hub (prior.py), "" for none."""

    typical: Typical
    name: str = ""
    preprocessing: Preprocessing | None = None
    prior: str = ""


def _measured(floor: float, boundary: float, model: str, what: str, kept: str) -> Calibration:
    source = f"measured for {model} on Caltech-101: lets 1 % of unrelated {what} reach 0.5, and {kept} of related"
    return Calibration(floor, boundary, source)


_PAIRS, _TEXTS = "picture pairs", "text-picture pairs"

NO_TEXT = Calibration(0.0, 0.5, "not calibrated: this model understands no text")

CLIP: Typical = {
    "image": _measured(0.53, 0.73, "CLIP ViT-B/32", _PAIRS, "72 %"),
    "text": _measured(0.19, 0.253, "CLIP ViT-B/32", _TEXTS, "81 %"),
}
STUDENT: Typical = {
    "image": _measured(0.68, 0.86, "the CLIP student", _PAIRS, "84 %"),
    "text": _measured(0.217, 0.273, "the CLIP student", _TEXTS, "87 %"),
}
MOBILENET: Typical = {"image": _measured(0.32, 0.50, "MobileNetV2", _PAIRS, "88 %"), "text": NO_TEXT}
BUILTIN: Typical = {"image": _measured(0.19, 0.54, "the built-in descriptor", _PAIRS, "48 %"), "text": NO_TEXT}

_BORROWED = "not calibrated for this model: the figures of {}, which may be far off"

UNKNOWN_CLIP: Typical = {
    kind: Calibration(c.floor, c.boundary, _BORROWED.format("CLIP ViT-B/32")) for kind, c in CLIP.items()
}
UNKNOWN_FEATURES: Typical = {"image": Calibration(0.32, 0.50, _BORROWED.format("MobileNetV2")), "text": NO_TEXT}

CLIP_PRIOR = "clip-vit-b32"

STUDENT_NAME = "clip-student (stand-in for CLIP ViT-B/32, not CLIP)"

KNOWN: Mapping[str, Known] = {
    "fd6e1402a588279d1723c7534d4bcba5bc0b14b47dfab0e46f8c47b8270d7d40": Known(
        CLIP, prior=CLIP_PRIOR
    ),  # clip-vit-b32 of the catalog
    "4ad1b813e5fe0ef948aefb35790f432c52e815d7f6fdccd135373bc77c7e7c66": Known(STUDENT, STUDENT_NAME, prior=CLIP_PRIOR),
    "44237650b0752e4cc5abe2022e1c3d06765dda44177cbfa665924720a2fa406f": Known(
        MOBILENET, "mobilenetv2_imagenet", MINUS_ONE_TO_ONE
    ),
}
"""By the sha256 of the image tower, since names can lie."""
