# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Lifecycle: every transition, faults that can be mended, and a clean end from every state."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack

import cv2
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from node_driver import (
    Driver,
    NodeProcess,
    compressed_message,
    image_message,
    running_node,
)
from rclpy.qos import ReliabilityPolicy
from sensor_msgs.msg import Image
from tiny_ladder import make_classification_ladder, make_detection_ladder, scene
from vision_msgs.msg import Classification

pytestmark = pytest.mark.dds

PICTURE = scene(640, 360, [(120, 80, 280, 200, 'red')])
BGR = np.ascontiguousarray(PICTURE[:, :, ::-1])


def reach(driver: Driver, state: str) -> None:
    """From unconfigured."""
    for transition in {'unconfigured': (), 'inactive': ('configure',)}.get(
        state, ('configure', 'activate')
    ):
        assert driver.transition(transition)
    assert driver.state() == state


@pytest.fixture
def unconfigured(dds, tmp_path) -> Iterator[tuple[NodeProcess, Driver]]:
    with running_node('cadet', tmp_path, diagnostics__rate_hz=10.0) as pair:
        yield pair


def test_a_whole_life(unconfigured, ladder):
    node, driver = unconfigured
    assert driver.state() == 'unconfigured'  # it never goes anywhere by itself
    for impossible in ('activate', 'deactivate', 'cleanup'):
        assert not driver.transition(impossible)  # refused, not left without an answer

    # A fixable fault leaves the node where it was; mended, it configures.
    assert not driver.transition('configure')
    assert 'ladder.path is empty' in node.output()
    assert driver.set(ladder__path='/nowhere') == ''
    assert not driver.transition('configure')
    assert driver.state() == 'unconfigured'
    assert '/nowhere: no such ladder folder' in node.output()
    waiting = driver.component('ladder', lambda s: True)
    assert 'no ladder loaded' in waiting.message
    assert driver.set(ladder__path=str(ladder)) == ''
    # rclpy's own service raises on a type that there is not: that request is lost, nothing else.
    driver.set_malformed('policy.deadline_ms')
    driver.wait_until(lambda: 'a request goes unanswered' in node.output(), 'a line in the log')
    reach(driver, 'active')
    assert len(driver.detect(PICTURE, 'rgb8').detections) == 1

    # Inactive: nothing is subscribed to, nothing is published, diagnostics go on.
    assert driver.transition('deactivate')
    driver.wait_until(lambda: not driver.images.get_subscription_count(), 'no subscription')
    driver.component('inference', lambda s: s.message == 'inactive')
    assert driver.transition('activate')
    assert len(driver.detect(PICTURE, 'rgb8').detections) == 1
    assert driver.transition('deactivate')

    # Configured again with another transport; no publisher is left over.
    assert driver.transition('cleanup')
    driver.wait_until(lambda: not driver.count_publishers('/cadet/detections'), 'no publisher')
    assert driver.set(input__transport='compressed') == ''
    reach(driver, 'active')
    assert driver.count_publishers('/cadet/detections') == 1
    for extension, form in (('.jpg', 'bgr8; jpeg compressed bgr8'), ('.png', 'png')):
        data = cv2.imencode(extension, BGR)[1].tobytes()
        assert len(driver.detect_compressed(data, form).detections) == 1

    # What is no JPEG, or nothing at all, is one failed frame each.
    before = driver.counters()['failed']
    for number, data in enumerate((b'\xff\xd8\xff nonsense', b''), start=1):
        driver.compressed.publish(compressed_message(data, 'jpeg'))
        driver.wait_until(
            lambda number=number: driver.counters()['failed'] == before + number, 'a failed image'
        )
    assert node.process.poll() is None

    assert driver.transition('shutdown')
    assert node.exit_code() == 0
    assert 'Traceback' not in node.output()


def test_a_classification_ladder_publishes_classes(dds, tmp_path):
    make_classification_ladder(tmp_path / 'ladder')
    parameters = {
        'ladder__path': tmp_path / 'ladder', 'class_id_format': 'name',
        'use_sim_time': True,  # and no /clock: neither work nor reports may wait for it
        # QoS is overridden by the topic's real name.
        'qos_overrides./camera/picture.subscription.reliability': 'reliable',
        'qos_overrides./sorter/classification.publisher.depth': 2,
    }
    remaps = ('image:=/camera/picture',)
    with running_node('sorter', tmp_path, remaps=remaps, **parameters) as (node, driver):
        reach(driver, 'active')
        answers: list[Classification] = []
        driver.listen(Classification, '/sorter/classification', answers, 10)
        images = driver.create_publisher(Image, '/camera/picture', 1)
        driver.wait_until(images.get_subscription_count, 'subscription to /camera/picture')
        (ours,) = driver.get_subscriptions_info_by_topic('/camera/picture')
        assert ours.qos_profile.reliability == ReliabilityPolicy.RELIABLE
        message = image_message(np.full((60, 80, 3), (250, 10, 10), np.uint8), 'rgb8')

        def ask() -> list[Classification]:
            images.publish(message)
            return answers

        answer = driver.wait_until(ask, 'classification')[0]
        assert answer.header == message.header
        assert answer.results[0].class_id == 'red'
        assert sum(r.score for r in answer.results) == pytest.approx(1.0, abs=1e-5)
        status = driver.component('inference', lambda s: s.message.startswith('p95'))
        assert status.level == DiagnosticStatus.OK
        assert '[sorter.level_control]: level 100' in node.output()  # who in the node said it


def test_without_a_usable_level_the_node_goes_inactive_and_says_so(dds, tmp_path):
    make_detection_ladder(tmp_path / 'ladder', levels=2, fragile=('100', '50'))
    parameters = {'ladder__path': tmp_path / 'ladder', 'diagnostics__rate_hz': 10.0}
    with running_node('fragile', tmp_path, **parameters) as (node, driver):
        reach(driver, 'active')
        driver.wait_for_camera()
        white = image_message(np.full((256, 320, 3), 255, np.uint8), 'rgb8')

        def grounded() -> bool:
            driver.images.publish(white)
            return 'going inactive' in node.output()

        driver.wait_until(grounded, 'going inactive')
        assert driver.state() == 'inactive'
        driver.component('ladder', lambda s: s.level == DiagnosticStatus.ERROR)
        assert not driver.transition('activate')
        assert driver.transition('cleanup')
        reach(driver, 'active')  # loaded anew
        gray = np.full((256, 320, 3), 20, np.uint8)
        assert len(driver.detect(gray, 'rgb8').detections) == 0


def test_autostart_flies_once_for_each_start_of_the_process(dds, ladder, tmp_path):
    parameters = {'autostart': True, 'diagnostics__rate_hz': 10.0, 'engine__threads': 1}
    with running_node('eager', tmp_path, ladder__path='/nowhere', **parameters) as (node, driver):
        driver.wait_until(lambda: 'configure failed: /nowhere' in node.output(), 'the reason')
        assert driver.set(ladder__path=str(ladder)) == ''
        assert driver.transition('configure')
        assert len(driver.detect(PICTURE, 'rgb8').detections) == 1
        for name in ('deactivate', 'cleanup', 'configure'):
            assert driver.transition(name)
        driver.component('inference', lambda status: status.message == 'inactive')
        assert driver.state() == 'inactive'  # by hand, it stays where it is put

        # DDS believes the killed one alive for a while: a request would be lost on it.
        node.process.kill()
        node.process.wait()
        again = NodeProcess('eager', tmp_path / 'again.log', ladder__path=ladder, **parameters)
        try:
            assert len(driver.detect(PICTURE, 'rgb8').detections) == 1
        finally:
            again.end()


def test_a_signal_ends_it_with_code_0_in_every_state(dds, ladder, tmp_path):
    cases = (
        ('unconfigured', signal.SIGINT), ('inactive', signal.SIGTERM), ('active', signal.SIGINT),
        ('active', signal.SIGTERM),
    )
    with ExitStack() as stack:
        pairs = [
            stack.enter_context(running_node(f'{state}_{number}', tmp_path, ladder__path=ladder))
            for state, number in cases
        ]
        for (state, number), (node, driver) in zip(cases, pairs, strict=True):
            reach(driver, state)
            if state == 'active':
                driver.detect(PICTURE, 'rgb8')
            node.process.send_signal(number)
        for (state, _), (node, _) in zip(cases, pairs, strict=True):
            assert node.exit_code() == 0, state
            assert 'Traceback' not in node.output()


def test_wrong_parameters_at_the_start_are_one_line_and_code_1(dds, tmp_path):
    wrong = {'policy__name': 'astrology', 'input__timeout_s': -5.0}
    nodes = {
        name: NodeProcess('wrong', tmp_path / name, **{name: value})
        for name, value in wrong.items()
    }
    for name, node in nodes.items():
        assert node.exit_code() == 1
        assert 'Traceback' not in node.output()
        assert name.replace('__', '.') in node.output()
