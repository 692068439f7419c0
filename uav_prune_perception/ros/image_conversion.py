# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Image messages to frames: views instead of copies, and no garbage gets through.

Whatever costs more than looking at the numbers (JPEG, 16 bit, foreign encodings) is left to the
worker, which does it only for frames that it really takes (`Frame.unpack`).
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np

from ..onboard.frame import Frame, FrameColor, Unpack

try:
    from cv_bridge import CvBridge
except ImportError:  # not on PyPI; the plain encodings below do without
    CvBridge = None

MAX_SIDE = 16384  # pixels; more is garbage, and would only exhaust the memory


class ImageError(ValueError):
    """An image message that no picture can be had from; says why."""


@dataclass(frozen=True)
class Encoding:
    """How a plain encoding lies in memory, and how its frame is coloured."""

    channels: int
    dtype: type[np.generic]
    color: FrameColor


PLAIN = {
    'bgr8': Encoding(3, np.uint8, 'bgr'),
    'rgb8': Encoding(3, np.uint8, 'rgb'),
    'bgra8': Encoding(4, np.uint8, 'bgr'),
    'rgba8': Encoding(4, np.uint8, 'rgb'),
    'mono8': Encoding(1, np.uint8, 'gray'),
    '8UC1': Encoding(1, np.uint8, 'gray'),
    '8UC3': Encoding(3, np.uint8, 'bgr'),
    'mono16': Encoding(1, np.uint16, 'gray'),
    '16UC1': Encoding(1, np.uint16, 'gray'),
}
# What cameras deliver to save bandwidth: bytes of a pixel, and how OpenCV makes it BGR. OpenCV
# names a mosaic after its second row's second and third pixel, ROS after the first four.
MOSAIC = {
    'bayer_rggb8': (1, cv2.COLOR_BayerBG2BGR), 'bayer_bggr8': (1, cv2.COLOR_BayerRG2BGR),
    'bayer_gbrg8': (1, cv2.COLOR_BayerGR2BGR), 'bayer_grbg8': (1, cv2.COLOR_BayerGB2BGR),
    'yuv422': (2, cv2.COLOR_YUV2BGR_UYVY), 'uyvy': (2, cv2.COLOR_YUV2BGR_UYVY),
    'yuv422_yuy2': (2, cv2.COLOR_YUV2BGR_YUY2), 'yuyv': (2, cv2.COLOR_YUV2BGR_YUY2),
}
Depth16 = Literal['percentile', 'high_byte']
PERCENTILES = (1.0, 99.0)
PERCENTILE_SAMPLES = 20_000
NOTHING = np.empty((0, 0), np.uint8)


def frame_from_image(
    message: Any, *, depth16: Depth16 = 'percentile', camera: str = ''
) -> Frame:
    """A frame on the bytes of a sensor_msgs/Image.

    8-bit pictures are views: nothing is copied, the message stays alive with the frame. Row
    padding (``step``) is honoured. Encodings that are not plain go through cv_bridge where it is
    installed.

    Args:
        message: the sensor_msgs/Image.
        depth16: how 16-bit pictures become 8-bit, see `to_8_bit`.
        camera: see `Frame.camera`.

    Raises:
        ImageError: zero size, row shorter than its pixels, data shorter than its rows, unknown
            encoding.
    """
    width, height, step = message.width, message.height, message.step
    if width == 0 or height == 0:
        raise ImageError(f'image is {width} x {height}: no pixels')
    if width > MAX_SIDE or height > MAX_SIDE:
        raise ImageError(f'image is {width} x {height}: longer than {MAX_SIDE} pixels')
    if len(message.data) < step * height:
        raise ImageError(
            f'image data has {len(message.data)} bytes, {height} rows of {step} need '
            f'{step * height}'
        )
    encoding = PLAIN.get(message.encoding)
    if message.encoding in MOSAIC:
        return _frame(message, camera, unpack=_mosaic(message))
    if encoding is None:
        if CvBridge is None:
            raise ImageError(
                f'encoding {message.encoding!r:.40} is not one of '
                f'{", ".join((*PLAIN, *MOSAIC))}; with '
                'cv_bridge installed more would be possible'
            )
        return _frame(message, camera, unpack=lambda: (_through_cv_bridge(message), 'bgr'))
    row = width * encoding.channels * np.dtype(encoding.dtype).itemsize
    data = _rows(message, row)
    if encoding.dtype is np.uint16:
        word = _word(message.is_bigendian)

        def unpack() -> tuple[np.ndarray, FrameColor]:
            return to_8_bit(np.ascontiguousarray(data).view(word), depth16), 'gray'

        return _frame(message, camera, unpack=unpack)
    if encoding.channels == 1:
        return _frame(message, camera, data, 'gray')
    # Three of four channels of an alpha picture are a view, too.
    pixels = data.reshape(height, width, encoding.channels)
    return _frame(message, camera, pixels[:, :, :3], encoding.color)


def frame_from_compressed(
    message: Any, *, depth16: Depth16 = 'percentile', camera: str = ''
) -> Frame:
    """A frame from a sensor_msgs/CompressedImage that OpenCV can decode (JPEG, PNG, ...).

    Raises:
        ImageError: no data; from `Frame.unpacked`: not decodable.
    """
    if not len(message.data):
        raise ImageError('compressed image is empty')
    if 'compresseddepth' in message.format.lower():
        raise ImageError(
            f"compressed image ({message.format!r:.40}): depth pictures of image_transport's "
            '"compressedDepth" are not understood; publish "compressed" (16-bit PNG) instead'
        )
    return _frame(message, camera, unpack=lambda: _decompress(message, depth16))


def _decompress(message: Any, depth16: Depth16) -> tuple[np.ndarray, FrameColor]:
    data = np.frombuffer(message.data, np.uint8)
    try:
        image = cv2.imdecode(data, cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH)
    except cv2.error as error:
        raise ImageError(f'compressed image ({message.format!r:.40}): {error.err}') from None
    if image is None:
        raise ImageError(
            f'compressed image ({message.format!r:.40}, {len(data)} bytes) cannot be decoded'
        )
    if image.dtype == np.uint16 and image.ndim == 2:
        return to_8_bit(image, depth16), 'gray'
    if image.dtype != np.uint8:
        raise ImageError(f'compressed image holds {image.dtype} pixels, only 8 and 16 bit fit')
    return image, 'gray' if image.ndim == 2 else 'bgr'


def to_8_bit(image: np.ndarray, rule: Depth16 = 'percentile') -> np.ndarray:
    """A 16-bit picture as uint8 [H, W].

    Rules:
        percentile: the frame's own 1st percentile becomes 0 and its 99th 255, linear between,
            clipped outside: what a thermal camera needs, whose scene fills a small part of the
            range. The percentiles are those of at most 20000 evenly spaced pixels. A flat picture
            becomes all 0.
        high_byte: value // 256: fixed, for pictures that use the whole 16 bits.
    """
    if rule == 'high_byte':
        return (image >> 8).astype(np.uint8)
    stride = max(1, math.isqrt(image.size // PERCENTILE_SAMPLES))
    low, high = np.percentile(image[::stride, ::stride], PERCENTILES)
    if high <= low:
        return np.zeros(image.shape, np.uint8)
    values = np.arange(1 << 16, dtype=np.float32)
    table = np.clip((values - low) * (255.0 / (high - low)) + 0.5, 0, 255).astype(np.uint8)
    return table[image]


def _word(is_bigendian: int) -> np.dtype:
    return np.dtype('>u2' if is_bigendian else '<u2')


def _rows(message: Any, row: int) -> np.ndarray:
    """The first ``row`` bytes of every row, a view [height, row]. Raises ImageError."""
    height, step = message.height, message.step
    if step < row:
        raise ImageError(
            f'image step is {step}, {message.width} pixels of {message.encoding} need {row} bytes'
        )
    data = np.frombuffer(message.data, np.uint8, count=step * height).reshape(height, step)
    return data[:, :row]


def _mosaic(message: Any) -> Unpack:
    """Makes BGR of a Bayer or YUV 4:2:2 picture."""
    size, code = MOSAIC[message.encoding]
    width, height = message.width, message.height
    if width % 2 if size == 2 else min(width, height) < 4:
        raise ImageError(f'image is {width} x {height}: no {message.encoding} picture has that')
    rows = _rows(message, width * size)
    pixels = rows if size == 1 else rows.reshape(height, width, size)
    return lambda: (cv2.cvtColor(pixels, code), 'bgr')


def _through_cv_bridge(message: Any) -> np.ndarray:
    try:
        return np.asarray(CvBridge().imgmsg_to_cv2(message, desired_encoding='bgr8'))
    except Exception as error:  # cv_bridge raises whatever its C++ half comes across
        raise ImageError(f'encoding {message.encoding!r:.40}: cv_bridge: {error}') from None


def _frame(
    message: Any,
    camera: str,
    image: np.ndarray = NOTHING,
    color: FrameColor = 'bgr',
    unpack: Unpack | None = None,
) -> Frame:
    stamp = message.header.stamp
    seconds = stamp.sec + stamp.nanosec * 1e-9
    return Frame(
        image=image,
        color=color,
        camera=camera,
        unpack=unpack,
        stamp_s=seconds or math.nan,  # a driver that leaves the stamp empty has no age
        received_s=time.monotonic(),
        tag=message.header,
        source=message.header.frame_id,
    )
