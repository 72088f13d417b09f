"""The things a text competes with: the nouns that best name what the background shows. Pure."""

import numpy as np

from hub.types import Background, Prior, Vectors

OTHER = 0.9
"""A noun nearer to a text than this may mean the same."""

RIVALS = 128

LEAST_NOUNS = 1_000
"""Fewer leave out the things that are most alike, and then rivals cost more than they bring."""

TEMPERATURE = 100.0
"""CLIP's own: cosines times this are its logits."""


def rivals(prior: Prior, texts: Vectors, background: Background) -> Vectors:
    """(r, d): the nouns that best name what the background shows, and mean something else than the texts (t, d)."""
    if prior.nouns is None or len(prior.nouns) < LEAST_NOUNS:
        return np.zeros((0, texts.shape[1]), np.float32)
    nouns = prior.nouns[(prior.nouns @ texts.T).max(axis=1) < OTHER]
    logits = TEMPERATURE * (background.vectors @ nouns.T)
    share = np.exp(logits - logits.max(axis=1, keepdims=True))
    presence = (share / share.sum(axis=1, keepdims=True)).mean(axis=0)
    return np.asarray(nouns[np.sort(np.argsort(-presence, kind="stable")[:RIVALS])], np.float32)


def odds(rows: Vectors, texts: Vectors, against: Vectors) -> Vectors:
    """(n, t): the logarithm of how much likelier each text is than all its rivals (r, d), by CLIP's own softmax."""
    logits = TEMPERATURE * (rows @ against.T)
    top = logits.max(axis=1, keepdims=True)
    others = top + np.log(np.exp(logits - top).sum(axis=1, keepdims=True))
    return np.asarray(TEMPERATURE * (rows @ texts.T) - others, np.float32)
