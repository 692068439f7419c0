# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""One flight: the real node as its own process, a camera and telemetry played to it over DDS."""

from __future__ import annotations

import datetime
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from uav_prune_perception.ladder import Ladder
from uav_prune_perception.report.flight_record import FlightRecord, SampleFrame
from uav_prune_perception.ros.dds_profile import profile_variable

from .burner import Burners
from .camera import Camera, CameraFrame
from .scenario import Scenario

if TYPE_CHECKING:
    from vision_msgs.msg import Detection2DArray

    from .ground_station import GroundStation

CONFIG = Path(__file__).resolve().parents[2] / 'config'
NODE = 'perception'
TELEMETRY_HZ = 5.0


class FlightError(RuntimeError):
    """The node did not do what it was asked. One line, ready to print."""


@dataclass(frozen=True)
class FlightPlan:
    """How to fly: frames per second, the deadline, and where the node's log goes."""

    title: str
    fps: float
    deadline_ms: float
    log: Path
    device: str
    duration_s: float


def private_environment() -> dict[str, str]:
    """This process's environment with a DDS that stays on this machine and loses no image.

    Set for this process too (before rclpy starts): the publisher is who needs the profile.
    """
    os.environ.setdefault('ROS_DOMAIN_ID', str(1 + os.getpid() % 100))
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    os.environ.setdefault(profile_variable(), str(CONFIG / 'fastdds_shm.xml'))
    return dict(os.environ)


def fly(
    ladder: Ladder,
    camera: Camera,
    scenario: Scenario,
    plan: FlightPlan,
    on_tick: Callable[[GroundStation, str], None],
) -> FlightRecord:
    """Fly once and return the record.

    Args:
        ladder: what the node flies.
        camera: what is played onto ``image``.
        scenario: what is played onto the telemetry topics and done to the cores.
        plan: rate, deadline, length.
        on_tick: called about 5 times a second with the ground station and the phase's name.

    Raises:
        FlightError: the node died or refused a transition; its log says why.
    """
    environment = private_environment()
    from lifecycle_msgs.msg import Transition
    from rclpy.context import Context

    from .ground_station import GroundStation

    record = FlightRecord(
        title=plan.title,
        started=datetime.datetime.now().astimezone().isoformat(' ', 'seconds'),
        device=plan.device,
        source=scenario.description,
        camera=f'{camera.description} at {plan.fps:g} Hz',
        deadline_ms=plan.deadline_ms,
    )
    context = Context()  # our own: the domain is that of this flight, whatever ran before
    context.init()
    with _node_process(ladder, plan, environment) as process, _burners() as burners:
        station = GroundStation(NODE, camera, record, ladder.classes, context)
        samples = _Samples(station, ladder)
        try:
            for step in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
                _transition(station, process, step, plan)
            station.wait_for_match()
            _play(station, scenario, plan, burners=burners, process=process, on_tick=on_tick)
            burners.set(0)
            for step in (
                Transition.TRANSITION_DEACTIVATE,
                Transition.TRANSITION_CLEANUP,
                Transition.TRANSITION_UNCONFIGURED_SHUTDOWN,
            ):
                _transition(station, process, step, plan)
        finally:
            record.duration_s = min(station.flight_time_s, plan.duration_s)
            record.samples = samples.best()
            station.destroy_node()
            context.try_shutdown()
    return record


def _play(
    station: GroundStation,
    scenario: Scenario,
    plan: FlightPlan,
    *,
    burners: Burners,
    process: subprocess.Popen[bytes],
    on_tick: Callable[[GroundStation, str], None],
) -> None:
    station.take_off()
    frame, next_telemetry, phase = 0, 0.0, ''
    while (now := station.flight_time_s) < plan.duration_s:
        if process.poll() is not None:
            raise FlightError(f'the node died with code {process.returncode}; see {plan.log}')
        if now >= next_telemetry:
            moment = scenario.at(now * scenario.duration_s / plan.duration_s)
            burners.set(moment.burners)
            station.send_telemetry(moment)
            next_telemetry += 1 / TELEMETRY_HZ
            if moment.phase != phase:
                phase = moment.phase
                station.record.phases.append((now, phase))
            on_tick(station, phase)
        if now >= frame / plan.fps:
            station.send_frame(frame)
            frame = max(frame + 1, int(now * plan.fps))  # a late player skips, never bunches
        pause = min(frame / plan.fps, next_telemetry) - station.flight_time_s
        station.spin(max(0.0, pause))
    deadline = time.monotonic() + 1.5  # let the last answers and the last statistics come in
    while time.monotonic() < deadline:
        station.spin(0.1)


@contextmanager
def _burners() -> Iterator[Burners]:
    burners = Burners()
    try:
        yield burners
    finally:
        burners.set(0)


@contextmanager
def _node_process(
    ladder: Ladder, plan: FlightPlan, environment: dict[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    command = [
        sys.executable, '-m', 'uav_prune_perception.ros.start', '--ros-args',
        '-r', f'__node:={NODE}',
        '--params-file', str(CONFIG / 'perception.yaml'),
        '-p', f'ladder.path:={ladder.folder.absolute()}',
        '-p', f'policy.deadline_ms:={float(plan.deadline_ms)}',
        # The battery's story is told in fast motion.
        '-p', 'telemetry.battery_smoothing_s:=0.3',
        '-p', 'engine.threads:=1',
    ]
    with plan.log.open('wb') as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        yield process
        code = process.wait(timeout=15)
        if code != 0:
            raise FlightError(f'the node ended with code {code}; see {plan.log}')
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()


def _transition(
    station: GroundStation, process: subprocess.Popen[bytes], step: int, plan: FlightPlan
) -> None:
    if process.poll() is not None:
        raise FlightError(f'the node died with code {process.returncode}; see {plan.log}')
    if not station.transition(step):
        raise FlightError(f'the node refused lifecycle transition {step}; see {plan.log}')


class _Samples:
    """Keeps, for each level, the frame with the most ground truth that flew there."""

    def __init__(self, station: GroundStation, ladder: Ladder) -> None:
        self._station, self._ladder = station, ladder
        self._kept: dict[str, tuple[int, float, CameraFrame, Detection2DArray]] = {}
        station.on_detections = self._see

    def _see(self, frame: CameraFrame, message: Detection2DArray) -> None:
        level, count = self._station.level, len(frame.boxes)
        if count > self._kept.get(level, (-1,))[0]:
            self._kept[level] = (count, self._station.flight_time_s, frame, message)

    def best(self) -> list[SampleFrame]:
        """One picture per level flown, heaviest first."""
        from .truth import count_matches, draw

        pictures = []
        for level in self._ladder.levels:
            if level.name in self._kept:
                count, t_s, frame, message = self._kept[level.name]
                found = count_matches(frame, message, self._ladder.classes)
                caption = (
                    f'level {level.name} at {t_s:.1f} s: {found} of {count} objects found '
                    '(white: ground truth)'
                )
                jpeg = draw(frame, message, self._ladder.classes)
                pictures.append(SampleFrame(level.name, t_s, jpeg, caption))
        return pictures
