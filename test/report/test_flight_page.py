# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The flight report: figures as flown, one self-contained page."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from uav_prune_perception.ladder import (
    Accuracy,
    BoxesScores,
    DeviceProfile,
    InputSpec,
    Ladder,
    Level,
    LevelFile,
)
from uav_prune_perception.report.flight_page import (
    final_counters,
    flight_page,
    quantile,
    recall_per_level,
    seconds_per_level,
)
from uav_prune_perception.report.flight_record import (
    FlightRecord,
    FrameSeen,
    LevelChange,
    StatisticsSeen,
    TelemetrySent,
)

DEVICE = 'test board'


def _ladder() -> Ladder:
    levels = []
    for index, kept in enumerate((1.0, 0.7, 0.4)):
        profile = DeviceProfile('onnxruntime', 100, 12 * kept, 14 * kept, 16 * kept)
        levels.append(
            Level(
                f'{100 * kept:.0f}', kept, int(2e8 * kept), int(4e5 * kept),
                Accuracy('mAP50', 0.9 - 0.02 * index, 'test', 150),
                {'model.onnx': LevelFile(f'levels/{index}/model.onnx', '0' * 64, 1024)},
                {DEVICE: profile},
            )
        )
    provenance = {
        'created': '2026-11-21T00:00:00Z', 'method': 'l1', 'seed': 0, 'recipe': {},
        'data_sha256': 'f' * 64, 'packages': {'torch': '2'},
    }
    return Ladder('scenes', 'detection', ('car',), InputSpec(320, 256), BoxesScores(), provenance,
                  tuple(levels))


def _record(hostile: str = '') -> FlightRecord:
    record = FlightRecord(
        'A <flight>', '2026-11-21', DEVICE, 'made up', 'camera', deadline_ms=20.0, duration_s=30.0,
        phases=[(0.0, 'nominal'), (10.0, 'load')],
    )
    record.levels = [
        LevelChange(0.0, '100', '', 'start', 'start at the heaviest level'),
        LevelChange(10.0, '70', '100', 'latency', f'p95 latency over deadline {hostile}'),
        LevelChange(25.0, '100', '70', 'relief', 'room again'),
    ]
    for i in range(300):
        level = '70' if 100 <= i < 250 else '100'
        record.frames.append(FrameSeen(i / 10, level, 10 + i % 7, 3, truth=4, matched=3))
    for i in range(60):
        record.telemetry.append(TelemetrySent(i / 2, 0.9 - i / 200, math.nan, math.nan, 0.3, 0))
    counters = {'received': 301, 'processed': 300, 'replaced': 1, 'stale': 0, 'failed': 0}
    record.statistics = [StatisticsSeen(29.0, {k: float(v) for k, v in counters.items()})]
    return record


def test_figures_are_those_of_the_flight() -> None:
    record = _record()
    assert seconds_per_level(record) == {'100': 15.0, '70': 15.0}
    assert recall_per_level(record) == {'100': (450, 600), '70': (450, 600)}
    assert final_counters(record)['received'] == 301
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert math.isnan(quantile([], 0.5))


def test_page_is_self_contained_and_says_why() -> None:
    text = flight_page(_ladder(), _record())
    assert 'p95 latency over deadline' in text
    assert 'A &lt;flight&gt;' in text
    assert '300 of 301' in text
    outside = re.findall(r'(?:src|href)="(?!data:|#)([^"]+)"', text)
    assert outside == []
    assert '<script' not in text
    for svg in re.findall(r'<svg.*?</svg>', text, flags=re.DOTALL):
        ET.fromstring(svg)  # well-formed
    assert text.count('<svg') == 3


def test_words_from_the_node_are_escaped() -> None:
    text = flight_page(_ladder(), _record(hostile='<script>alert(1)</script>'))
    assert '<script>' not in text


@pytest.mark.parametrize('empty', ['frames', 'levels', 'statistics', 'telemetry'])
def test_a_flight_that_saw_nothing_still_gives_a_page(empty: str) -> None:
    record = _record()
    setattr(record, empty, [])
    assert '<svg' in flight_page(_ladder(), record)


def test_record_survives_the_disk(tmp_path: Path) -> None:
    record = _record()
    record.telemetry = []  # NaN is not equal to itself
    record.save(tmp_path / 'flight.json')
    assert FlightRecord.load(tmp_path / 'flight.json') == record
    assert [p.name for p in tmp_path.iterdir()] == ['flight.json']
