# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A live bar in a terminal, sparse plain lines in a log."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from uav_prune_perception.cli import progress
from uav_prune_perception.cli.progress import LiveReporter, PlainReporter, reporter


def test_a_log_gets_plain_lines_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = [0.0]
    monkeypatch.setattr(progress.time, 'monotonic', lambda: clock[0])
    shown = reporter(Console(file=io.StringIO()))
    assert isinstance(shown, PlainReporter)
    shown.phase('70: fine-tuning', 100)
    for step in range(1, 101):
        clock[0] += 0.5
        shown.step(step, f'epoch 1/1  loss {1 / step:.4f}')
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == '70: fine-tuning ...'
    assert len(lines) == 1 + 5, 'one line in ten seconds of fifty'
    assert lines[1] == '70: fine-tuning: 20 %, epoch 1/1  loss 0.0500, 40 s left'


def test_a_terminal_gets_phase_epoch_loss_and_time_left() -> None:
    screen = io.StringIO()
    shown = reporter(Console(file=screen, force_terminal=True, width=120))
    assert isinstance(shown, LiveReporter)
    with shown:
        shown.phase('training the dense network', 10)
        shown.step(4, 'epoch 1/3  loss 0.1234')
        shown.note('network: [tiny]')
        shown.warn('level 70 is slow')
    text = screen.getvalue()
    for part in ('training the dense network', '40 %', 'loss 0.1234', 'left', '[tiny]', 'slow'):
        assert part in text
