"""What a search found, as plain JSON values for pages and scripts. Pure."""

from typing import Any

from hub.archive import Element
from hub.search import Found


def as_data(found: Found) -> dict[str, Any]:
    """What a page or a script needs, plain JSON values; times in Unix seconds."""
    return {
        "results": [
            {
                **element_data(each.best.element, each.source),
                "cosine": _rounded(each.best.cosine),
                "rarity": None if each.rarity is None else _rounded(each.rarity),
                "picture": each.kept.value,
                "count": each.count,
                "first_at": each.first_at,
                "last_at": each.last_at,
                "others": [
                    {
                        "key": hit.element.key,
                        "camera": hit.element.camera,
                        "taken_at": hit.element.taken_at,
                        "cosine": _rounded(hit.cosine),
                    }
                    for hit in each.others
                ],
            }
            for each in found.groups
        ],
        "count": len(found.groups),
        "looked_at": found.looked_at,
        "complete": found.complete,
    }


def element_data(element: Element, source: str) -> dict[str, Any]:
    """An element as plain JSON values. source: the file that its frame is from, "" for none."""
    return {
        "key": element.key,
        "frame_id": element.frame_id,
        "kind": element.kind.value,
        "camera": element.camera,
        "taken_at": element.taken_at,
        "source": source,
        "label": element.label,
        "confidence": _rounded(element.confidence),
        "box": [round(v, 2) for v in element.box],
        "embedding_version": element.embedding_version,
        "metadata": dict(element.metadata),
    }


def _rounded(value: float) -> float:
    return round(float(value), 5)
