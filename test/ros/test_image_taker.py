# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Images taken out of DDS without a copy into Python, beside rclpy's own way."""

from __future__ import annotations

import gc
import time
from array import array
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import rclpy
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image

from uav_prune_perception.ros import image_taker
from uav_prune_perception.ros.image_conversion import frame_from_image

pytestmark = pytest.mark.dds
LIMIT_S = 30.0
FIELDS = ('header', 'height', 'width', 'step', 'encoding', 'is_bigendian')


@pytest.fixture
def send(dds: None) -> Iterator[Callable[[Image, Any], Any]]:
    """Sends an image and takes it in the given way."""
    node = rclpy.create_node('taker')
    subscription = node.create_subscription(Image, 'taken', print, qos_profile_sensor_data)
    publisher = node.create_publisher(Image, 'taken', qos_profile_sensor_data)

    def send(message: Image, take: Any) -> Any:
        end = time.monotonic() + LIMIT_S
        while time.monotonic() < end:  # best effort: until one gets through
            publisher.publish(message)
            time.sleep(0.01)
            with subscription.handle:
                taken = take(subscription.handle)
                while taken is not None and take(subscription.handle) is not None:
                    pass
            if taken is not None:
                return taken
        pytest.fail('no image came')

    yield send
    node.destroy_node()


def picture(value: int, **fields: Any) -> Image:
    message = Image(height=5, width=4, step=14, encoding='rgb8', **fields)
    message.header.frame_id = 'nadir'
    message.header.stamp.sec, message.header.stamp.nanosec = -7, 999_999_999
    message.data = array('B', [value] * 70)
    return message


def test_all_fields_are_those_that_rclpy_gives(send):
    take = image_taker.image_taker()
    for message in (picture(3), picture(4, is_bigendian=1), Image(), Image(encoding='x' * 3000)):
        ours, theirs = send(message, take), send(message, image_taker.take_message(Image))
        assert isinstance(ours, image_taker.TakenImage), 'the C library is not known here'
        assert all(getattr(ours, name) == getattr(theirs, name) for name in FIELDS)
        assert ours.data.tobytes() == theirs.data.tobytes()


def test_pixels_live_as_long_as_somebody_looks_at_them(send):
    take = image_taker.image_taker()
    frames = [frame_from_image(send(picture(value), take)) for value in range(20)]
    gc.collect()
    for value, frame in enumerate(frames):
        np.testing.assert_array_equal(frame.image, np.full((5, 4, 3), value))


def test_nothing_there_is_none(send):
    node = rclpy.create_node('idle')
    subscription = node.create_subscription(Image, 'idle', print, qos_profile_sensor_data)
    with subscription.handle:
        assert image_taker.image_taker()(subscription.handle) is None
    node.destroy_node()


def test_where_the_message_lies_otherwise_rclpy_takes_it(send, monkeypatch):
    monkeypatch.setattr(
        image_taker._CImage, 'step', property(lambda self: 0), raising=True
    )
    taken = send(picture(9), image_taker.image_taker.__wrapped__())
    assert isinstance(taken, Image)
    assert taken.step == 14


def other_than_expected(**fields: Any) -> type:
    """`_CImage` with further fields before those named."""
    known = image_taker._CImage._fields_
    wanted = [f for name, kind in known for f in (*fields.get(name, ()), (name, kind))]
    return type('_CImage', (image_taker.ctypes.Structure,), {'_fields_': tuple(wanted)})


class Missing:
    """A library without some functions."""

    def __init__(self, library: Any, *names: str) -> None:
        self._library, self._names = library, names

    def __getattr__(self, name: str) -> Any:
        if name in self._names:
            raise AttributeError(f'undefined symbol: {name}')
        return getattr(self._library, name)

    def __getitem__(self, name: str) -> Any:
        return self._library[name]


def without(*names: str) -> Any:
    load = image_taker.ctypes.CDLL
    return lambda name: Missing(load(name), *names)


@pytest.mark.parametrize(('place', 'name', 'value'), [
    (image_taker.ctypes, 'CDLL', without('rcl_take')),
    (image_taker.ctypes, 'CDLL', without('rmw_deserialize')),
    (image_taker, 'PLAIN', 'sensor_msgs__msg__Picture'),
    (image_taker, '_CImage', other_than_expected(height=[('depth', image_taker.ctypes.c_uint32)])),
    (image_taker, '_CImage', other_than_expected(sec=[('hash', image_taker.ctypes.c_uint64)])),
    (image_taker, 'serialize_message', lambda message: b'\0\1\0\0'),
    (image_taker, 'serialize_message', lambda message: 1 / 0),
])
def test_whatever_is_otherwise_rclpy_takes_it_and_the_log_says_so_once(
    send, monkeypatch, caplog, place, name, value
):
    monkeypatch.setattr(place, name, value)
    take = image_taker.image_taker.__wrapped__()
    with caplog.at_level('INFO'):
        take = image_taker.image_taker.__wrapped__()
        for number in (1, 2):
            assert isinstance(send(picture(number), take), Image)
    assert len([r for r in caplog.records if 'by rclpy' in r.message]) == 1


@pytest.mark.parametrize('fault', ['no pointer', 'rcl_take fails'])
def test_what_shows_only_with_the_first_image_costs_none(send, monkeypatch, caplog, fault):
    take = image_taker.image_taker.__wrapped__()
    if fault == 'no pointer':
        def through(handle: Any) -> Any:
            return take(Missing(handle, 'pointer'))
    else:
        take._library.take = lambda *arguments: 1  # RCL_RET_ERROR
        through = take
    with caplog.at_level('INFO'):
        for number in (1, 2):
            taken = send(picture(number), through)
            assert isinstance(taken, Image)
            assert taken.data[0] == number
    assert len([r for r in caplog.records if 'by rclpy' in r.message]) == 1


def test_where_there_is_no_such_library_rclpy_takes_it(send, monkeypatch):
    def missing(name: str) -> None:
        raise OSError(f'{name}: cannot open shared object file')

    monkeypatch.setattr(image_taker.ctypes, 'CDLL', missing)
    taken = send(picture(9), image_taker.image_taker.__wrapped__())
    assert isinstance(taken, Image)
