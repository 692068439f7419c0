# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""``uav-prune``: the commands, and how their failures reach the user."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import signal
import sys
from collections.abc import Sequence

from .grammar import build_parser

# What torch says of a processor's memory, of a GPU's, and ONNX Runtime of its own.
NO_MEMORY = ("can't allocate memory", 'out of memory', 'bad_alloc')
BAD_INPUT, FAILURE, INTERRUPTED = 2, 1, 130

# Where each command lives. Imported only when it is asked for: help must answer at once.
COMMANDS = {
    'init': ('init', 'run_init'),
    'prune': ('prune', 'run_prune'),
    'inspect': ('inspect', 'run_inspect'),
    'report': ('report', 'run_report'),
    'compare': ('report', 'run_compare'),
    'replay': ('replay', 'run_replay'),
    'data': ('data', 'run_data'),
    'doctor': ('doctor', 'run_doctor'),
    'build': ('build', 'run_build'),
    'profile': ('profile', 'run_profile'),
    'telemetry': ('telemetry', 'run_telemetry'),
    'simulate': ('simulate', 'run_simulate'),
}


def console() -> None:
    """The command as it is installed: `main`, and out of the process."""
    code = main()
    if code and 'WORLD_SIZE' in os.environ:
        # torch's threads that still listen to a process that has gone may abort the interpreter's
        # own way out ("terminate called without an active exception"), and 134 hides the code
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)
    sys.exit(code)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the process's exit code."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    # A job in the background is born deaf to SIGINT; asked to stop, it must stop cleanly too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return _run(options)
    except KeyboardInterrupt:
        if not _follower():
            print('uav-prune: stopped; start the same command again to go on', file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()  # the reader has gone (| head): nothing more to say
        return FAILURE
    except Exception as error:
        if options.debug:
            raise
        code, message = explain(error)
        if _follower():  # bad input is bad for all, and that another one has gone it says itself
            if code == BAD_INPUT or type(error).__name__ == 'RankLostError':
                return code
            message = f'process {os.environ["RANK"]}: {message}'
        print(f'uav-prune: error: {message}', file=sys.stderr)
        return code


def explain(error: BaseException) -> tuple[int, str]:
    """Exit code and one line for an error.

    The package raises ValueError for what the user can mend in the input and RuntimeError for
    what failed; a class from elsewhere is a surprise, and says so.
    """
    text = ' '.join(str(error).split()) or type(error).__name__
    ours = type(error).__module__.split('.')[0] == __package__.split('.')[0]
    if ours and isinstance(error, ValueError):
        return BAD_INPUT, text
    if ours:
        return FAILURE, text
    if isinstance(error, OSError):
        place = f'{error.filename}: ' if error.filename else ''
        return FAILURE, f'{place}{error.strerror or text}'
    if isinstance(error, MemoryError) or any(words in text.lower() for words in NO_MEMORY):
        return FAILURE, (
            'out of memory; lower train.batch_size or the size of the input. What was finished '
            'is kept'
        )
    if isinstance(error, ModuleNotFoundError) and error.name:
        return FAILURE, (
            f'this needs the Python package {error.name.split(".")[0]}, which is not here; the '
            "workstation half brings it: pip install 'uav_prune_perception[offline]'"
        )
    kind = type(error).__name__
    return FAILURE, f'unexpected {kind}: {text[:300]} (--debug shows where)'


def _follower() -> bool:
    """Whether torchrun has started this process, and not as the first of its job."""
    return 'WORLD_SIZE' in os.environ and os.environ.get('RANK', '0') != '0'


def _run(options: argparse.Namespace) -> int:
    if 'WORLD_SIZE' in os.environ:  # torch warns of networks that use all of their parameters
        os.environ.setdefault('TORCH_CPP_LOG_LEVEL', 'ERROR')
    module, function = COMMANDS[options.command]
    run = getattr(importlib.import_module(f'.{module}', __package__), function)
    return int(run(options))


if __name__ == '__main__':
    console()
