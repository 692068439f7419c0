# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The best that anyone could do: dynamic programming over the whole flight, known beforehand."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .flight import FlightLog, Schedule, fly
from .world import World

SWITCH_COST = 0.5  # in frames' worth: keeps the oracle from dithering at every frame
DIVIDERS = (1, 2, 3, 4)
ENERGY_TIE = 1e-4  # per joule: of two equal ways the cheaper
BIN_C = 0.5
BUDGET_ROUNDS = 12


@dataclass(frozen=True)
class Knowledge:
    """What a schedule is made from.

    Attributes:
        blur_s: 0 = every single frame is known; else only how many frames within so many seconds
            before and after come in time, not which.
        switch_cost: of a change, in frames' worth.
    """

    blur_s: float = 0.0
    switch_cost: float = SWITCH_COST


EVERYTHING = Knowledge()
# The load, past and to come, but no single frame; and some six changes a minute at most. No
# policy that lives in the present can know more, so this bounds what any can reach.
LOAD_ONLY = Knowledge(0.5, 3.0)


def best_schedule(world: World, knows: Knowledge = EVERYTHING) -> Schedule:
    """Level and divider for each frame that maximise worth on time within all limits.

    Knows every latency, limit and temperature of the flight, or less: see `Knowledge`.
    With a battery, energy gets a price at which the mission is just reached. Dividers are
    valued as if their phase did not matter, which makes them slightly too good or too bad.
    """
    if world.cooler is not None:
        return _with_heat(world, knows)
    if world.battery is None:
        return _plain(world, ENERGY_TIE, knows)
    return _within_budget(world, knows)


def configurations(world: World) -> list[tuple[int, int]]:
    """(level, every) of all that the oracle chooses from."""
    return [(level, every) for level in range(len(world.levels)) for every in DIVIDERS]


def _rewards(world: World, price: float, knows: Knowledge) -> tuple[np.ndarray, np.ndarray]:
    """Worth per frame less the price of energy, and watts; both [configurations, frames]."""
    fade, period_s = world.fade(), world.period_s
    rewards, watts = [], []
    for level, every in configurations(world):
        latency_ms = world.latency_ms[level]
        fits = _blurred(
            (latency_ms <= world.deadline_ms) & (latency_ms <= every * period_s * 1e3),
            round(knows.blur_s / float(np.median(period_s))),
        )
        fresh = (1.0 - fade**every) / (every * (1.0 - fade))
        draw_w = world.draw_w(level, every)
        allowed = draw_w <= world.power_limit_w
        worth = np.where(allowed, world.accuracy[level] * fresh * fits, 0.0)
        rewards.append(worth - price * draw_w * period_s)
        watts.append(draw_w)
    return np.array(rewards), np.array(watts)


def _blurred(fits: np.ndarray, frames: int) -> np.ndarray:
    """Share of the frames that fit within so many before and after, this one left out."""
    if not frames:
        return fits.astype(np.float64)
    others = np.ones(2 * frames + 1)
    others[frames] = 0.0
    found: np.ndarray = np.convolve(fits, others, 'same')
    return found / np.convolve(np.ones(len(fits)), others, 'same')


def _plain(world: World, price: float, knows: Knowledge) -> Schedule:
    rewards, _ = _rewards(world, price, knows)
    cost = knows.switch_cost
    count, frames = rewards.shape
    value = np.zeros(count)
    follow = np.empty((frames, count), np.int16)
    own = np.arange(count)
    columns = rewards.T.copy()
    for n in range(frames - 1, -1, -1):
        best = int(value.argmax())
        change = value[best] - cost > value
        follow[n] = np.where(change, best, own)
        value = columns[n] + np.where(change, value[best] - cost, value)
    path = np.empty(frames, np.int64)
    path[0] = int(value.argmax())
    for n in range(1, frames):
        path[n] = follow[n - 1, path[n - 1]]
    return _schedule(world, path)


def _schedule(world: World, path: np.ndarray) -> Schedule:
    pairs = np.array(configurations(world))
    return Schedule(pairs[path, 0], pairs[path, 1])


def _within_budget(world: World, knows: Knowledge) -> Schedule:
    """Bisects the price of a joule until the battery lasts."""
    cheap, dear, found = ENERGY_TIE, 1.0, None
    for _ in range(BUDGET_ROUNDS):
        price = math.sqrt(cheap * dear)
        schedule = _plain(world, price, knows)
        if _spent(fly(world, schedule)) <= world.energy_budget_j:
            dear, found = price, schedule
        else:
            cheap = price
    return found or _plain(world, dear, knows)


def _spent(log: FlightLog) -> float:
    return float(log.energy_j[-1])


def _with_heat(world: World, knows: Knowledge) -> Schedule:
    """The temperature is part of the state, on a grid; above the trip point nothing counts."""
    assert world.cooler is not None
    cooler = world.cooler
    rewards, watts = _rewards(world, ENERGY_TIE, knows)
    count, frames = rewards.shape
    grid_c = np.arange(20.0, cooler.trip_c + BIN_C / 2, BIN_C)
    share = (world.period_s / cooler.time_s)[:, None]
    rest_c = world.ambient_c[:, None] + cooler.c_per_w * watts.T  # [frames, configurations]
    value = np.zeros((count, len(grid_c)))
    follow = np.empty((frames, count, len(grid_c)), np.int8)
    own = np.arange(count)[:, None]
    for n in range(frames - 1, -1, -1):
        best = value.argmax(axis=0)
        top = value[best, np.arange(len(grid_c))] - knows.switch_cost
        change = top > value
        follow[n] = np.where(change, best, own)
        ahead = np.where(change, top, value)
        # One frame moves the temperature by far less than a bin: first-order upwind step.
        move = share[n] * (rest_c[n][:, None] - grid_c) / BIN_C
        up = np.empty_like(ahead)
        up[:, :-1], up[:, -1] = ahead[:, 1:] - ahead[:, :-1], -ahead[:, -1]
        down = np.empty_like(ahead)
        down[:, 1:], down[:, 0] = ahead[:, :-1] - ahead[:, 1:], 0.0
        drift = np.maximum(move, 0) * up + np.maximum(-move, 0) * down
        value = rewards[:, n, None] + ahead + drift
    return _schedule(world, _walk(world, value, follow, rest_c, grid_c))


def _walk(world: World, value: np.ndarray, follow: np.ndarray, rest_c: np.ndarray,
          grid_c: np.ndarray) -> np.ndarray:
    """The path forward from the flight's first temperature."""
    assert world.cooler is not None
    celsius = float(world.ambient_c[0]) + world.cooler.c_per_w * 8.5
    period_s = world.period_s

    def place(c: float) -> int:
        return min(max(math.ceil((c - grid_c[0]) / BIN_C), 0), len(grid_c) - 1)

    path = np.empty(world.frames, np.int64)
    path[0] = int(value[:, place(celsius)].argmax())
    for n in range(1, world.frames):
        celsius += (rest_c[n, path[n - 1]] - celsius) * period_s[n] / world.cooler.time_s
        path[n] = follow[n - 1, path[n - 1], place(celsius)]
    return path
