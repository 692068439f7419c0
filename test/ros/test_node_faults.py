# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What must not end a flight: vanished files, jumping clocks, a double, signals, random faults."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus
from lifecycle_msgs.srv import ChangeState
from node_driver import TRANSITIONS, NodeProcess, image_message, running_node, words
from rosgraph_msgs.msg import Clock
from tiny_ladder import scene

pytestmark = pytest.mark.dds

BENCHMARKS = Path(__file__).parents[2] / 'benchmarks'
PICTURE = scene(640, 360, [(120, 80, 280, 200, 'red')])
PARTS = ('processed', 'replaced', 'stale', 'failed', 'skipped', 'waiting', 'in_work')


def test_a_ladder_that_vanishes_a_clock_that_jumps_and_a_double(dds, ladder, tmp_path):
    folder = tmp_path / 'ladder'
    shutil.copytree(ladder, folder)
    parameters = {
        'ladder__path': folder, 'diagnostics__rate_hz': 10.0, 'use_sim_time': True,
        'input__max_image_age_ms': 5000.0,
    }
    with running_node('survivor', tmp_path, **parameters) as (node, driver):
        clock = driver.create_publisher(Clock, '/clock', 10)
        assert driver.transition('configure')
        assert driver.transition('activate')
        driver.wait_until(clock.get_subscription_count, 'subscription to /clock')
        for seconds in (1000, 100, 1010):  # forward, an hour-glass turned round, forward
            clock.publish(Clock(clock=Time(sec=seconds)))

            def seen(seconds: int = seconds) -> bool:
                message = image_message(PICTURE, 'rgb8')
                message.header.stamp.sec = seconds
                driver.images.publish(message)
                return any(d.header.stamp.sec == seconds for d in driver.detections)

            driver.wait_until(seen, f'detections at simulated {seconds} s')

        # What is loaded flies on; what is to be loaded fails, and can be mended.
        folder.rename(tmp_path / 'away')
        driver.detections.clear()
        driver.wait_until(seen, 'detections without the files')
        assert driver.transition('deactivate')
        assert driver.transition('cleanup')
        assert not driver.transition('configure')
        assert driver.state() == 'unconfigured'
        (tmp_path / 'away').rename(folder)
        # A level whose file was cut short on the way here is left out.
        model = next(folder.glob('levels/100/*.onnx'))
        model.write_bytes(model.read_bytes()[:99])
        assert driver.transition('configure')
        status = driver.component('ladder', lambda status: status.level == DiagnosticStatus.WARN)
        assert 'has 99 bytes' in words(status)['failed_100']
        # To say of a structural parameter what is so is no change ("ros2 param load").
        assert driver.set(ladder__path=str(folder)) == ''
        assert driver.transition('activate')

        # A second node of the same name comes and goes.
        double = NodeProcess('survivor', tmp_path / 'double.log', ladder__path=folder)
        driver.wait_until(
            lambda: driver.get_node_names().count('survivor') == 2, 'two of the same name'
        )
        double.process.send_signal(signal.SIGINT)
        assert double.exit_code() == 0
        driver.detections.clear()
        driver.wait_until(seen, 'detections after the double')
        counters = driver.counters()
        assert counters['received'] == sum(counters[name] for name in PARTS)
        assert 'Traceback' not in node.output()


@pytest.mark.parametrize('name', ['configure', 'activate'])
def test_a_signal_in_the_middle_of_a_transition_ends_it_with_code_0(dds, ladder, tmp_path, name):
    with running_node('hasty', tmp_path, ladder__path=ladder) as (node, driver):
        if name == 'activate':
            assert driver.transition('configure')
        client = driver.create_client(ChangeState, '/hasty/change_state')
        driver.wait_until(client.service_is_ready, 'change_state')
        request = ChangeState.Request()
        request.transition.id = TRANSITIONS[name]
        future = client.call_async(request)
        node.process.send_signal(signal.SIGTERM)
        assert node.exit_code() == 0
        future.cancel()
        assert 'Traceback' not in node.output()


def test_ten_seconds_of_random_faults(dds, tmp_path):
    command = [
        sys.executable, str(BENCHMARKS / 'soak.py'), '--minutes', '0.16', '--seed', '4',
        '--json', str(tmp_path / 'report.json'),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / 'report.json').read_text())
    assert report['violations'] == []
    assert report['frames']['processed'] > 100
    assert len(report['faults']) > 3
