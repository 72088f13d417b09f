"""What is known of certain weights' vectors before any camera has shown something: see `hub.types.Prior`.

`statistics/clip-vit-b32.npz` holds the mean and the covariance of the text vectors of "a <noun>" for the 1,454 nouns of
Detic's class metadata (Apache-2.0), by OpenAI's CLIP ViT-B/32 (MIT): no picture had a part in it.
"""

from functools import cache
from importlib.resources import files

import numpy as np

from hub.types import Prior

NOTHING = Prior()

NOUNS = (
    "person", "child", "crowd", "face", "hand", "dog", "cat", "bird", "horse", "cow", "sheep", "pig", "goat", "chicken",
    "deer", "fox", "bear", "rabbit", "mouse", "fish", "insect", "butterfly", "bee", "spider", "snake", "tree", "bush",
    "flower", "leaf", "grass", "field", "forest", "garden", "farm", "mountain", "hill", "river", "lake", "beach", "sea",
    "snow", "rain", "fog", "sky", "cloud", "sun", "night", "shadow", "fire", "smoke", "road", "street", "sidewalk",
    "crossing", "parking lot", "bridge", "tunnel", "house", "building", "tower", "church", "shop", "factory", "barn",
    "stable", "garage", "door", "window", "gate", "fence", "wall", "roof", "floor", "stairs", "room", "kitchen",
    "bedroom", "bathroom", "office", "corridor", "table", "chair", "bed", "sofa", "shelf", "lamp", "mirror", "curtain",
    "bottle", "cup", "bowl", "plate", "knife", "fruit", "vegetable", "bread", "cake", "meat", "book", "paper", "pen",
    "phone", "computer", "screen", "keyboard", "camera", "clock", "tool", "hammer", "machine", "robot", "conveyor belt",
    "pipe", "cable", "box", "pallet", "barrel", "bag", "basket", "shoe", "shirt", "coat", "hat", "helmet", "glasses",
    "umbrella", "ball", "toy", "musical instrument", "bicycle", "motorcycle", "car", "van", "truck", "bus", "tractor",
    "train", "boat", "ship", "airplane", "sign", "traffic light", "flag", "statue", "picture", "pattern",
)  # fmt: skip
"""What the mean of texts is taken of, for weights we know nothing of: the things that cameras show."""


@cache
def shipped(name: str) -> Prior:
    """The statistics in `statistics/<name>.npz`."""
    with (files("hub.models") / "statistics" / f"{name}.npz").open("rb") as file, np.load(file) as data:
        mean, upper = data["text_mean"], data["concepts"].astype(np.float32)
    concepts = np.zeros((len(mean), len(mean)), np.float32)
    concepts[np.triu_indices(len(mean))] = upper
    return Prior(mean, concepts + np.triu(concepts, 1).T)
