# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Stages B and D: particles that move through layer widths. Pure: it never sees a network.

Stage B [C]: x_i,l = clip(c_l + i s, 1, u_l) with s drawn from {-1, 0, 1}, v_i,l from U(-2, 2);
so particle 0 is the clustered network itself and particle i strays by up to i channels.

Stage D [C], cycle t = 0..T-1, inertia w_t = 0.5 (T - t) / 20 + 0.4 (T is 8 in the code):

    position:  x_j <- int(x_j + 2 v_j) for the drawn layers j;  below 1 -> 1;  above u_j -> u_j - 1
    velocity:  v_j <- 0.729 (w_t v_j + 2 R (pbest_j - x_j) + 2 R (gbest_j - x_j));  clip to +-2

`AS_RELEASED` keeps what the released code does: the position moves first (x_j in the velocity is
the one before the move); one R for both pulls; J = 8 layers drawn with repeats and never the
last one; and the velocity is updated for the layers 0..J-1 instead of the drawn ones, so that
the others keep their first velocity for ever.

`AS_INTENDED` [R]: velocity first, then position; independent R1 and R2; J layers drawn without
repeats from all; the velocity of just those is updated; above u_j -> u_j.

`scale` [ours] widens steps and limits with the layer: a layer of 512 channels moved by at most
4 a cycle would hardly move. 1 everywhere (the papers' setting) unless asked.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Rules = Literal['as_released', 'as_intended']
AS_RELEASED: Rules = 'as_released'
AS_INTENDED: Rules = 'as_intended'
V_MAX = 2.0
GAIN = 2.0
PULL = 2.0
CONSTRICTION = 0.729
WORST = -math.inf
Widths = tuple[int, ...]


@dataclass(frozen=True)
class SwarmOptions:
    """Settings of the search; defaults are the released code's.

    Attributes:
        particles: N.
        cycles: T.
        moved: J, layers that move in one cycle.
        rules: how particles move.
    """

    particles: int = 10
    cycles: int = 8
    moved: int = 8
    rules: Rules = AS_INTENDED


@dataclass
class Swarm:
    """Ask for a generation of widths, tell its fitness; generation 0 is the initial population.

    Args:
        start: cluster widths, particle 0.
        limits: original widths u, 1 or more.
        options: settings.
        seed: of all chance.
        scale: steps of each layer in channels, 1 or more.
    """

    start: Sequence[int]
    limits: Sequence[int]
    options: SwarmOptions
    seed: int
    scale: Sequence[int] | None = None
    generation: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        if len(self.start) != len(self.limits) or not self.limits:
            raise ValueError(f'{len(self.start)} widths for {len(self.limits)} layers')
        self._rng = np.random.default_rng(self.seed)
        self._upper = np.asarray(self.limits, np.int64)
        self._scale = np.asarray(self.scale or [1] * len(self.limits), np.int64)
        count, layers = self.options.particles, len(self.limits)
        signs = self._rng.integers(-1, 2, (count, layers))
        offsets = np.arange(count)[:, None] * signs * self._scale
        self.x = np.clip(np.asarray(self.start, np.int64) + offsets, 1, self._upper)
        self.v = self._rng.uniform(-V_MAX, V_MAX, (count, layers)) * self._scale
        self.best_x = self.x.copy()
        self.best = np.full(count, WORST)

    @property
    def finished(self) -> bool:
        """All cycles are over."""
        return self.generation > self.options.cycles

    @property
    def leader(self) -> int:
        """The particle that has found the best so far; the first among equals."""
        return int(self.best.argmax())

    def ask(self) -> list[Widths]:
        """The widths of all particles, to be judged."""
        return [tuple(int(value) for value in row) for row in self.x]

    def tell(self, fitness: Sequence[float], widths: Sequence[Widths] | None = None) -> None:
        """Take in the fitness of what `ask` gave, and move on.

        Args:
            fitness: larger is better; what is not a number counts as the worst.
            widths: what was really judged, where `ask`'s proposals had to be mended to fit a
                budget; the particles stand there then.
        """
        if widths is not None:
            self.x = np.clip(np.asarray(widths, np.int64).reshape(self.x.shape), 1, self._upper)
        values = np.array([WORST if math.isnan(value) else value for value in fitness])
        better = values > self.best
        self.best = np.where(better, values, self.best)
        self.best_x[better] = self.x[better]
        self.generation += 1
        if not self.finished:
            for particle in range(len(self.x)):
                self._move(particle, self.best_x[self.leader])

    def _move(self, particle: int, leader: NDArray[np.int64]) -> None:
        options, layers = self.options, self.x.shape[1]
        cycle = self.generation - 1
        inertia = 0.5 * (options.cycles - cycle) / 20 + 0.4
        x, v, own = self.x[particle], self.v[particle], self.best_x[particle]
        limit = V_MAX * self._scale
        if options.rules == AS_RELEASED:
            # np.random.randint(0, D - 1) never gives D - 1; with one layer there is no other
            drawn = self._rng.integers(0, max(1, layers - 1), options.moved)
            turned = np.arange(min(options.moved, layers))
            mine = others = self._rng.random()
        else:
            drawn = turned = self._rng.permutation(layers)[:options.moved]
            mine, others = self._rng.random(2)
        pull = mine * PULL * (own - x) + others * PULL * (leader - x)
        turn = np.clip(CONSTRICTION * (inertia * v + pull), -limit, limit)
        if options.rules == AS_RELEASED:
            self.x[particle] = self._moved(x, v, drawn)
            v[turned] = turn[turned]
        else:
            v[turned] = turn[turned]
            self.x[particle] = self._moved(x, v, drawn)

    def _moved(
        self, x: NDArray[np.int64], v: NDArray[np.float64], drawn: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        moved = x.copy()
        for layer in drawn:  # a layer drawn twice moves twice, as released
            wanted = int(moved[layer] + GAIN * v[layer])
            upper = int(self._upper[layer])
            if wanted > upper:
                wanted = upper - 1 if self.options.rules == AS_RELEASED else upper
            moved[layer] = max(1, wanted)
        return moved

    def state_dict(self) -> dict[str, Any]:
        """All of the state as plain JSON values, random state included."""
        return {
            'generation': self.generation,
            'x': self.x.tolist(),
            'v': self.v.tolist(),
            'best_x': self.best_x.tolist(),
            'best': [None if value == WORST else float(value) for value in self.best],
            'random': self._rng.bit_generator.state,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        self.generation = int(state['generation'])
        self.x = np.asarray(state['x'], np.int64)
        self.v = np.asarray(state['v'], np.float64)
        self.best_x = np.asarray(state['best_x'], np.int64)
        self.best = np.array([WORST if value is None else value for value in state['best']])
        self._rng.bit_generator.state = state['random']
