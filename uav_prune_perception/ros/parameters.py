# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The node's parameters as ROS has them: declared, checked, and the values of a moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import InvalidParameterTypeException, ParameterUninitializedException
from rclpy.node import Node
from rclpy.parameter import Parameter

from ..onboard.options import class_thresholds
from ..onboard.tiles import Tiling
from .parameter_table import CAMERA_NAME, SPECS, TABLE, Spec, Value


@dataclass(frozen=True)
class Settings:
    """The values of all parameters of one moment, by name."""

    values: dict[str, Value]

    def text(self, name: str) -> str:
        """A string."""
        return str(self.values[name])

    def number(self, name: str) -> float:
        """A double (or an integer)."""
        value = self.values[name]
        if isinstance(value, (int, float)):
            return value
        raise TypeError(f'{name} is {value!r}, not a number')

    def threshold(self, name: str) -> float | None:
        """A threshold, None where the ladder's own is wanted."""
        value = self.number(name)
        return None if value < 0 else value

    @property
    def class_filter(self) -> tuple[str, ...]:
        """Names of the only classes to report; empty = all."""
        names = self.values['postprocess.class_filter']
        return tuple(name for name in names if name) if isinstance(names, list) else ()

    @property
    def class_thresholds(self) -> dict[str, float]:
        """Thresholds of single classes, by name.

        Raises:
            ValueError: an entry is not NAME=NUMBER.
        """
        entries = self.values['postprocess.class_thresholds']
        given = entries if isinstance(entries, list) else []
        return class_thresholds(given, 'postprocess.class_thresholds')

    @property
    def tiling(self) -> Tiling | None:
        """How images are cut, None = not at all."""
        width = int(self.number('tiling.width_px'))
        if not width:
            return None
        return Tiling(width, self.number('tiling.overlap'), self.flag('tiling.whole_image'))

    def flag(self, name: str) -> bool:
        """A truth value."""
        return bool(self.values[name])

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of the cameras; ('',) = one without a name of its own."""
        names = self.values['cameras']
        found = tuple(name for name in names if name) if isinstance(names, list) else ()
        return found or ('',)

    def group(self, prefix: str) -> dict[str, Value]:
        """The parameters under ``prefix.``, by their last name."""
        start = f'{prefix}.'
        return {n[len(start):]: v for n, v in self.values.items() if n.startswith(start)}

    def changed(self, parameters: list[Parameter]) -> Settings:
        """A copy with some parameters changed.

        Raises:
            ValueError: a value is not one of its choices.
        """
        values = dict(self.values)
        for parameter in parameters:
            if parameter.name in SPECS:
                values[parameter.name] = parameter.value
                check_choice(SPECS[parameter.name], parameter.value)
        return checked(Settings(values))


def declare(node: Node) -> Settings:
    """Declare everything; the values from the launch file, the command line or the defaults.

    Raises:
        rclpy.exceptions.ParameterException: a given value has the wrong type or is out of range.
        ValueError: a value is not one of its choices.
    """
    values: dict[str, Value] = {}
    for spec in TABLE:
        values[spec.name] = _declare_one(node, spec)
        check_choice(spec, values[spec.name])
    return checked(Settings(values))


def as_declared(parameters: list[Parameter]) -> list[Parameter]:
    """Whole numbers as doubles or text where those are wanted: "40" is an integer for ROS."""
    return [_as_declared(parameter) for parameter in parameters]


def _as_declared(parameter: Parameter) -> Parameter:
    spec = SPECS.get(parameter.name)
    if spec is None or parameter.type_ != Parameter.Type.INTEGER:
        return parameter
    if isinstance(spec.default, float):
        return Parameter(parameter.name, Parameter.Type.DOUBLE, float(parameter.value))
    if isinstance(spec.default, str):  # a level's name
        return Parameter(parameter.name, Parameter.Type.STRING, str(parameter.value))
    return parameter


def checked(settings: Settings) -> Settings:
    """The settings, when the cameras' names can be parts of topic names, each of them once.

    Raises:
        ValueError: names the camera.
    """
    names = settings.cameras
    for name in filter(None, names):
        if not CAMERA_NAME.fullmatch(name):
            raise ValueError(
                f'cameras: "{name}" cannot be part of a topic name: letters, digits and "_" only, '
                'and no digit first'
            )
        if names.count(name) > 1:
            raise ValueError(f'cameras: "{name}" is there twice')
    return settings


def check_choice(spec: Spec, value: Any) -> None:
    """Raise ValueError when the value is not one of the parameter's choices."""
    if spec.choices and value not in spec.choices:
        raise ValueError(f'{spec.name} is "{value}", must be one of: {", ".join(spec.choices)}')


def describe(spec: Spec) -> ParameterDescriptor:
    """What `ros2 param describe` shows, and rclpy enforces."""
    descriptor = ParameterDescriptor(description=spec.description)
    descriptor.read_only = spec.when == 'start'
    descriptor.dynamic_typing = spec.any_type
    if spec.choices:
        descriptor.additional_constraints = f'one of: {", ".join(spec.choices)}'
    elif spec.when == 'unconfigured':
        descriptor.additional_constraints = 'can change only while the node is unconfigured'
    if spec.low is not None and spec.high is not None:
        if isinstance(spec.default, int):
            bounds = IntegerRange(from_value=int(spec.low), to_value=int(spec.high))
            descriptor.integer_range = [bounds]
        else:
            limits = FloatingPointRange(from_value=float(spec.low), to_value=float(spec.high))
            descriptor.floating_point_range = [limits]
    return descriptor


def _declare_one(node: Node, spec: Spec) -> Value:
    descriptor = describe(spec)
    try:
        return node.declare_parameter(spec.name, spec.default, descriptor).value
    except ParameterUninitializedException:  # an empty list, in YAML
        return spec.default
    except InvalidParameterTypeException:
        if not isinstance(spec.default, float):
            raise
    # "50" where a double is wanted is an integer for ROS, and everybody writes it.
    anything = ParameterDescriptor(dynamic_typing=True)
    given: Any = node.declare_parameter(spec.name, spec.default, anything).value
    node.undeclare_parameter(spec.name)
    value = float(given) if isinstance(given, int) and not isinstance(given, bool) else given
    return node.declare_parameter(spec.name, value, descriptor, ignore_override=True).value
