# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Requests for transitions, where rclpy itself would leave them without an answer."""

from __future__ import annotations

from types import SimpleNamespace

from lifecycle_msgs.srv import ChangeState
from rclpy.impl.implementation_singleton import rclpy_implementation

from uav_prune_perception.ros.transitions import answer_every_request


def test_an_impossible_transition_is_refused_where_rclpy_raises():
    lines: list[str] = []

    def as_on_jazzy(request, response):
        if request.transition.id == 2:
            raise rclpy_implementation.RCLError('Transition is not registered.')
        response.success = True
        return response

    service = SimpleNamespace(callback=as_on_jazzy)
    logger = SimpleNamespace(error=lines.append)
    answer_every_request(
        SimpleNamespace(_service_change_state=service, get_logger=lambda: logger))
    request = ChangeState.Request()
    request.transition.id = 1
    assert service.callback(request, ChangeState.Response()).success
    request.transition.id = 2
    assert not service.callback(request, ChangeState.Response()).success
    (line,) = lines
    assert 'no transition 2' in line


def test_a_node_without_that_service_is_left_alone():
    answer_every_request(SimpleNamespace())
