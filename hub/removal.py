"""Deletes elements for good: scans and imports that are no longer wanted, which retention leaves alone."""

from collections.abc import Iterator

from hub.archive import Archive, Filter
from hub.exchange.walk import walk

AT_ONCE = 1_000


def count(archive: Archive, embedding_version: str, where: Filter) -> int:
    """How many elements a filter leaves in."""
    return sum(len(page) for page in walk(archive, embedding_version, where))


def remove(archive: Archive, embedding_version: str, where: Filter) -> Iterator[int]:
    """Delete the elements that a filter leaves in, then scanned frames that have none left; gives how many went, a few
    at a time. Samples keep what they are; a search finds none of them any more from the first moment on."""
    for page in walk(archive, embedding_version, where):
        yield archive.remove([item.stored.element.id for item in page])
    while archive.forget_scanned(limit=AT_ONCE):
        pass
