# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Where TensorRT's plans lie, found by what they were made from and for.

A plan runs on the TensorRT and the GPU that built it and nowhere else, so plans are built on the
drone, kept in its cache folder and never travel in a ladder. The name of a plan is a hash of all
that decides it; beside it lies a JSON file that says the same in words.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...ladder.durable import replacing
from ...ladder.reader import sha256_of
from .base import EngineError
from .cuda_runtime import Gpu

# A plan is written a moment before its JSON; who reads just then reads once more.
READ_AGAIN_S = 0.2
RECIPE = 1  # of `tensorrt_build`: another number makes old plans unknown


@dataclass(frozen=True)
class PlanKey:
    """All that decides a plan.

    Attributes:
        onnx_sha256: of the file that it was built from.
        precision: 'fp32', 'fp16' or 'int8_symmetric'.
        tensorrt: version.
        gpu: name, compute capability, multiprocessors, CUDA versions.
        options: of the builder.
    """

    onnx_sha256: str
    precision: str
    tensorrt: str
    gpu: Gpu
    options: tuple[tuple[str, str], ...] = ()

    def document(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {**asdict(self), 'options': dict(self.options), 'recipe': RECIPE}

    @property
    def digest(self) -> str:
        """Hex; names the plan."""
        text = json.dumps(self.document(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


class PlanCache:
    """A folder of plans.

    Args:
        folder: None = ``$XDG_CACHE_HOME/uav_prune_perception/tensorrt``, by default under
            ``~/.cache``.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or default_folder()

    def plan(self, key: PlanKey) -> Path:
        """Where the plan of ``key`` lies, or would."""
        return self.folder / f'{key.digest}.plan'

    def timing_cache(self, tensorrt: str, gpu: Gpu) -> Path:
        """Where the builder remembers what it has timed on this GPU."""
        text = json.dumps([tensorrt, gpu.document()], sort_keys=True)
        return self.folder / f'timing-{hashlib.sha256(text.encode()).hexdigest()[:16]}.cache'

    def store(self, key: PlanKey, plan: bytes, facts: dict[str, Any]) -> Path:
        """Write a plan, then its JSON: a plan without one does not count.

        Raises:
            OSError: the disk is full, or the folder cannot be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.plan(key)
        with replacing(path) as temporary:
            temporary.write_bytes(plan)
        document = {
            'key': key.document(), 'sha256': hashlib.sha256(plan).hexdigest(),
            'bytes': len(plan), **facts,
        }
        with replacing(path.with_suffix('.json')) as temporary:
            temporary.write_text(json.dumps(document, indent=1) + '\n', encoding='utf-8')
        return path

    @contextlib.contextmanager
    def building(self, key: PlanKey, wait: Callable[[], None] = lambda: None) -> Iterator[None]:
        """One builder of a plan at a time, on this machine; a second one waits for the first.

        Args:
            key: of the plan.
            wait: called once when somebody else is building it.

        Raises:
            EngineError: the cache cannot be written. Found before minutes are spent on a plan.
        """
        path = self.folder / f'{key.digest}.lock'
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = path.open('a')
        except OSError as error:
            raise EngineError(
                f'{self.folder}: cannot be written ({error.strerror}); set XDG_CACHE_HOME to a '
                'folder that can'
            ) from None
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                wait()
                fcntl.flock(lock, fcntl.LOCK_EX)
            except OSError:
                pass  # some network folders know no locks: two builders then make it twice
            yield

    def facts(self, key: PlanKey) -> dict[str, Any] | None:
        """What is known of the plan of ``key``; None = there is none, or only half of one.

        A JSON file that is truncated, or says another key than its name does (copied by hand from
        another machine, say), does not count.
        """
        path = self.plan(key)
        document = _read(path.with_suffix('.json'))
        told = document.get('key') == key.document() and isinstance(document.get('bytes'), int)
        return document if told and path.is_file() else None

    def is_sound(self, key: PlanKey) -> bool:
        """Whether there is a plan of ``key``, byte for byte as it was built."""
        facts = self.facts(key)
        try:
            return facts is not None and sha256_of(self.plan(key)) == facts.get('sha256')
        except OSError:
            return False

    def read(self, key: PlanKey, mend: str) -> bytes:
        """The plan, checked.

        Args:
            key: of the plan.
            mend: the command that builds it.

        Raises:
            EngineError: there is none (says what the nearest was built for), or it is damaged.
        """
        path = self.plan(key)
        for pause_s in (READ_AGAIN_S, 0.0):
            facts = self.facts(key)
            if facts is None:
                raise EngineError(f'{self.why_not(key)}; run "{mend}" on this machine')
            try:
                plan = path.read_bytes()
            except OSError as error:
                raise EngineError(f'{path}: cannot be read: {error.strerror}') from None
            if hashlib.sha256(plan).hexdigest() == facts.get('sha256'):
                return plan
            time.sleep(pause_s)
        raise EngineError(f'{path}: is damaged; run "{mend}" on this machine')

    def why_not(self, key: PlanKey) -> str:
        """In words, why there is no plan for ``key``."""
        wanted = key.document()
        what = f'the {key.precision} plan that there is'
        if self.facts(key) is not None:
            return f'{what} is damaged'
        for path in sorted(self.folder.glob('*.json')):
            there = _mapping(_read(path).get('key'))
            if (there.get('onnx_sha256'), there.get('precision')) == (
                key.onnx_sha256, key.precision
            ) and path.with_suffix('.plan').is_file():
                return f'{what} {_difference(there, wanted)}'
        return f'no {key.precision} plan has been built'


def default_folder() -> Path:
    """By the XDG base directory specification, which ignores relative paths."""
    cache = os.environ.get('XDG_CACHE_HOME', '')
    root = Path(cache) if cache and Path(cache).is_absolute() else Path.home() / '.cache'
    return root / 'uav_prune_perception' / 'tensorrt'


def key_of(
    onnx: Path, precision: str, tensorrt: str, gpu: Gpu, options: dict[str, str]
) -> PlanKey:
    """The key of the plan that would be built from ``onnx`` here."""
    return PlanKey(sha256_of(onnx), precision, tensorrt, gpu, tuple(sorted(options.items())))


def _difference(there: dict[str, Any], wanted: dict[str, Any]) -> str:
    """'was built with TensorRT 8.5.2 (here: 10.3.0)', for all that differs."""
    if there.get('tensorrt') != wanted['tensorrt']:
        return f'was built with TensorRT {there.get("tensorrt")} (here: {wanted["tensorrt"]})'
    before, now = _mapping(there.get('gpu')), wanted['gpu']
    names = [name for name in now if before.get(name) != now[name]]
    if names:
        pairs = ', '.join(f'{n.replace("_", " ")} {before.get(n)} (here: {now[n]})' for n in names)
        return f'was built for {pairs}'
    return 'was built with other options'


def _read(path: Path) -> dict[str, Any]:
    """A JSON object; empty where there is none, or something else."""
    try:
        return _mapping(json.loads(path.read_text(encoding='utf-8')))
    except (OSError, ValueError, RecursionError):
        return {}


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
