# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Image messages to frames, without DDS."""

from __future__ import annotations

import math
from array import array

import cv2
import numpy as np
import pytest
from node_driver import compressed_message, image_message

from uav_prune_perception.ros import image_conversion
from uav_prune_perception.ros.image_conversion import (
    PLAIN,
    ImageError,
    frame_from_compressed,
    frame_from_image,
    to_8_bit,
)

RNG = np.random.default_rng(0)
PICTURE = RNG.integers(0, 256, (7, 10, 3), np.uint8)


THREE_CHANNELS = [('rgb8', 'rgb'), ('bgr8', 'bgr'), ('8UC3', 'bgr')]
WITH_ALPHA = np.dstack([PICTURE, PICTURE[:, :, :1]])


@pytest.mark.parametrize(('encoding', 'color'), THREE_CHANNELS)
def test_three_channels_are_a_view_of_the_message(encoding, color):
    message = image_message(PICTURE, encoding)
    frame = frame_from_image(message)
    assert frame.color == color
    np.testing.assert_array_equal(frame.image, PICTURE)
    message.data[0] ^= 255
    assert frame.image[0, 0, 0] == message.data[0], 'a copy was made'


def test_alpha_is_dropped_without_a_copy():
    picture = RNG.integers(0, 256, (7, 10, 4), np.uint8)
    message = image_message(picture, 'bgra8')
    frame = frame_from_image(message)
    assert frame.color == 'bgr'
    np.testing.assert_array_equal(frame.image, picture[:, :, :3])
    message.data[4] ^= 255
    assert frame.image[0, 1, 0] == message.data[4], 'a copy was made'


def test_row_padding_and_surplus_data_are_left_out():
    padded = np.zeros((7, 13, 3), np.uint8)
    padded[:, :10] = PICTURE
    message = image_message(padded, 'rgb8', width=10)
    message.data.extend(b'surplus')
    np.testing.assert_array_equal(frame_from_image(message).image, PICTURE)


@pytest.mark.parametrize('endian', ['<', '>'])
def test_sixteen_bit_of_either_endianness(endian):
    picture = (np.arange(70).reshape(7, 10) * 900).astype(f'{endian}u2')
    message = image_message(picture, '16UC1', is_bigendian=int(endian == '>'))
    frame = frame_from_image(message, depth16='high_byte').unpacked()
    assert frame.color == 'gray'
    np.testing.assert_array_equal(frame.image, np.arange(70).reshape(7, 10) * 900 // 256)


RED, GREEN, BLUE = 200, 100, 50
ONE_COLOR = {'r': RED, 'g': GREEN, 'b': BLUE}


@pytest.mark.parametrize('pattern', ['rggb', 'bggr', 'gbrg', 'grbg'])
def test_bayer_mosaics_are_read_as_ros_names_them(pattern):
    tile = np.array([ONE_COLOR[letter] for letter in pattern], np.uint8).reshape(2, 2)
    message = image_message(np.tile(tile, (4, 5)), f'bayer_{pattern}8')
    frame = frame_from_image(message).unpacked()
    assert frame.color == 'bgr'
    np.testing.assert_array_equal(frame.image, np.full((8, 10, 3), (BLUE, GREEN, RED)))


@pytest.mark.parametrize(('encoding', 'pair'), [
    ('yuv422', 'uyvy'), ('uyvy', 'uyvy'), ('yuv422_yuy2', 'yuyv'), ('yuyv', 'yuyv'),
])
def test_yuv_pictures_with_padded_rows(encoding, pair):
    y = 16 + 0.257 * RED + 0.504 * GREEN + 0.098 * BLUE  # BT.601
    u = 128 - 0.148 * RED - 0.291 * GREEN + 0.439 * BLUE
    v = 128 + 0.439 * RED - 0.368 * GREEN - 0.071 * BLUE
    two_pixels = [round({'y': y, 'u': u, 'v': v}[letter]) for letter in pair]
    padded = np.zeros((4, 20), np.uint8)
    padded[:, :16] = np.tile(np.array(two_pixels, np.uint8), (4, 4))
    message = image_message(padded, encoding, width=8)
    image = frame_from_image(message).unpacked().image
    assert image.shape == (4, 8, 3)
    assert np.abs(image.astype(int) - (BLUE, GREEN, RED)).max() <= 3


def test_percentile_stretch_uses_the_scene_s_own_range():
    thermal = np.linspace(29_000, 31_000, 100 * 120).reshape(100, 120).astype(np.uint16)
    thermal[0, 0] = 65535  # one hot pixel must not darken the rest
    image = to_8_bit(thermal)
    assert image.dtype == np.uint8
    assert image[0, 0] == 255
    low, high = np.percentile(thermal, (1, 99))
    expected = np.clip((thermal - low) / (high - low) * 255, 0, 255)
    assert np.abs(image - expected).max() <= 2  # the percentiles are of a sample
    assert not to_8_bit(np.full((5, 5), 30_000, np.uint16)).any()


def test_stamp_source_and_header_go_with_the_frame():
    message = image_message(PICTURE, 'rgb8')
    frame = frame_from_image(message)
    stamp = message.header.stamp
    assert frame.stamp_s == pytest.approx(stamp.sec + stamp.nanosec * 1e-9, abs=1e-6)
    assert frame.tag is message.header
    assert frame.source == 'camera_optical'
    message.header.stamp.sec = message.header.stamp.nanosec = 0
    assert math.isnan(frame_from_image(message).stamp_s)


@pytest.mark.parametrize(
    ('fields', 'reason'),
    [
        ({'width': 0}, '0 x 7: no pixels'),
        ({'height': 0}, '10 x 0: no pixels'),
        ({'step': 29}, 'step is 29, 10 pixels of rgb8 need 30'),
        ({'data': array('B', bytes(209))}, '209 bytes, 7 rows of 30 need 210'),
        ({'data': array('B')}, '0 bytes'),
        ({'height': 2**32 - 1, 'step': 2**32 - 1}, 'longer than 16384'),
        ({'encoding': ''}, "encoding ''"),
        ({'encoding': 'rgba8'}, 'need 40'),
        ({'encoding': 'yuv422', 'width': 9}, '9 x 7: no yuv422 picture'),
        ({'encoding': 'bayer_rggb8', 'width': 3}, '3 x 7: no bayer_rggb8 picture'),
        ({'encoding': 'yuyv', 'step': 19}, 'step is 19, 10 pixels of yuyv need 20'),
    ],
)
def test_garbage_says_what_is_wrong(fields, reason, monkeypatch):
    monkeypatch.setattr(image_conversion, 'CvBridge', None)
    with pytest.raises(ImageError, match=reason):
        frame_from_image(image_message(PICTURE, **{'encoding': 'rgb8', **fields}))


def test_other_encodings_go_through_cv_bridge_where_it_is_installed(monkeypatch):
    message = image_message(PICTURE, 'nv21')
    monkeypatch.setattr(image_conversion, 'CvBridge', None)
    with pytest.raises(ImageError, match=r'nv21.*with cv_bridge'):
        frame_from_image(message)

    class Bridge:  # stands for cv_bridge, which PyPI does not have
        def imgmsg_to_cv2(self, message, desired_encoding):
            if message.height != 7:
                raise RuntimeError('inside of C++')
            return PICTURE

    monkeypatch.setattr(image_conversion, 'CvBridge', Bridge)
    np.testing.assert_array_equal(frame_from_image(message).unpacked().image, PICTURE)
    message.height = 6
    with pytest.raises(ImageError, match='inside of C'):
        frame_from_image(message).unpacked()


@pytest.mark.parametrize(
    ('picture', 'color'),
    [(PICTURE, 'bgr'), (PICTURE[:, :, 0], 'gray'), (WITH_ALPHA, 'bgr')],
)
def test_png_of_every_depth_of_channels(picture, color):
    data = cv2.imencode('.png', picture)[1].tobytes()
    frame = frame_from_compressed(compressed_message(data, 'png')).unpacked()
    assert frame.color == color
    np.testing.assert_array_equal(frame.image, picture if picture.ndim == 2 else PICTURE)


def test_sixteen_bit_png():
    thermal = (np.arange(70).reshape(7, 10) * 900).astype(np.uint16)
    data = cv2.imencode('.png', thermal)[1].tobytes()
    frame = frame_from_compressed(compressed_message(data, 'png'), depth16='high_byte')
    frame = frame.unpacked()
    np.testing.assert_array_equal(frame.image, thermal // 256)


def test_depth_pictures_of_image_transport_are_named_as_such():
    data = bytes(12) + cv2.imencode('.png', np.ones((4, 4), np.uint16))[1].tobytes()
    with pytest.raises(ImageError, match='compressedDepth'):
        frame_from_compressed(compressed_message(data, '16UC1; compressedDepth png'))


@pytest.mark.parametrize('data', [b'', b'nonsense', b'\xff\xd8\xff\xe0', b'\x89PNG\r\n\x1a\n'])
def test_undecodable_data_says_so(data):
    with pytest.raises(ImageError, match='compressed image'):
        frame_from_compressed(compressed_message(data, 'jpeg')).unpacked()


def test_random_garbage_is_an_image_or_an_image_error():
    random = np.random.default_rng(1)
    for _ in range(300):
        fields = {
            'width': int(random.integers(0, 20)), 'height': int(random.integers(0, 20)),
            'step': int(random.integers(0, 70)), 'is_bigendian': int(random.integers(0, 2)),
            'encoding': str(random.choice([*PLAIN, 'yuv422', 'x'])),
            'data': array('B', random.bytes(int(random.integers(0, 900)))),
        }
        message = image_message(PICTURE, **fields)
        try:
            image = frame_from_image(message).unpacked().image
        except ImageError:
            continue
        assert image.dtype == np.uint8
        assert image.shape[:2] == (fields['height'], fields['width'])
