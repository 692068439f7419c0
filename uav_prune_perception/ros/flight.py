# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Everything that exists while the node is configured: ladder, pipeline, topics."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rclpy.lifecycle import LifecycleNode

from ..ladder import Ladder, open_ladder
from ..onboard.decode import Decoder
from ..onboard.engines.selection import EngineFactory
from ..onboard.options import PipelineOptions
from ..onboard.pipeline import Pipeline
from ..onboard.policy import POLICIES, Policy
from ..onboard.state import LevelState
from ..onboard.telemetry import Telemetry
from ..onboard.telemetry.sampler import BoardSampler
from .board_diagnostics import BoardView, Heard
from .control_loop import ControlLoop
from .diagnostics import FlightView, Reporter
from .guarded import guarded
from .inputs import Inputs
from .level_status import level_status
from .outputs import Outputs
from .parameters import Settings

CONTROL_HZ = 10.0
LIMITS = (
    'power_limit_w', 'temperature_limit_c', 'battery_low_fraction', 'battery_critical_fraction',
)

Progress = Any  # called as (done, total, what)


class Flight:
    """One ladder, flown by one node.

    The order of life: made, load, (activate, deactivate)*, close. Results and level changes come
    from the pipeline's threads, the policy is asked in one of its own; every method is called in
    the executor's.
    """

    def __init__(
        self,
        node: LifecycleNode,
        settings: Settings,
        reporter: Reporter,
        on_attention: Callable[[], None],
        engine_factory: EngineFactory | None = None,
    ) -> None:
        """Open the ladder and advertise the topics; nothing is loaded yet.

        Args:
            node: the node.
            settings: its parameters.
            reporter: its diagnostics.
            on_attention: called from any thread when `attend` has something to do.
            engine_factory: makes the engine of a level; default ONNX Runtime.

        Raises:
            LadderError: the ladder is missing, or no level of it is sound.
            ValueError: a parameter does not fit the ladder.
        """
        self._node, self._reporter = node, reporter
        self._settings = settings
        damaged: dict[str, str] = {}
        self.ladder = _open(settings, damaged)
        check(settings, self.ladder)
        self._policy: Any = policy_of(settings)
        self.pipeline = Pipeline(
            self.ladder,
            policy=self._policy,
            options=options_of(settings),
            on_result=self._on_result,
            on_level=self._on_level,
            now=self._now_s,
            telemetry=Telemetry(
                settings.number('telemetry.timeout_s'),
                settings.number('telemetry.battery_smoothing_s'),
            ),
            engine_factory=engine_factory,
            cameras=settings.cameras,
            damaged=damaged,
        )
        self._sampler = _sampler(settings, self.pipeline.telemetry)
        self.pipeline.force_level(settings.text('ladder.forced_level') or None)
        self._on_attention = on_attention
        self._control: ControlLoop | None = None
        self._outputs = Outputs(node, self.ladder, settings, on_attention)
        self._inputs = Inputs(node, self.pipeline, settings)
        self._counted = (time.monotonic(), 0)
        self._heard = Heard()

    def load(self, progress: Progress) -> None:
        """Load and warm up every level; ``progress`` may raise to give up.

        Raises:
            NoUsableLevel: none works.
            UnknownLevel: the forced level is not in the ladder.
        """
        if self._sampler is not None:
            self._sampler.start()  # an inactive node knows its board, too
        self.pipeline.load(progress)

    def activate(self) -> None:
        """Take images, and say which classes and which level there are."""
        self.pipeline.start()
        self._outputs.change(self._settings)
        self._on_level(self.pipeline.level)
        for camera in self._inputs.cameras:
            camera.listen(self._wanted(camera.name))
        tick = guarded(self._tick, self._node.get_logger())
        self._control = ControlLoop(1.0 / CONTROL_HZ, tick)
        self._control.start()

    def deactivate(self) -> None:
        """Take no images any more, and finish the one in work."""
        self._stop_control()
        self._inputs.ignore()
        self.pipeline.stop()

    def close(self) -> None:
        """Free everything; may be called twice, and on a half-made flight."""
        self._stop_control()
        self._inputs.close()
        if self._sampler is not None:
            self._sampler.stop()
        self.pipeline.close()
        self._outputs.close()

    def change(self, settings: Settings) -> None:
        """Follow changed live parameters, which have passed `check`.

        Raises:
            UnknownLevel: the forced level broke in the meantime.
        """
        old, self._settings = self._settings, settings
        self._inputs.change(settings)
        self.pipeline.telemetry.timeout_s = settings.number('telemetry.timeout_s')
        self.pipeline.telemetry.smooth_battery(
            settings.number('telemetry.battery_smoothing_s'))
        self.pipeline.configure(options_of(settings))
        if settings.group('policy') != old.group('policy'):
            self._policy.options = policy_options(settings)  # what was learnt stays
        self._outputs.change(settings)
        level = 'ladder.forced_level'
        if settings.text(level) != old.text(level):
            self.pipeline.force_level(settings.text(level) or None)

    def attend(self) -> None:
        """Subscribe to the cameras whose images somebody wants, and to no other."""
        for camera in self._inputs.cameras:
            camera.listen(self._control is not None and self._wanted(camera.name))

    @property
    def released(self) -> bool:
        """A level is to be forced but is not: it broke, and the policy took over."""
        forced = self._settings.text('ladder.forced_level')
        return bool(forced) and not self.pipeline.level.forced

    def view(self) -> FlightView:
        """Everything diagnostics want to know."""
        now = time.monotonic()
        statistics = self.pipeline.statistics()
        telemetry = self.pipeline.telemetry
        battery, board = telemetry.battery(now), telemetry.board(now)
        limits = {name: self._settings.number(f'policy.{name}') for name in LIMITS}
        return FlightView(
            statistics, self.pipeline.health, self.pipeline.level,
            BoardView(battery, board, now, self._heard.silent(battery, board), **limits),
            self._inputs.view(statistics),
        )

    def say_stats(self, view: FlightView) -> None:
        """Publish ``~/stats``."""
        now, processed = time.monotonic(), view.statistics.processed
        then, before = self._counted
        self._counted = (now, processed)
        rate = (processed - before) / (now - then) if now > then else math.nan
        self._outputs.say_stats(self._reporter.stats(view.statistics, rate))
        for name, output in self._outputs.cameras.items():
            if name:
                camera = view.statistics.cameras[name]
                output.say_stats(self._reporter.camera_stats(name, camera))

    def _tick(self) -> None:
        """Ten times a second while active, in the control thread."""
        self.pipeline.control()
        surprise = any(c.listening != self._wanted(c.name) for c in self._inputs.cameras)
        if surprise or self.released or not self.pipeline.health.ok:
            self._on_attention()

    def _stop_control(self) -> None:
        if self._control is not None:
            self._control.stop()
            self._control = None

    def _wanted(self, camera: str) -> bool:
        return not self._settings.flag('input.lazy') or self._outputs.cameras[camera].wanted

    def _on_result(self, result: Any) -> None:
        self._outputs.publish(result)

    def _on_level(self, state: LevelState) -> None:
        since_s = self._now_s() - (time.monotonic() - state.since_s)
        latency = self.pipeline.statistics().stages_ms['total'].p95
        message = level_status(
            state, self.ladder, since_s=since_s, latency_p95_ms=latency,
            hardware=self._reporter.hardware,
        )
        self._outputs.say_level(message)

    def _now_s(self) -> float:
        return self._node.get_clock().now().nanoseconds * 1e-9


def check(settings: Settings, ladder: Ladder, failed: dict[str, str] | None = None) -> None:
    """Whether the parameters fit each other and the ladder.

    Args:
        settings: to check.
        ladder: what is flown.
        failed: levels that are out of use, with reasons.

    Raises:
        ValueError: names the parameter and what is wrong with it.
    """
    level = settings.text('ladder.forced_level')
    if level:
        try:
            ladder.level(level)
        except ValueError as error:
            raise ValueError(f'ladder.forced_level: {error}') from None
        reason = (failed or {}).get(level)
        if reason is not None:
            raise ValueError(f'ladder.forced_level: {level} is out of use: {reason}')
    named = {'class_filter': settings.class_filter, 'class_thresholds': settings.class_thresholds}
    for parameter, names in named.items():
        unknown = [name for name in names if name not in ladder.classes]
        if unknown:
            raise ValueError(
                f'postprocess.{parameter}: the ladder has no class {", ".join(unknown)}; it has '
                f'{", ".join(ladder.classes)}'
            )
    Decoder(ladder, options_of(settings))
    policy_of(settings)


def options_of(settings: Settings) -> PipelineOptions:
    """The pipeline's options."""
    return PipelineOptions(
        max_image_age_s=settings.number('input.max_image_age_ms') / 1e3,
        score_threshold=settings.threshold('postprocess.score_threshold'),
        iou_threshold=settings.threshold('postprocess.iou_threshold'),
        class_thresholds=settings.class_thresholds,
        class_aware_nms={'class_aware': True, 'agnostic': False}.get(
            settings.text('postprocess.nms')),
        max_detections=int(settings.number('postprocess.max_detections')) or None,
        class_filter=settings.class_filter,
        tiling=settings.tiling,
        threads=int(settings.number('engine.threads')),
        engine=settings.text('engine.name'),
        precision=settings.text('engine.precision'),
        resident=settings.text('ladder.resident'),
        device=settings.text('ladder.device'),
        cuda_graph=settings.flag('engine.cuda_graph'),
        allow_build=settings.flag('engine.allow_build'),
    )


def policy_of(settings: Settings) -> Policy:
    """A new policy.

    Raises:
        ValueError: a value that the policy does not accept.
    """
    name = settings.text('policy.name')
    policy: Policy = POLICIES[name][0](policy_options(settings))
    return policy


def policy_options(settings: Settings) -> Any:
    """The policy's options; parameters that it has no use for are left out. Raises ValueError."""
    kind = POLICIES[settings.text('policy.name')][1]
    known = {item.name for item in dataclasses.fields(kind)}
    group = settings.group('policy')
    return kind(**{key: value for key, value in group.items() if key in known})


def _sampler(settings: Settings, telemetry: Telemetry) -> BoardSampler | None:
    if settings.text('telemetry.sensors') == 'none':
        return None
    return BoardSampler(telemetry, Path(settings.text('telemetry.root') or '/'))


def _open(settings: Settings, damaged: dict[str, str]) -> Ladder:
    path = settings.text('ladder.path')
    if not path:
        raise ValueError('ladder.path is empty: set it to the folder of a ladder')
    return open_ladder(path, damaged=damaged)
