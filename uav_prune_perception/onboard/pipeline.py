# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Frames in, results out: mailbox, worker thread, accounting."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from ..ladder import Ladder
from .decode import Decoder
from .engines.base import EngineError
from .engines.selection import EngineFactory, choose_engines
from .fault_log import FaultLog
from .frame import Frame
from .frame_processor import FrameProcessor
from .level_bank import LevelBank, NotResident, Progress
from .level_control import LevelControl, UnknownLevel
from .level_profiles import profiled_costs
from .mailbox import Mailbox, MailboxClosed
from .options import PipelineOptions
from .policy.base import Policy
from .results import Result
from .state import Health, LevelState
from .statistics import Statistics, StatisticsSnapshot
from .telemetry.machine import device_name
from .telemetry.snapshot import Telemetry
from .work_watch import HANG_S, WorkWatch

__all__ = ['Pipeline', 'UnknownLevel']

LOOK_S, MOST_LOOKS = 0.1, 200  # at a worker that is to end

log = logging.getLogger(__name__)


class Pipeline:
    """One ladder flown: frames in, results out, the level chosen by a policy.

    All methods may be called from any thread. Order: load, start, (submit | control |
    configure | force_level)*, stop, close. After stop, start works again; counters go on.
    """

    def __init__(
        self,
        ladder: Ladder,
        *,
        policy: Policy,
        options: PipelineOptions | None = None,
        on_result: Callable[[Result], None],
        on_level: Callable[[LevelState], None] | None = None,
        now: Callable[[], float] = time.time,
        engine_factory: EngineFactory | None = None,
        telemetry: Telemetry | None = None,
        cameras: Sequence[str] = ('',),
        damaged: Mapping[str, str] | None = None,
    ) -> None:
        """Nothing is loaded yet.

        Args:
            ladder: an opened ladder.
            policy: chooses the level at every `control`.
            options: live settings.
            on_result: called in the worker thread for every processed frame. An exception in it
                is logged and counted, and goes no further.
            on_level: called after every change of level (and once at load, code 'initial'), in
                the thread that made it; exceptions likewise.
            now: the clock of `Frame.stamp_s`, for the image age only.
            engine_factory: makes the engine of a level; default as the options say.
            telemetry: default a new one.
            cameras: names of the cameras that share the engine, see `Frame.camera`. Each has a
                place of its own in the mailbox and is accounted for separately.
            damaged: levels that must not be loaded, name to reason (`open_ladder` finds them).

        Raises:
            ValueError: an option names an unknown class.
        """
        self.ladder = ladder
        self.telemetry = telemetry or Telemetry()
        options = options or PipelineOptions()
        # Options and the decoder made from them change together, as one reference.
        self._settings = (options, Decoder(ladder, options))
        self._on_result = on_result
        self._on_level = on_level
        self._now = now
        self._engine_factory = engine_factory
        self._damaged = damaged
        self._statistics = Statistics((level.name for level in ladder.levels), cameras=cameras)
        self._levels = LevelControl(
            ladder, policy, self.telemetry, self._statistics, self._announce,
            profiled=profiled_costs(
                ladder, options.device or device_name(), options.precision
            ),
        )
        self._bank: LevelBank | None = None
        self._life = threading.RLock()  # load, start, stop, close: one at a time
        self._mailbox: Mailbox[Frame] | None = None
        self._worker: threading.Thread | None = None
        self._watch = WorkWatch()  # of the worker
        self._failures: dict[int, str] = {}
        self._last_error = ''
        self._faults = FaultLog()

    def load(self, progress: Progress | None = None) -> None:
        """Load and warm up every level; the heaviest usable one becomes the running one.

        Raises:
            NoUsableLevel: none works; the message has every level's reason.
        """
        with self._life:
            self.close()
            options = self.options
            factory = self._engine_factory or choose_engines(
                self.ladder, engine=options.engine, precision=options.precision,
                threads=options.threads, cuda_graph=options.cuda_graph,
                allow_build=options.allow_build,
            )
            bank = LevelBank(self.ladder, factory, options.resident, damaged=self._damaged)
            self._failures = bank.failures
            bank.load(progress)
            self._bank = bank
            self._levels.begin(bank)

    def start(self) -> None:
        """Start the worker. Raises RuntimeError before `load`; harmless when running."""
        with self._life:
            if self._bank is None:
                raise RuntimeError('the pipeline is not loaded')
            if self._worker is not None:
                return
            statistics = self._statistics
            mailbox = Mailbox[Frame](on_put=statistics.put, on_take=statistics.taken)
            statistics.running(True)
            self._employ(mailbox, self._bank)
            self._mailbox = mailbox

    def submit(self, frame: Frame) -> bool:
        """Hand over a frame; never waits. False (and not counted) when not running.

        A policy may leave out frames (`Decision.every`): those count as skipped.
        """
        mailbox = self._mailbox
        if mailbox is None:
            return False
        if not self._levels.flow.admit(time.monotonic(), frame.camera):
            self._statistics.skip(frame.camera)
            return True
        try:
            mailbox.put(frame, frame.camera)
        except MailboxClosed:
            return False
        return True

    def reject(self, reason: str, camera: str = '') -> None:
        """Account for garbage input: received + 1, failed + 1; the reason is remembered."""
        self._statistics.rejected(reason, camera)
        self._note(reason)

    def stop(self) -> None:
        """Finish the frame in work and stop the worker; waiting frames count as stale."""
        with self._life:
            mailbox, worker = self._mailbox, self._worker
            if mailbox is None or worker is None:
                return
            self._mailbox = None
            for frame in mailbox.close():
                self._statistics.stale(frame.camera)
            if worker is not threading.current_thread():
                for _ in range(MOST_LOOKS):
                    worker.join(LOOK_S)
                    if not worker.is_alive() or self._watch.hangs():
                        break
                if not self._dismiss() and worker.is_alive():
                    self._note('the worker does not end: left behind')
            self._worker = None
            self._statistics.running(False)

    def close(self) -> None:
        """Stop and free the engines; may be called twice. `load` works again afterwards."""
        with self._life:
            self.stop()
            self._levels.end()
            bank, self._bank = self._bank, None
            if bank is not None:
                bank.close()

    def force_level(self, name: str | None) -> None:
        """Run this level until released with None; may be called before `load`.

        Raises:
            UnknownLevel: the ladder has no such level, or it is broken.
        """
        self._levels.force(name)

    def configure(self, options: PipelineOptions) -> None:
        """Change settings between two frames.

        Raises:
            ValueError: an unknown class in ``class_filter``; nothing is changed.
        """
        self._settings = (options, Decoder(self.ladder, options))

    def control(self) -> LevelState:
        """One tick of the policy (about 10 Hz from a steady timer); the state afterwards.

        A worker whose engine hangs is left behind: its frame has failed, its level is out of use,
        and another worker goes on.
        """
        if self._watch.hangs() and self._life.acquire(blocking=False):  # else it is being stopped
            try:
                if self._mailbox is not None and self._bank is not None and self._dismiss():
                    self._employ(self._mailbox, self._bank)
            finally:
                self._life.release()
        return self._levels.tick()

    def statistics(self) -> StatisticsSnapshot:
        """Counters and rolling times of this moment."""
        return self._statistics.snapshot()

    @property
    def level(self) -> LevelState:
        """The running level. Before `load`: index -1, name ''."""
        return self._levels.state

    @property
    def options(self) -> PipelineOptions:
        """The settings in force."""
        return self._settings[0]

    @property
    def health(self) -> Health:
        """Usable levels, failed levels with reasons, last error."""
        bank = self._bank
        names = [level.name for level in self.ladder.levels]
        usable = tuple(names[index] for index in bank.usable) if bank else ()
        failed = {names[index]: reason for index, reason in dict(self._failures).items()}
        errors = [error for error in (self._levels.last_error, self._last_error) if error]
        away = tuple(names[index] for index in bank.loadable) if bank else ()
        return Health(
            bank is not None and bank.alive, self._mailbox is not None, usable, failed,
            ' / '.join(errors), away,
        )

    def _employ(self, mailbox: Mailbox[Frame], bank: LevelBank) -> None:
        """Start a worker, with a watch of its own."""
        self._watch = WorkWatch()
        self._worker = threading.Thread(
            target=self._work, args=(mailbox, bank, self._watch), name='pipeline', daemon=True
        )
        self._worker.start()

    def _dismiss(self) -> bool:
        """Leave a worker behind that hangs in its engine; whether there was one."""
        frame, level = self._watch.dismiss(), self._watch.level
        if frame is None:
            return False
        reason = f'the engine has not answered for {HANG_S:.0f} s'
        self._statistics.failed(reason, frame.camera)
        self._levels.engine_failed(level, reason, hangs=True)
        return True

    def _work(self, mailbox: Mailbox[Frame], bank: LevelBank, watch: WorkWatch) -> None:
        """The worker thread: until the mailbox is closed, or nobody waits for it any more."""
        process = FrameProcessor(bank, watch.answered)
        while not watch.dismissed and (frame := mailbox.get()) is not None:
            try:
                self._handle(frame, bank, process, watch)
            except _DismissedError:
                return
            except Exception as error:  # nothing that a frame does may end the worker
                log.debug('frame failed', exc_info=True)
                known = isinstance(error, ValueError)  # says in words what is no picture
                reason = str(error) if known else f'{type(error).__name__}: {error}'
                self._statistics.failed(reason, frame.camera)
                self._note(f'frame failed: {reason}')
            period = self.options.control_period_s
            if period and time.monotonic() - self._levels.ticked_s >= period:
                self._levels.tick()

    def _handle(
        self, frame: Frame, bank: LevelBank, process: FrameProcessor, watch: WorkWatch
    ) -> None:
        """Process one taken frame and account for it exactly once."""
        taken_s = time.monotonic()
        options, decoder = self._settings
        age_s = self._now() - frame.stamp_s
        # False for nan (no stamp) and for negative ages (the source's clock jumped back).
        if options.max_image_age_s and age_s > options.max_image_age_s:
            self._statistics.stale(frame.camera)
            return
        if not bank.usable:
            self._statistics.failed(self._levels.last_error, frame.camera)
            return
        level = self._levels.state
        watch.begin(frame, level.index)
        try:
            try:
                result = process(frame, level.index, decoder, taken_s, options.tiling)
            except NotResident:  # dropped in this very moment: another one runs already
                level = self._levels.state
                watch.begin(frame, level.index)
                result = process(frame, level.index, decoder, taken_s, options.tiling)
            finally:
                if not watch.finished():
                    raise _DismissedError
        except EngineError as error:
            self._statistics.failed(str(error), frame.camera)
            self._levels.engine_failed(level.index, str(error))
            return
        self._levels.frame_done(level, result, self._now() - frame.stamp_s)
        try:
            self._on_result(result)
        except Exception as error:
            self._callback_failed('on_result', error)

    def _announce(self, state: LevelState) -> None:
        if self._on_level is None:
            return
        try:
            self._on_level(state)
        except Exception as error:
            self._callback_failed('on_level', error)

    def _callback_failed(self, name: str, error: Exception) -> None:
        self._statistics.callback_failed()
        text = f'{name} raised {type(error).__name__}: {error}'
        self._last_error = text
        if line := self._faults.line(text):
            log.error(line, exc_info=error)

    def _note(self, reason: str) -> None:
        """Remember a fault, and log it if it is news."""
        self._last_error = reason
        if line := self._faults.line(reason):
            log.warning(line)


class _DismissedError(Exception):
    """The frame has been accounted for; the worker that comes back with it is to end."""
