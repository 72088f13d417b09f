"""The README's example of the client: offers a folder of pictures to a campaign of a running hub."""

import os
from pathlib import Path

from hub.client import CollectionClient, LabeledFrame

with CollectionClient(os.environ.get("HUB_URL", "http://127.0.0.1:8000")) as client:
    client.set_credentials(api_key=os.environ.get("HUB_API_TOKEN", ""))
    client.sync_state(target_project_names=["tow-trucks"])

    frames = []
    for path in sorted(Path("pictures").glob("*.jpg")):
        frame = LabeledFrame(frame_id=path.name, device_id="dashcam")
        frame.add_image(path)  # or pixels, bytes, a URL; the hub embeds it
        frame.add_user_metadata("route", 7)
        frames.append(frame)

    client.sample_probabilities(frames)
    print(client.save_for_collection(dry_run=True))  # what would be taken, and how all score
    print(client.save_for_collection(target_sample_count=3))  # upload the best three
