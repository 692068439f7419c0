# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What happens to the node of the soak: each fault is a function of the pilot and the dice."""

from __future__ import annotations

import math
import random
import signal
import subprocess
from array import array
from collections.abc import Callable

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.msg import ParameterValue
from rclpy.parameter import Parameter
from sensor_msgs.msg import BatteryState
from soak_pilot import LIMIT_S, TRANSITIONS, Pilot

GARBAGE = (
    {'step': 7}, {'encoding': 'telepathy'}, {'encoding': 'rgba8'}, {'height': 0, 'width': 0},
    {'data': array('B', bytes(100))}, {'width': 2**32 - 1, 'height': 2**32 - 1},
    {'encoding': 'mono16', 'step': 5}, {'data': array('B')}, {'encoding': 'x' * 3000},
)
NUMBERS = (math.nan, math.inf, -math.inf, -1.0, 0.0, 0.05, 0.5, 1.0, 1e30)
PARAMETERS = (
    ('ladder.forced_level', ('', '100', '50', '25', 'none of them')),
    ('postprocess.score_threshold', (-1.0, 0.1, 0.3, 7.0)),
    ('postprocess.iou_threshold', (-1.0, 0.5, math.nan)),
    ('postprocess.class_filter', ([''], ['thing'], ['cow'])),
    ('input.max_image_age_ms', (0.0, 100.0, -5.0)),
    ('input.lazy', (True, False)),
    ('input.depth16', ('percentile', 'high_byte', 'x')),
    ('class_id_format', ('index', 'name', '')),
    ('policy.deadline_ms', (1.0, 50.0, 5000.0, -1.0)),
    ('policy.dwell_up_s', (0.0, 0.3)),
    ('telemetry.timeout_s', (0.1, 3.0, 0.0)),
    ('ladder.path', ('/nowhere', '')),
    ('diagnostics.rate_hz', (1.0,)),
    ('no.such.parameter', (1,)),
)


def calm(pilot: Pilot, dice: random.Random) -> None:
    """Nothing; and everything as it should be again."""
    pilot.recover()


def camera_drops_out(pilot: Pilot, dice: random.Random) -> None:
    pilot.camera_on = False
    pilot.listen(dice.uniform(0.2, 1.5))
    pilot.camera_on = True


def burst(pilot: Pilot, dice: random.Random) -> None:
    publisher = dice.choice(list(pilot.images.values()))
    message = pilot.picture()
    for _ in range(dice.randint(10, 300)):
        publisher.publish(message)


def garbage_images(pilot: Pilot, dice: random.Random) -> None:
    for _ in range(dice.randint(1, 30)):
        message = pilot.picture()
        for name, value in dice.choice(GARBAGE).items():
            setattr(message, name, value)
        dice.choice(list(pilot.images.values())).publish(message)


def clock_jumps(pilot: Pilot, dice: random.Random) -> None:
    pilot.stamp_offset_s = dice.choice((-3600.0, -5.0, 0.0, 5.0, 3600.0, -2e9))


def telemetry(pilot: Pilot, dice: random.Random) -> None:
    """NaN, frozen, nonsense, flooding."""
    battery = BatteryState(
        percentage=dice.choice(NUMBERS[:-1]), voltage=dice.choice(NUMBERS[:-1]),
        current=dice.choice(NUMBERS[:-1]),
    )
    pairs = [
        KeyValue(key=key, value=str(dice.choice((*NUMBERS, 'much', ''))))
        for key in ('power_w', 'temperature_c', 'load', 'fan')
    ]
    board = DiagnosticArray(status=[DiagnosticStatus(values=pairs), DiagnosticStatus()])
    for _ in range(dice.choice((1, 1, 200))):
        pilot.battery.publish(battery)
        pilot.board.publish(board)


def ladder_removed(pilot: Pilot, dice: random.Random) -> None:
    """A file, or the folder, goes; then comes back."""
    ladder = pilot.ladder
    thing = dice.choice([ladder, *ladder.rglob('*.onnx'), *ladder.glob('*.json')])
    away = ladder.parent / 'away'
    thing.rename(away)
    try:
        for name in dice.choices(list(TRANSITIONS), k=3):
            pilot.transition(name)
        pilot.listen(0.3)
    finally:
        away.rename(thing)


def malformed_request(pilot: Pilot, dice: random.Random) -> None:
    """A parameter request that rclpy's own service raises on: of a type that there is not."""
    value = ParameterValue(type=dice.randint(10, 255))
    pilot.send_only([ParameterMessage(name='policy.deadline_ms', value=value)])


def transitions(pilot: Pilot, dice: random.Random) -> None:
    """Allowed or not, as fast as they are answered."""
    for name in dice.choices(list(TRANSITIONS), k=dice.randint(1, 12)):
        pilot.transition(name)


def parameter_storm(pilot: Pilot, dice: random.Random) -> None:
    groups = []
    for _ in range(dice.randint(1, 60)):
        group = []
        for name, values in dice.sample(PARAMETERS, dice.randint(1, 2)):
            group.append(Parameter(name, value=dice.choice(values)).to_parameter_msg())
        groups.append(group)
    pilot.set_many(groups)
    plain = {'postprocess.class_filter': [''], 'postprocess.score_threshold': -1.0,
             'input.max_image_age_ms': 0.0, 'input.lazy': False}
    pilot.set_many([[Parameter(n, value=v).to_parameter_msg()] for n, v in plain.items()])


def signal_in_flight(pilot: Pilot, dice: random.Random) -> None:
    """Seldom: whatever it does at the moment, it ends by itself; a new process takes over."""
    if dice.random() < 0.05:
        pilot.transition(dice.choice(list(TRANSITIONS)))
        pilot.restart(dice.choice((signal.SIGINT, signal.SIGTERM)))
        pilot.recover()


def signal_at_start(pilot: Pilot, dice: random.Random) -> None:
    """Seldom: a process that is told to end while it begins; a second node of the same name."""
    if dice.random() > 0.3:
        return
    other = pilot.start(pilot.log.with_name('other.log'))
    pilot.listen(dice.uniform(0.0, 3.0))
    other.send_signal(dice.choice((signal.SIGINT, signal.SIGTERM)))
    try:
        code = other.wait(LIMIT_S)
    except subprocess.TimeoutExpired:
        pilot.blame('the second node hangs after a signal')
        other.kill()
        other.wait()
        return
    # Before Python has come to the node's handlers, the signals do what they always do.
    if code not in (0, 1, 130, -signal.SIGINT, -signal.SIGTERM):
        pilot.blame(f'the second node ended with {code}')


FAULTS: dict[str, Callable[[Pilot, random.Random], None]] = {
    function.__name__: function
    for function in (
        calm, camera_drops_out, burst, garbage_images, clock_jumps, telemetry, ladder_removed,
        malformed_request, transitions, parameter_storm, signal_in_flight, signal_at_start,
    )
}
