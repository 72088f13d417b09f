"""Roboflow Collect's environment: what the hub does when it is started with the variables of that program.

They count once ROBOFLOW_KEY and ROBOFLOW_PROJECT are set. Then:

- CLIP_TEXT_PROMPT is the campaign `collect-prompt`, COLLECT_ALL `collect-all`, DRIFT_PROJECT `collect-drift` (1 frame
  in 100, at random, to that project). They look at every camera of the hub, and follow the variables at each start: one
  that is gone deactivates its campaign, one that changed makes a new version. A person's edits of everything else stay.
- Without CLIP_TEXT_PROMPT, images tagged `sample-more` are campaigns, too (sync.py), as there.
- The camera `collect` is started, from STREAM_URL or else the webcam, if any variable of Collect's own is set (it never
  ran without INFER_SERVER_DESTINATION) and the hub has no camera that somebody added. So a hub with cameras and a
  Roboflow project is a hub with a destination, and a key and a project alone open nobody's webcam.

UNIQUE_FRAME_BUFFER: the original says that so many frames should pass before a frame is unique, and averages the last
ten embeddings. Here it means what it says: a picture like one that was taken less than so many frames ago is not taken.
STOP_COLLECTING_AFTER: the original counts images uploaded since it was started. Here each campaign counts its own, and
goes on counting after a restart.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from hub.campaigns import Draft
from hub.local_camera import is_local
from hub.settings import Settings
from hub.triggers.everything import Everything
from hub.triggers.random import Random
from hub.triggers.similarity import Similarity
from hub.types import Budget, Camera

CAMERA = "collect"
PROMPT, ALL, DRIFT = "collect-prompt", "collect-all", "collect-drift"
DESTINATION = "roboflow"
DRIFT_ONE_IN = 100

UNIQUE_DISTANCE = 0.02
"""Cosine distance below which two pictures of one camera show the same; noise and compression stay below it."""


@dataclass(frozen=True)
class CollectEnv:
    """What the variables say; see the settings of the same names."""

    key: str = field(default="", repr=False)
    project: str = ""
    stream_url: str = field(default="", repr=False)
    sample_rate: float = 1.0
    collect_all: bool = False
    prompt: str = ""
    prompt_threshold: float = 0.2
    drift_project: str = ""
    unique_frame_buffer: int = 0
    stop_after: int = 0
    infer_server: str = ""

    @classmethod
    def of(cls, settings: Settings) -> "CollectEnv":
        """From the hub's settings."""
        return cls(
            settings.roboflow_key,
            settings.roboflow_project,
            settings.stream_url.strip(),
            settings.sample_rate,
            settings.collect_all,
            settings.clip_text_prompt.strip(),
            settings.clip_text_prompt_threshold,
            settings.drift_project.strip(),
            settings.unique_frame_buffer,
            settings.stop_collecting_after,
            settings.infer_server_destination,
        )

    @property
    def has_project(self) -> bool:
        """Whether there is somewhere to upload to."""
        return bool(self.key and self.project)

    @property
    def own(self) -> tuple[str, ...]:
        """Which variables are set that only Collect has, or had to have."""
        said: Mapping[str, object] = {
            "INFER_SERVER_DESTINATION": self.infer_server,
            "STREAM_URL": self.stream_url,
            "COLLECT_ALL": self.collect_all,
            "CLIP_TEXT_PROMPT": self.prompt,
            "DRIFT_PROJECT": self.drift_project,
            "SAMPLE_RATE": self.sample_rate != 1.0,
            "UNIQUE_FRAME_BUFFER": self.unique_frame_buffer,
            "STOP_COLLECTING_AFTER": self.stop_after,
        }
        return tuple(name for name, value in said.items() if value)

    @property
    def acts(self) -> bool:
        """Whether this is Roboflow Collect's environment, and not just a destination."""
        return self.has_project and bool(self.own)

    @property
    def syncs(self) -> bool:
        """Whether tagged images are looked for."""
        return self.has_project and not self.prompt

    def rules(self, budget: Budget) -> Budget:
        """A budget as UNIQUE_FRAME_BUFFER and STOP_COLLECTING_AFTER want it; as it is, where this is not Collect's
        environment. What was set by UNIQUE_FRAME_BUFFER goes with it."""
        if not self.acts:
            return budget
        budget = replace(budget, stop_after=self.stop_after or None)
        if self.unique_frame_buffer:
            # Half an interval more, so that it counts frames, however exactly they come.
            unique_s = (self.unique_frame_buffer + 0.5) * self.sample_rate
            return replace(budget, duplicate_distance=UNIQUE_DISTANCE, duplicate_s=unique_s)
        if budget.duplicate_distance == UNIQUE_DISTANCE and budget.duplicate_s:
            return replace(budget, duplicate_distance=0.0, duplicate_s=0.0)
        return budget


def camera_source(env: CollectEnv, cameras: Sequence[Camera]) -> str | None:
    """What the local camera shows, as `camera-node serve --source` names it; None where none is to be started."""
    if not env.acts or any(not is_local(camera, CAMERA) for camera in cameras):
        return None
    url = env.stream_url
    name = url.split(":")[0].split("?")[0]
    if not url:
        return "auto"
    if url.isdigit() or url.startswith("/dev/"):
        return f"opencv:{url}"
    if url.startswith("file://"):
        return f"folder:{url.removeprefix('file://')}"
    if "://" in url or name in ("auto", "opencv", "picamera", "folder", "pattern"):
        return url
    return f"folder:{url}"


def drafts(env: CollectEnv) -> list[Draft]:
    """The campaigns that the variables ask for."""
    if not env.has_project:
        return []
    drafts: list[Draft] = []
    if env.prompt:
        budget = env.rules(Budget(threshold=max(0.0, env.prompt_threshold)))
        drafts.append(Draft(PROMPT, Similarity(scorer="cosine"), budget=budget, tags=(env.prompt,)))
    if env.collect_all:
        drafts.append(Draft(ALL, Everything(), budget=env.rules(Budget())))
    if env.drift_project:
        # Nothing but the lot may choose what drift is measured by.
        budget = replace(env.rules(Budget()), duplicate_distance=0.0, duplicate_s=0.0)
        drafts.append(Draft(DRIFT, Random(DRIFT_ONE_IN), budget=budget, tags=(env.drift_project,)))
    where = {DRIFT: f"{DESTINATION}:{env.drift_project}"}
    return [replace(draft, destinations=(where.get(draft.name, DESTINATION),)) for draft in drafts]


def notes(env: CollectEnv, cameras: Sequence[Camera]) -> list[str]:
    """What the variables do not say, and what of them is passed over."""
    if env.own and not env.has_project:
        missing = " and ".join(n for n, v in (("ROBOFLOW_KEY", env.key), ("ROBOFLOW_PROJECT", env.project)) if not v)
        return [f"{', '.join(env.own)} would collect for Roboflow, but {missing} is not set"]
    others = [camera.name for camera in cameras if not is_local(camera, CAMERA)]
    if env.acts and env.stream_url and others:
        return [f"STREAM_URL is not watched, since there are cameras: {', '.join(others)}"]
    if env.has_project and not env.own and not others:
        return ["No camera is watched. Add one (hub cameras add NAME URL), or set STREAM_URL (0 is the first webcam)"]
    return []
