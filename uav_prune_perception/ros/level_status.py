# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The ``~/level`` message: which level runs, and why, for a late joiner, too."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticStatus

from ..ladder import Ladder
from ..onboard.state import LevelState
from .status import status


def level_status(
    state: LevelState, ladder: Ladder, *, since_s: float, latency_p95_ms: float, hardware: str
) -> DiagnosticStatus:
    """The running level as a message.

    Args:
        state: from the pipeline.
        ladder: what it flies.
        since_s: when the change happened, seconds of the ROS clock.
        latency_p95_ms: processing time of the latest frames at that moment; nan = none yet.
        hardware: of the status.
    """
    level = ladder.level(state.name)
    values = {
        'index': state.index,
        'name': state.name,
        'previous': state.previous,
        'code': state.code,
        'forced': int(state.forced),
        'every': state.every,
        'since_s': since_s,
        'kept_macs': level.kept_macs,
        'accuracy': level.accuracy.value,
        'latency_p95_ms': latency_p95_ms,
    }
    return status(state.name, DiagnosticStatus.OK, state.reason, values, hardware)
