# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A ``libcudart`` whose device memory is the host's; counts what is not given back."""

from __future__ import annotations

import ctypes
from typing import Any

OUT_OF_MEMORY = 2


class CudaDouble:
    """The calls that `CudaRuntime` makes, with ctypes arguments as the real library gets them.

    Attributes:
        alive: addresses and handles that were given out and not given back.
        failing: names of calls that answer 'out of memory'.
        launched: number of graphs launched.
    """

    def __init__(self, *, name: bytes = b'Test Orin', devices: int = 1, driver: int = 12060):
        self.name, self.devices, self.driver = name, devices, driver
        self.alive: dict[int, Any] = {}
        self.failing: set[str] = set()
        self.launched = 0
        self._handle = 1000
        self.cudaGetErrorString = _Function(lambda code: b'out of memory')
        self.cudaGetErrorName = _Function(lambda code: b'cudaErrorMemoryAllocation')

    def __getattr__(self, name: str) -> Any:
        if name in self.failing:
            return lambda *arguments: OUT_OF_MEMORY
        try:
            behaviour = object.__getattribute__(self, f'_{name}')
        except AttributeError:
            raise AttributeError(f'libcudart has no {name}') from None

        def call(*arguments: Any) -> int:
            behaviour(*arguments)
            return 0

        return call

    def _cudaGetDeviceCount(self, count):
        count._obj.value = self.devices

    def _cudaGetDevice(self, device):
        device._obj.value = 0

    def _cudaGetDeviceProperties(self, properties, device):
        properties[:len(self.name) + 1] = self.name + b'\0'

    def _cudaDeviceGetAttribute(self, value, attribute, device):
        value._obj.value = {16: 8, 75: 8, 76: 7}[attribute.value]

    def _cudaRuntimeGetVersion(self, value):
        value._obj.value = 12060

    def _cudaDriverGetVersion(self, value):
        value._obj.value = self.driver

    def _cudaMalloc(self, pointer, size):
        memory = ctypes.create_string_buffer(size.value)
        pointer._obj.value = ctypes.addressof(memory)
        self.alive[pointer._obj.value] = memory

    def _cudaHostAlloc(self, pointer, size, flags):
        self._cudaMalloc(pointer, size)

    def _cudaFree(self, pointer):
        del self.alive[pointer.value]

    def _cudaFreeHost(self, pointer):
        del self.alive[pointer.value]

    def _cudaMemcpyAsync(self, target, source, size, kind, stream):
        ctypes.memmove(target.value, source.value, size.value)

    def _cudaStreamCreateWithFlags(self, stream, flags):
        stream._obj.value = self._new()

    def _cudaStreamSynchronize(self, stream):
        assert stream.value in self.alive

    def _cudaStreamDestroy(self, stream):
        del self.alive[stream.value]

    def _cudaStreamBeginCapture(self, stream, mode):
        assert stream.value in self.alive

    def _cudaStreamEndCapture(self, stream, graph):
        graph._obj.value = self._new()

    def _cudaGraphInstantiateWithFlags(self, ready, graph, flags):
        ready._obj.value = self._new()

    def _cudaGraphDestroy(self, graph):
        del self.alive[graph.value]

    def _cudaGraphExecDestroy(self, graph):
        del self.alive[graph.value]

    def _cudaGraphLaunch(self, graph, stream):
        assert graph.value in self.alive
        self.launched += 1

    def _new(self) -> int:
        self._handle += 1
        self.alive[self._handle] = None
        return self._handle


class _Function:
    """Has a ``restype`` that can be set, like a ctypes function."""

    def __init__(self, answer: Any) -> None:
        self.answer, self.restype = answer, None

    def __call__(self, code: Any) -> bytes:
        return self.answer(code)
