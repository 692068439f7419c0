# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""diagnostic_msgs/DiagnosticStatus from plain numbers."""

from __future__ import annotations

from collections.abc import Mapping

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue


def status(
    name: str, level: bytes, message: str, values: Mapping[str, object], hardware: str
) -> DiagnosticStatus:
    """One status; the values' keys carry the unit, so that the values are plain numbers."""
    return DiagnosticStatus(
        name=name, level=level, message=message, hardware_id=hardware,
        values=[KeyValue(key=key, value=plain(value)) for key, value in values.items()],
    )


def plain(value: object) -> str:
    """A number without superfluous digits; anything else as it is."""
    return f'{value:.6f}'.rstrip('0').rstrip('.') if isinstance(value, float) else str(value)
