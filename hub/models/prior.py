"""What is known of certain weights' vectors before any camera has shown something: see `hub.types.Prior`.

`statistics/clip-vit-b32.npz` holds the mean and the covariance of the text vectors of "a <noun>" for the 1,454 nouns of
Detic's class metadata (Apache-2.0), by OpenAI's CLIP ViT-B/32 (MIT): no picture had a part in it.
"""

from functools import cache
from importlib.resources import files

import numpy as np

from hub.types import Prior, Vectors

NOTHING = Prior()

NOUNS = (
    "person", "child", "dog", "cat", "bird", "horse", "cow", "fish", "insect", "tree", "flower", "field", "forest",
    "mountain", "river", "beach", "sky", "road", "street", "bridge", "house", "door", "window", "room", "kitchen",
    "table", "chair", "bed", "lamp", "bottle", "cup", "plate", "fruit", "bread", "meal", "book", "phone", "computer",
    "screen", "clock", "tool", "machine", "factory", "box", "bag", "shoe", "shirt", "hat", "ball", "toy", "instrument",
    "bicycle", "car", "truck", "bus", "train", "boat", "airplane", "sign", "fence", "wall", "light", "shadow", "night",
)  # fmt: skip
"""What the mean of texts is taken of, for weights we know nothing of."""


@cache
def shipped(name: str) -> Prior:
    """The statistics in `statistics/<name>.npz`."""
    with (files("hub.models") / "statistics" / f"{name}.npz").open("rb") as file, np.load(file) as data:
        mean, upper = data["text_mean"], data["concepts"].astype(np.float32)
    concepts = np.zeros((len(mean), len(mean)), np.float32)
    concepts[np.triu_indices(len(mean))] = upper
    return Prior(mean, concepts + np.triu(concepts, 1).T)


def of_texts(vectors: Vectors) -> Prior:
    """From the vectors of NOUNS, (n, d): too few for a covariance."""
    return Prior(vectors.mean(axis=0).astype(np.float32))
