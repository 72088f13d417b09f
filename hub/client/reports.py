"""What a client says of frames: their scores, and what became of them."""

from collections.abc import Sequence
from dataclasses import dataclass

from hub.appraise import Statistics
from hub.client.frames import LabeledFrame
from hub.collection.values import Receipt
from hub.types import Box


@dataclass(frozen=True)
class SampleProbability:
    """How well a frame fits a campaign.

    similarity_score: in [0, 1], 0.5 is the boundary. similarity_score_version: of the formula. sampled_element_id: the
    frame_id or, where a crop won, the label_id ("box 3" for the detector's third). closest_seed: name of the nearest
    seed, "" for none; cosine: to it. why: a short phrase.
    """

    frame_id: str
    campaign: str
    version: int
    similarity_score: float
    similarity_score_version: str
    sampled_element_id: str
    closest_seed: str = ""
    cosine: float | None = None
    why: str = ""


@dataclass(frozen=True)
class CollectedFrame:
    """A frame that a campaign takes, and why. box: of the element that won, pixels."""

    probability: SampleProbability
    box: Box
    reason: str


@dataclass(frozen=True, eq=False)
class Preview:
    """The frame that fits a campaign best. picture: its bytes, after a dry run of a
    frame that has one."""

    frame: LabeledFrame
    probability: SampleProbability
    box: Box
    picture: bytes | None


@dataclass(frozen=True, eq=False)
class Collected:
    """What `save_for_collection` did, or would do.

    statistics: by campaign, over everything that was sampled; `best` is a frame_id. frames: those taken. receipt: what
    the hub made of them; None for a dry run. print() shows a table.
    """

    statistics: Sequence[Statistics]
    frames: Sequence[CollectedFrame]
    best: Preview | None
    receipt: Receipt | None

    def __str__(self) -> str:
        width = max([8, *(len(each.campaign) for each in self.statistics)])
        lines = [f"{'campaign':<{width}}  collected / seen      min    max   mean  std dev"]
        lines += [
            f"{each.campaign:<{width}}  {each.collected:>9,} / {each.seen:<8,}"
            f"  {each.least:.3f}  {each.most:.3f}  {each.mean:.3f}  {each.deviation:.3f}"
            for each in self.statistics
        ]
        if self.best is not None:
            lines.append(f"best: {self.best.probability.similarity_score:.3f}  {self.best.frame.frame_id}")
        if self.receipt is None:
            lines.append("dry run: nothing was uploaded")
        else:
            lines.append(f"uploaded {self.receipt.new:,}, there already {self.receipt.known:,}")
            if self.receipt.refused:
                lines.append(f"not taken, since their campaign has enough: {self.receipt.refused:,}")
        return "\n".join(lines)
