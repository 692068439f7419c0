# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The Python batches of CIFAR, read without unpickling any object.

The files are pickles of one dict: byte strings, lists of integers, and one uint8 array. The
array's constructor calls are answered by plain stand-ins of our own; any other class or function
that a file names is refused, so that nothing in it can run.
"""

from __future__ import annotations

import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .detection_set import DatasetError

_FAULTS = (
    pickle.UnpicklingError, EOFError, AttributeError, ImportError, IndexError, KeyError,
    MemoryError, OSError, TypeError, ValueError, UnicodeError,
)


class _Type:
    """Stands for ``numpy.dtype``: only one byte without sign is known."""

    def __init__(self, name: Any = '', *_: Any) -> None:
        if _text(name) != 'u1':
            raise pickle.UnpicklingError(f'an array of {_text(name)!r}, wanted bytes')

    def __setstate__(self, state: Any) -> None:
        """Byte order and alignment say nothing about bytes."""


class _Array:
    """Stands for ``numpy.ndarray``; keeps the bytes that it is told."""

    values: NDArray[np.uint8]

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, fortran, data = state
        if not isinstance(kind, _Type) or fortran or not isinstance(data, bytes):
            raise pickle.UnpicklingError('an array that is not plain bytes')
        if not all(isinstance(n, int) and n >= 0 for n in shape) or math.prod(shape) != len(data):
            raise pickle.UnpicklingError(f'an array of {shape} with {len(data)} bytes')
        self.values = np.frombuffer(data, np.uint8).reshape(shape)


def _reconstruct(*_: Any) -> _Array:
    return _Array()


def _encode(text: Any, encoding: Any = 'latin1') -> bytes:
    """How Python 3 writes byte strings into old pickles."""
    if not isinstance(text, str) or _text(encoding) != 'latin1':
        raise pickle.UnpicklingError('a text in an odd encoding')
    return text.encode('latin1')


_KNOWN: dict[tuple[str, str], Any] = {
    ('numpy', 'ndarray'): _Array,
    ('numpy', 'dtype'): _Type,
    ('numpy.core.multiarray', '_reconstruct'): _reconstruct,
    ('numpy._core.multiarray', '_reconstruct'): _reconstruct,
    ('_codecs', 'encode'): _encode,
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _KNOWN:
            raise pickle.UnpicklingError(f'it names {module}.{name}, which is not read')
        return _KNOWN[module, name]

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError('it refers to something outside')


def read_pickled_batch(path: Path) -> dict[str, Any]:
    """The dict of one file: texts as str, arrays uint8, lists as they are.

    Raises:
        DatasetError: missing, damaged, or it names anything but a byte array.
    """
    if not path.is_file():
        raise DatasetError(f'{path}: missing')
    try:
        with path.open('rb') as stream:
            content = _Reader(stream, encoding='bytes').load()
    except _FAULTS as error:
        raise DatasetError(f'{path}: not a CIFAR batch ({_line(error)})') from None
    if not isinstance(content, dict):
        raise DatasetError(f'{path}: not a CIFAR batch ({type(content).__name__} in it)')
    return {_text(key): _plain(value) for key, value in content.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, _Array):
        return getattr(value, 'values', None)
    if isinstance(value, bytes):
        return _text(value)
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _text(value: Any) -> str:
    return value.decode('latin1') if isinstance(value, bytes) else str(value)


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
