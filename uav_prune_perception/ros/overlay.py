# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The picture with what was found drawn into it, as a message."""

from __future__ import annotations

import sys
from array import array

import numpy as np
from sensor_msgs.msg import Image

from ..onboard.drawing import draw
from ..onboard.results import Result


def overlay_message(result: Result, classes: tuple[str, ...]) -> Image:
    """A bgr8 image with boxes, class names, scores and the level's name; the frame's header."""
    picture = draw(result, classes)
    message = Image(header=result.frame.tag)
    message.height, message.width = picture.shape[:2]
    message.encoding = 'bgr8'
    message.step = picture.strides[0]
    message.is_bigendian = int(sys.byteorder == 'big')
    data = array('B')
    data.frombytes(np.ascontiguousarray(picture).data.cast('B'))
    message.data = data  # an array passes the setter without a look at every element
    return message
