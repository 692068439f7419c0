# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Lifecycle transitions that say why they failed, also to whoever asked for them."""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable
from typing import Any, TypeVar

from rclpy.exceptions import ParameterException
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from ..onboard.engines.base import EngineError
from ..onboard.level_bank import NoUsableLevel

NodeT = TypeVar('NodeT')
Transition = Callable[[NodeT, LifecycleState], TransitionCallbackReturn]

# What the user can mend and then try again: the node goes back to the state it came from.
# (LadderError and UnknownLevel are ValueErrors, as are the policy's and the pipeline's.)
# InterruptedError: the process was asked to end meanwhile.
FIXABLE = (EngineError, InterruptedError, NoUsableLevel, ParameterException, ValueError)


def transition(callback: Transition[NodeT]) -> Transition[NodeT]:
    """Wrap a transition callback: rclpy itself swallows what is raised in one.

    A fixable fault is logged in one line and returns FAILURE. Anything else is a broken
    invariant: its traceback is logged and ERROR returned, which leads to error processing.
    """

    @functools.wraps(callback)
    def wrapped(self: Any, state: LifecycleState) -> TransitionCallbackReturn:
        name = callback.__name__.removeprefix('on_')
        try:
            return callback(self, state)
        except FIXABLE as error:
            self.get_logger().error(f'{name} failed: {error}')
            self.get_logger().debug(traceback.format_exc())
            return TransitionCallbackReturn.FAILURE
        except Exception:
            self.get_logger().error(f'{name} broke:\n{traceback.format_exc()}')
            return TransitionCallbackReturn.ERROR

    return wrapped


def answer_every_request(node: LifecycleNode) -> None:
    """Refuse transitions that the node's state has not got.

    Kilted's rclpy does. Humble's and Jazzy's raises out of the executor instead, and whoever
    asked waits forever.
    """
    service: Any = getattr(node, '_service_change_state', None)
    if service is None:
        return
    change_state = service.callback

    def answer(request: Any, response: Any) -> Any:
        try:
            return change_state(request, response)
        except rclpy_implementation.RCLError:
            wanted = request.transition.label or request.transition.id
            node.get_logger().error(f'no transition {wanted} from the state that the node is in')
            response.success = False
            return response

    service.callback = answer
