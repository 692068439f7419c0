# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The process before and between flights: told to end while it is imported, configured anew."""

from __future__ import annotations

import gc
import signal
import subprocess
import sys
import threading
import weakref

import pytest
import rclpy
from node_driver import NodeProcess
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter

from uav_prune_perception.ros import process
from uav_prune_perception.ros.perception_node import PerceptionNode
from uav_prune_perception.ros.process import with_log_files_or_without

pytestmark = pytest.mark.dds

INTERRUPTED = """
import os, sys
from uav_prune_perception.ros import start

class Interrupt:
    def find_spec(self, name, path, target=None):
        if name == 'cv2':
            os.kill(os.getpid(), {number})

sys.meta_path.insert(0, Interrupt())
start.main()
"""


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_it_is_imported_is_a_silent_end(number):
    program = INTERRUPTED.format(number=int(number))
    done = subprocess.run(
        [sys.executable, '-c', program], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, '', '')


def test_a_wrong_command_line_is_said_in_words():
    cases = [
        (['--ros-args', '--params-file', '/nowhere.yaml'], 1, '/nowhere.yaml'),
        (['--help'], 0, 'usage: perception_node --ros-args'),
        (['/path/to/ladder'], 1, 'usage: perception_node --ros-args'),
    ]
    command = [sys.executable, '-m', 'uav_prune_perception.ros.start']
    processes = [
        subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for arguments, _, _ in cases
    ]
    for child, (_, code, words) in zip(processes, cases, strict=True):
        said = child.communicate(timeout=100)[0].decode()
        assert child.returncode == code
        assert words in said
        assert '/project/' not in said
        assert 'Traceback' not in said


def test_without_a_place_for_log_files_it_starts_all_the_same(dds, tmp_path, monkeypatch):
    monkeypatch.setenv('ROS_LOG_DIR', '/proc/nowhere')
    node = NodeProcess('homeless', tmp_path / 'homeless.log', policy__name='astrology')
    monkeypatch.delenv('ROS_LOG_DIR')
    monkeypatch.delenv('ROS_HOME', raising=False)
    arguments = ['perception_node']
    assert with_log_files_or_without(arguments) == arguments
    monkeypatch.delenv('HOME')
    assert '--disable-external-lib-logs' in with_log_files_or_without(arguments)

    # The process comes as far as its parameters, and its own complaint is the only other line.
    assert node.exit_code() == 1
    first, second = node.output().splitlines()
    assert '/proc/nowhere cannot be written' in first
    assert 'astrology' in second


class PlayedExecutor:
    """Every turn is a fault, or only those that are not good ones."""

    def __init__(self, stop: threading.Event, turns: int, good_every: int = 0) -> None:
        self.stop, self.turns, self.good_every, self.turn = stop, turns, good_every, 0

    def spin_once(self, timeout_sec: float) -> None:
        self.turn += 1
        if self.turn >= self.turns:
            self.stop.set()
        if not self.good_every or self.turn % self.good_every:
            raise ValueError(f'played {self.turn}')


@pytest.mark.parametrize(('good_every', 'gives_up'), [(0, True), (20, False)])
def test_a_stream_of_bad_messages_ends_no_flight_but_a_broken_executor_does(
    good_every, gives_up, monkeypatch
):
    monkeypatch.setattr(process, 'GIVE_UP_S', 0.5)
    monkeypatch.setattr(process.traceback, 'print_exc', lambda: None)
    lines: list[str] = []
    monkeypatch.setattr(process._log, 'error', lines.append)
    stop = threading.Event()
    spinner = process._Spinner(PlayedExecutor(stop, 5000 if gives_up else 1500, good_every), stop)
    spinner.run()
    assert spinner.failed == gives_up
    assert stop.is_set()
    assert 0 < len(lines) <= 10


def test_configuring_again_and_again_leaves_nothing_behind(dds, ladder):
    assert rclpy.ok()
    node = PerceptionNode(threading.Event())
    try:
        node.set_parameters([
            Parameter('ladder.path', value=str(ladder)),
            Parameter('cameras', value=['front', 'down']),
        ])
        counts = []
        for _ in range(3):
            assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS
            assert node.trigger_activate() == TransitionCallbackReturn.SUCCESS
            assert node.trigger_deactivate() == TransitionCallbackReturn.SUCCESS
            assert node.trigger_cleanup() == TransitionCallbackReturn.SUCCESS
            gc.collect()
            counts.append(sum(isinstance(o, weakref.ref) for o in gc.get_objects()))
        # A callback group that outlives what was in it keeps a weak reference to each for ever.
        assert counts[-1] - counts[-2] < 10
    finally:
        node.close()
        node.destroy_node()
