"""Tiny ONNX files for tests: a model that gives the same answer whatever it is shown, written byte by byte.

Field numbers are those of onnx.proto. Kept here so that tests need no onnx package.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

Shape = Sequence[int | str]
FLOAT, INT64 = 1, 7


def constant_model(
    path: Path,
    output: np.ndarray,
    *,
    input_shape: Shape = (1, 3, 64, 64),
    input_type: int = FLOAT,
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """Write a model whose only output is `output`."""
    value = np.ascontiguousarray(output, np.float32)
    tensor = b"".join(_number(1, d) for d in value.shape) + _number(2, FLOAT)
    tensor += _bytes(8, b"answer") + _bytes(9, value.tobytes())
    node = _bytes(1, b"answer") + _bytes(2, b"output0") + _bytes(4, b"Identity")
    graph = _bytes(1, node) + _bytes(2, b"g") + _bytes(5, tensor)
    graph += _bytes(11, _port("images", input_type, input_shape)) + _bytes(12, _port("output0", FLOAT, value.shape))
    model = _number(1, 8) + _bytes(7, graph) + _bytes(8, _bytes(1, b"") + _number(2, 17))
    for key, text in (metadata or {}).items():
        model += _bytes(14, _bytes(1, key.encode()) + _bytes(2, text.encode()))
    path.write_bytes(model)
    return path


def _port(name: str, kind: int, shape: Shape) -> bytes:
    dims = b"".join(_bytes(1, _number(1, d) if isinstance(d, int) else _bytes(2, d.encode())) for d in shape)
    return _bytes(1, name.encode()) + _bytes(2, _bytes(1, _number(1, kind) + _bytes(2, dims)))


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
