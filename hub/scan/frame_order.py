"""Which frames there were, each once, in the order of their time: 30 bytes a frame, so millions are no matter."""

from array import array
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

_ID_BYTES = 16
_RECENT = 65_536


class FrameOrder:
    """Frame ids and capture times, as they come; then sorted."""

    def __init__(self) -> None:
        self._ids = bytearray()
        self._times = array("d")
        self._recent: set[int] = set()
        self._older: NDArray[np.uint64] = np.zeros(0, np.uint64)

    def __len__(self) -> int:
        return len(self._times)

    @property
    def span(self) -> tuple[float, float] | None:
        """The first and the last capture time, Unix seconds; None without a frame."""
        return (min(self._times), max(self._times)) if self._times else None

    def __contains__(self, frame_id: str) -> bool:
        return self._knows(_short(bytes.fromhex(frame_id)))

    def add(self, frame_id: str, taken_at: float) -> bool:
        """Whether it was new. frame_id: 32 hexadecimal digits. taken_at: Unix seconds."""
        whole = bytes.fromhex(frame_id)
        short = _short(whole)
        if self._knows(short):
            return False
        self._ids += whole
        self._times.append(taken_at)
        self._recent.add(short)
        if len(self._recent) >= _RECENT:
            self._older = np.union1d(self._older, np.fromiter(self._recent, np.uint64, len(self._recent)))
            self._recent = set()
        return True

    def pages(self, size: int) -> Iterator[list[str]]:
        """The ids, those taken first to begin with; of one time, by id."""
        ids = np.frombuffer(bytes(self._ids), f"V{_ID_BYTES}")
        high, low = np.frombuffer(bytes(self._ids), ">u8").reshape(-1, 2).T if len(self) else (np.zeros(0),) * 2
        order = np.lexsort((low, high, np.frombuffer(self._times, np.float64)))
        for start in range(0, len(order), size):
            yield [bytes(ids[i]).hex() for i in order[start : start + size]]

    def _knows(self, short: int) -> bool:
        if short in self._recent:
            return True
        at = int(np.searchsorted(self._older, np.uint64(short)))
        return at < len(self._older) and int(self._older[at]) == short


def _short(whole: bytes) -> int:
    """Half an id: among ten million, two are alike with a chance of 3 in a million."""
    return int.from_bytes(whole[:8], "big")
