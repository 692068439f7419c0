# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Several cameras on one engine, in a namespace, subscribed to only while somebody listens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from node_driver import LATCHED, Driver, image_message, numbers, running_node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image
from tiny_ladder import scene
from vision_msgs.msg import Detection2DArray, LabelInfo

pytestmark = pytest.mark.dds

PICTURES = {
    'front': scene(640, 360, [(120, 80, 280, 200, 'white')]),
    'down': scene(320, 240, [(20, 20, 120, 90, 'red'), (200, 100, 300, 200, 'blue')]),
}
OBJECTS = {'front': 1, 'down': 2}
COUNTED = ('processed', 'replaced', 'stale', 'failed', 'skipped')


class Cameras:
    """A camera publisher and the results of each, on the other side of the node."""

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self.stats: dict[str, list[DiagnosticStatus]] = {name: [] for name in PICTURES}
        self.images, self.results, self.found = {}, {}, {}
        for name in PICTURES:
            topic = f'/air/{name}/image'
            self.images[name] = driver.create_publisher(Image, topic, qos_profile_sensor_data)
            base = f'/air/{driver.target}/{name}'
            driver.listen(DiagnosticStatus, f'{base}/stats', self.stats[name], 10)

    def listen(self, name: str) -> None:
        base = f'/air/{self.driver.target}/{name}'
        self.found[name] = []
        self.results[name] = self.driver.listen(
            Detection2DArray, f'{base}/detections', self.found[name], 10
        )

    def deaf(self, name: str) -> None:
        self.driver.destroy_subscription(self.results.pop(name))

    def wait_for(self, name: str, subscribed: bool) -> None:
        camera = self.images[name]
        self.driver.wait_until(
            lambda: bool(camera.get_subscription_count()) == subscribed,
            f'{name} subscribed to: {subscribed}',
        )

    def detect(self, name: str) -> Detection2DArray:
        self.wait_for(name, True)
        return self.driver.ask(
            self.images[name], lambda: image_message(PICTURES[name], 'rgb8'), self.found[name]
        )

    def counters(self, name: str) -> dict[str, float]:
        self.stats[name].clear()
        return numbers(self.driver.wait_until(lambda: self.stats[name], f'stats of {name}')[-1])


@pytest.fixture(scope='module')
def cameras(
    dds: None, ladder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cameras]:
    parameters = {
        'cameras': '[front, down]', 'input__lazy': True, 'ladder__path': ladder,
        'diagnostics__rate_hz': 10.0, 'engine__threads': 1, 'policy__deadline_ms': 5000.0,
    }
    folder = tmp_path_factory.mktemp('cameras')
    with running_node('eyes', folder, namespace='/air', **parameters) as (node, driver):
        driver.output = node.output
        assert driver.transition('configure'), node.output()
        assert driver.transition('activate'), node.output()
        yield Cameras(driver)
        assert node.process.poll() is None, 'the node died'


def test_a_camera_is_subscribed_to_while_somebody_wants_its_results(cameras):
    driver = cameras.driver
    text = 'nobody subscribes to the results'
    for name in PICTURES:
        driver.component(f'input {name}', lambda s: s.message.startswith(text))
    cameras.listen('front')
    cameras.wait_for('front', True)
    assert not cameras.images['down'].get_subscription_count()
    cameras.deaf('front')
    cameras.wait_for('front', False)
    # Whoever looks at the overlay wants images, too.
    look = driver.listen(Image, '/air/eyes/down/overlay', [], qos_profile_sensor_data)
    cameras.wait_for('down', True)
    assert driver.set(input__lazy=False) == ''  # live
    driver.destroy_subscription(look)
    for name in PICTURES:
        cameras.wait_for(name, True)


def test_each_camera_s_results_are_on_its_own_topics(cameras):
    labels: list[LabelInfo] = []
    for name in PICTURES:
        if name not in cameras.results:
            cameras.listen(name)
        message = cameras.detect(name)
        assert len(message.detections) == OBJECTS[name]
        cameras.driver.listen(LabelInfo, f'/air/eyes/{name}/label_info', labels, LATCHED)
    cameras.driver.wait_until(lambda: len(labels) >= len(PICTURES), 'labels of every camera')
    stamps = {name: {str(m.header.stamp) for m in cameras.found[name]} for name in PICTURES}
    assert not stamps['front'] & stamps['down']


def test_accounting_is_exact_per_camera_and_a_burst_starves_nobody(cameras):
    driver = cameras.driver
    for name in PICTURES:
        cameras.wait_for(name, True)
    before = {name: cameras.counters(name) for name in PICTURES}
    messages = {name: image_message(PICTURES[name], 'rgb8') for name in PICTURES}
    for _ in range(40):
        for _ in range(10):
            cameras.images['front'].publish(messages['front'])
        cameras.images['down'].publish(messages['down'])
        driver.wait_until(lambda: True, 'a look round')

    seen = {'received': -1.0}

    def settled() -> bool:  # nothing left, and nothing came any more for a while
        nonlocal seen
        before, seen = seen, driver.counters()
        return before['received'] == seen['received'] and not seen['waiting'] + seen['in_work']

    driver.wait_until(settled, 'quiet after the burst')
    now = {name: cameras.counters(name) for name in PICTURES}
    total = driver.counters()
    for counters in (*now.values(), total):
        assert counters['received'] == sum(counters[key] for key in COUNTED)
    for key in ('received', *COUNTED):
        assert total[key] == now['front'][key] + now['down'][key], key
    assert now['down']['processed'] > before['down']['processed']


def test_garbage_is_reported_for_the_camera_that_sent_it(cameras):
    driver = cameras.driver
    cameras.wait_for('down', True)
    bad = image_message(np.zeros((8, 8, 3), np.uint8), 'rgb8', step=3)

    def failed() -> bool:
        cameras.images['down'].publish(bad)
        return cameras.counters('down')['failed'] > 0

    driver.wait_until(failed, 'a failed image')
    driver.component('input down', lambda s: 'step is 3' in s.message)
    assert cameras.counters('front')['failed'] == 0
