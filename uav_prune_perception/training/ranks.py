# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The processes that share a job: one by default, several under ``torchrun``.

Everything that knows of more than one process goes through a `Ranks`. Every process runs the
same job in step; the first one alone writes, reports, and measures. torch.distributed does the
work (gloo on CPUs, NCCL between GPUs).
"""

from __future__ import annotations

import contextlib
import contextvars
import datetime
import os
import warnings
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from .shared_batchnorm import shared_batchnorm
from .task import LearningTask, Predict, TrainingError, torch_predict

T = TypeVar('T')
# The first process may export or measure for hours while the others wait for it; one that died
# is noticed at once by its closed connection, or by torchrun.
PATIENCE = datetime.timedelta(days=30)
# In the message of what torch raises when another process has gone.
GONE = ('gloo', 'nccl', 'connection', 'socket', 'store')


class RankLostError(TrainingError):
    """Another process of the job has ended. The first process to fail says why."""


class Replicated(DistributedDataParallel):
    """Gradients are averaged over the processes; otherwise it looks like the network itself."""

    def __getattr__(self, name: str) -> Any:
        """Also what the network has, such as a ``training_loss`` of its own."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__('module'), name)


class Ranks:
    """Processes that do one job together.

    Attributes:
        rank: number of this one, from 0.
        size: how many there are.
        local_rank: number of this one on its machine: of its GPU.
    """

    def __init__(self, rank: int = 0, size: int = 1, local_rank: int = 0) -> None:
        self.rank, self.size, self.local_rank = rank, size, local_rank
        self._control: Any = None  # for plain objects, never on a GPU
        self._norms: Any = None

    @classmethod
    def from_environment(cls) -> Ranks:
        """What torchrun's variables say; one process alone without them.

        Raises:
            TrainingError: the others cannot be reached.
        """
        size = int(os.environ.get('WORLD_SIZE', '1'))
        if size == 1 or 'RANK' not in os.environ:
            return cls()
        ranks = cls(int(os.environ['RANK']), size, int(os.environ.get('LOCAL_RANK', '0')))
        ranks._join()
        return ranks

    def __enter__(self) -> Ranks:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # After a fault the others may be gone: leaving is all that is sure to end.
        if self.size > 1 and error is None:
            dist.destroy_process_group()

    @property
    def first(self) -> bool:
        """Whether this process writes and reports."""
        return self.rank == 0

    def device(self, name: str) -> str:
        """Where this process computes: ``cuda`` is its own GPU."""
        if name == 'cuda' and self.size > 1:
            torch.cuda.set_device(self.local_rank)
            return f'cuda:{self.local_rank}'
        return name

    # -- speaking to each other -------------------------------------------------------------

    def decide(self, work: Callable[[], T]) -> T:
        """What ``work`` gives in the first process, known to all."""
        if self.size == 1:
            return work()
        box = [work() if self.first else None]
        with watching():
            dist.broadcast_object_list(box, 0, group=self._control, device=torch.device('cpu'))
        return box[0]  # type: ignore[return-value]

    def gather(self, value: T) -> list[T]:
        """Everybody's value, in the order of ranks."""
        if self.size == 1:
            return [value]
        found: list[Any] = [None] * self.size
        with watching():
            dist.all_gather_object(found, value, group=self._control)
        return found

    def wait(self) -> None:
        """Until all are here."""
        self.decide(lambda: None)
        self.gather(None)

    # -- learning together ------------------------------------------------------------------

    @contextlib.contextmanager
    def learning(self, model: nn.Module) -> Iterator[nn.Module]:
        """What to call in place of ``model`` while it learns.

        Gradients are means over all pictures of all processes, and BatchNorm sees them all.
        ``model`` itself keeps its class, its parameters and its names.
        """
        if self.size == 1:
            yield model
            return
        own = next(model.parameters()).device
        with shared_batchnorm(model, self._norms), watching():
            with warnings.catch_warnings():
                # Its successor is not in every torch that we run with
                warnings.filterwarnings('ignore', message='.*broadcast_buffers.*')
                together = Replicated(
                    model, device_ids=[own] if own.type == 'cuda' else None,
                    broadcast_buffers=False, find_unused_parameters=True,
                )
            token = _AT_WORK.set(self)
            try:
                yield together
            finally:
                _AT_WORK.reset(token)

    def check_batch(self, pictures: int) -> None:
        """A batch can be shared out equally.

        Raises:
            TrainingError: it cannot.
        """
        if pictures % self.size:
            raise TrainingError(
                f'{pictures} pictures in a step cannot be shared equally by {self.size} '
                f'processes; choose a batch_size that is a multiple of {self.size}, and no '
                'more than there are pictures to learn from'
            )

    def batches(
        self, task: LearningTask, epoch: int, batch_size: int, generator: torch.Generator
    ) -> Iterator[tuple[Tensor, Any]]:
        """This process's part of every batch of an epoch.

        A task with a method `train_part` (see `ClassificationTask`) makes only that part.
        """
        own = getattr(task, 'train_part', None)
        if self.size > 1 and own is not None:
            parts = own(epoch, batch_size, generator, self.rank, self.size)
            if parts is not None:
                return parts
        whole = task.train_batches(epoch, batch_size, generator)
        return (self.share(images, targets) for images, targets in whole)

    def share(self, images: Tensor, targets: Any) -> tuple[Tensor, Any]:
        """This process's part of a batch.

        Args:
            images: [B, C, H, W].
            targets: [B], or [M, 6] with the picture's index in the first column.
        """
        if self.size == 1:
            return images, targets
        self.check_batch(len(images))
        count = len(images) // self.size
        start = self.rank * count
        own = images[start:start + count]
        if targets.ndim == 1:
            return own, targets[start:start + count]
        rows = targets[(targets[:, 0] >= start) & (targets[:, 0] < start + count)].clone()
        rows[:, 0] -= start
        return own, rows

    def mean(self, value: Tensor) -> Tensor:
        """Mean over all processes; no gradient flows through it."""
        if self.size == 1:
            return value
        total = value.detach().clone()
        with watching():
            dist.all_reduce(total)
        return total / self.size

    def predict(self, model: nn.Module) -> Predict:
        """`torch_predict`, each process with a part of the pictures."""
        own = torch_predict(model)
        if self.size == 1:
            return own

        def together(images: NDArray[np.float32]) -> NDArray[np.float32]:
            part = np.array_split(images, self.size)[self.rank]
            found = self.gather(own(part) if len(part) else None)
            return np.concatenate([answers for answers in found if answers is not None])

        return together

    def check_same(self, model: nn.Module) -> None:
        """All processes hold the same weights.

        Raises:
            TrainingError: they do not; something in the job draws by chance on its own.
        """
        if self.size == 1:
            return
        state = model.state_dict()
        sums = [float(value.double().abs().sum()) for value in state.values()]
        for rank, others in enumerate(self.gather(sums)):
            for name, mine, other in zip(state, sums, others, strict=True):
                if mine != other:
                    raise TrainingError(
                        f'process {rank} holds other weights than process {self.rank}, first in '
                        f'{name}: a hook of the method must do the same in every process'
                    )

    def _join(self) -> None:
        backend = 'cpu:gloo,cuda:nccl' if torch.cuda.is_available() else 'gloo'
        try:
            dist.init_process_group(backend, timeout=PATIENCE)
            self._control = dist.new_group(backend='gloo', timeout=PATIENCE)
            # A group of its own: its calls cross those of the gradients in no fixed order
            self._norms = dist.new_group(timeout=PATIENCE)
        except (RuntimeError, ValueError) as error:
            reason = ' '.join(str(error).split())[:160]
            raise TrainingError(
                f'process {self.rank} of {self.size} does not reach the others: {reason}'
            ) from None


ALONE = Ranks()
_AT_WORK: contextvars.ContextVar[Ranks] = contextvars.ContextVar('ranks', default=ALONE)


def share_of_sum(value: Tensor, least: float = 0.0, nothing: float | None = None) -> Tensor:
    """For losses that divide by what is in a batch, such as its number of boxes.

    A loss that divides its own sum by this has, as a mean over the processes, the value and the
    gradient of the same loss over the whole batch.

    Args:
        value: of this process's part of the batch: scalar.
        least: the sum counts as this much at least.
        nothing: the answer where the sum is 0.

    Returns:
        The sum over all processes, divided by their number; just the value in one process.
    """
    ranks = _AT_WORK.get()
    total = ranks.mean(value) * ranks.size
    share = total.clamp(min=least) / ranks.size
    return share if nothing is None else torch.where(total > 0, share, float(nothing))


def mean_of_all(value: Tensor) -> Tensor:
    """Mean of a figure over the processes that learn together; no gradient flows through it."""
    return _AT_WORK.get().mean(value)


def processes() -> int:
    """How many share the batch that is being learnt; 1 outside training."""
    return _AT_WORK.get().size


@contextlib.contextmanager
def watching() -> Iterator[None]:
    """Turns torch's many ways to say that another process has gone into `RankLostError`."""
    try:
        yield
    except RuntimeError as error:
        text = str(error).lower()
        if isinstance(error, TrainingError) or not any(word in text for word in GONE):
            raise
        raise RankLostError(
            'another process of this job has ended (stopped, killed or out of memory: see what '
            'it said); start the same command again to go on'
        ) from error
