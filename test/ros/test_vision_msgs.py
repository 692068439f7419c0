# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The vision_msgs built by .ci/environment talk to everybody else's."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

# Of vision_msgs 4.1 as released; DDS matches topics by these.
UPSTREAM = 'RIHS01_214274120007f4a683866481336b70310268cfa107aebe9d594a6acf75bda968'


def test_the_type_hash_is_upstream_s():
    path = Path(sys.prefix) / 'share/vision_msgs/msg/Detection2DArray.json'
    if not path.is_file():
        pytest.skip('vision_msgs comes from a ROS 2 installation, not from .ci/environment')
    listed = json.loads(path.read_text())['type_hashes']
    hashes = {item['type_name']: item['hash_string'] for item in listed}
    assert hashes['vision_msgs/msg/Detection2DArray'] == UPSTREAM
