# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The quality of service of every topic, in one place."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.lifecycle import LifecycleNode
from rclpy.node import Node
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    QoSPolicyKind,
    QoSProfile,
    ReliabilityPolicy,
)
from rclpy.qos_overriding_options import QoSOverridingOptions

from .qos_explainer import QosExplainer

try:
    from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import (
        PublisherEventCallbacks,
        SubscriptionEventCallbacks,
    )

HAS_MATCHED = 'matched' in inspect.signature(PublisherEventCallbacks).parameters


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


def subscribe(
    node: Node, kind: Any, topic: str, callback: Callable[[Any], None], profile: QoSProfile
) -> Any:
    """Subscribe with QoS that parameters can override and faults of which are explained."""
    explain = QosExplainer(node, topic, 'subscription')
    subscription = node.create_subscription(
        kind, topic, callback, profile,
        callback_group=_own_group(),
        event_callbacks=SubscriptionEventCallbacks(incompatible_qos=explain),
        qos_overriding_options=_overridable(),
    )
    explain.profile = _in_force(subscription, profile)
    return subscription


def advertise(
    node: LifecycleNode,
    kind: Any,
    topic: str,
    profile: QoSProfile,
    on_match: Callable[[], None] | None = None,
) -> Any:
    """A lifecycle publisher likewise; ``on_match`` when a subscriber comes or goes.

    On Humble, which has no such event, ``on_match`` is never called.
    """
    explain = QosExplainer(node, topic, 'publisher')
    events: dict[str, Any] = {'incompatible_qos': explain}
    if on_match is not None and HAS_MATCHED:
        events['matched'] = lambda event: on_match()
    publisher = node.create_lifecycle_publisher(
        kind, topic, profile,
        callback_group=_own_group(),
        event_callbacks=PublisherEventCallbacks(**events),
        qos_overriding_options=_overridable(),
    )
    explain.profile = _in_force(publisher, profile)
    return publisher


def _own_group() -> MutuallyExclusiveCallbackGroup:
    """One that goes with its entity.

    A group keeps a weak reference to all that was ever in it, so that the node's own would grow
    by thirty with each configuration.
    """
    return MutuallyExclusiveCallbackGroup()


def _overridable() -> QoSOverridingOptions:
    """The parameters ``qos_overrides.<topic>.<entity>.<policy>`` that are declared."""
    kinds = (
        QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH, QoSPolicyKind.RELIABILITY,
        QoSPolicyKind.DURABILITY,
    )
    return QoSOverridingOptions(kinds)


def _in_force(entity: Any, asked: QoSProfile) -> QoSProfile:
    """What the entity really has, overrides included (Humble: what was asked for)."""
    return getattr(entity, 'qos_profile', asked)
