"""Texts become the token ids that CLIP was trained with."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from hub.models.tokenizer import ClipTokenizer
from shared.errors import ModelError
from tests.hub.models.odd_strings import odd_strings

FIXTURES = Path(__file__).parent / "fixtures"
START, END = 49406, 49407


@pytest.fixture(scope="module")
def tokenizer(models_dir: Path) -> ClipTokenizer:
    return ClipTokenizer(models_dir / "clip-student" / "tokenizer.json")


def ids_of(tokenizer: ClipTokenizer, text: str) -> list[int]:
    ids, mask = tokenizer([text], 77)
    return [int(i) for i in ids[0][mask[0] == 1]]


def test_a_thousand_odd_strings_get_the_ids_of_openais_own_tokenizer(tokenizer: ClipTokenizer) -> None:
    rows = json.loads(gzip.decompress((FIXTURES / "tokens.json.gz").read_bytes()))
    assert len(rows) == 1000
    ids, mask = tokenizer([text for text, _ in rows], 77)
    ours = [[int(i) for i in row[: m.sum()]] for row, m in zip(ids, mask, strict=True)]
    wrong = [(text, want, got) for (text, want), got in zip(rows, ours, strict=True) if got != want]
    assert not wrong, f"{len(wrong)} differ, the first: {wrong[0]!r}"


def test_the_odd_strings_are_those_the_ids_were_made_for() -> None:
    rows = json.loads(gzip.decompress((FIXTURES / "tokens.json.gz").read_bytes()))
    assert [text for text, _ in rows] == odd_strings()


def test_the_example_of_the_model_pack_comes_out(tokenizer: ClipTokenizer) -> None:
    assert ids_of(tokenizer, "a photo of a cat") == [START, 320, 1125, 539, 320, 2368, END]


def test_an_empty_text_is_start_and_end(tokenizer: ClipTokenizer) -> None:
    assert ids_of(tokenizer, "") == [START, END]


def test_typographic_quotes_and_entities_are_repaired_first(tokenizer: ClipTokenizer) -> None:
    assert ids_of(tokenizer, "a bird’s nest") == ids_of(tokenizer, "a bird's nest")
    assert ids_of(tokenizer, "Tom &amp;amp; Jerry") == ids_of(tokenizer, "tom & jerry")


@pytest.mark.parametrize("words", [75, 76, 200])
def test_a_long_text_is_cut_and_keeps_its_end(tokenizer: ClipTokenizer, words: int) -> None:
    ids, mask = tokenizer(["cat " * words], 77)
    assert ids.shape == (1, 77)
    assert (ids[0, 0], ids[0, -1]) == (START, END)
    assert mask.sum() == 77


def test_rows_are_padded_with_zeros_to_the_context(tokenizer: ClipTokenizer) -> None:
    ids, mask = tokenizer(["cat", "a photo of a cat"], 16)
    assert ids.shape == mask.shape == (2, 16)
    assert ids.dtype == np.int64
    assert not ids[mask == 0].any()
    assert list(mask.sum(axis=1)) == [3, 7]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("not json", "is no tokenizer"),
        ("[]", "is no tokenizer"),
        ("{}", "is no tokenizer"),
        ('{"version":"1.0","model":{"type":"WordLevel","vocab":{"a":0},"unk_token":"a"}}', "not CLIP's"),
    ],
)
def test_a_file_that_is_no_clip_tokenizer_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    file = tmp_path / "tokenizer.json"
    file.write_text(text)
    with pytest.raises(ModelError, match=complaint):
        ClipTokenizer(file)
