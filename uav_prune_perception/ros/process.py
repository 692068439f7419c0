# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The node's process: allocator, signals, spinning, a clean end with exit code 0."""

from __future__ import annotations

import ctypes
import gc
import os
import re
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import cv2
import rclpy
import rclpy.logging
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import remove_ros_args

from ..onboard.fault_log import FaultLog

# glibc's mallopt parameters (malloc.h).
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3

RCLError = rclpy_implementation.RCLError
SOURCE_LINE = re.compile(r', at \S+:\d+')  # of rcl itself
USAGE = """usage: perception_node --ros-args -p ladder.path:=FOLDER [-p NAME:=VALUE]
It waits unconfigured; "ros2 lifecycle set /perception configure" and then "activate", or
"ros2 launch uav_prune_perception perception.launch.py ladder:=FOLDER", which does both.
Parameters: config/perception.yaml, or "ros2 param describe /perception NAME"."""

_log = rclpy.logging.get_logger('perception_node')

LOOK_S = 0.5  # how often the end is looked for besides waiting for it
# So many faults of the executor in a row, and for so long: then nothing is to be hoped for from
# it. Bad messages may come faster than anything good happens in between, which diagnostics do.
MOST_FAULTS, GIVE_UP_S = 10, 20.0
PAUSE_S = 0.001  # after each, so that a broken executor does not take a core from the flight


def keep_image_memory() -> None:
    """Let glibc keep freed image buffers.

    It would hand every megabyte-sized buffer back to the kernel and fault it in again for the
    next picture: at 1080p that costs ten times more than copying the picture does.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return  # another C library
    mallopt(M_MMAP_THRESHOLD, 256 << 20)
    mallopt(M_TRIM_THRESHOLD, 1 << 30)


def return_spare_memory() -> None:
    """Give the kernel back what is free, which `keep_image_memory` keeps glibc from doing.

    For moments when nothing flies: after engines were loaded or dropped. Without it, what reading
    the models left behind stays, in pieces, and some 20 MiB gather over the first twenty
    configurations. What has gone refers to itself in circles (a flight's callbacks to the flight),
    so that it is only now that Python takes it away, and not in pieces in the next flight.
    """
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError):
        return  # another C library


def use_one_thread_for_pictures() -> None:
    """Let OpenCV work in the calling thread.

    A camera picture becomes a network's input in a millisecond; waking a pool of threads for that
    costs as much, and the cores are the engine's.
    """
    cv2.setNumThreads(1)


def run(make_node: Callable[[threading.Event], Node], args: list[str] | None = None) -> int:
    """Run a node until SIGINT, SIGTERM, or until it sets the event it was made with.

    The executor spins in a thread of its own and the main thread waits for the end: no signal
    ever cuts into a callback.

    Args:
        make_node: makes the node; may have a ``close`` method.
        args: command line; None = that of the process.

    Returns:
        The exit code: 0 for a clean end, 1 when the executor broke or a parameter is wrong.
    """
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        args = sys.argv if args is None else args
        others = remove_ros_args(args)[1:]
        if others:
            print(USAGE)
            return 0 if others[0] in ('-h', '--help') else 1
        rclpy.init(
            args=with_log_files_or_without(args), signal_handler_options=SignalHandlerOptions.NO
        )
        node = make_node(stop)
    except (ParameterException, RCLError, ValueError) as error:
        reason = SOURCE_LINE.sub('', ' '.join(str(error).split()))
        print(f'perception_node: {reason}', file=sys.stderr)
        rclpy.try_shutdown()
        return 1
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    spinner = _Spinner(executor, stop)
    spinner.start()
    # The kernel may hand a signal to any thread, and only this one runs Python's handlers: without
    # a limit, it might sleep through the end.
    while not stop.wait(LOOK_S):
        pass
    executor.wake()
    spinner.join()
    executor.shutdown()
    close = getattr(node, 'close', None)
    if close is not None:
        close()
    node.destroy_node()
    rclpy.try_shutdown()
    return 1 if spinner.failed else 0


def with_log_files_or_without(args: list[str]) -> list[str]:
    """The command line; without log files where there is no place for them.

    rcl would refuse to start on a read-only system. Its own choice of the folder is followed here.
    """
    folder = Path(os.environ.get('ROS_LOG_DIR') or
                  Path(os.environ.get('ROS_HOME') or '~/.ros', 'log'))
    try:
        if folder.parts[0] == '~':
            folder = Path(os.environ['HOME'], *folder.parts[1:])
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return args
    except (KeyError, OSError):
        pass
    print(f'perception_node: {folder} cannot be written (ROS_LOG_DIR names another): no log file, '
          'the log goes to the console only', file=sys.stderr)
    return [*args, '--ros-args', '--disable-external-lib-logs']


class _Spinner(threading.Thread):
    """Spins an executor until the end.

    It ends between two callbacks: shutting an executor down from outside takes away what the
    callback in work may be about to use. What is raised in rclpy's own callbacks (a request to set
    a parameter of type 77 does, or a negative time on /clock) is logged and costs that request its
    answer, not the flight.
    """

    def __init__(self, executor: SingleThreadedExecutor, stop: threading.Event) -> None:
        super().__init__(name='executor', daemon=True)
        self._executor, self._stop_event = executor, stop
        self._log = FaultLog()
        self.failed = False

    def run(self) -> None:
        faults, first_s = 0, 0.0
        try:
            while not self._stop_event.is_set():
                try:
                    self._executor.spin_once(timeout_sec=LOOK_S)
                except ExternalShutdownException:
                    return
                except Exception as error:
                    first_s = first_s if faults else time.monotonic()
                    faults += 1
                    if faults >= MOST_FAULTS and time.monotonic() - first_s >= GIVE_UP_S:
                        traceback.print_exc()
                        self.failed = True
                        return
                    self._say(error)
                    self._stop_event.wait(PAUSE_S)
                else:
                    faults = 0
        finally:
            self._stop_event.set()

    def _say(self, error: Exception) -> None:
        line = self._log.line(f'a request goes unanswered, the flight goes on: {error!r}')
        if line:
            _log.error(line)
        _log.debug(traceback.format_exc())
