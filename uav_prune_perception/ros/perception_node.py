# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The lifecycle node: transitions, parameters, timers. The work itself is in `flight`."""

from __future__ import annotations

import threading

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from std_srvs.srv import SetBool

from ..onboard.engines.selection import EngineFactory
from ..onboard.telemetry.machine import device_name
from . import parameters
from .diagnostics import Reporter
from .flight import Flight, check, policy_of
from .guarded import guarded
from .logging_bridge import log_through, stop_logging
from .parameter_table import SPECS
from .process import keep_image_memory, return_spare_memory, run, use_one_thread_for_pictures
from .transitions import answer_every_request, transition

FAREWELL_S = 0.5  # the answer to a shutdown request must reach its sender
SUCCESS = TransitionCallbackReturn.SUCCESS


class PerceptionNode(LifecycleNode):
    """Flies a ladder over a camera topic.

    configure opens the ladder, loads and warms every level; activate subscribes and starts;
    deactivate stops; cleanup frees everything; shutdown, from any state, ends the process. The
    node never goes anywhere by itself, but for two things: with no usable level left it
    deactivates, and with ``autostart`` it configures and activates when the process starts. Who
    does that from outside, by a service, asks the ghost of a killed process for up to 20 s.
    """

    def __init__(
        self, stop: threading.Event, engine_factory: EngineFactory | None = None
    ) -> None:
        """Declare parameters and report from now on.

        Args:
            stop: set by the node to end the process.
            engine_factory: makes the engine of a level; default ONNX Runtime.

        Raises:
            rclpy.exceptions.ParameterException: a given parameter is wrong.
            ValueError: likewise.
        """
        super().__init__('perception')
        answer_every_request(self)
        self._stop = stop
        self._engine_factory = engine_factory
        self._flight: Flight | None = None
        self._settings = parameters.declare(self)
        policy_of(self._settings)
        self._dirty = False
        self._state = 'unconfigured'
        self._log_handler = log_through(self.get_logger())
        name = self.get_fully_qualified_name().lstrip('/')
        self._reporter = Reporter(name, device_name())
        # A plain publisher: an inactive node reports, too.
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        # Steady clocks: simulated time that stands still must not stop control or reports.
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        period = 1.0 / self._settings.number('diagnostics.rate_hz')
        self.create_timer(period, guarded(self._report, self.get_logger()), clock=self._steady)
        self._attention = self.create_guard_condition(guarded(self._attend, self.get_logger()))
        if hasattr(self, 'add_pre_set_parameters_callback'):  # not on Humble
            self.add_pre_set_parameters_callback(parameters.as_declared)
        self.add_on_set_parameters_callback(self._check_parameters)
        self.create_service(SetBool, '~/set_auto', self._set_auto)
        self._to_start = ['configure', 'activate'] if self._settings.flag('autostart') else []
        self._attention.trigger()

    def close(self) -> None:
        """Free everything; the process is about to end."""
        self._drop_flight()
        stop_logging(self._log_handler)

    @transition
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Open the ladder, load and warm up every level."""
        flight = None
        try:
            flight = Flight(
                self, self._settings, self._reporter, self._attention.trigger,
                self._engine_factory,
            )
            flight.load(self._on_progress)
        except BaseException:
            if flight is not None:
                flight.close()
            raise
        self._flight = flight
        return_spare_memory()
        self._enter('inactive')
        self._attention.trigger()
        return super().on_configure(state)

    @transition
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe to the camera and start the worker."""
        flight = self._need_flight()
        self._apply_parameters()
        if not flight.pipeline.health.ok:
            raise ValueError('no usable level is left: clean up and configure again')
        result = super().on_activate(state)  # opens the publishers
        if result == SUCCESS:
            flight.activate()
            self._enter('active')
        return result

    @transition
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop the worker and drop the camera."""
        self._need_flight().deactivate()
        self._enter('inactive')
        return super().on_deactivate(state)

    @transition
    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free the engines and the topics."""
        self._drop_flight()
        self._enter('unconfigured')
        return super().on_cleanup(state)

    @transition
    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free everything and end the process, with exit code 0."""
        self._drop_flight()
        self._enter('finalized')
        farewell = threading.Timer(FAREWELL_S, self._stop.set)
        farewell.daemon = True
        farewell.start()
        return super().on_shutdown(state)

    @transition
    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """After a broken invariant: free everything, be unconfigured."""
        self._drop_flight()
        self._enter('unconfigured')
        return super().on_error(state)

    def _enter(self, state: str) -> None:
        self._state = state
        self.get_logger().info(state)

    def _need_flight(self) -> Flight:
        assert self._flight is not None, 'configured without a flight'
        return self._flight

    def _drop_flight(self) -> None:
        flight, self._flight = self._flight, None
        if flight is not None:
            flight.close()
            return_spare_memory()

    def _on_progress(self, done: int, total: int, what: str) -> None:
        if self._stop.is_set():
            raise InterruptedError('the process is asked to end')
        self.get_logger().info(f'{done} of {total}: {what}')

    def _check_parameters(self, changes: list[Parameter]) -> SetParametersResult:
        """Accept or refuse a change; what is accepted is applied right after this call."""
        try:
            settings = self._settings.changed(changes)
            if self._flight is not None:
                for change in changes:
                    spec = SPECS.get(change.name)
                    if (
                        spec is not None and spec.when == 'unconfigured'
                        and settings.values[change.name] != self._settings.values[change.name]
                    ):
                        raise ValueError(f'{spec.name} can change only while unconfigured')
                check(settings, self._flight.ladder, self._flight.pipeline.health.failed)
            else:
                policy_of(settings)
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        self._settings, self._dirty = settings, True
        self._attention.trigger()
        return SetParametersResult(successful=True)

    def _apply_parameters(self) -> None:
        if not self._dirty or self._flight is None:
            return
        self._dirty = False
        try:
            self._flight.change(self._settings)
        except ValueError as error:
            self.get_logger().error(f'parameters not applied: {error}')

    def _set_auto(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        """True: the policy chooses the level; False: the level that runs now stays."""
        level = self._flight.pipeline.level.name if self._flight is not None else ''
        if not request.data and not level:
            response.success = False
            response.message = f'{self._state}: no level runs that could be kept'
            return response
        result = self._force('' if request.data else level)
        self._apply_parameters()
        response.success, response.message = result.successful, result.reason
        if result.successful:
            response.message = 'the policy decides' if request.data else f'level {level} is kept'
        return response

    def _force(self, level: str) -> SetParametersResult:
        """Set ``ladder.forced_level``, which always says what is so."""
        value = Parameter('ladder.forced_level', Parameter.Type.STRING, level)
        return self.set_parameters_atomically([value])

    def _start_up(self) -> None:
        """The next step of ``autostart``; each is tried once."""
        if self._to_start[:1] == ['configure'] and self._state == 'unconfigured':
            self._to_start.pop(0)
            self.trigger_configure()
        if self._to_start == ['activate'] and self._state == 'inactive':
            self._to_start.clear()
            self.trigger_activate()

    def _attend(self) -> None:
        """Do what a parameter, a subscriber or the flight itself asks for."""
        self._start_up()
        self._apply_parameters()
        if self._state != 'active' or self._flight is None:
            return
        if self._flight.released:
            self._force('')
        self._flight.attend()
        if not self._flight.pipeline.health.ok:
            self.get_logger().error('no usable level is left: going inactive')
            self.trigger_deactivate()

    def _report(self) -> None:
        view = None
        if self._flight is not None:
            view = self._flight.view()
            self._flight.say_stats(view)
        message = DiagnosticArray(status=self._reporter.components(self._state, view))
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)


def main(args: list[str] | None = None) -> int:
    """Run the node until it is told to end; the exit code."""
    keep_image_memory()
    use_one_thread_for_pictures()
    return run(PerceptionNode, args)
