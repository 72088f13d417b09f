"""Everything that was embedded, searchable: `Corpus`."""

from hub.corpus.corpus import Built, Corpus, IndexStats, SegmentStats

__all__ = ["Built", "Corpus", "IndexStats", "SegmentStats"]
