# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The node's parameters: one table for the declaration, the checks and the documentation."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Literal

from ..onboard.level_bank import RESIDENT
from ..onboard.policy.calibrated_options import CalibratedOptions
from ..onboard.policy.hysteresis import HysteresisOptions

When = Literal['live', 'unconfigured', 'start']
Value = str | float | int | bool | list[str]
# What several policies have in common has the default of the calibrated one; but for the charge:
# it limits the level by itself only here.
_POLICY = {
    **asdict(HysteresisOptions()), **asdict(CalibratedOptions()),
    'battery_low_fraction': 0.3, 'battery_critical_fraction': 0.15,
}
CAMERA_NAME = re.compile(r'[A-Za-z_][A-Za-z0-9_]*')


@dataclass(frozen=True)
class Spec:
    """One parameter. ``when``: at any time, only while unconfigured, or only at the start."""

    name: str
    default: Value
    description: str
    when: When = 'live'
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    any_type: bool = False  # a level called 50 may be written without quotes

    @property
    def range(self) -> str:
        """For the documentation."""
        if self.choices:
            return ', '.join(self.choices)
        return '' if self.low is None else f'{self.low:g} .. {self.high:g}'


def _policy(name: str, description: str, high: float, low: float = 0) -> Spec:
    return Spec(f'policy.{name}', _POLICY[name], description, 'live', low, high)


TABLE = (
    Spec('ladder.path', '', 'Folder of the ladder to fly.', 'unconfigured'),
    Spec(
        'ladder.forced_level', '',
        'Name of the level to run whatever the policy says; empty = the policy chooses.',
        any_type=True,
    ),
    Spec(
        'ladder.resident', 'auto',
        'Levels kept in memory: all; neighbours (the running one, those beside it, the lightest; '
        'others are loaded in the background); auto: all if half of the free memory holds them.',
        'unconfigured', choices=RESIDENT,
    ),
    Spec(
        'ladder.device', '',
        "Whose profiles in the ladder are this machine's; empty = this machine's own name.",
        'unconfigured',
    ),
    Spec(
        'cameras', [''],
        'Names of the cameras that share the engine, each with its own topics: image on '
        '"<name>/image", results on "~/<name>/..."; [\'\'] = one camera on "image" and "~/...".',
        'unconfigured',
    ),
    Spec(
        'input.transport', 'raw',
        'raw: sensor_msgs/Image on "image"; compressed: sensor_msgs/CompressedImage (JPEG, PNG) '
        'on "image/compressed".',
        'unconfigured', choices=('raw', 'compressed'),
    ),
    Spec(
        'input.depth16', 'percentile',
        '16-bit pictures to 8 bits: percentile stretches what lies between the 1st and 99th '
        'percentile of each picture (thermal cameras); high_byte takes value / 256.',
        choices=('percentile', 'high_byte'),
    ),
    Spec(
        'input.max_image_age_ms', 0.0,
        'An image older than this (ROS clock minus its stamp) when its turn comes is dropped and '
        'counted as stale; 0 = off, for cameras whose clock is not ours.',
        low=0, high=60000,
    ),
    Spec(
        'input.timeout_s', 1.0, 'Without an image for so long, diagnostics say so.',
        low=0.05, high=3600,
    ),
    Spec(
        'input.lazy', False,
        'Subscribe to a camera only while somebody subscribes to its results or its overlay.',
    ),
    Spec(
        'engine.name', 'auto',
        'Engine that flies: auto takes TensorRT where every level has a plan (uav-prune build), '
        'else ONNX Runtime.',
        'unconfigured', choices=('auto', 'onnxruntime', 'tensorrt'),
    ),
    Spec(
        'engine.precision', 'fp32',
        'Of the levels: fp32, fp16, int8 (ONNX Runtime), int8_symmetric (TensorRT), or auto: what '
        'was measured fastest on this machine (uav-prune profile).',
        'unconfigured', choices=('fp32', 'fp16', 'int8', 'int8_symmetric', 'auto'),
    ),
    Spec(
        'engine.threads', 0, 'Threads of the inference engine; 0 = its own choice.',
        'unconfigured', 0, 256,
    ),
    Spec(
        'engine.cuda_graph', False,
        'TensorRT records the work of a frame once and launches it as one (fewer calls from the '
        'processor; off where recording fails).',
        'unconfigured',
    ),
    Spec(
        'engine.allow_build', False,
        'Where only plans are missing for TensorRT, configuring starts "uav-prune build" in the '
        'background and does not wait: the log says when to clean up and configure again.',
        'unconfigured',
    ),
    Spec(
        'postprocess.score_threshold', -1.0,
        "Report nothing that scores less; -1 = the ladder's own threshold.", low=-1, high=1,
    ),
    Spec(
        'postprocess.iou_threshold', -1.0,
        'Of two boxes of a class that overlap more, the better one is reported; -1 = the '
        "ladder's own threshold.",
        low=-1, high=1,
    ),
    Spec(
        'postprocess.class_filter', [''],
        "Names of the only classes to report; [''] = all of them.",
    ),
    Spec(
        'postprocess.class_thresholds', [''],
        "Thresholds of single classes, such as ['person=0.2', 'car=0.4'], in place of all others "
        "for these classes; [''] = none.",
    ),
    Spec(
        'postprocess.nms', 'ladder',
        'Which boxes compete: class_aware, only those of one class; agnostic, all; ladder, as the '
        'ladder says.',
        choices=('ladder', 'class_aware', 'agnostic'),
    ),
    Spec(
        'postprocess.max_detections', 0,
        "Report at most so many boxes of an image, the best; 0 = the ladder's own limit.",
        low=0, high=100000,
    ),
    Spec(
        'tiling.width_px', 0,
        'Cut images into overlapping tiles of this width (their height has the shape of the '
        "network's input), for small objects in large images; every tile is a run of the engine, "
        'and the latency of an image is that of all. 0 = off.',
        low=0, high=100000,
    ),
    Spec(
        'tiling.overlap', 0.2, 'Share of a tile that neighbours have in common at least.',
        low=0, high=0.9,
    ),
    Spec(
        'tiling.whole_image', True, 'Look at the whole image as well, for large objects.',
    ),
    Spec(
        'class_id_format', 'index',
        "What class_id holds: the class's index, as a string, or its name.",
        choices=('index', 'name'),
    ),
    Spec(
        'policy.name', 'calibrated',
        'Who chooses the level: calibrated (foresees latency, power, heat and battery of every '
        'level; docs/policy.md), hysteresis (thresholds), static (the heaviest usable level), or '
        'alert and pid, for comparison.',
        'unconfigured', choices=('calibrated', 'hysteresis', 'static', 'alert', 'pid'),
    ),
    _policy('deadline_ms', 'A frame must be processed in this time; 0 = no limit.', 60000),
    _policy(
        'deadline_probability',
        'calibrated: share of the frames that must keep the deadline (hysteresis: 0.95).', 0.999,
    ),
    _policy('power_limit_w', "The board's power must stay under this; 0 = no limit.", 10000),
    _policy(
        'temperature_limit_c',
        "The board's temperature must stay under this; 0 = no limit. calibrated takes the "
        "kernel's own trip point where that is lower.",
        200,
    ),
    _policy('temperature_margin_c', 'Step up only this far under the temperature limit.', 200),
    _policy('battery_low_fraction', 'Below this charge, at most the middle level runs.', 0.99),
    _policy('battery_critical_fraction', 'Below this charge, only the lightest level runs.', 0.99),
    _policy(
        'battery_hysteresis',
        'The charge must rise this far above a threshold before its limit is lifted.', 0.99,
    ),
    _policy(
        'target_endurance_s',
        'calibrated: the battery must last this long from its first reading; 0 = no target.',
        86400,
    ),
    _policy(
        'battery_capacity_wh', 'calibrated: of the full battery; 0 = learn it in flight.', 100000,
    ),
    _policy('battery_reserve_fraction', 'calibrated: charge to land with.', 0.99),
    _policy('dwell_up_s', 'Every condition for a step up must hold this long.', 3600),
    _policy(
        'max_dwell_s',
        'The dwell doubles after each step up that had to be taken back, up to this.', 3600,
    ),
    _policy(
        'alarm_hold_s',
        'calibrated: no step up for so long after an over-current or under-voltage event.', 3600,
    ),
    _policy(
        'max_every',
        'calibrated: may process only every n-th image, n up to this; 1 = all images.', 30, 1,
    ),
    _policy(
        'staleness_s',
        "calibrated: an answer's worth falls to 37 % in this time; weighs leaving out images "
        'against pruning. Small for fast flight.',
        3600, 0.01,
    ),
    _policy(
        'thermal_c_per_w', 'calibrated: degrees per watt of the cooler, roughly.', 100, 0.01,
    ),
    _policy('thermal_time_s', 'calibrated: time constant of the cooler, roughly.', 3600, 0.1),
    _policy(
        'thermal_horizon_s', 'calibrated: how far ahead the temperature limit is kept.', 600, 0.1,
    ),
    _policy(
        'latency_up_fraction',
        'hysteresis: step up only if the heavier level should need no more than this share of '
        'the deadline.',
        1,
    ),
    _policy('min_frames', 'hysteresis: decide nothing on the latency of fewer frames.', 600),
    _policy('power_margin_w', 'hysteresis: step up only this far under the power limit.', 10000),
    _policy(
        'settle_s',
        'hysteresis: after a change, power and temperature get this long to follow before they '
        'may cause a further step down.',
        3600,
    ),
    Spec(
        'telemetry.timeout_s', 3.0,
        'A battery or board reading older than this counts as unknown.', low=0.1, high=3600,
    ),
    Spec(
        'telemetry.sensors', 'auto',
        "auto: this machine's own sensors (docs/telemetry.md) are read ten times a second and "
        'fill in what the topic board_state does not say; none: only the topic counts.',
        'unconfigured', choices=('auto', 'none'),
    ),
    Spec(
        'telemetry.root', '/',
        "Where sys and proc of this machine lie, for containers that see the host's elsewhere.",
        'unconfigured',
    ),
    Spec(
        'telemetry.battery_smoothing_s', 2.0,
        'Time constant of the low-pass on battery readings: bursts of throttle sag the voltage.',
        low=0, high=600,
    ),
    Spec(
        'autostart', False,
        'Configure and activate by itself, once, when the process starts (the launch file sets '
        'it). If configuring fails, it activates when it is configured at last.', 'start',
    ),
    Spec(
        'diagnostics.rate_hz', 1.0, 'How often /diagnostics and ~/stats are published.', 'start',
        0.1, 10,
    ),
)
SPECS = {spec.name: spec for spec in TABLE}
