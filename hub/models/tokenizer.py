"""CLIP's tokenizer: OpenAI's byte-pair encoding, run by the `tokenizers` library.

Reference: `SimpleTokenizer` and `tokenize(truncate=True)` of OpenAI's CLIP, with which the weights were trained.
A model's `tokenizer.json` holds the same vocabulary and merges, but its own cleaning is another: it leaves alone what
OpenAI's repairs with ftfy and HTML unescaping, so that “bird’s nest” with a typographic apostrophe becomes other
tokens. So only vocabulary and merges are taken from the file, and the text is cleaned and split here as there.
"""

import html
import json
from collections.abc import Sequence
from pathlib import Path

import ftfy
import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from shared.errors import ModelError

START, END = "<|startoftext|>", "<|endoftext|>"

MAX_CHARACTERS = 10_000
"""Of one text; far more than the context holds. Repairing and splitting what is longer only costs time."""

_SPLIT = {
    "type": "Sequence",
    "pretokenizers": [
        {
            "type": "Split",
            "pattern": {
                "Regex": r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
            },
            "behavior": "Removed",
            "invert": True,
        },
        {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False},
    ],
}

Ids = NDArray[np.int64]


class ClipTokenizer:
    """Texts to rows of token ids: start, the words, end, zeros."""

    def __init__(self, path: Path) -> None:
        """path: a `tokenizer.json`. ModelError when it is none, or not CLIP's."""
        try:
            file = json.loads(path.read_text("utf-8"))
            own = {"normalizer": None, "pre_tokenizer": _SPLIT, "post_processor": None}
            bare = {"truncation": None, "padding": None}
            self._tokenizer: Tokenizer = Tokenizer.from_str(json.dumps({**file, **own, **bare}))
        except Exception as error:  # the library raises plain Exception for a bad file
            raise ModelError(f"{path} is no tokenizer: {error}", hint=_TAKE_ITS_OWN) from error
        start, end = self._tokenizer.token_to_id(START), self._tokenizer.token_to_id(END)
        if start is None or end is None or file["model"].get("end_of_word_suffix") != "</w>":
            raise ModelError(f"{path} is a tokenizer, but not CLIP's", hint=_TAKE_ITS_OWN)
        self._start, self._end = start, end

    def __call__(self, texts: Sequence[str], context: int) -> tuple[Ids, Ids]:
        """Ids and mask, (n, context) each. A text that is too long is cut and keeps the end token."""
        ids, mask = np.zeros((2, len(texts), context), np.int64)
        for row, encoding in enumerate(self._tokenizer.encode_batch([clean(text) for text in texts])):
            words = [self._start, *encoding.ids[: context - 2], self._end]
            ids[row, : len(words)] = words
            mask[row, : len(words)] = 1
        return ids, mask


def clean(text: str) -> str:
    """Mojibake repaired, entities unescaped twice, white space made single, lower case: as OpenAI's CLIP does."""
    repaired = ftfy.fix_text(text[:MAX_CHARACTERS])
    return " ".join(html.unescape(html.unescape(repaired)).split()).lower()


_TAKE_ITS_OWN = "Take the tokenizer.json that belongs to the model."
