# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""JSON schema of a parameter file, for editors and for checks before the flight."""

from __future__ import annotations

from typing import Any

from .parameter_table import CAMERA_NAME, TABLE, Spec

KINDS: dict[type, str] = {str: 'string', bool: 'boolean', int: 'integer', float: 'number'}
# Parameters of ROS itself, which every node has.
COMMON: dict[str, Any] = {
    'use_sim_time': {'type': 'boolean', 'description': 'Take the time from /clock.'},
    'start_type_description_service': {'type': 'boolean'},
    'qos_overrides': {
        'type': 'object',
        'description': 'Quality of service by topic, entity (publisher or subscription) and '
        'policy (history, depth, reliability, durability).',
        'additionalProperties': {
            'type': 'object',
            'propertyNames': {'pattern': '^(publisher|subscription)(_.+)?$'},
        },
    },
}


def parameter_schema() -> dict[str, Any]:
    """The schema: by node name or wildcard, then ``ros__parameters``, then the parameters.

    A parameter may be written nested (``ladder: {path: ...}``) or dotted (``ladder.path: ...``).
    """
    root = _group('Parameters of perception_node.')
    for spec in TABLE:
        value = _value(spec)
        *groups, last = spec.name.split('.')
        place = root
        for name in groups:
            place = place['properties'].setdefault(name, _group(f'{name}.*'))
        place['properties'][last] = value
        if groups:
            root['properties'][spec.name] = value
    root['properties'] |= COMMON
    return {
        '$schema': 'http://json-schema.org/draft-07/schema#',
        'title': 'Parameters of uav_prune_perception perception_node',
        'type': 'object',
        'additionalProperties': {
            'type': 'object',
            'properties': {'ros__parameters': root},
            'required': ['ros__parameters'],
            'additionalProperties': False,
        },
    }


def _group(description: str) -> dict[str, Any]:
    return {
        'type': 'object', 'description': description, 'properties': {},
        'additionalProperties': False,
    }


def _value(spec: Spec) -> dict[str, Any]:
    schema: dict[str, Any] = {'description': spec.description, 'default': spec.default}
    if isinstance(spec.default, list):
        item: dict[str, Any] = {'type': 'string'}
        if spec.name == 'cameras':
            item['pattern'] = f'^({CAMERA_NAME.pattern})?$'
        return schema | {'type': 'array', 'items': item}
    kind = KINDS[type(spec.default)]
    schema['type'] = [kind, 'number'] if spec.any_type else kind
    if spec.choices:
        schema['enum'] = list(spec.choices)
    if spec.low is not None:
        schema |= {'minimum': spec.low, 'maximum': spec.high}
    return schema
