# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A ``tensorrt`` module of any version in the call table, for machines without TensorRT.

Classes, members, arguments and enumerations come from ``tensorrt_api.yaml``: touching what a
version does not have raises AttributeError, calling with other arguments TypeError, as the real
bindings do. What little the calls do here (a plan is a JSON text, running it is ONNX Runtime on
memory that the CUDA double gave out) is only there to let a builder and a runner go through.
"""

from __future__ import annotations

import ctypes
import functools
import json
import types
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import yaml

TABLE = yaml.safe_load((Path(__file__).parent / 'tensorrt_api.yaml').read_text(encoding='utf-8'))
VERSIONS = tuple(TABLE['versions'])
SCRATCH_BYTES = 4096


def tensorrt_double(version: str, full_version: str = '') -> types.SimpleNamespace:
    """The module; ``calls`` lists what was called."""
    module = types.SimpleNamespace(__version__=full_version or f'{version}.0', calls=[])
    for name, members in TABLE['enums'].items():
        present = {m: numbers[version] for m, numbers in members.items() if version in numbers}
        if present:
            setattr(module, name, _enumeration(name, present))
    for name, members in TABLE['classes'].items():
        present = {m: found for m, entry in members.items() if (found := _of(entry, version))}
        if present:
            setattr(module, name, _class(module, version, name, present))
    module.Logger.Severity = types.SimpleNamespace(ERROR='ERROR', WARNING='WARNING')
    return module


class Member:
    """One member of an enumeration: has a number, and is not that number."""

    def __init__(self, enumeration: str, name: str, number: int) -> None:
        self.enumeration, self.name, self.number = enumeration, name, number

    def __int__(self) -> int:
        return self.number

    def __repr__(self) -> str:
        return f'{self.enumeration}.{self.name}'


def _enumeration(name: str, members: dict[str, int]) -> type:
    return type(name, (), {key: Member(name, key, number) for key, number in members.items()})


def _of(entry: Any, version: str) -> dict[str, Any] | None:
    entries = entry if isinstance(entry, list) else [entry]
    return next((found for found in entries if version in found['in']), None)


def _class(
    module: types.SimpleNamespace, version: str, name: str, members: dict[str, dict[str, Any]]
) -> type:
    properties = {key for key, entry in members.items() if entry['kind'] == 'property'}
    constructor = members.get('__init__', {})

    def init(self: Any, *positional: Any, **named: Any) -> None:
        given = _checked(f'{name}()', constructor.get('args'), positional, named)
        object.__setattr__(self, '_facts', types.SimpleNamespace(version=version, **given))

    def get(self: Any, key: str) -> Any:
        if key in properties:
            return PROPERTIES[name, key](self._facts)
        raise AttributeError(f'TensorRT {version}: {name} has no {key}')

    def put(self: Any, key: str, value: Any) -> None:
        if key not in properties:
            raise AttributeError(f'TensorRT {version}: {name} has no {key} to set')
        module.calls.append((f'{name}.{key}=', value))
        setattr(self._facts, f'set_{key}', value)

    body: dict[str, Any] = {'__init__': init, '__getattr__': get, '__setattr__': put}
    for key, entry in members.items():
        if entry['kind'] == 'method' and key != '__init__':
            body[key] = _method(module, name, key, entry.get('args'))
    return type(name, (), body)


def _method(module: types.SimpleNamespace, name: str, key: str, wanted: list[str] | None) -> Any:
    @functools.wraps(_method)
    def call(self: Any, *positional: Any, **named: Any) -> Any:
        given = _checked(f'{name}.{key}()', wanted, positional, named)
        module.calls.append((f'{name}.{key}', tuple(given.values())))
        behaviour = METHODS.get((name, key))
        return behaviour(module, self._facts, **given) if behaviour else None

    return call


def _checked(
    where: str, wanted: list[str] | None, positional: tuple[Any, ...], named: dict[str, Any]
) -> dict[str, Any]:
    """Arguments by name; TypeError where the binding would not take them."""
    if wanted is None:
        return named
    names = [name.rstrip('?') for name in wanted]
    needed = {name for name in wanted if not name.endswith('?')}
    if len(positional) > len(names):
        raise TypeError(f'{where} takes {names}, got {len(positional)} arguments')
    given = {**dict(zip(names, positional, strict=False)), **named}
    if not needed <= set(given) <= set(names):
        raise TypeError(f'{where} takes {wanted}, got {sorted(given)}')
    return given


def _make(module: types.SimpleNamespace, name: str, **facts: Any) -> Any:
    """An object that users cannot construct themselves."""
    made = getattr(module, name).__new__(getattr(module, name))
    version = module.Logger()._facts.version
    object.__setattr__(made, '_facts', types.SimpleNamespace(version=version, **facts))
    return made


def _create_network(module: Any, facts: Any, flags: int = 0) -> Any:
    known = vars(module.NetworkDefinitionCreationFlag)
    members = {int(m): m.name for m in known.values() if isinstance(m, Member)}
    names = {members[bit] for bit in range(8) if flags >> bit & 1}  # KeyError: no such flag
    return _make(module, 'INetworkDefinition', flags=names)


def _parse(module: Any, facts: Any, model: str) -> bool:
    facts.network._facts.path = model
    facts.network._facts.model = onnx.load(model)
    return True


def _set_flag(module: Any, facts: Any, flag: Any) -> None:
    assert isinstance(flag, Member), f'{flag!r} is no member of BuilderFlag'
    facts.flags.add(flag.name)


def _pool_limit(module: Any, facts: Any, pool: Any, pool_size: int) -> None:
    assert isinstance(pool, Member)


def _create_timing_cache(module: Any, facts: Any, serialized_timing_cache: bytes) -> Any:
    return _make(module, 'ITimingCache', content=serialized_timing_cache)


def _set_timing_cache(module: Any, facts: Any, cache: Any, ignore_mismatch: bool) -> bool:
    facts.timing_cache = cache
    return True


def _build(module: Any, facts: Any, network: Any, config: Any) -> bytes | None:
    """None where the real one logs an error: the rules of NVIDIA's documentation."""
    major = int(facts.version.split('.')[0])
    typed = 'STRONGLY_TYPED' in network._facts.flags
    if major < 10 and 'EXPLICIT_BATCH' not in network._facts.flags:
        return None
    quantised = any(node.op_type == 'QuantizeLinear' for node in network._facts.model.graph.node)
    if quantised and not typed and 'INT8' not in config._facts.flags:
        return None
    if typed and config._facts.flags & {'FP16', 'INT8', 'BF16'}:
        return None
    timing = config._facts.timing_cache
    if timing is not None:
        timing._facts.content += b'timed;'
    monitor = getattr(config._facts, 'set_progress_monitor', None)
    if monitor is not None:
        monitor.phase_start('Building', None, 2)
        assert monitor.step_complete('Building', 1)
        monitor.phase_finish('Building')
    plan = {
        'version': module.__version__, 'onnx': network._facts.path,
        'network_flags': sorted(network._facts.flags), 'flags': sorted(config._facts.flags),
    }
    return json.dumps(plan).encode()


def _deserialise(module: Any, facts: Any, serialized_engine: bytes) -> Any:
    try:
        plan = json.loads(serialized_engine)
    except ValueError:
        return None
    if plan['version'] != module.__version__:
        return None
    session = onnxruntime.InferenceSession(plan['onnx'], providers=['CPUExecutionProvider'])
    tensors = [(item, 'INPUT') for item in session.get_inputs()]
    tensors += [(item, 'OUTPUT') for item in session.get_outputs()]
    return _make(
        module, 'ICudaEngine', session=session,
        tensors={item.name: (tuple(item.shape), mode) for item, mode in tensors},
    )


def _create_context(module: Any, facts: Any, strategy: Any = None) -> Any:
    managed = strategy is None or strategy.name != 'USER_MANAGED'
    return _make(
        module, 'IExecutionContext', engine=facts, addresses={}, scratch=1 if managed else 0
    )


def _create_context_bare(module: Any, facts: Any) -> Any:
    return _make(module, 'IExecutionContext', engine=facts, addresses={}, scratch=0)


def _set_device_memory(module: Any, facts: Any, memory: int, size: int) -> None:
    assert size >= SCRATCH_BYTES
    facts.scratch = memory


def _set_address(module: Any, facts: Any, name: str, memory: int) -> bool:
    facts.addresses[name] = memory
    return True


def _execute(module: Any, facts: Any, stream_handle: int) -> bool:
    scratch = getattr(facts, 'set_device_memory', 0) or facts.scratch
    assert scratch, 'no scratch memory was given'
    assert stream_handle, 'the default stream'
    engine = facts.engine
    arrays = {
        name: np.ctypeslib.as_array(
            (ctypes.c_float * int(np.prod(shape))).from_address(facts.addresses[name])
        ).reshape(shape)
        for name, (shape, _) in engine.tensors.items()
    }
    feed = {n: arrays[n] for n, (_, mode) in engine.tensors.items() if mode == 'INPUT'}
    names = [n for n, (_, mode) in engine.tensors.items() if mode == 'OUTPUT']
    for name, value in zip(names, engine.session.run(names, feed), strict=True):
        arrays[name][...] = value
    return True


METHODS = {
    ('Builder', 'create_network'): _create_network,
    ('Builder', 'create_builder_config'): lambda module, facts: _make(
        module, 'IBuilderConfig', flags=set(), timing_cache=None
    ),
    ('Builder', 'build_serialized_network'): _build,
    ('OnnxParser', 'parse_from_file'): _parse,
    ('OnnxParser', 'get_error'): lambda module, facts, index: f'error {index}',
    ('IBuilderConfig', 'set_flag'): _set_flag,
    ('IBuilderConfig', 'set_memory_pool_limit'): _pool_limit,
    ('IBuilderConfig', 'create_timing_cache'): _create_timing_cache,
    ('IBuilderConfig', 'set_timing_cache'): _set_timing_cache,
    ('IBuilderConfig', 'get_timing_cache'): lambda module, facts: facts.timing_cache,
    ('ITimingCache', 'serialize'): lambda module, facts: facts.content,
    ('Runtime', 'deserialize_cuda_engine'): _deserialise,
    ('ICudaEngine', 'get_tensor_name'): lambda module, facts, index: list(facts.tensors)[index],
    ('ICudaEngine', 'get_tensor_shape'): lambda module, facts, name: facts.tensors[name][0],
    ('ICudaEngine', 'get_tensor_dtype'): lambda module, facts, name: module.DataType.FLOAT,
    ('ICudaEngine', 'get_tensor_mode'): lambda module, facts, name: getattr(
        module.TensorIOMode, facts.tensors[name][1]
    ),
    ('ICudaEngine', 'create_execution_context'): _create_context,
    ('ICudaEngine', 'create_execution_context_without_device_memory'): _create_context_bare,
    ('IExecutionContext', 'set_device_memory'): _set_device_memory,
    ('IExecutionContext', 'set_tensor_address'): _set_address,
    ('IExecutionContext', 'execute_async_v3'): _execute,
}
PROPERTIES = {
    ('OnnxParser', 'num_errors'): lambda facts: 2,
    ('ICudaEngine', 'num_io_tensors'): lambda facts: len(facts.tensors),
    ('ICudaEngine', 'device_memory_size'): lambda facts: SCRATCH_BYTES,
    ('ICudaEngine', 'device_memory_size_v2'): lambda facts: SCRATCH_BYTES,
}
