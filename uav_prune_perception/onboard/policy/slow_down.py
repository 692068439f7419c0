# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""How much slower than its profile every level runs now, and how sure we are of it."""

from __future__ import annotations

import math
from itertools import accumulate, pairwise

Q_MIN = 1e-6  # variance per frame that a quiet board drifts by (0.1 % per frame)
START_STD = 0.1  # of the first guess: the warm-up measured the profile on this very board
R_START = 0.05**2
R_MIN = 0.003**2
NOISE_FRAMES = 90  # memory of the noise estimate
DRIFT_FRAMES = 8  # memory of the drift estimate
OUTLIER = 4.0  # standard deviations
STEP_FRAMES = 2  # this many outliers in a row, on one side, are a step
# Histogram of standardised residuals: even bins from -4 to 4, then six to the octave up to 64
# (on a quiet board one hiccup of the scheduler is that many standard deviations).
BIN, LOWEST, EVEN, PER_OCTAVE, BINS = 0.25, -4.0, 32, 6, 56
TOP = LOWEST + BIN * EVEN
TAIL_FRAMES = 600.0  # memory of the histogram
PRIOR_FRAMES = 40.0  # weight of the normal distribution that the histogram starts from
FORGET = 1.0 - 1.0 / TAIL_FRAMES
TRANSFER = 0.05  # std of a prediction for another level, per unit of log(latency ratio)
OFFSET_KEPT = 0.95  # of all offsets, at each switch
CALM_FRAMES = 30  # without an outlier before a switch, else it teaches nothing of offsets
OFFSET_FRAMES = 15  # frames after a switch from which a level's own offset is learnt
# Jitter of a level ~ latency ** -slope, relative: 0 where it multiplies, 1 where it adds
# milliseconds, as a scheduler does. It is learnt from levels that ran one after the other.
# Recalibration at the deadline itself, after Gibbs and Candes (NeurIPS 2021): per frame, at most,
# and what is left of it at each switch.
SHIFT_STEP, MOST_SHIFT, SHIFT_KEPT = 0.04, 1.5, 0.8
SLOPE_START, SLOPE_SHARE, SLOPE_FRAMES = 0.3, 0.4, 60


class SlowDown:
    """A scalar Kalman filter on log(observed / profiled latency), shared by all levels.

    After ALERT (Wan et al., USENIX ATC'20), with three differences that make the stated
    probability true: the noise R is estimated online; the predictive variance is P + R, not P;
    and drift Q comes from what is correlated between surprises, which noise is not. The shape
    of the tail is taken from the residuals themselves, for latencies are skewed.

    Args:
        levels: number of levels.
    """

    def __init__(self, levels: int) -> None:
        self.mean = 0.0
        self.variance = START_STD**2
        self.noise = R_START
        self.drift = Q_MIN
        self.frames = 0
        self.offsets = [0.0] * levels
        self.slope = SLOPE_START
        self.shifts = [0.0] * levels  # in standard deviations; see `calibrate`
        self._last_error = 0.0
        self._streak = self._calm = 0
        self._bins = [PRIOR_FRAMES * p for p in _normal_bins()]
        self._weight = 1.0  # of a new residual; grows, which is the same as forgetting old ones
        self._cumulated: list[float] | None = None
        self._level = self._former = -1
        self._since_switch = 0
        self._carried = math.nan
        self._profile_ms = math.nan
        self._before: tuple[float, float] | None = None  # former level's noise and profile

    def observe(self, level: int, observed_ms: float, profile_ms: float) -> None:
        """Learn from one frame; ignores what is not a positive number."""
        if not (observed_ms > 0 and profile_ms > 0) or math.isinf(observed_ms):
            return
        if level != self._level:
            # What the old level said, to tell the new one's own offset from a slow-down.
            known = self._level >= 0 and self._calm >= CALM_FRAMES
            self._carried = self.mean if known else math.nan
            self._enter(level, profile_ms)
        self._update(math.log(observed_ms / profile_ms) - self.offsets[level])
        self._since_switch += 1
        if self._since_switch == OFFSET_FRAMES and not math.isnan(self._carried):
            self._learn_offset(level)
        if self._since_switch == SLOPE_FRAMES:
            self._learn_slope()

    def calibrate(self, level: int, observed_ms: float, limit_ms: float, profile_ms: list[float]
                  ) -> None:
        """Compare one frame of the running level with what was stated for it; before `observe`.

        The whole distribution is learnt over many seconds and shared by all levels. Where it is
        wrong at the one point that matters, each level is shifted until what is stated is kept.
        """
        if level != self._level or not profile_ms[level] > 0:
            return
        stated = self.chance(limit_ms, *self.outlook(level, level, profile_ms))
        moved = self.shifts[level] + SHIFT_STEP * ((observed_ms <= limit_ms) - stated)
        self.shifts[level] = max(-MOST_SHIFT, min(MOST_SHIFT, moved))

    def probability(self, level: int, active: int, limit_ms: float, profile_ms: list[float]
                    ) -> float:
        """P(latency of ``level`` <= ``limit_ms``), 0..1, having watched ``active``."""
        if not (profile_ms[level] > 0 and limit_ms > 0):
            return 0.0
        self.tidy()
        return self.chance(limit_ms, *self.outlook(level, active, profile_ms))

    def outlook(self, level: int, active: int, profile_ms: list[float]
                ) -> tuple[float, float, float]:
        """What `chance` needs of a level, once for many limits: log of the centre, spread, shift.

        Its profile must be a positive number.
        """
        centre, spread = self._predictive(level, active, profile_ms)
        return centre + math.log(profile_ms[level]), spread, self.shifts[level]

    def chance(self, limit_ms: float, centre: float, spread: float, shift: float) -> float:
        """P(latency <= ``limit_ms``) of a level with this outlook, 0..1."""
        if not limit_ms > 0:
            return 0.0
        z = (math.log(limit_ms) - centre) / spread + shift
        # `_place`, written out: this is asked a dozen times in each decision.
        place = (z - LOWEST) / BIN if z <= TOP else EVEN + PER_OCTAVE * math.log2(z / TOP)
        if place <= 0.0:
            return 0.0
        if place >= BINS:
            return 1.0
        table, low = self._cumulated or self._table(), int(place)
        below = table[low - 1] if low else 0.0
        return (below + (place - low) * (table[low] - below)) / table[-1]

    def tidy(self) -> None:
        """Take the latest residuals into the distribution; once a tick is often enough."""
        self._cumulated = None

    def quantile_ms(self, probability: float, level: int, active: int, profile_ms: list[float]
                    ) -> float:
        """The latency that ``level`` stays under with ``probability``, milliseconds."""
        self.tidy()
        centre, spread = self._predictive(level, active, profile_ms)
        return profile_ms[level] * math.exp(centre + spread * self._inverse_cdf(probability))

    def ratio(self, level: int) -> float:
        """Typical observed / profiled latency of a level."""
        return math.exp(self.mean + self.offsets[level])

    def _predictive(self, level: int, active: int, profile_ms: list[float]
                    ) -> tuple[float, float]:
        variance = self.variance + self.drift + self.noise
        if level != active and profile_ms[active] > 0:
            ratio = math.log(profile_ms[level] / profile_ms[active])
            variance = variance * math.exp(-2.0 * self.slope * ratio) + (TRANSFER * ratio)**2
        return self.mean + self.offsets[level], math.sqrt(variance)

    def _update(self, value: float) -> None:
        self.frames += 1
        predicted = self.variance + self.drift
        total = predicted + self.noise
        error = value - self.mean
        z = error / math.sqrt(total)
        self._count(z)
        side = 0 if abs(z) <= OUTLIER else 1 if z > 0 else -1
        self._calm = 0 if side else self._calm + 1
        self._streak = self._streak + side if side and side * self._streak >= 0 else side
        if abs(self._streak) >= STEP_FRAMES:
            predicted = max(predicted, error * error)  # a step: believe what is seen
            self._streak = 0
        elif side:
            error = side * 3.0 * math.sqrt(total)  # a spike so far: it may not drag the mean
        gain = predicted / (predicted + self.noise)
        self.mean += gain * error
        self.variance = (1.0 - gain) * predicted
        if not side:
            self._learn(error, predicted)
        self._last_error = error

    def _learn(self, error: float, predicted: float) -> None:
        """Noise is what of the surprise the state does not explain; drift is what repeats."""
        share = 1.0 / min(self.frames + 1, NOISE_FRAMES)
        excess = max(error * error - predicted, 0.25 * R_MIN)
        self.noise = max(R_MIN, self.noise + share * (excess - self.noise))
        repeats = max(0.0, error * self._last_error)
        self.drift = max(Q_MIN, self.drift + (0.1 * repeats - self.drift) / DRIFT_FRAMES)

    def _enter(self, level: int, profile_ms: float) -> None:
        """Another level runs: its noise is foretold from the former's."""
        # A level that ran too briefly has not settled its noise: it teaches nothing.
        settled = self._since_switch >= SLOPE_FRAMES
        self._before = (self.noise, self._profile_ms) if settled else None
        if self._level >= 0:
            ratio = math.log(profile_ms / self._profile_ms)
            self.noise = max(R_MIN, self.noise * math.exp(-2.0 * self.slope * ratio))
        self._former, self._level = self._level, level
        self.shifts = [SHIFT_KEPT * shift for shift in self.shifts]
        self._profile_ms, self._since_switch = profile_ms, 0

    def _learn_slope(self) -> None:
        """From the noise of this level and of the one before it."""
        if self._before is None:
            return
        noise, profile_ms = self._before
        ratio = math.log(self._profile_ms / profile_ms)
        if abs(ratio) > 0.1:
            seen = -0.5 * math.log(self.noise / noise) / ratio
            self.slope += SLOPE_SHARE * (min(1.2, max(0.0, seen)) - self.slope)

    def _learn_offset(self, level: int) -> None:
        """Half of the unexplained jump at a switch is put down to the two levels themselves.

        To equal parts and fading. A switch at the height of a disturbance that then ebbs away
        teaches nothing (`CALM_FRAMES`): it would be booked on the levels.
        """
        change = 0.25 * max(-0.3, min(0.3, self.mean - self._carried))
        old = self.offsets[level]
        self.offsets = [OFFSET_KEPT * offset for offset in self.offsets]
        self.offsets[level] += change
        self.offsets[self._former] -= change
        self.mean += old - self.offsets[level]

    def _count(self, z: float) -> None:
        self._bins[min(max(int(_place(z)), 0), BINS - 1)] += self._weight
        self._weight /= FORGET
        if self._weight > 1e6:
            self._bins = [value / self._weight for value in self._bins]
            self._weight = 1.0
            self._cumulated = None

    def _table(self) -> list[float]:
        if self._cumulated is None:
            self._cumulated = list(accumulate(self._bins))
        return self._cumulated

    def _inverse_cdf(self, probability: float) -> float:
        below, table = 0.0, self._table()
        wanted = probability * table[-1]
        for place, value in enumerate(table):
            if value >= wanted:
                inside = (wanted - below) / (value - below) if value > below else 1.0
                return _edge(place + inside)
            below = value
        return _edge(BINS)


def _place(z: float) -> float:
    """Position on the histogram's axis, 0..BINS inside it."""
    if z <= TOP:
        return (z - LOWEST) / BIN
    return EVEN + PER_OCTAVE * math.log2(z / TOP)


def _edge(place: float) -> float:
    """The residual at a position: the inverse of `_place`."""
    if place <= EVEN:
        return LOWEST + BIN * place
    return TOP * 2.0 ** ((place - EVEN) / PER_OCTAVE)


def _normal_bins() -> list[float]:
    """Probability of each bin under the standard normal distribution."""
    edges = [_edge(place) for place in range(BINS + 1)]
    below = [0.5 * (1.0 + math.erf(edge / math.sqrt(2.0))) for edge in edges]
    below[0], below[-1] = 0.0, 1.0
    return [b - a for a, b in pairwise(below)]
