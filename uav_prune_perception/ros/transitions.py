# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Lifecycle transitions that say why they failed."""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable
from typing import Any, TypeVar

from rclpy.exceptions import ParameterException
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn

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
