# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Where the whole network cannot be traced: its modules that can be, and how they are connected.

A detector is a backbone and heads, which are plain tensor code, with Python between and behind
that depends on data (resizing, proposals, non-maximum suppression). The network runs once; for
every outermost module that can be exported we note its call, where each argument came from, and
which of its results anything else reads. Replaying those calls is a forward that can be traced.
Tensors made by the code between are its inputs. Results that this code reads are its outputs, and
so keep all their channels. The code itself is left alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from .copies import shape_only_copy
from .errors import ChannelError
from .model_tensors import Forward

CONVERSIONS = {'numpy', 'tolist', 'item', '__array__', '__dlpack__', 'data_ptr', '__iter__'}
"""Ways to read a tensor that run no operator."""


@dataclass(frozen=True)
class Given:
    """A tensor that the code between made: input ``index`` of the replay."""

    index: int


@dataclass(frozen=True)
class Made:
    """Leaf ``leaf`` of what call number ``call`` returned."""

    call: int
    leaf: int


@dataclass(frozen=True)
class Call:
    """A module's path and its (args, kwargs), with `Given` or `Made` in place of tensors."""

    path: str
    arguments: Any


@dataclass(frozen=True)
class Parts:
    """Calls of modules that can be traced, in order.

    Attributes:
        calls: what runs.
        given: example values of the tensors that the code between made.
        read: what anything else reads of the calls' results.
    """

    calls: tuple[Call, ...]
    given: tuple[Tensor, ...]
    read: tuple[Made, ...]

    @property
    def forward(self) -> Forward:
        """``forward(model, *given)``: the replay, of which everything in ``read`` comes out."""
        calls, read = self.calls, self.read

        def forward(model: nn.Module, *given: Tensor) -> list[Tensor]:
            results: list[list[Any]] = []

            def value(leaf: Any) -> Any:
                if isinstance(leaf, Given):
                    return given[leaf.index]
                return results[leaf.call][leaf.leaf] if isinstance(leaf, Made) else leaf

            for call in calls:
                args, kwargs = pytree.tree_map(value, call.arguments)
                results.append(pytree.tree_leaves(model.get_submodule(call.path)(*args, **kwargs)))
            return [results[made.call][made.leaf] for made in read]

        return forward


def find_parts(model: nn.Module, example: tuple[Any, ...]) -> Parts:
    """The outermost modules that can be traced, and how they are connected.

    Args:
        model: a private copy in evaluation mode.
        example: positional arguments that it accepts.

    Raises:
        ChannelError: no module with weights can be traced.
    """
    paths, known = _children(model, ''), set[str]()
    while True:
        recorder = _Recorder(model, paths, known)
        parts = recorder.run(example)
        called = {call.path for call in parts.calls}
        for path in called - known - recorder.touched:
            if all(_can_be_traced(model, path, given) for given in recorder.samples[path]):
                known.add(path)
        if known.issuperset(paths) and not recorder.touched:
            break
        # A list of modules is never called itself; it is looked into like one that fails.
        known -= recorder.touched
        paths = [
            deeper
            for path in paths
            for deeper in ([path] if path in known else _children(model, path))
        ]
    if not parts.read:
        raise ChannelError('none of its modules can be traced either')
    return parts


def _children(model: nn.Module, path: str) -> list[str]:
    """Paths of the modules right inside ``path`` that hold weights."""
    return [
        f'{path}.{name}'.lstrip('.')
        for name, child in model.get_submodule(path).named_children()
        if next(child.parameters(), None) is not None
    ]


def _can_be_traced(model: nn.Module, path: str, given: tuple[Any, Any]) -> bool:
    try:
        with torch.no_grad():
            copied = shape_only_copy(model.get_submodule(path))
            torch.export.export(copied, *given, strict=False)
    except Exception:  # any exception of the user's forward
        return False
    return True


class _Recorder:
    """Notes the calls of some modules in one run, and what the code outside them reads."""

    def __init__(self, model: nn.Module, paths: Sequence[str], known: set[str]) -> None:
        self.samples: dict[str, list[tuple[Any, Any]]] = {path: [] for path in paths}
        self.touched: set[str] = set()
        self._model, self._known = model, known
        self._running: list[str] = []
        self._calls: list[Call] = []
        self._given: list[Tensor] = []
        self._read: dict[Made, None] = {}
        # By identity and version: a tensor that was changed in place is another one.
        self._source: dict[tuple[int, int], Given | Made] = {}
        self._made: dict[int, Made] = {}
        self._alive: list[Tensor] = []
        self._weights = {
            id(tensor): path
            for path in paths
            for tensor in model.get_submodule(path).parameters()
        }

    def run(self, example: tuple[Any, ...]) -> Parts:
        """One forward of the whole network."""
        handles: list[Any] = []
        for path in self.samples:
            module = self._model.get_submodule(path)
            handles.append(
                module.register_forward_pre_hook(
                    lambda _, args, kwargs, path=path: self._enter(path, args, kwargs),
                    with_kwargs=True,
                )
            )
            handles.append(
                module.register_forward_hook(lambda _, __, out, path=path: self._leave(path, out))
            )
        try:
            with torch.no_grad(), _Operators(self), _Conversions(self):
                output = self._model(*example)
        finally:
            for handle in handles:
                handle.remove()
        self.reads(output)
        return Parts(tuple(self._calls), tuple(self._given), tuple(self._read))

    def reads(self, tree: Any) -> None:
        """Code outside the parts reads these tensors."""
        if self._running:
            return
        for leaf in pytree.tree_leaves(tree):
            if isinstance(leaf, Tensor):
                if id(leaf) in self._made:
                    self._read[self._made[id(leaf)]] = None
                if id(leaf) in self._weights:
                    self.touched.add(self._weights[id(leaf)])

    def _enter(self, path: str, args: Any, kwargs: Any) -> None:
        if not self._running:
            if path not in self._known:
                self.samples[path].append((args, kwargs))
            self._calls.append(Call(path, pytree.tree_map(self._place, (args, kwargs))))
        self._running.append(path)

    def _leave(self, path: str, output: Any) -> None:
        self._running.pop()
        if not self._running:
            for index, leaf in enumerate(pytree.tree_leaves(output)):
                if isinstance(leaf, Tensor):
                    # What a part passes on unchanged still comes from where it came from.
                    made = Made(len(self._calls) - 1, index)
                    source = self._source.setdefault((id(leaf), leaf._version), made)
                    if isinstance(source, Made):
                        self._made.setdefault(id(leaf), source)
                    self._alive.append(leaf)

    def _place(self, leaf: Any) -> Any:
        if not isinstance(leaf, Tensor):
            return leaf
        key = (id(leaf), leaf._version)
        if key not in self._source:
            if id(leaf) in self._made:  # changed in place since: what was made must be whole
                self._read[self._made[id(leaf)]] = None
            self._source[key] = Given(len(self._given))
            self._given.append(leaf.detach().clone())
            self._alive.append(leaf)
        return self._source[key]


class _Operators(TorchDispatchMode):
    def __init__(self, recorder: _Recorder) -> None:
        super().__init__()
        self._recorder = recorder

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self._recorder.reads((args, kwargs))
        return func(*args, **(kwargs or {}))


class _Conversions(TorchFunctionMode):
    def __init__(self, recorder: _Recorder) -> None:
        super().__init__()
        self._recorder = recorder

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, '__name__', '') in CONVERSIONS:
            self._recorder.reads((args, kwargs))
        return func(*args, **(kwargs or {}))
