# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The dozen calls of the CUDA runtime that a runner needs, through ctypes.

Not ``cuda-python``: that is one more package whose version must match the driver's, its wheels do
not cover JetPack 5's Python 3.8, and its module layout changed from 12 to 13; ``libcudart`` is
on every machine that has TensorRT, and these calls have kept their signatures since CUDA 11.4
(CUDA Runtime API manual; ``cudaGraphInstantiateWithFlags`` is the oldest form that 13 still has).
"""

from __future__ import annotations

import ctypes
import ctypes.util
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from .base import EngineError

# Without a version is the development package's name; a runtime-only image has just a number.
LIBRARIES = ('libcudart.so', 'libcudart.so.13', 'libcudart.so.12', 'libcudart.so.11.0')
_HOST_TO_DEVICE, _DEVICE_TO_HOST = 1, 2
_NON_BLOCKING = 1
_CAPTURE_THREAD_LOCAL = 1
_SM_COUNT, _MAJOR, _MINOR = 16, 75, 76  # enum cudaDeviceAttr
_PROPERTIES_BYTES = 8192  # of cudaDeviceProp, whose first 256 are the name; it has 1032 in CUDA 12


@dataclass(frozen=True)
class Gpu:
    """What a plan depends on, besides the library that made it."""

    name: str
    compute_capability: str
    multiprocessors: int
    cuda_runtime: str
    cuda_driver: str

    def document(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)


class CudaRuntime:
    """``libcudart``, loaded; every method raises EngineError with CUDA's own words."""

    def __init__(self, library: Any = None) -> None:
        """Load the library and look for a device.

        Args:
            library: in place of the machine's own.

        Raises:
            EngineError: no CUDA runtime, or no device.
        """
        self._library = library if library is not None else _load()
        for name in ('cudaGetErrorName', 'cudaGetErrorString'):
            getattr(self._library, name).restype = ctypes.c_char_p
        count = ctypes.c_int()
        self._call('cudaGetDeviceCount', ctypes.byref(count))
        if count.value < 1:
            raise EngineError('CUDA finds no device')

    def gpu(self) -> Gpu:
        """The current device."""
        device = ctypes.c_int()
        self._call('cudaGetDevice', ctypes.byref(device))
        properties = ctypes.create_string_buffer(_PROPERTIES_BYTES)
        self._call('cudaGetDeviceProperties', properties, device)
        major, minor, count = (
            self._attribute(number, device) for number in (_MAJOR, _MINOR, _SM_COUNT)
        )
        runtime, driver = (
            self._version(name) for name in ('cudaRuntimeGetVersion', 'cudaDriverGetVersion')
        )
        name = properties.raw[:256].split(b'\0', 1)[0].decode(errors='replace')
        return Gpu(name, f'{major}.{minor}', count, runtime, driver)

    def allocate(self, size: int) -> int:
        """Address of ``size`` bytes on the device."""
        pointer = ctypes.c_void_p()
        self._call('cudaMalloc', ctypes.byref(pointer), ctypes.c_size_t(max(size, 1)))
        return pointer.value or 0

    def free(self, address: int) -> None:
        """Give device memory back."""
        self._call('cudaFree', ctypes.c_void_p(address))

    def pinned(self, shape: Sequence[int]) -> np.ndarray:
        """A float32 array in page-locked memory, from which the GPU copies without a detour.

        Give it back with `free_pinned`; it must not be used afterwards.
        """
        count = int(np.prod(shape))
        pointer = ctypes.c_void_p()
        size = ctypes.c_size_t(4 * max(count, 1))
        self._call('cudaHostAlloc', ctypes.byref(pointer), size, ctypes.c_uint(0))
        memory = (ctypes.c_float * count).from_address(pointer.value or 0)
        return np.ctypeslib.as_array(memory).reshape(shape)

    def free_pinned(self, array: np.ndarray) -> None:
        """Give page-locked memory back."""
        self._call('cudaFreeHost', ctypes.c_void_p(array.ctypes.data))

    def copy_in(self, device: int, host: np.ndarray, stream: int) -> None:
        """Host to device, in the stream's order."""
        self._copy(device, host.ctypes.data, host.nbytes, _HOST_TO_DEVICE, stream)

    def copy_out(self, host: np.ndarray, device: int, stream: int) -> None:
        """Device to host, in the stream's order."""
        self._copy(host.ctypes.data, device, host.nbytes, _DEVICE_TO_HOST, stream)

    def stream(self) -> int:
        """A new stream that does not wait for the default one."""
        handle = ctypes.c_void_p()
        self._call(
            'cudaStreamCreateWithFlags', ctypes.byref(handle), ctypes.c_uint(_NON_BLOCKING)
        )
        return handle.value or 0

    def synchronise(self, stream: int) -> None:
        """Wait until the stream has done everything."""
        self._call('cudaStreamSynchronize', ctypes.c_void_p(stream))

    def destroy_stream(self, stream: int) -> None:
        """Give a stream back."""
        self._call('cudaStreamDestroy', ctypes.c_void_p(stream))

    def begin_capture(self, stream: int) -> None:
        """From here on the stream records instead of running."""
        mode = ctypes.c_int(_CAPTURE_THREAD_LOCAL)
        self._call('cudaStreamBeginCapture', ctypes.c_void_p(stream), mode)

    def end_capture(self, stream: int) -> int:
        """What was recorded, ready to be launched."""
        graph, ready = ctypes.c_void_p(), ctypes.c_void_p()
        self._call('cudaStreamEndCapture', ctypes.c_void_p(stream), ctypes.byref(graph))
        try:
            self._call(
                'cudaGraphInstantiateWithFlags', ctypes.byref(ready), graph, ctypes.c_ulonglong(0)
            )
        finally:
            self._call('cudaGraphDestroy', graph)
        return ready.value or 0

    def launch(self, graph: int, stream: int) -> None:
        """Run a recorded graph."""
        self._call('cudaGraphLaunch', ctypes.c_void_p(graph), ctypes.c_void_p(stream))

    def destroy_graph(self, graph: int) -> None:
        """Give a recorded graph back."""
        self._call('cudaGraphExecDestroy', ctypes.c_void_p(graph))

    def _copy(self, target: int, source: int, size: int, kind: int, stream: int) -> None:
        self._call(
            'cudaMemcpyAsync', ctypes.c_void_p(target), ctypes.c_void_p(source),
            ctypes.c_size_t(size), ctypes.c_int(kind), ctypes.c_void_p(stream),
        )

    def _attribute(self, number: int, device: ctypes.c_int) -> int:
        value = ctypes.c_int()
        self._call('cudaDeviceGetAttribute', ctypes.byref(value), ctypes.c_int(number), device)
        return value.value

    def _version(self, name: str) -> str:
        value = ctypes.c_int()
        self._call(name, ctypes.byref(value))
        return f'{value.value // 1000}.{value.value % 1000 // 10}'

    def _call(self, name: str, *arguments: Any) -> None:
        code = getattr(self._library, name)(*arguments)
        if code:
            what = self._library.cudaGetErrorString(ctypes.c_int(code)) or b'unknown error'
            raise EngineError(f'CUDA: {name}: {what.decode(errors="replace")} ({code})')


def _load() -> Any:
    found = ctypes.util.find_library('cudart')
    for name in (*([found] if found else []), *LIBRARIES):
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    raise EngineError('the CUDA runtime (libcudart) is not installed, or not on the library path')
