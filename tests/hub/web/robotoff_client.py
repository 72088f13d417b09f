"""A client of Robotoff-ANN's API, written from its published contract alone and from nothing of ours.

Each method returns the decoded answer, checked against its shape; `Failed` has the status of any other.
"""

from collections.abc import Sequence
from typing import Any

import httpx


class Failed(Exception):
    """The answer was no success. status: of HTTP. title: what it says is wrong."""

    def __init__(self, status: int, title: str) -> None:
        super().__init__(f"{status} {title}")
        self.status, self.title = status, title


class RobotoffAnn:
    """base_url: up to and with `/api/v1/ann`."""

    def __init__(self, base_url: str, token: str = "") -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(base_url=base_url, headers=headers, timeout=30, trust_env=False)

    def __enter__(self) -> "RobotoffAnn":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def neighbours(self, logo_id: int | None = None, **query: Any) -> list[dict[str, Any]]:
        """Of an item, or of a random one."""
        said = self._said("GET", "" if logo_id is None else f"/{logo_id}", {"results", "count"}, params=query)
        return check_results(said["results"], said["count"])

    def batch(self, logo_ids: Sequence[int], **query: Any) -> dict[int, list[dict[str, Any]]]:
        """Of each item that is known."""
        asked = {"logo_ids": ",".join(map(str, logo_ids)), **query}
        said = self._said("GET", "/batch", {"results", "count"}, params=asked)
        assert isinstance(said["results"], dict) and said["count"] == len(said["results"])
        return {int(key): check_results(results, len(results)) for key, results in said["results"].items()}

    def from_embedding(
        self, embedding: Sequence[float], count: int | None = None, **query: Any
    ) -> list[dict[str, Any]]:
        body = {"embedding": list(embedding)} | ({} if count is None else {"count": count})
        said = self._said("POST", "/from_embedding", {"results", "count"}, json=body, params=query)
        return check_results(said["results"], said["count"])

    def add(self, image_url: str, logos: Sequence[tuple[int, Sequence[float]]]) -> int:
        """logos: (id, [ymin, xmin, ymax, xmax])."""
        named = [{"id": number, "bounding_box": list(box)} for number, box in logos]
        return check_int(self._said("POST", "/add", {"added"}, json={"image_url": image_url, "logos": named})["added"])

    def count(self) -> int:
        return check_int(self._said("GET", "/count", {"count"})["count"])

    def stored(self) -> list[int]:
        said = self._said("GET", "/stored", {"stored"})["stored"]
        assert isinstance(said, list)
        return [check_int(each) for each in said]

    def _said(self, method: str, path: str, members: set[str], **asked: Any) -> dict[str, Any]:
        answer = self._http.request(method, path, **asked)
        if answer.status_code != 200:
            body = answer.json() if answer.content else {}
            raise Failed(answer.status_code, body.get("title", ""))
        assert answer.headers["Content-Type"] == "application/json"
        said = answer.json()
        assert isinstance(said, dict) and set(said) == members, said
        return said


def check_results(results: Any, count: Any) -> list[dict[str, Any]]:
    """`[{"distance": float, "logo_id": int}, …]`, nearest first, and as many as are said to be."""
    assert isinstance(results, list) and check_int(count) == len(results)
    for each in results:
        assert set(each) == {"distance", "logo_id"}
        assert isinstance(each["distance"], float) and each["distance"] >= 0
        check_int(each["logo_id"])
    distances = [each["distance"] for each in results]
    assert distances == sorted(distances)
    return results


def check_int(value: Any) -> int:
    """A number of JSON without a fraction."""
    assert isinstance(value, int) and not isinstance(value, bool)
    return value
