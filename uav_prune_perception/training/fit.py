# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Train a network on a task: deterministic on a CPU, resumable to the same weights."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import hashlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .average import WeightAverage
from .checkpoint import load_checkpoint, save_checkpoint
from .fit_options import EpochRecord, FitOptions, FitProgress
from .ranks import ALONE, Ranks
from .task import LearningTask, TrainingError

__all__ = ['EpochRecord', 'FitHook', 'FitOptions', 'FitProgress', 'fit']

# Settings that do not change what is learnt, so a run may resume under others.
FREE_SETTINGS = ('threads', 'device', 'evaluate_every')


class FitHook:
    """What a pruning method may add to training; every method does nothing by default.

    Order in a step: `before_loss`, the loss, `penalty`, `before_clip`, `after_backward`, the
    optimiser's step, `after_step`; then, at the end of an epoch, `after_epoch`.
    """

    def before_loss(self, model: nn.Module, images: Tensor, targets: Any) -> None:
        """A batch is about to be learnt, on the model's device; targets as the task's loss."""

    def penalty(self, model: nn.Module) -> Tensor | None:
        """Scalar to add to the loss."""
        return None

    def before_clip(self, model: nn.Module) -> None:
        """Gradients are there, not yet clipped."""

    def after_backward(self, model: nn.Module) -> None:
        """Gradients are there, clipped; the step is not taken yet."""

    def after_step(self, model: nn.Module, done: float) -> None:
        """A step was taken; ``done`` is the part of the run that is over, 0..1."""

    def after_epoch(self, model: nn.Module, epoch: int) -> None:
        """An epoch is over."""

    def before_evaluation(self, model: nn.Module) -> None:
        """Change weights that are about to be judged; training goes on with what they were."""

    def may_end(self, epoch: int) -> bool:
        """Whether the weights after this epoch may be those that `keep_best` chooses."""
        return True

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs: tensors, numbers, strings, lists and dicts of them."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` gave."""


def fit(
    model: nn.Module,
    task: LearningTask,
    options: FitOptions,
    *,
    progress: Callable[[FitProgress], None] | None = None,
    checkpoint: Path | None = None,
    teacher: nn.Module | None = None,
    hooks: Sequence[FitHook] = (),
    ranks: Ranks = ALONE,
    on_epoch: Callable[[EpochRecord], None] | None = None,
) -> list[EpochRecord]:
    """Train ``model`` in place; it ends in evaluation mode.

    Args:
        model: the network, with its initial weights.
        task: data and loss.
        options: settings.
        progress: called after every step.
        checkpoint: written after every epoch. Where it is there already, the run goes on from
            it and ends with the weights of an uninterrupted run; a finished one is just loaded.
        teacher: a dense network to distil from; it is not changed.
        hooks: additions of a pruning method; every process has its own, and they do the same.
        ranks: processes that each call this with the same arguments and learn a part of every
            batch. The result is that of one process, up to rounding. Only the first writes.
        on_epoch: called after every epoch, before its checkpoint is written.

    Returns:
        One record for each epoch, those before a resume included.

    Raises:
        TrainingError: the loss or its gradient is not finite, or the checkpoint is of another run.
    """
    _check(options)
    with _threads(options.threads), torch.random.fork_rng():
        run = _Run(
            model, task, options, checkpoint=checkpoint, teacher=teacher, hooks=list(hooks),
            ranks=ranks,
        )
        with ranks.learning(model) as run.learner:
            while run.epoch < options.epochs:
                run.one_epoch(progress, on_epoch)
        return run.finish()


class _Run:
    """The state of a run between epochs; exactly what a checkpoint holds."""

    def __init__(
        self,
        model: nn.Module,
        task: LearningTask,
        options: FitOptions,
        *,
        checkpoint: Path | None,
        teacher: nn.Module | None,
        hooks: list[FitHook],
        ranks: Ranks,
    ) -> None:
        self.model, self.task, self.options = model, task, options
        self.checkpoint, self.hooks, self.ranks = checkpoint, hooks, ranks
        self.learner = model  # what is called: the model, or what joins it with other processes
        self.device = ranks.device(options.device)
        self.kind = torch.device(self.device).type
        ranks.check_batch(options.batch_size)
        hold = getattr(task, 'hold', None)
        if hold is not None and self.kind != 'cpu':
            hold(self.device)  # batches are then made where they are needed
        # Convolutions on a CPU train faster with channels innermost
        model.to(device=self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.teacher = teacher.to(self.device).eval() if teacher is not None else None
        self.optimizer = _optimizer(model, options)
        self.average = WeightAverage(model, options.ema_decay) if options.ema else None
        self.epoch = 0
        self.history: list[EpochRecord] = []
        self.best: dict[str, Any] = {}
        self.steps = task.steps_per_epoch(options.batch_size)
        if checkpoint is not None:
            self._resume(load_checkpoint(checkpoint, self._fingerprint()))

    def one_epoch(
        self,
        progress: Callable[[FitProgress], None] | None,
        on_epoch: Callable[[EpochRecord], None] | None,
    ) -> None:
        options, epoch = self.options, self.epoch
        generator = torch.Generator().manual_seed(_epoch_seed(options.seed, epoch))
        # Dropout and the like; other pictures in other processes, so other chance
        torch.manual_seed(_epoch_seed(options.seed, epoch) + self.ranks.rank)
        self.model.train()
        started, total, lr = time.monotonic(), 0.0, 0.0
        batches = self.ranks.batches(self.task, epoch, options.batch_size, generator)
        for step, (images, targets) in enumerate(batches):
            lr = learning_rate(options, epoch * self.steps + step, self.steps)
            total += self._step(images, targets, lr, step)
            if progress is not None:
                elapsed = time.monotonic() - started + sum(r.seconds for r in self.history)
                mean = total / (step + 1)
                progress(
                    FitProgress(epoch, options.epochs, step + 1, self.steps, mean, lr, elapsed)
                )
        for hook in self.hooks:
            hook.after_epoch(self.model, epoch)
        seconds = time.monotonic() - started
        accuracy = self._accuracy(epoch)
        record = EpochRecord(epoch, total / self.steps, lr, seconds, accuracy)
        self.history.append(record)
        self.epoch += 1
        self.ranks.check_same(self.model)
        if on_epoch is not None:
            on_epoch(record)
        if self.checkpoint is not None and self.ranks.first:
            save_checkpoint(self.checkpoint, self._state())

    def _step(self, images: Tensor, targets: Any, lr: float, step: int) -> float:
        options, model = self.options, self.model
        images = images.to(self.device)
        targets = targets.to(self.device) if isinstance(targets, Tensor) else targets
        for group in self.optimizer.param_groups:
            group['lr'] = lr
        self.optimizer.zero_grad(set_to_none=True)
        for hook in self.hooks:
            hook.before_loss(model, images, targets)
        with torch.autocast(self.kind, torch.bfloat16, enabled=options.amp):
            loss = self.task.loss(self.learner, images, targets, self.teacher)
        for hook in self.hooks:
            penalty = hook.penalty(model)
            if penalty is not None:
                loss = loss + penalty
        value = float(self.ranks.mean(loss.detach()))
        if not math.isfinite(value):
            raise TrainingError(
                f'loss became {value} in epoch {self.epoch + 1}, step {step + 1}; '
                f'lower lr (now {options.lr:g}) or check the data'
            )
        loss.backward()
        for hook in self.hooks:
            hook.before_clip(model)
        if options.clip_norm > 0:
            self._clip(value, step)
        for hook in self.hooks:
            hook.after_backward(model)
        self.optimizer.step()
        done = (self.epoch * self.steps + step + 1) / (options.epochs * self.steps)
        for hook in self.hooks:
            hook.after_step(model, done)
        if self.average is not None:
            self.average.update(model)
        return value

    def _clip(self, loss: float, step: int) -> None:
        """Clip the gradients' norm; one that is not finite would make every weight so."""
        model, options = self.model, self.options
        try:
            nn.utils.clip_grad_norm_(
                model.parameters(), options.clip_norm, error_if_nonfinite=True
            )
        except RuntimeError:
            name = next((
                name for name, parameter in model.named_parameters()
                if parameter.grad is not None and not parameter.grad.isfinite().all()
            ), 'all together')
            where = 'the loss' if self.teacher is None else 'the loss, or in decoded(),'
            raise TrainingError(
                f'the loss is {loss:.4g} in epoch {self.epoch + 1}, step {step + 1}, but its '
                f'gradient is not finite (first: {name}); a root, logarithm or division at 0 in '
                f'{where} does that: clamp what goes in, or lower lr (now {options.lr:g})'
            ) from None

    def _accuracy(self, epoch: int) -> float | None:
        every = self.options.evaluate_every
        if every == 0 or (epoch + 1) % every:
            return None
        own = {key: value.clone() for key, value in self.model.state_dict().items()}
        if self.average is not None:
            self.average.copy_to(self.model)
        ending = {key: value.clone() for key, value in self.model.state_dict().items()}
        for hook in self.hooks:
            hook.before_evaluation(self.model)
        predict = self.ranks.predict(self.model)
        accuracy = self.task.evaluate(predict, 'val', self.options.batch_size).value
        self.model.load_state_dict(own)
        allowed = self.options.keep_best and all(hook.may_end(epoch) for hook in self.hooks)
        if allowed and accuracy >= self.best.get('accuracy', 0.0):  # of equals the later
            hooks = copy.deepcopy([hook.state_dict() for hook in self.hooks])
            self.best = {'accuracy': accuracy, 'model': ending, 'hooks': hooks}
        return accuracy

    def finish(self) -> list[EpochRecord]:
        if self.best:
            self.model.load_state_dict(self.best['model'])
            for hook, saved in zip(self.hooks, self.best['hooks'], strict=True):
                hook.load_state_dict(saved)
        elif self.average is not None:
            self.average.copy_to(self.model)
        self.model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        self.model.eval()
        return self.history

    def _state(self) -> dict[str, Any]:
        return {
            'fingerprint': self._fingerprint(),
            'epoch': self.epoch,
            'model': self.model.state_dict(),
            'optimizer': self.optimizer.state_dict(),
            'average': self.average.state_dict() if self.average is not None else {},
            'history': [dataclasses.asdict(record) for record in self.history],
            'hooks': [hook.state_dict() for hook in self.hooks],
            'best': self.best,
        }

    def _resume(self, state: dict[str, Any] | None) -> None:
        if state is None:
            return
        self.model.load_state_dict(state['model'])
        self.optimizer.load_state_dict(state['optimizer'])
        if self.average is not None:
            self.average.load_state_dict(state['average'])
        self.history = [EpochRecord(**record) for record in state['history']]
        for hook, saved in zip(self.hooks, state['hooks'], strict=True):
            hook.load_state_dict(saved)
        self.best = state['best']
        self.epoch = state['epoch']

    def _fingerprint(self) -> dict[str, Any]:
        settings = {
            key: value
            for key, value in dataclasses.asdict(self.options).items()
            if key not in FREE_SETTINGS
        }
        shapes = [(key, tuple(value.shape)) for key, value in self.model.state_dict().items()]
        return {
            **settings,
            'network': hashlib.sha256(repr(shapes).encode()).hexdigest(),
            'data': self.task.data_sha256,
            'teacher': self.teacher is not None,
            'hooks': [type(hook).__name__ for hook in self.hooks],
        }


def learning_rate(options: FitOptions, step: int, steps: int) -> float:
    """Linear rise, then a cosine down to ``final_lr``; ``steps`` is one epoch."""
    total, rise = options.epochs * steps, options.warmup_epochs * steps
    if step < rise:
        return options.lr * (step + 1) / (rise + 1)
    part = (step - rise) / max(1.0, total - rise)
    share = options.final_lr + (1 - options.final_lr) * 0.5 * (1 + math.cos(math.pi * part))
    return options.lr * share


def _optimizer(model: nn.Module, options: FitOptions) -> torch.optim.Optimizer:
    trained = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {'params': [p for p in trained if p.ndim > 1], 'weight_decay': options.weight_decay},
        {'params': [p for p in trained if p.ndim <= 1], 'weight_decay': 0.0},
    ]
    if options.optimizer == 'adamw':
        return torch.optim.AdamW(groups, lr=options.lr)
    return torch.optim.SGD(groups, lr=options.lr, momentum=0.9, nesterov=True)


def _check(options: FitOptions) -> None:
    if options.optimizer not in ('adamw', 'sgd'):
        raise TrainingError(f"optimizer must be 'adamw' or 'sgd', not {options.optimizer!r}")
    for name in ('batch_size', 'lr'):
        if getattr(options, name) <= 0:
            raise TrainingError(f'{name} must be positive, not {getattr(options, name)}')
    if options.epochs < 0:
        raise TrainingError(f'epochs must not be negative, is {options.epochs}')
    if options.keep_best and options.evaluate_every == 0:
        raise TrainingError('keep_best needs evaluate_every: 1 or more')


def _epoch_seed(seed: int, epoch: int) -> int:
    return int.from_bytes(hashlib.sha256(f'{seed}/{epoch}'.encode()).digest()[:7], 'little')


@contextlib.contextmanager
def _threads(count: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
