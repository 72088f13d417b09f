"""Nested plain values and arrays as bytes, and back exactly: stored, and sent. Pure; nothing in them is ever run.

A blob is a digest of what follows, then NumPy's .npz without pickle: each array a member, the rest one member of JSON
in which a list is ["list", …], a tuple ["tuple", …] and an array ["array", its member].
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.errors import InvalidInput, StoreError

_DIGEST = 16
_TREE = "tree"


def pack(values: Mapping[str, Any]) -> bytes:
    """Bytes for a mapping of int, float, str, bool, None, list, tuple, mapping and array, at any depth.

    Arrays keep dtype, shape and every bit; floats too, NaN and infinities included. Scalars of NumPy become Python's,
    members of an enumeration what they are worth. InvalidInput for anything else.
    """
    arrays: dict[str, NDArray[Any]] = {}
    text = json.dumps(_plain(values, arrays), separators=(",", ":"))
    buffer = io.BytesIO()
    members: dict[str, Any] = {_TREE: np.frombuffer(text.encode(), np.uint8), **arrays}
    np.savez(buffer, **members)
    data = buffer.getvalue()
    return _digest(data) + data


def unpack(blob: bytes) -> dict[str, Any]:
    """The inverse of `pack`. StoreError when the blob is damaged."""
    digest, data = blob[:_DIGEST], blob[_DIGEST:]
    if _digest(data) != digest:
        raise _damaged("its digest differs")
    try:
        _refuse_compressed(data)
        with np.load(io.BytesIO(data), allow_pickle=False) as members:
            tree = json.loads(members[_TREE].tobytes())
            values = _values(tree, members)
    except (ValueError, KeyError, IndexError, TypeError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise _damaged(str(error)) from error
    if not isinstance(values, dict):
        raise _damaged("it holds no mapping")
    return values


def _plain(value: Any, arrays: dict[str, NDArray[Any]]) -> Any:
    """What JSON can say of a value; its arrays are put into `arrays`."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {_key(key): _plain(each, arrays) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return ["tuple" if isinstance(value, tuple) else "list", *(_plain(each, arrays) for each in value)]
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        name = str(len(arrays))
        arrays[name] = value
        return ["array", name]
    if isinstance(value, np.bool_ | np.integer | np.floating):
        return value.item()
    raise InvalidInput(f"a {type(value).__name__} can't be stored", hint="Store numbers, text, lists or arrays.")


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise InvalidInput(f"{key!r} names a stored value, but is no text", hint="Use text for the keys of mappings.")
    return key


def _values(tree: Any, members: Mapping[str, NDArray[Any]]) -> Any:
    """The inverse of `_plain`."""
    if isinstance(tree, dict):
        return {key: _values(each, members) for key, each in tree.items()}
    if isinstance(tree, list):
        kind, *items = tree
        return members[items[0]] if kind == "array" else _sequence(kind, [_values(each, members) for each in items])
    return tree


def _sequence(kind: str, items: list[Any]) -> Sequence[Any]:
    if kind not in ("list", "tuple"):
        raise ValueError(f"unknown kind {kind!r}")
    return items if kind == "list" else tuple(items)


def _refuse_compressed(data: bytes) -> None:
    """`pack` compresses nothing, so that a small blob can't become a large one."""
    with zipfile.ZipFile(io.BytesIO(data)) as members:
        if any(each.file_size > len(data) for each in members.infolist()):
            raise ValueError("a member is larger than the whole")


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_DIGEST).digest()


def _damaged(why: str) -> StoreError:
    return StoreError(
        f"a stored value is damaged: {why}",
        hint="Restore a backup, or make it anew: commit the campaign again, or forget what it remembers.",
    )
