# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The real node as a process of its own, over real DDS, on this machine's loopback only."""

from __future__ import annotations

import fcntl
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from uav_prune_perception.ros.dds_profile import profile_variable

# Read by the message classes when they are imported: wrong field types raise instead of passing.
os.environ['ROS_PYTHON_CHECK_FIELDS'] = '1'
sys.path.insert(0, str(Path(__file__).parent))

pytest.importorskip('rclpy', reason='needs ROS 2')
pytest.importorskip('vision_msgs', reason='needs vision_msgs')

CONFIG = Path(__file__).parents[2] / 'config'
DDS_ENVIRONMENT = {
    'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
    profile_variable(): str(CONFIG / 'fastdds_shm.xml'),
    'PYTHONUNBUFFERED': '1',
}


@contextmanager
def own_domain() -> Iterator[int]:
    """A DDS domain that no other test run on this machine has, as long as it is open."""
    for domain in range(1, 101):
        path = Path(tempfile.gettempdir(), f'uav_prune_perception_domain_{domain}')
        with path.open('w') as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            yield domain
            return
    pytest.fail('no free DDS domain')


@pytest.fixture(scope='session')
def dds() -> Iterator[None]:
    """A private DDS domain for this test run and its processes."""
    import rclpy

    with own_domain() as domain, pytest.MonkeyPatch.context() as patch:
        patch.setenv('ROS_DOMAIN_ID', str(domain))
        for name, value in DDS_ENVIRONMENT.items():
            patch.setenv(name, value)
        context = rclpy.get_default_context()
        if context.ok():
            pytest.fail('another test left rclpy initialised: these would use its domain')
        rclpy.init()
        yield
        rclpy.try_shutdown()


@pytest.fixture(scope='session')
def ladder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny three-rung detection ladder."""
    from tiny_ladder import make_detection_ladder

    folder = tmp_path_factory.mktemp('ladders') / 'rectangles'
    make_detection_ladder(folder, levels=3)
    return folder
