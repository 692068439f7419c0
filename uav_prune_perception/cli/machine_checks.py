# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What `uav-prune doctor` looks at. A check never raises: it says what it found."""

from __future__ import annotations

import base64
import importlib
import importlib.metadata
import importlib.util
import math
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from uav_prune_perception.onboard.telemetry.inventory import inventory
from uav_prune_perception.ros.dds_profile import profile_variable

State = Literal['ok', 'missing', 'broken']

# One Relu on float32 [1, 4], opset 13: the smallest thing that proves an engine infers.
RELU = base64.b64decode(
    'CAcSADo7CgwKAXgSAXkiBFJlbHUSAWdaEwoBeBIOCgwIARIICgIIAQoCCARi'
    'EwoBeRIOCgwIARIICgIIAQoCCARCBAoAEA0='
)
NOT_LOCAL = ('AzureExecutionProvider',)  # sends pictures to a server
GIB = 2**30
LITTLE_DISK, LITTLE_MEMORY = 2 * GIB, 2 * GIB
OFFLINE = {
    'torch': 'pip install "uav_prune_perception[offline]"', 'onnx': '', 'safetensors': '',
    'pydantic': '', 'matplotlib': '', 'rosbags': '',
}


@dataclass(frozen=True)
class Check:
    """One line: the part of the product, what was looked at, what was found, how to mend it."""

    part: str
    name: str
    state: State
    found: str
    mend: str = ''


def check_machine() -> list[Check]:
    """Everything, in the order in which a user meets it."""
    parts: list[tuple[str, Callable[[], Iterator[Check]]]] = [
        ('machine', _machine), ('onboard engines', _engines), ('ROS 2', _ros),
        ('power and heat', _sensors), ('workstation', _workstation),
    ]
    checks: list[Check] = []
    for part, look in parts:
        try:
            checks += list(look())
        except Exception as error:  # a broken package may raise anything when it is imported
            text = f'{type(error).__name__}: {error}'.splitlines()[0][:160]
            checks.append(Check(part, 'check', 'broken', text))
    return checks


def _machine() -> Iterator[Check]:
    part = 'machine'
    version = platform.python_version()
    good = sys.version_info >= (3, 10)
    yield Check(part, 'Python', 'ok' if good else 'broken', version,
                '' if good else 'the package needs Python 3.10 or newer')
    yield Check(part, 'cores', 'ok', str(len(os.sched_getaffinity(0))))
    free = os.sysconf('SC_AVPHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')
    yield Check(part, 'free memory', 'ok' if free > LITTLE_MEMORY else 'broken',
                f'{free / GIB:.1f} GiB',
                '' if free > LITTLE_MEMORY else 'set ladder.resident: neighbours on the drone')
    disk = shutil.disk_usage(Path.home()).free
    yield Check(part, 'free disk', 'ok' if disk > LITTLE_DISK else 'broken',
                f'{disk / GIB:.1f} GiB at {Path.home()}',
                '' if disk > LITTLE_DISK else 'run folders and engine caches need room')


def _engines() -> Iterator[Check]:
    part = 'onboard engines'
    try:
        import onnxruntime
    except ImportError as error:
        yield Check(part, 'ONNX Runtime', 'broken', str(error), 'pip install onnxruntime')
        return
    onnxruntime.set_default_logger_severity(4)
    for provider in onnxruntime.get_available_providers():
        if provider in NOT_LOCAL:
            continue
        name = provider.removesuffix('ExecutionProvider')
        try:
            session = onnxruntime.InferenceSession(RELU, providers=[provider])
            used = session.get_providers()[0]
            (answer,) = session.run(None, {'x': np.array([[-1, 0, 1, 2]], np.float32)})
            right = used == provider and answer.tolist() == [[0, 0, 1, 2]]
            found = f'{onnxruntime.__version__}, a real inference was right'
        except Exception as error:  # a provider whose libraries are missing raises its own kinds
            right, found = False, str(error).splitlines()[0][:120]
        yield Check(part, f'ONNX Runtime {name}', 'ok' if right else 'missing', found,
                    '' if right else 'listed by ONNX Runtime, but its libraries do not work here')
    yield _optional(part, 'tensorrt', 'TensorRT',
                    'comes with JetPack; in a virtual environment use --system-site-packages')
    yield _optional(part, 'openvino', 'OpenVINO', 'pip install openvino, optional on x86')


def _ros() -> Iterator[Check]:
    part = 'ROS 2'
    rclpy = _optional(part, 'rclpy', 'rclpy', 'source /opt/ros/<distro>/setup.bash, or pip '
                      'install "uav_prune_perception[ros]" (x86-64)')
    yield rclpy
    for package in ('sensor_msgs', 'diagnostic_msgs', 'vision_msgs'):
        apt = f'apt install ros-$ROS_DISTRO-{package.replace("_", "-")}'
        yield _optional(part, f'{package}.msg', package, apt)
    yield _optional(part, 'cv_bridge', 'cv_bridge', 'only for unusual image encodings: apt '
                    'install ros-$ROS_DISTRO-cv-bridge')
    distro = os.environ.get('ROS_DISTRO', '')
    if rclpy.state == 'ok':
        yield Check(part, 'ROS_DISTRO', 'ok' if distro else 'missing', distro or 'not set',
                    '' if distro else 'not needed by the PyPI wheels; elsewhere source setup.bash')
        domain = os.environ.get('ROS_DOMAIN_ID', '0')
        right = domain.isdigit() and int(domain) <= 232
        yield Check(part, 'ROS_DOMAIN_ID', 'ok' if right else 'broken', domain,
                    '' if right else 'must be a number from 0 to 232')
        yield _dds_profile(part)


def _dds_profile(part: str) -> Check:
    name = profile_variable()
    path = os.environ.get(name, '')
    state: State = 'ok' if path else 'missing'
    mend = '' if path else (
        f'large images get lost without one: {name}=config/fastdds_shm.xml (docs/node.md)')
    if path and not Path(path).is_file():
        state, mend = 'broken', f'{name} names a file that is not there'
    return Check(part, 'Fast DDS profile', state, path or 'not set', mend)


def _sensors() -> Iterator[Check]:
    part = 'power and heat'
    for reading in inventory():
        if isinstance(reading.value, str):
            found = reading.value
        else:
            found = 'not readable' if math.isnan(reading.value) else f'{reading.value:.4g}'
        unreadable = found == 'not readable'
        unit = '' if unreadable else reading.unit
        text = ', '.join(word for word in (f'{found} {unit}'.strip(), reading.note) if word)
        denied = 'root only' in reading.note
        mend = 'chmod o+r its energy_uj files, or run as root' if denied and unreadable else ''
        yield Check(part, f'{reading.source} {reading.name}'[:22],
                    'missing' if unreadable else 'ok', text, mend)


def _workstation() -> Iterator[Check]:
    part = 'workstation'
    for module, mend in OFFLINE.items():
        yield _optional(part, module, module, mend or OFFLINE['torch'])
    if importlib.util.find_spec('torch') is None:
        return
    import torch

    if torch.cuda.is_available():
        yield Check(part, 'CUDA', 'ok', torch.cuda.get_device_name(0))
    else:
        yield Check(part, 'CUDA', 'missing', 'torch sees no GPU', 'training runs on the CPU')


def _optional(part: str, module: str, name: str, mend: str) -> Check:
    """A package: there and importable, absent, or there and broken."""
    top = module.partition('.')[0]
    if importlib.util.find_spec(top) is None:
        return Check(part, name, 'missing', 'not installed', mend)
    try:
        found: Any = importlib.import_module(module)
    except Exception as error:  # whatever a half-installed package raises
        text = f'does not load: {error}'.splitlines()[0][:160]
        return Check(part, name, 'broken', text, mend)
    version = getattr(found, '__version__', '') or _distribution_version(top)
    return Check(part, name, 'ok', version or 'found')


def _distribution_version(module: str) -> str:
    for name in (module, f'ros-{module.replace("_", "-")}'):
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return ''
