# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Latency is measured on the real engine, side by side, and a useless level is called that."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_ladder import make_detection_ladder

from uav_prune_perception.export.onnx_export import ExportError
from uav_prune_perception.export.profiling import profile_levels
from uav_prune_perception.ladder import DeviceProfile
from uav_prune_perception.onboard.profiling import slower_levels


def test_levels_are_timed_and_the_heavy_one_is_slower(tmp_path: Path) -> None:
    ladder = make_detection_ladder(tmp_path / 'ladder', levels=4)
    models = {level.name: ladder.file(level) for level in ladder.levels}
    rounds: list[int] = []
    profiles = profile_levels(
        models, runs=15, threads=1, progress=lambda done, total: rounds.append(done)
    )
    assert list(profiles) == ['100', '50', '25', '12']
    assert rounds[-1] == 15
    for profile in profiles.values():
        assert profile.n == 15
        assert 0 < profile.latency_ms_p50 <= profile.latency_ms_p95 <= profile.latency_ms_p99
        assert 'ONNX Runtime' in profile.engine
        assert '1 thread' in profile.engine
    assert profiles['100'].latency_ms_p50 > profiles['12'].latency_ms_p50


def test_a_level_that_is_not_faster_is_named() -> None:
    def profile(ms: float) -> DeviceProfile:
        return DeviceProfile('engine', 10, ms, ms, ms)

    lines = slower_levels({'100': profile(9), '70': profile(9.5), '45': profile(5)})
    assert len(lines) == 1
    assert 'level 70 is not faster than level 100' in lines[0]


def test_a_broken_file_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / 'model.onnx'
    path.write_bytes(b'not a model')
    with pytest.raises(ExportError, match=r'model\.onnx: cannot be loaded') as caught:
        profile_levels({'100': path})
    assert '\n' not in str(caught.value)
