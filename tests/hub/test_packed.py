"""Any plain value with arrays in it becomes bytes and comes back the same."""

import io
import math
import zipfile
from enum import StrEnum

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hub.packed import _digest, pack, unpack
from shared.errors import InvalidInput, StoreError

_arrays = hnp.arrays(
    st.one_of(
        hnp.floating_dtypes(sizes=(16, 32, 64)),
        hnp.integer_dtypes(),
        hnp.unsigned_integer_dtypes(),
        hnp.boolean_dtypes(),
        hnp.unicode_string_dtypes(max_len=4),
    ),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)
_scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(st.characters(), max_size=8))
_values = st.recursive(
    _scalars | _arrays,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)
_mappings = st.dictionaries(st.text(max_size=5), _values, max_size=5)


def _same(a, b):
    """Equal in kind and in every bit."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
    if isinstance(a, dict):
        return list(a) == list(b) and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, float):
        return (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1, a) == math.copysign(1, b))
    return a == b


@given(_mappings)
def test_what_is_packed_comes_back_exactly(values):
    assert _same(unpack(pack(values)), values)


@given(_mappings)
def test_the_same_values_are_the_same_bytes(values):
    assert pack(values) == pack(unpack(pack(values)))


@given(_mappings, st.data())
def test_a_blob_that_lost_its_end_is_refused_with_a_hint(values, data):
    blob = pack(values)
    with pytest.raises(StoreError, match="damaged") as caught:
        unpack(blob[: data.draw(st.integers(0, len(blob) - 1))])
    assert caught.value.hint


@given(_mappings, st.data())
def test_a_blob_with_one_wrong_bit_is_refused(values, data):
    blob = bytearray(pack(values))
    blob[data.draw(st.integers(0, len(blob) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(StoreError, match="damaged"):
        unpack(bytes(blob))


@pytest.mark.parametrize("layout", ["C", "F"])
def test_arrays_that_are_views_keep_their_values(layout):
    array = np.asarray(np.arange(24, dtype=">f4").reshape(2, 3, 4), order=layout)[:, ::2]
    back = unpack(pack({"a": array}))["a"]
    assert back.dtype == array.dtype
    assert np.array_equal(back, array)


class _Colour(StrEnum):
    RED = "red"


def test_scalars_of_numpy_and_enumerations_become_plain_ones():
    back = unpack(pack({"f": np.float32(0.1), "i": np.int64(7), "b": np.True_, "e": _Colour.RED}))
    assert _same(back, {"f": float(np.float32(0.1)), "i": 7, "b": True, "e": "red"})


@pytest.mark.parametrize(
    "bad", [object(), {1, 2}, b"bytes", 1j, np.array([object()], object), {1: 2}, np.datetime64(0, "s")]
)
def test_what_would_not_come_back_is_refused(bad):
    with pytest.raises(InvalidInput) as caught:
        pack({"a": [bad]})
    assert caught.value.hint


def _blob(**members):
    buffer = io.BytesIO()
    np.savez(buffer, **members)
    return _digest(buffer.getvalue()) + buffer.getvalue()


def _text(text):
    return np.frombuffer(text.encode(), np.uint8)


@pytest.mark.parametrize(
    "blob",
    [
        _blob(),
        _blob(tree=_text("[")),
        _blob(tree=_text('["list", 1]')),
        _blob(tree=_text('{"a": ["array", "0"]}')),
        _blob(tree=_text('{"a": ["array"]}')),
        _blob(tree=_text('{"a": ["set", 1]}')),
        _blob(tree=_text('{"a": []}')),
        _blob(tree=np.array([object()], object)),
        _digest(b"") + b"",
        _digest(b"PK") + b"PK",
    ],
)
def test_whole_blobs_of_another_make_are_refused_and_never_run(blob):
    with pytest.raises(StoreError, match="damaged"):
        unpack(blob)


def test_an_array_costs_little_more_than_its_bytes():
    assert len(pack({"a": np.zeros(512, np.float32)})) < 2048 + 1024
    assert zipfile.is_zipfile(io.BytesIO(pack({})[16:]))


def test_a_small_blob_that_would_become_a_large_one_is_refused():
    buffer = io.BytesIO()
    np.savez_compressed(buffer, tree=np.frombuffer(b'{"a":["array","0"]}', np.uint8), **{"0": np.zeros(10**6)})
    with pytest.raises(StoreError, match="larger than the whole"):
        unpack(_digest(buffer.getvalue()) + buffer.getvalue())
