# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What happened during one flight, as plain data: written while flying, read by the report."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from uav_prune_perception.ladder.durable import replacing


@dataclass
class FrameSeen:
    """One detection message, as a subscriber in another process saw it.

    ``age_ms`` runs from the image's stamp to the receipt of the detections. ``matched`` counts the
    ground-truth boxes that a detection of the same class covers with IoU >= 0.5.
    """

    t_s: float
    level: str
    age_ms: float
    detections: int
    truth: int = 0
    matched: int = 0


@dataclass
class LevelChange:
    """One message on ``~/level``: which level runs from now on, and why."""

    t_s: float
    level: str
    previous: str
    code: str
    reason: str


@dataclass
class TelemetrySent:
    """What the players told the node (NaN = not played) and how many burners loaded the cores."""

    t_s: float
    battery_fraction: float
    power_w: float
    temperature_c: float
    load: float
    burners: int


@dataclass
class StatisticsSeen:
    """One message on ``~/stats``, numbers by key (SI units in the key)."""

    t_s: float
    values: dict[str, float]


@dataclass
class SampleFrame:
    """A frame kept for the report: JPEG bytes, base64, with the boxes drawn on it."""

    level: str
    t_s: float
    jpeg_base64: str
    caption: str


@dataclass
class FlightRecord:
    """One flight. Times are seconds since take-off (the first activation of the node)."""

    title: str
    started: str
    device: str
    source: str
    camera: str
    deadline_ms: float
    phases: list[tuple[float, str]] = field(default_factory=list)
    frames: list[FrameSeen] = field(default_factory=list)
    levels: list[LevelChange] = field(default_factory=list)
    telemetry: list[TelemetrySent] = field(default_factory=list)
    statistics: list[StatisticsSeen] = field(default_factory=list)
    samples: list[SampleFrame] = field(default_factory=list)
    frames_sent: int = 0
    duration_s: float = 0.0

    def save(self, path: Path) -> None:
        """Write as JSON, at once (temporary file and rename)."""
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(dataclasses.asdict(self)), encoding='utf-8')

    @staticmethod
    def load(path: Path) -> FlightRecord:
        """Read what `save` wrote."""
        data: dict[str, Any] = json.loads(path.read_text(encoding='utf-8'))
        kinds = {
            'frames': FrameSeen, 'levels': LevelChange, 'telemetry': TelemetrySent,
            'statistics': StatisticsSeen, 'samples': SampleFrame,
        }
        for key, kind in kinds.items():
            data[key] = [kind(**item) for item in data[key]]
        data['phases'] = [tuple(item) for item in data['phases']]
        return FlightRecord(**data)

    def level_spans(self) -> list[tuple[str, float, float]]:
        """(level, from, to) in seconds, in order, covering the flight from the first change."""
        edges = [*(change.t_s for change in self.levels[1:]), self.duration_s]
        return [(c.level, c.t_s, end) for c, end in zip(self.levels, edges, strict=False)]
