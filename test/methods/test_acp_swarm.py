# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""How ACP's particles move."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from uav_prune_perception.methods.acp.swarm import (
    AS_INTENDED,
    AS_RELEASED,
    Rules,
    Swarm,
    SwarmOptions,
)

LIMITS = (16, 32, 64, 3, 1, 20, 20, 20, 20, 20, 20)
START = (7, 12, 30, 3, 1, 9, 9, 9, 9, 9, 9)


def swarm(rules: Rules = AS_INTENDED, seed: int = 0, **changes: int) -> Swarm:
    return Swarm(START, LIMITS, SwarmOptions(rules=rules, **changes), seed)


def score(widths: tuple[int, ...]) -> float:
    wanted = np.asarray(LIMITS) * 0.6
    return -float(np.abs(np.asarray(widths) - wanted).sum())


@pytest.mark.parametrize('rules', [AS_RELEASED, AS_INTENDED])
def test_particle_0_is_the_clustered_network_and_i_strays_by_i(rules: Rules) -> None:
    first = np.asarray(swarm(rules).ask())
    assert tuple(first[0]) == START
    for particle, row in enumerate(first):
        assert set(np.abs(row - START)[5:]) <= {0, particle, 9 - 1, 20 - 9}
        assert (np.abs(row - START) <= particle).all()


@pytest.mark.parametrize('rules', [AS_RELEASED, AS_INTENDED])
def test_widths_stay_within_one_and_the_original(rules: Rules) -> None:
    for seed in range(5):
        particles = swarm(rules, seed)
        rng = np.random.default_rng(seed)
        while not particles.finished:
            widths = np.asarray(particles.ask())
            assert (widths >= 1).all()
            assert (widths <= LIMITS).all()
            particles.tell(rng.normal(size=len(widths)))


def test_a_run_has_one_generation_more_than_cycles() -> None:
    particles, asked = swarm(cycles=8, particles=10), 0
    while not particles.finished:
        asked += len(particles.ask())
        particles.tell([0.0] * 10)
    assert asked == 10 + 8 * 10


def test_as_released_never_moves_the_last_layer_and_turns_only_the_first_eight() -> None:
    particles = swarm(AS_RELEASED)
    last, speed = particles.x[:, -1].copy(), particles.v[:, 8:].copy()
    while not particles.finished:
        particles.tell([score(row) for row in particles.ask()])
    assert (particles.x[:, -1] == last).all()
    assert (particles.v[:, 8:] == speed).all()


def test_as_released_moves_by_the_velocity_it_had() -> None:
    particles = swarm(AS_RELEASED, particles=1, cycles=1, moved=8)
    before, speed = particles.x[0].copy(), particles.v[0].copy()
    particles.tell([1.0])
    once = np.array([
        max(1, u - 1 if int(x + 2 * v) > u else int(x + 2 * v))
        for x, v, u in zip(before, speed, LIMITS, strict=True)
    ])
    moved = particles.x[0] != before
    assert moved.any()
    # A layer may be drawn twice; then it has moved twice
    assert ((particles.x[0] == once)[moved]).sum() >= moved.sum() - 3


def test_as_intended_moves_eight_layers_and_any_of_them() -> None:
    moved = np.zeros(len(LIMITS), bool)
    for seed in range(20):
        particles = swarm(AS_INTENDED, seed, particles=1, cycles=1)
        before = particles.v.copy()
        particles.tell([1.0])
        turned = particles.v[0] != before[0]
        assert turned.sum() <= 8
        moved |= turned
    assert moved.all()


def test_inertia_is_that_of_the_paper() -> None:
    particles = swarm(AS_INTENDED, particles=1, cycles=8, moved=len(LIMITS))
    for cycle in range(8):
        before = particles.v[0].copy()
        particles.best_x[:] = particles.x  # no pull: only inertia turns the velocity
        particles.best[:] = math.inf
        particles.tell([0.0])
        weight = [0.600, 0.575, 0.550, 0.525, 0.500, 0.475, 0.450, 0.425][cycle]
        assert np.allclose(particles.v[0], 0.729 * weight * before)


def test_velocity_is_limited() -> None:
    particles = swarm(AS_INTENDED)
    while not particles.finished:
        particles.tell([score(row) for row in particles.ask()])
        assert (np.abs(particles.v) <= 2.0).all()


def test_the_swarm_finds_better_widths_than_it_began_with() -> None:
    particles = swarm(AS_INTENDED, cycles=30)
    first = max(score(row) for row in particles.ask())
    while not particles.finished:
        particles.tell([score(row) for row in particles.ask()])
    assert particles.best.max() > first + 5


def test_what_is_not_a_number_counts_as_worst() -> None:
    particles = swarm(particles=3)
    particles.tell([math.nan, -5.0, -math.inf])
    assert particles.leader == 1
    assert particles.best[0] == -math.inf


@pytest.mark.parametrize('rules', [AS_RELEASED, AS_INTENDED])
def test_goes_on_from_its_saved_state_exactly(rules: Rules) -> None:
    through, stopped = swarm(rules), swarm(rules)
    for _ in range(4):
        for one in (through, stopped):
            one.tell([score(row) for row in one.ask()])
    text = json.dumps(stopped.state_dict())
    fresh = swarm(rules, seed=99)
    fresh.load_state_dict(json.loads(text))
    while not through.finished:
        assert fresh.ask() == through.ask()
        for one in (through, fresh):
            one.tell([score(row) for row in one.ask()])
    assert fresh.state_dict() == through.state_dict()
