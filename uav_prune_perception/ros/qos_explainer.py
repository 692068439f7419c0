# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Why no message passes between two that are on the same topic, and what to do about it."""

from __future__ import annotations

from typing import Any, Literal

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import QoSProfile, qos_policy_name_from_kind

from .guarded import guarded

GRAPH_S = 0.5  # DDS tells of an endpoint a moment before ROS knows whose it is
Entity = Literal['publisher', 'subscription']
Peer = tuple[str, QoSProfile]
# A subscription must not ask for more than the publisher offers; weakest first.
STRENGTH = {
    'RELIABILITY': ('BEST_EFFORT', 'RELIABLE'),
    'DURABILITY': ('VOLATILE', 'TRANSIENT_LOCAL'),
}


class QosExplainer:
    """Warns about incompatible QoS on one topic: both profiles, and the parameter that mends it.

    DDS itself is silent about it, and "no detections" is all that a user sees.
    """

    def __init__(self, node: Node, topic: str, entity: Entity) -> None:
        self._node, self._entity = node, entity
        self._topic = node.resolve_topic_name(topic)
        self.profile: QoSProfile | None = None  # ours, with the overrides
        self._timer: Any = None
        self._policy = ''
        self._explain = guarded(self._say, node.get_logger())

    def __call__(self, event: Any) -> None:
        """The event callback; the warning follows when the graph has the other side's name."""
        self._policy = qos_policy_name_from_kind(event.last_policy_kind)
        if self._timer is None:
            steady = Clock(clock_type=ClockType.STEADY_TIME)
            self._timer = self._node.create_timer(GRAPH_S, self._explain, clock=steady)

    def _say(self) -> None:
        timer, self._timer = self._timer, None
        self._node.destroy_timer(timer)
        if self._entity == 'publisher':
            found = self._node.get_subscriptions_info_by_topic(self._topic)
        else:
            found = self._node.get_publishers_info_by_topic(self._topic)
        peers = [(_full_name(item), item.qos_profile) for item in found]
        text = explain(self._topic, self._entity, self._policy, self.profile, peers)
        self._node.get_logger().warning(text)


def explain(
    topic: str, entity: Entity, policy: str, ours: QoSProfile | None, peers: list[Peer]
) -> str:
    """The warning.

    Args:
        topic: its full name.
        entity: what we have on the topic.
        policy: name of the policy that does not fit, as DDS told it.
        ours: our profile; None = not known.
        peers: name and profile of everybody on the other side, fitting or not.
    """
    other = 'subscription' if entity == 'publisher' else 'publisher'
    guilty = [peer for peer in peers if ours is not None and _clash(policy, entity, ours, peer[1])]
    who = ', '.join(f'{name} ({profile_text(profile)})' for name, profile in guilty)
    mine = '' if ours is None else f' ({profile_text(ours)})'
    text = (
        f'{topic}: incompatible QoS, no message passes between our {entity}{mine} and the {other} '
        f'of {who or "somebody"}; the policy is {policy}.'
    )
    override = f'qos_overrides.{topic}.{entity}.{policy.lower()}'
    if guilty and policy in STRENGTH:
        value = _value(guilty[0][1], policy)
        text += f' Mend: "-p {override}:={value.lower()}" for us, or change the {other}'
        return f'{text} to {_value(ours, policy).lower()}'
    return f'{text} "ros2 topic info -v {topic}" shows both sides; ours has "{override}"'


def profile_text(profile: QoSProfile) -> str:
    """The policies that decide whether two sides match."""
    return ', '.join(_value(profile, policy).lower() for policy in STRENGTH)


def _clash(policy: str, entity: Entity, ours: QoSProfile, theirs: QoSProfile) -> bool:
    order = STRENGTH.get(policy)
    if order is None:
        return True
    publisher, subscription = (ours, theirs) if entity == 'publisher' else (theirs, ours)
    offered, asked = _value(publisher, policy), _value(subscription, policy)
    return offered in order and asked in order and order.index(offered) < order.index(asked)


def _value(profile: Any, policy: str) -> str:
    return str(getattr(profile, policy.lower()).name)


def _full_name(item: Any) -> str:
    return f'{item.node_namespace.rstrip("/")}/{item.node_name}'
