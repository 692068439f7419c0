# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Drives a perception node in another process: transitions, parameters, topics."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.msg import ParameterValue
from rcl_interfaces.srv import GetParameters, SetParametersAtomically
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter, parameter_value_to_python
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy, qos_profile_sensor_data
from sensor_msgs.msg import CompressedImage, Image
from vision_msgs.msg import Detection2DArray

LATCHED = QoSProfile(
    depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL, reliability=ReliabilityPolicy.RELIABLE
)
LIMIT_S = 40.0  # discovery alone may take 3 s, and two test runs at once as many again
TRANSITIONS = {
    'configure': Transition.TRANSITION_CONFIGURE,
    'activate': Transition.TRANSITION_ACTIVATE,
    'deactivate': Transition.TRANSITION_DEACTIVATE,
    'cleanup': Transition.TRANSITION_CLEANUP,
}
_stamps = itertools.count(1)


class Driver(Node):
    """The other side of one node's topics and services."""

    def __init__(self, target: str, namespace: str = '') -> None:
        super().__init__(f'driver_of_{target}', namespace=namespace)
        self.target = target
        self._base = base = f'{namespace}/{target}'
        self.output: Callable[[], str] = str  # the node's log so far
        self.detections: list[Detection2DArray] = []
        self.levels: list[DiagnosticStatus] = []
        self.stats: list[DiagnosticStatus] = []
        self.diagnostics: list[DiagnosticArray] = []
        self.images = self.create_publisher(Image, 'image', qos_profile_sensor_data)
        self.compressed = self.create_publisher(
            CompressedImage, 'image/compressed', qos_profile_sensor_data
        )
        self.listen(Detection2DArray, f'{base}/detections', self.detections, 10)
        self.listen(DiagnosticStatus, f'{base}/level', self.levels, LATCHED)
        self.listen(DiagnosticStatus, f'{base}/stats', self.stats, 10)
        self.listen(DiagnosticArray, '/diagnostics', self.diagnostics, 10)
        self._change = self.create_client(ChangeState, f'{base}/change_state')
        self._get = self.create_client(GetState, f'{base}/get_state')
        self._set = self.create_client(
            SetParametersAtomically, f'{base}/set_parameters_atomically'
        )
        self._get_parameters = self.create_client(GetParameters, f'{base}/get_parameters')
        self._executor_ = SingleThreadedExecutor()
        self._executor_.add_node(self)

    def listen(self, kind: Any, topic: str, into: list[Any], qos: Any) -> Any:
        return self.create_subscription(kind, topic, into.append, qos)

    def wait_until(self, true: Callable[[], Any], what: str, limit_s: float = LIMIT_S) -> Any:
        """Spin until ``true()`` is; its value."""
        limit = time.monotonic() + limit_s
        while not (value := true()):
            if time.monotonic() > limit:
                raise AssertionError(f'waited {limit_s:.0f} s in vain for: {what}')
            self._executor_.spin_once(timeout_sec=0.05)
        return value

    def call(self, client: Any, request: Any) -> Any:
        self.wait_until(client.service_is_ready, client.srv_name)
        future = client.call_async(request)
        self.wait_until(future.done, f'answer of {client.srv_name}')
        return future.result()

    def transition(self, name: str) -> bool:
        request = ChangeState.Request()
        if name == 'shutdown':
            request.transition.label = 'shutdown'
        else:
            request.transition.id = TRANSITIONS[name]
        return bool(self.call(self._change, request).success)

    def state(self) -> str:
        return str(self.call(self._get, GetState.Request()).current_state.label)

    def set(self, **values: Any) -> str:
        """Set parameters ('__' for '.'); '' or why it was refused."""
        request = SetParametersAtomically.Request()
        for name, value in values.items():
            parameter = Parameter(name.replace('__', '.'), value=value)
            request.parameters.append(parameter.to_parameter_msg())
        result = self.call(self._set, request).result
        return '' if result.successful else result.reason

    def set_malformed(self, name: str) -> None:
        """Ask for a value of a type that there is not; nobody will answer."""
        self.wait_until(self._set.service_is_ready, self._set.srv_name)
        parameter = ParameterMessage(name=name, value=ParameterValue(type=77))
        future = self._set.call_async(SetParametersAtomically.Request(parameters=[parameter]))
        self._set.remove_pending_request(future)

    def get(self, name: str) -> Any:
        """The value of a parameter."""
        request = GetParameters.Request(names=[name])
        (value,) = self.call(self._get_parameters, request).values
        return parameter_value_to_python(value)

    def wait_for_camera(self) -> None:
        """Wait until the active node listens to the camera."""
        self.wait_until(self.images.get_subscription_count, 'subscription to image')

    def detect(
        self, image: np.ndarray, encoding: str, once: bool = False, **fields: Any
    ) -> Detection2DArray:
        """Publish a picture and wait for the answer that bears its stamp."""
        self.wait_for_camera()
        return self.ask(self.images, lambda: image_message(image, encoding, **fields), once=once)

    def detect_compressed(self, data: bytes, form: str) -> Detection2DArray:
        self.wait_until(self.compressed.get_subscription_count, 'subscription to compressed')
        return self.ask(self.compressed, lambda: compressed_message(data, form))

    def ask(
        self,
        publisher: Any,
        make: Callable[[], Any],
        answers: list[Detection2DArray] | None = None,
        once: bool = False,
    ) -> Detection2DArray:
        """Publish a picture until there is an answer that bears its stamp.

        Best effort: under load a picture may be replaced, and then there is another one, unless
        it is to be sent only ``once``.
        """
        answers = self.detections if answers is None else answers
        stamps: list[Any] = []
        next_s = 0.0

        def answered() -> list[Detection2DArray]:
            nonlocal next_s
            if time.monotonic() >= next_s and not (once and stamps):
                next_s = time.monotonic() + 2.0
                message = make()
                stamps.append(message.header.stamp)
                publisher.publish(message)
            return [d for d in answers if d.header.stamp in stamps]

        found: list[Detection2DArray] = self.wait_until(
            answered, 'detections with the stamp of the image')
        return found[-1]

    def counters(self, fresh: bool = True) -> dict[str, float]:
        """The numbers of the next ``~/stats``."""
        if fresh:
            self.stats.clear()
        status = self.wait_until(lambda: self.stats, 'stats')[-1]
        return numbers(status)

    def component(self, name: str, accept: Callable[[DiagnosticStatus], bool]) -> DiagnosticStatus:
        """Wait until /diagnostics has a status of a component that is accepted."""
        full = f'{self._base.lstrip("/")}: {name}'
        self.diagnostics.clear()

        def find() -> list[DiagnosticStatus]:
            statuses = [s for array in self.diagnostics for s in array.status]
            return [s for s in statuses if s.name == full and accept(s)]

        return self.wait_until(find, f'diagnostics of {full}')[-1]

    def close(self) -> None:
        self._executor_.shutdown()
        self.destroy_node()


def image_message(image: np.ndarray, encoding: str, **fields: Any) -> Image:
    """A message with a stamp of its own; ``fields`` overwrite what would be right."""
    message = Image(height=image.shape[0], width=image.shape[1], encoding=encoding)
    message.step = image.shape[1] * (image.size // image.shape[0] // image.shape[1])
    message.step *= image.itemsize
    message.header.frame_id = 'camera_optical'
    _stamp(message)
    message.data = array('B', image.tobytes())
    for name, value in fields.items():
        setattr(message, name, value)
    return message


def compressed_message(data: bytes, form: str) -> CompressedImage:
    message = CompressedImage(format=form)
    message.header.frame_id = 'camera_optical'
    _stamp(message)
    message.data = array('B', data)
    return message


def _stamp(message: Any) -> None:
    # Now, and never the same twice.
    seconds, nanoseconds = divmod(time.time_ns() // 1000 * 1000 + next(_stamps) % 1000, 10**9)
    message.header.stamp.sec, message.header.stamp.nanosec = seconds, nanoseconds


def numbers(status: DiagnosticStatus) -> dict[str, float]:
    """The numeric values of a status."""
    found = {}
    for item in status.values:
        try:
            found[item.key] = float(item.value)
        except ValueError:
            continue
    return found


def words(status: DiagnosticStatus) -> dict[str, str]:
    """All values of a status."""
    return {item.key: item.value for item in status.values}


class NodeProcess:
    """The node, running."""

    def __init__(
        self,
        name: str,
        log: Path,
        namespace: str = '',
        remaps: tuple[str, ...] = (),
        **parameters: Any,
    ) -> None:
        self.name, self.log = name, log
        command = [
            sys.executable, '-m', 'uav_prune_perception.ros.start',
            '--ros-args', '-r', f'__node:={name}', '-r', f'__ns:={namespace or "/"}',
        ]
        for remap in remaps:
            command += ['-r', remap]
        for key, value in parameters.items():
            command += ['-p', f'{key.replace("__", ".")}:={value}']
        with log.open('wb') as stream:
            self.process = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT)

    def exit_code(self, limit_s: float = LIMIT_S) -> int:
        return self.process.wait(limit_s)

    def output(self) -> str:
        return self.log.read_text(errors='replace')

    def end(self) -> None:
        """Let it end by itself: a killed one leaves its shared memory behind."""
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextmanager
def running_node(
    name: str,
    folder: Path,
    namespace: str = '',
    remaps: tuple[str, ...] = (),
    **parameters: Any,
) -> Iterator[tuple[NodeProcess, Driver]]:
    """A node process and its driver; the node's log is shown when the test fails."""
    node = NodeProcess(name, folder / f'{name}.log', namespace, remaps, **parameters)
    driver = Driver(name, namespace)
    try:
        yield node, driver
    except BaseException:
        print(node.output())
        raise
    finally:
        driver.close()
        node.end()


