# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Who flies the node of the soak: its process, its cameras, its services, and what must hold."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from array import array
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import SetParametersAtomically
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import qos_profile_sensor_data
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import BatteryState, Image
from vision_msgs.msg import Detection2DArray

HERE = Path(__file__).resolve().parent
NAME = 'soak'
CAMERAS = ('front', 'down')
LIMIT_S = 60.0  # a busy machine needs half of that to start a process
SILENCE_S = 20.0  # diagnostics come ten times a second
AT_ONCE = 8  # requests; a ROS service's queue holds ten, more would be lost before the node
PARTS = ('processed', 'replaced', 'stale', 'failed', 'skipped', 'waiting', 'in_work')
TRANSITIONS = {
    'configure': Transition.TRANSITION_CONFIGURE, 'activate': Transition.TRANSITION_ACTIVATE,
    'deactivate': Transition.TRANSITION_DEACTIVATE, 'cleanup': Transition.TRANSITION_CLEANUP,
}


class Pilot:
    """The node's surroundings; `violations` collects what must not be."""

    def __init__(self, ladder: Path, log: Path, seed: int, rate_hz: float) -> None:
        self.ladder, self.log, self.seed, self.rate_hz = ladder, log, seed, rate_hz
        self.sim_time = bool(seed % 2)
        self.violations: list[str] = []
        self.totals: Counter[str] = Counter()
        self.configurations = self.processes = self.stats_checked = 0
        self.memory: list[list[tuple[float, float]]] = []
        self.detections = 0
        self.camera_on, self.stamp_offset_s = True, 0.0
        self._seen: dict[str, dict[str, int]] = {}
        self._heard_s = time.monotonic()
        self._log_checked = 0
        self._sampled_s = 0.0
        self._ended = threading.Event()
        rclpy.init()
        self.node = rclpy.create_node('pilot')
        listen = self.node.create_subscription
        for camera in CAMERAS:
            topic = f'/{NAME}/{camera}'
            listen(Detection2DArray, f'{topic}/detections', self._on_detections, 10)
            listen(DiagnosticStatus, f'{topic}/stats', self._on_stats(camera), 10)
        listen(DiagnosticStatus, f'/{NAME}/stats', self._on_stats(''), 10)
        listen(DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)
        advertise = self.node.create_publisher
        self.images = {
            name: advertise(Image, f'/{name}/image', qos_profile_sensor_data) for name in CAMERAS
        }
        self.battery = advertise(BatteryState, 'battery_state', 10)
        self.board = advertise(DiagnosticArray, 'board_state', 10)
        self._clock = advertise(Clock, '/clock', 10)
        self._change = self.node.create_client(ChangeState, f'/{NAME}/change_state')
        self._get = self.node.create_client(GetState, f'/{NAME}/get_state')
        self._set = self.node.create_client(
            SetParametersAtomically, f'/{NAME}/set_parameters_atomically'
        )
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)
        self._playing = threading.Thread(target=self._play, daemon=True)

    def __enter__(self) -> Pilot:
        self.process = self.start()
        self._playing.start()
        self.recover()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._playing.join()
        self.end(signal.SIGTERM)
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.try_shutdown()

    def blame(self, what: str) -> None:
        """Note something that must not be."""
        self.violations.append(what)
        print(f'violation: {what}', file=sys.stderr, flush=True)

    # --- the process

    def start(self, log: Path | None = None) -> subprocess.Popen[bytes]:
        """Start a node process."""
        command = [
            sys.executable, str(HERE / 'soak.py'), '--node',
            '--seed', str(self.seed * 1000 + self.processes), '--ros-args',
            '-r', f'__node:={NAME}', '-p', f'ladder.path:={self.ladder}',
            '-p', f'cameras:=[{", ".join(CAMERAS)}]', '-p', 'diagnostics.rate_hz:=10.0',
            '-p', f'use_sim_time:={str(self.sim_time).lower()}',
            '-p', 'policy.dwell_up_s:=0.3', '--log-level', 'warn',
        ]
        if log is None:
            self.processes += 1
            self.memory.append([])
            self._seen.clear()
        with (log or self.log).open('ab') as stream:
            return subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT)

    def end(self, number: int) -> None:
        """Send a signal; the process must end by itself, with exit code 0."""
        self.process.send_signal(number)
        try:
            code = self.process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            self.blame(f'hangs after signal {number}')
            self.process.kill()
            self.process.wait()
            return
        if code != 0:
            self.blame(f'exit code {code} after signal {number}')
        self._look_at_log()

    def restart(self, number: int) -> None:
        """End it by a signal, start another one."""
        self.end(number)
        self.process = self.start()
        self._heard_s = time.monotonic()

    # --- its services

    def listen(self, seconds: float) -> None:
        """Let messages in for a while."""
        self.wait_until(lambda: False, seconds)

    def wait_until(self, true: Callable[[], Any], limit_s: float) -> bool:
        """Spin until something holds; whether it does."""
        end = time.monotonic() + limit_s
        while not true():
            left = end - time.monotonic()
            if left <= 0:
                return False
            self._executor.spin_once(timeout_sec=min(left, 0.05))
        return True

    def call(self, client: Any, request: Any, what: str) -> Any:
        """The answer, or None and a violation."""
        if not self.wait_until(client.service_is_ready, LIMIT_S):
            self.blame(f'{what}: no service')
            return None
        future = client.call_async(request)
        if not self.wait_until(future.done, LIMIT_S):
            self.blame(f'{what}: no answer')
            return None
        return future.result()

    def transition(self, name: str) -> bool:
        """Whether the transition was made."""
        request = ChangeState.Request()
        request.transition.id = TRANSITIONS[name]
        answer = self.call(self._change, request, name)
        done = bool(answer and answer.success)
        if done and name == 'configure':
            self.configurations += 1
        return done

    def state(self) -> str:
        """Its lifecycle state."""
        answer = self.call(self._get, GetState.Request(), 'get_state')
        return answer.current_state.label if answer else ''

    def set_many(self, groups: list[list[Any]]) -> None:
        """Many changes of parameters at once; each must be answered."""
        if not self.wait_until(self._set.service_is_ready, LIMIT_S):
            self.blame('set_parameters: no service')
            return
        for start in range(0, len(groups), AT_ONCE):
            futures = [
                self._set.call_async(SetParametersAtomically.Request(parameters=group))
                for group in groups[start:start + AT_ONCE]
            ]
            answered = self.wait_until(
                lambda futures=futures: all(f.done() for f in futures), LIMIT_S
            )
            if not answered:
                self.blame('set_parameters: no answer')

    def send_only(self, group: list[Any]) -> None:
        """A change of parameters that need not be answered."""
        if self._set.service_is_ready():
            future = self._set.call_async(SetParametersAtomically.Request(parameters=group))
            self.listen(0.2)
            self._set.remove_pending_request(future)

    def recover(self) -> None:
        """From whatever state, fly and see detections again; the engines may need some tries."""
        self.camera_on, self.stamp_offset_s = True, 0.0
        ways = {
            'unconfigured': ('configure', 'activate'), 'inactive': ('activate', 'cleanup'),
            'active': (),
        }
        # A storm of parameters may have changed these, which is right while nothing is loaded.
        good = {'ladder.path': str(self.ladder), 'ladder.forced_level': ''}
        mends = [[Parameter(name, value=value).to_parameter_msg()] for name, value in good.items()]
        for _ in range(30):
            if self.state() == 'unconfigured':
                self.set_many(mends)
            for name in ways.get(self.state(), ()):
                if not self.transition(name):
                    continue
                if name == 'cleanup':
                    break
            before = self.detections
            if self.state() == 'active' and self.wait_until(
                lambda before=before: self.detections > before, 5.0
            ):
                return
        self.blame(f'no detections any more; state {self.state()}')

    # --- what must hold

    def check(self, after: str) -> None:
        """Whether it lives, talks and has logged no traceback."""
        if self.process.poll() is not None:
            self.blame(f'died with {self.process.returncode} after {after}')
            self.process = self.start()
            self._heard_s = time.monotonic()
        if time.monotonic() - self._heard_s > SILENCE_S:
            self.blame(f'no diagnostics for {SILENCE_S:.0f} s after {after}')
            self._heard_s = time.monotonic()
        self._look_at_log(after)
        if time.monotonic() - self._sampled_s > 1.0:
            self._sampled_s = time.monotonic()
            memory = psutil.Process(self.process.pid).memory_info().rss / 2**20
            self.memory[-1].append((float(self.totals['received']), memory))

    def _look_at_log(self, after: str = 'the end') -> None:
        text = self.log.read_bytes()[self._log_checked:].decode(errors='replace')
        self._log_checked += len(text.encode(errors='replace'))
        for word in ('Traceback', 'broke', 'Error: ', 'left behind'):
            if word in text:
                line = text.index(word)
                self.blame(f'log after {after}: {text[max(0, line - 200):line + 900]}')
                return

    def _on_stats(self, camera: str) -> Callable[[DiagnosticStatus], None]:
        def take(message: DiagnosticStatus) -> None:
            values = {item.key: item.value for item in message.values}
            counters = {name: int(values[name]) for name in ('received', *PARTS)}
            self.stats_checked += 1
            if counters['received'] != sum(counters[name] for name in PARTS):
                self.blame(f'{camera or "all"}: counters do not add up: {counters}')
            if min(counters.values()) < 0:
                self.blame(f'{camera or "all"}: a counter is negative: {counters}')
            before = self._seen.get(camera, {})
            if not camera:
                restarted = counters['received'] < before.get('received', 0)
                for name in ('received', *PARTS[:5]):
                    self.totals[name] += counters[name] - (0 if restarted else before.get(name, 0))
            self._seen[camera] = counters

        return take

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        self._heard_s = time.monotonic()

    def _on_detections(self, message: Detection2DArray) -> None:
        self.detections += 1
        if len(message.detections) != 1:
            self.blame(f'{len(message.detections)} detections instead of 1')

    # --- the cameras

    def picture(self, dice: random.Random | None = None) -> Image:
        """A picture with a stamp of now, give or take `stamp_offset_s`."""
        message = Image(height=48, width=64, encoding='bgr8', step=192)
        message.header.frame_id = 'camera'
        message.data = array('B', bytes(48 * 192))
        nanoseconds = max(0, time.time_ns() + int(self.stamp_offset_s * 1e9))
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(nanoseconds, 10**9)
        return message

    def _play(self) -> None:
        """Both cameras, and simulated time, until the end."""
        while not self._ended.wait(1.0 / self.rate_hz):
            if self.sim_time:
                clock = Clock()
                nanoseconds = max(0, time.time_ns() + int(self.stamp_offset_s * 1e9))
                clock.clock.sec, clock.clock.nanosec = divmod(nanoseconds, 10**9)
                self._clock.publish(clock)
            if self.camera_on:
                for publisher in self.images.values():
                    publisher.publish(self.picture())
