"""What is known of certain weights' vectors before any camera has shown something: see `hub.types.Prior`.

`statistics/clip-vit-b32.npz` holds the mean and the covariance of the text vectors of "a <noun>" for the 1,454 nouns of
Detic's class metadata (Apache-2.0), by OpenAI's CLIP ViT-B/32 (MIT): no picture had a part in it.
"""

from functools import cache
from importlib.resources import files

import numpy as np

from hub.types import Prior

NOTHING = Prior()


@cache
def shipped(name: str) -> Prior:
    """The statistics in `statistics/<name>.npz`."""
    with (files("hub.models") / "statistics" / f"{name}.npz").open("rb") as file, np.load(file) as data:
        mean, upper = data["text_mean"], data["concepts"].astype(np.float32)
    concepts = np.zeros((len(mean), len(mean)), np.float32)
    concepts[np.triu_indices(len(mean))] = upper
    return Prior(mean, concepts + np.triu(concepts, 1).T)
