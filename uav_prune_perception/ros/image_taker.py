# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Takes images out of DDS with one copy of their pixels instead of two.

rclpy lets rcl fill the C message and then copies the pixels into a Python array: at 1280x720 more
than half of what taking costs, and all of it under the GIL. Here rcl fills the C message just so,
and the pixels are looked at where they lie.
"""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image
from std_msgs.msg import Header

Take = Callable[[Any], Any]
TAKE_FAILED = 401  # rcl/types.h, RCL_RET_SUBSCRIPTION_TAKE_FAILED: somebody else was faster
PLAIN = 'sensor_msgs__msg__Image'

log = logging.getLogger(__name__)


class _Sequence(ctypes.Structure):
    """rosidl_runtime_c's sequences and strings."""

    _fields_ = (
        ('data', ctypes.c_void_p), ('size', ctypes.c_size_t), ('capacity', ctypes.c_size_t),
    )

    def bytes(self) -> bytes:
        return ctypes.string_at(self.data, self.size) if self.size else b''

    def text(self) -> str:
        return self.bytes().decode(errors='replace')


class _CImage(ctypes.Structure):
    """The C struct of sensor_msgs/Image."""

    _fields_ = (
        ('sec', ctypes.c_int32), ('nanosec', ctypes.c_uint32), ('frame_id', _Sequence),
        ('height', ctypes.c_uint32), ('width', ctypes.c_uint32), ('encoding', _Sequence),
        ('is_bigendian', ctypes.c_uint8), ('step', ctypes.c_uint32), ('data', _Sequence),
    )


class _Allocator(ctypes.Structure):
    """rcutils_allocator_t."""

    _fields_ = tuple((name, ctypes.c_void_p) for name in (
        'allocate', 'deallocate', 'reallocate', 'zero_allocate', 'state'))


class _Serialized(ctypes.Structure):
    """rcutils_uint8_array_t."""

    _fields_ = (
        ('buffer', ctypes.c_char_p), ('length', ctypes.c_size_t), ('capacity', ctypes.c_size_t),
        ('allocator', _Allocator),
    )


class _Library:
    """The functions of rcl and of the message's own library.

    Raises:
        OSError, AttributeError: one of them is not here.
    """

    def __init__(self) -> None:
        Image.__class__.__import_type_support__()
        rcl = ctypes.CDLL('librcl.so')  # with it, the functions of rcutils and rmw
        messages = ctypes.CDLL('libsensor_msgs__rosidl_generator_c.so')
        support = ctypes.CDLL('libsensor_msgs__rosidl_typesupport_c.so')
        pointer, code = ctypes.c_void_p, ctypes.c_int
        self.take = _function(rcl.rcl_take, code, pointer, pointer, pointer, pointer)
        self.forget_error = _function(rcl.rcutils_reset_error, None)
        self.allocator = _function(rcl.rcutils_get_default_allocator, _Allocator)
        self.deserialize = _function(rcl.rmw_deserialize, code, pointer, pointer, pointer)
        self.create = _function(messages[f'{PLAIN}__create'], pointer)
        self.destroy = _function(messages[f'{PLAIN}__destroy'], None, pointer)
        handle = f'rosidl_typesupport_c__get_message_type_support_handle__{PLAIN}'
        self.type_support = _function(support[handle], pointer)()


def _function(function: Any, result: Any, *arguments: Any) -> Any:
    function.restype, function.argtypes = result, arguments
    return function


class _Owner:
    """One C message; goes with the last view of its pixels."""

    def __init__(self, library: _Library) -> None:
        self._destroy = library.destroy
        self.address = library.create()
        if not self.address:
            raise MemoryError('no memory for an image')
        self.message = _CImage.from_address(self.address)

    def __del__(self) -> None:
        if getattr(self, 'address', None):
            self._destroy(self.address)


class _Pixels:
    """Lets numpy look at the bytes; the array keeps this, and this the message."""

    def __init__(self, owner: _Owner) -> None:
        data = owner.message.data
        self._owner = owner
        self.__array_interface__ = {
            'version': 3, 'typestr': '|u1', 'shape': (data.size,), 'data': (data.data, False),
        }


class TakenImage:
    """The fields of a sensor_msgs/Image; ``data`` is a uint8 array on the C message's bytes."""

    def __init__(self, owner: _Owner) -> None:
        m = owner.message
        stamp = Time(sec=m.sec, nanosec=m.nanosec)
        self.header = Header(stamp=stamp, frame_id=m.frame_id.text())
        self.height, self.width, self.step = m.height, m.width, m.step
        self.encoding, self.is_bigendian = m.encoding.text(), m.is_bigendian
        self.data = np.asarray(_Pixels(owner)) if m.data.size else np.empty(0, np.uint8)


@cache
def image_taker() -> Take:
    """Takes the next sensor_msgs/Image of a subscription's handle; None when there is none.

    Where the C library is another one than this file knows, rclpy's own way; the log says so.
    """
    try:
        library = _Library()
        if _knows(library):
            return _DirectTake(library)
        reason = 'the C message lies in memory otherwise than expected'
    except Exception as error:  # nothing that goes wrong here is worth a flight
        reason = f'{type(error).__name__}: {error}'
    return _fall_back(reason)


def _fall_back(reason: str) -> Take:
    log.info(f'images are copied once more, by rclpy: {reason}')
    return take_message(Image)


class _DirectTake:
    """Takes images past rclpy; from the first failure on, through it.

    The self-check has no subscription: what differs only there shows with the first image.
    """

    def __init__(self, library: _Library) -> None:
        self._library = library
        self._instead: Take | None = None

    def __call__(self, handle: Any) -> Any:
        if self._instead is None:
            try:
                return _take(self._library, handle)
            except MemoryError:
                raise  # rclpy would need twice as much
            except Exception as error:
                self._instead = _fall_back(f'{type(error).__name__}: {error}')
        return self._instead(handle)


def take_message(kind: Any) -> Take:
    """Takes messages of any kind, in rclpy's own way."""

    def take(handle: Any) -> Any:
        taken = handle.take_message(kind, False)
        return None if taken is None else taken[0]

    return take


def _take(library: _Library, handle: Any) -> TakenImage | None:
    owner = _Owner(library)
    code = library.take(handle.pointer, owner.address, None, None)
    if code == TAKE_FAILED:
        return None
    if code:
        library.forget_error()
        raise RuntimeError(f'an image could not be taken: rcl_take gave {code}')
    return TakenImage(owner)


def _knows(library: _Library) -> bool:
    """Whether a message that the library itself has filled lies as `_CImage` says."""
    example = Image(height=3, width=5, encoding='known', is_bigendian=1, step=7)
    example.header = Header(stamp=Time(sec=-11, nanosec=13), frame_id='by heart')
    example.data.frombytes(bytes(range(21)))
    serialized = serialize_message(example)
    length = len(serialized)
    raw = _Serialized(serialized, length, length, library.allocator())
    owner = _Owner(library)
    if library.deserialize(ctypes.byref(raw), library.type_support, owner.address):
        library.forget_error()
        return False
    m = owner.message
    numbers = (m.sec, m.nanosec, m.frame_id.size, m.height, m.width, m.encoding.size,
               m.is_bigendian, m.step, m.data.size)
    if numbers != (-11, 13, 8, 3, 5, 5, 1, 7, 21):  # before a pointer is followed
        return False
    return (m.frame_id.text(), m.encoding.text(), m.data.bytes()) == (
        'by heart', 'known', bytes(range(21)))
