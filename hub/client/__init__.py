"""The Python client: offer frames from anywhere to the campaigns of a hub.

    from hub.client import CollectionClient, LabeledFrame

Method names and semantics are those of Aquarium's collection client, so that what was written for it needs little
change. Importing this is light: no database, no model, no web framework.
"""

from hub.client.collection_client import CollectionClient
from hub.client.frames import LabeledFrame
from hub.client.reports import Collected, CollectedFrame, Preview, SampleProbability

__all__ = ["Collected", "CollectedFrame", "CollectionClient", "LabeledFrame", "Preview", "SampleProbability"]
