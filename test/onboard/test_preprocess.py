# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uav_prune_perception.ladder import InputSpec
from uav_prune_perception.onboard.preprocess import Geometry, Preprocessor

SIZES = st.integers(1, 4000)


def picture(height: int, width: int, channels: int = 3) -> np.ndarray:
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.default_rng(height * 10007 + width).integers(0, 256, shape, np.uint8)


def reference(image: np.ndarray, color: str, spec: InputSpec) -> np.ndarray:
    """The same thing written down straightforwardly in float64."""
    height, width = image.shape[:2]
    if spec.resize == 'letterbox':
        scale = min(spec.width / width, spec.height / height)
        new = max(1, round(width * scale)), max(1, round(height * scale))
    else:
        new = spec.width, spec.height
    image = cv2.resize(image, new, interpolation=cv2.INTER_LINEAR)
    if spec.color == 'gray' and color != 'gray':
        image = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY if color == 'rgb' else cv2.COLOR_BGR2GRAY)
    if spec.color != 'gray' and color == 'gray':
        image = cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
    elif color != 'gray' and spec.color != 'gray' and color != spec.color:
        image = image[:, :, ::-1]
    image = image.reshape(new[1], new[0], spec.channels)
    canvas = np.full((spec.height, spec.width, spec.channels), spec.pad_value, np.float64)
    top, left = (spec.height - new[1]) // 2, (spec.width - new[0]) // 2
    canvas[top:top + new[1], left:left + new[0]] = image
    tensor = (canvas / 255 - np.array(spec.mean)) / np.array(spec.std)
    return tensor.transpose(2, 0, 1)[None].astype(np.float32)


@pytest.mark.parametrize('resize', ['letterbox', 'stretch'])
@pytest.mark.parametrize('wanted', ['rgb', 'bgr', 'gray'])
@pytest.mark.parametrize('color', ['rgb', 'bgr', 'gray'])
@pytest.mark.parametrize('size', [(480, 640), (1, 1), (333, 77), (97, 131), (31, 1000)])
def test_equals_a_straightforward_reference(size, color, wanted, resize):
    mean, std = ((0.4,), (0.2,)) if wanted == 'gray' else ((0.4, 0.5, 0.6), (0.2, 0.3, 0.1))
    spec = InputSpec(160, 128, wanted, mean, std, resize, 114)
    image = picture(*size, channels=1 if color == 'gray' else 3)
    tensor, _ = Preprocessor(spec)(image, color)
    assert tensor.dtype == np.float32
    assert tensor.flags.c_contiguous
    np.testing.assert_array_equal(tensor, reference(image, color, spec))


def test_the_buffer_is_used_again_and_nothing_of_the_last_picture_stays():
    spec = InputSpec(64, 64)
    preprocess = Preprocessor(spec)
    first, _ = preprocess(picture(64, 30), 'rgb')
    for size in [(30, 64), (64, 30), (64, 64), (7, 64)]:
        image = picture(*size)
        tensor, _ = preprocess(image, 'rgb')
        assert tensor is first
        np.testing.assert_array_equal(tensor, reference(image, 'rgb', spec))


def test_read_only_views_with_row_padding_are_read_as_they_are():
    spec = InputSpec(64, 48)
    padded = picture(48, 100)
    view = padded[:, :64]
    view.flags.writeable = False
    tensor, _ = Preprocessor(spec)(view, 'bgr')
    np.testing.assert_array_equal(tensor, reference(view.copy(), 'bgr', spec))


def test_a_gray_picture_may_have_a_channel_axis():
    spec = InputSpec(64, 48, 'gray', (0.0,), (1.0,))
    image = picture(20, 30, channels=1)
    flat = Preprocessor(spec)(image, 'gray')[0]
    deep = Preprocessor(spec)(image[:, :, None], 'gray')[0]
    np.testing.assert_array_equal(flat, deep)


@pytest.mark.parametrize(
    ('image', 'color', 'word'),
    [
        (np.zeros((4, 4, 3), np.uint16), 'rgb', 'uint16'),
        (np.zeros((4, 4), np.uint8), 'rgb', 'shape'),
        (np.zeros((4, 4, 4), np.uint8), 'bgr', 'shape'),
        (np.zeros((4, 4, 3), np.uint8), 'gray', 'shape'),
        (np.zeros((0, 4, 3), np.uint8), 'rgb', 'empty'),
        (np.zeros((4, 4, 3), np.uint8), 'yuv', 'yuv'),
        (None, 'rgb', 'NoneType'),
    ],
)
def test_what_is_no_picture_is_refused_by_name(image, color, word):
    with pytest.raises(ValueError, match=word):
        Preprocessor(InputSpec(32, 32))(image, color)


@settings(max_examples=300, deadline=None)
@given(SIZES, SIZES, st.integers(8, 1280), st.integers(8, 1280),
       st.sampled_from(['letterbox', 'stretch']), st.integers(0, 2**32 - 1))
def test_boxes_come_back_to_where_they_were(width, height, to_width, to_height, resize, seed):
    geometry = Geometry.fit(width, height, InputSpec(to_width, to_height, resize=resize))
    corners = np.random.default_rng(seed).uniform(0, 1, (20, 2, 2)) * (width, height)
    boxes = np.sort(corners, axis=1).reshape(20, 4)
    back = geometry.to_image(geometry.to_input(boxes))
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, boxes, atol=1e-3)


@settings(max_examples=300, deadline=None)
@given(SIZES, SIZES, st.integers(8, 1280), st.integers(8, 1280))
def test_a_letterboxed_picture_lies_inside_and_touches_two_sides(width, height, w, h):
    geometry = Geometry.fit(width, height, InputSpec(w, h))
    assert 1 <= geometry.width <= w
    assert 1 <= geometry.height <= h
    assert geometry.width == w or geometry.height == h
    assert 0 <= w - geometry.width - 2 * geometry.left <= 1
    assert 0 <= h - geometry.height - 2 * geometry.top <= 1


def test_boxes_are_clipped_to_the_picture():
    geometry = Geometry.fit(100, 50, InputSpec(64, 64))
    boxes = geometry.to_image(np.array([[-10.0, -10, 1000, 1000]]))
    np.testing.assert_array_equal(boxes, [[0, 0, 100, 50]])
