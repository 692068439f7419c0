# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The warning about incompatible QoS names the guilty, both profiles and the mend, without DDS."""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from uav_prune_perception.ros.qos_explainer import explain

LOSSY = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
SURE = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def test_a_camera_that_offers_less_than_we_ask_for():
    peers = [('/good', SURE), ('/cam', LOSSY)]
    text = explain('/image', 'subscription', 'RELIABILITY', SURE, peers)
    assert 'our subscription (reliable, volatile)' in text
    assert 'the publisher of /cam (best_effort, volatile)' in text
    assert '/good' not in text
    assert '"-p qos_overrides./image.subscription.reliability:=best_effort"' in text
    assert 'or change the publisher to reliable' in text


def test_a_listener_that_asks_for_more_than_we_offer():
    text = explain('/level', 'publisher', 'DURABILITY', SURE, [('/rviz', LATCHED)])
    assert 'the subscription of /rviz (reliable, transient_local)' in text
    assert '"-p qos_overrides./level.publisher.durability:=transient_local"' in text


def test_what_is_not_known_is_not_made_up():
    text = explain('/image', 'subscription', 'DEADLINE', None, [])
    assert 'the publisher of somebody; the policy is DEADLINE' in text
    assert '"ros2 topic info -v /image" shows both sides' in text
