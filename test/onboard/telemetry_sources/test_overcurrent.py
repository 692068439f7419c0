# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import fake_boards

from uav_prune_perception.onboard.telemetry.overcurrent import OverCurrent


def counter(root, number, value):
    (root / f'sys/class/hwmon/hwmon2/oc{number}_event_cnt').write_text(str(value))


def test_what_was_there_at_boot_is_no_event(tmp_path):
    assert OverCurrent(fake_boards.agx_thor(tmp_path)).new_events() == {}


def test_only_the_rise_counts_and_only_once(tmp_path):
    events = OverCurrent(fake_boards.orin_nano(tmp_path))
    counter(tmp_path, 3, 6)
    assert events.new_events() == {'oc3': 2}
    assert events.new_events() == {}


def test_reset_and_garbage_are_no_events(tmp_path):
    events = OverCurrent(fake_boards.orin_nano(tmp_path))
    counter(tmp_path, 3, 0)
    assert events.new_events() == {}
    counter(tmp_path, 3, 'x')
    assert events.new_events() == {}
    counter(tmp_path, 3, 1)
    assert events.new_events() == {'oc3': 1}


def test_counter_that_appears_later_starts_from_its_level(tmp_path):
    events = OverCurrent(tmp_path)
    assert not events.probe()
    fake_boards.orin_nano(tmp_path)
    assert events.probe()
    assert events.new_events() == {}
