# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The quality of service of every topic, in one place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    QoSProfile,
    ReliabilityPolicy,
    qos_policy_name_from_kind,
)
from rclpy.qos_overriding_options import QoSOverridingOptions

try:
    from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import (
        PublisherEventCallbacks,
        SubscriptionEventCallbacks,
    )


def newest_only() -> QoSProfile:
    """Camera input: best effort, and never a queue of old pictures."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST, depth=1, reliability=ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.VOLATILE,
    )


def readings() -> QoSProfile:
    """Sensor input: best effort matches every publisher."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST, depth=5, reliability=ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.VOLATILE,
    )


def results() -> QoSProfile:
    """Output: reliable; whoever can bear losses asks for best effort."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST, depth=5, reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.VOLATILE,
    )


def latched() -> QoSProfile:
    """Output that a late joiner gets, too."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST, depth=1, reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL,
    )


def overridable() -> QoSOverridingOptions:
    """Lets the parameters ``qos_overrides./<topic>.<entity>.*`` change history and reliability."""
    return QoSOverridingOptions.with_default_policies()


def subscription_events(topic: str, warn: Callable[[str], Any]) -> SubscriptionEventCallbacks:
    """Warn when a publisher offers less than we ask for: nothing would arrive, and silently."""
    return SubscriptionEventCallbacks(
        incompatible_qos=lambda event: warn(_incompatible(topic, 'publisher', event))
    )


def publisher_events(topic: str, warn: Callable[[str], Any]) -> PublisherEventCallbacks:
    """Warn when a subscriber asks for more than we offer."""
    return PublisherEventCallbacks(
        incompatible_qos=lambda event: warn(_incompatible(topic, 'subscriber', event))
    )


def _incompatible(topic: str, other: str, event: Any) -> str:
    policy = qos_policy_name_from_kind(event.last_policy_kind)
    return (
        f'{topic}: a {other} with incompatible QoS, no message will pass between us; the policy '
        f'is {policy} ("ros2 topic info -v {topic}" shows both; change it by "qos_overrides")'
    )
