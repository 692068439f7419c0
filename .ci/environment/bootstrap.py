#!/usr/bin/env python3
# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Make the virtual environment that the demo and the tests run in.

    bootstrap.py VENV [--dev]

Finds a Python 3.10 to 3.12, makes VENV, installs this package with its offline, ros and test
extras (torch's CPU build where the configured index offers one), builds vision_msgs. Run again,
it is done at once unless something that decides the environment has changed; an interrupted run
is mended by the next one. Needs nothing but a Python; runs on any Python 3.8 or newer, so that it
can say what is missing.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from steps import BootstrapError, Steps, clean_environment

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
PYTHONS = ('python3.11', 'python3.12', 'python3.10', 'python3')
SUPPORTED = ((3, 10), (3, 11), (3, 12))
STAMP = 'bootstrap.stamp'
PARTS = 'import cv2, onnxruntime, rclpy, torch, uav_prune_perception, vision_msgs.msg'


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('venv', type=Path)
    parser.add_argument('--dev', action='store_true', help='also the linters')
    arguments = parser.parse_args()
    venv = arguments.venv.expanduser().absolute()
    extras = ['offline', 'ros', 'test', *(['dev'] if arguments.dev else [])]
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also when started in background
    try:
        venv.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(str(venv.parent), os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)  # `make demo` and `make test` may start together
        have = stamped_extras(venv)
        if not have.issuperset(extras):
            bootstrap(venv, sorted(have.union(extras)))
    except BootstrapError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('\ninterrupted; the next run goes on from here', file=sys.stderr)
        return 130
    return 0


def bootstrap(venv: Path, extras: list[str]) -> None:
    """Make or mend the environment, and stamp it when all of it works."""
    python = find_python()
    steps = Steps(prepare_folder(venv), REPOSITORY)
    steps.begin(f'environment {venv}, from {python}')
    install_missing_tools(python, steps)
    for fresh in (not works(venv, 'import pip'), True):
        make_venv(python, venv, steps)
        install(venv, extras, steps)
        if works(venv, PARTS):
            break
        if fresh:
            raise BootstrapError(f'{why_not(venv, PARTS)}\nthe new environment {venv} is broken')
        steps.begin('something in it is broken: making it anew')
        (venv / 'bin/python').unlink()
    (venv / STAMP).write_text(f'{fingerprint(venv)} {",".join(extras)}')
    steps.begin('environment ready')


def prepare_folder(venv: Path) -> Path:
    """The folder without a stamp and with a new, empty log, whose path is returned.

    Raises:
        BootstrapError: there is something else in that place.
    """
    log = venv / 'bootstrap.log'
    if venv.exists() and not (venv / 'pyvenv.cfg').exists() and set(venv.iterdir()) - {log}:
        raise BootstrapError(f'{venv}: exists and is not a virtual environment; name another')
    venv.mkdir(exist_ok=True)
    if (venv / STAMP).exists():
        (venv / STAMP).unlink()
    log.write_text('')
    return log


def make_venv(python: str, venv: Path, steps: Steps) -> None:
    """An environment with pip in it, new unless the one there works."""
    if works(venv, 'import pip') and version_of(str(venv / 'bin/python')) in SUPPORTED:
        return
    for path in set(venv.iterdir()) - {steps.log}:
        shutil.rmtree(str(path)) if path.is_dir() and not path.is_symlink() else path.unlink()
    steps.run([python, '-m', 'venv', str(venv)], 'making the environment')


def install(venv: Path, extras: list[str], steps: Steps) -> None:
    """The package with its extras, and vision_msgs."""
    pip = [str(venv / 'bin/python'), '-m', 'pip', '--no-input', '--disable-pip-version-check']
    torch = cpu_torch(pip)
    which = torch or 'no CPU build of torch on this index: the plain one'
    steps.begin(f'installing packages ({which}), log {steps.log}')
    wanted = [*([torch] if torch else []), '-e', f'{REPOSITORY}[{",".join(extras)}]']
    command = [*pip, 'install', '--progress-bar', 'off', *wanted]
    steps.run(command, 'installing packages')
    steps.begin('building vision_msgs')
    messages = REPOSITORY / 'uav_prune_perception' / 'replay' / 'vision_msgs'
    interfaces = [str(HERE / 'build_interfaces.py'), 'vision_msgs', str(messages)]
    command = [str(venv / 'bin/python'), *interfaces, '--version', '4.1.1']
    steps.run(command, 'building vision_msgs')


def cpu_torch(pip: list[str]) -> str:
    """``torch==X+cpu``, the newest that the configured index offers; '' if it offers none."""
    answer = subprocess.run(
        [*pip, 'index', 'versions', 'torch'], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        env=clean_environment(), check=False,
    )
    # pip lists the newest first
    found = re.search(r'\b(\d+(?:\.\d+)+\+cpu)\b', answer.stdout.decode(errors='replace'))
    return f'torch=={found.group(1)}' if found else ''


def find_python() -> str:
    """The path of a supported Python.

    Raises:
        BootstrapError: there is none.
    """
    seen = []
    for name in (*PYTHONS, sys.executable):
        path = shutil.which(name)
        version = version_of(path) if path else None
        if path and version in SUPPORTED:
            return path
        if version is not None:
            seen.append(f'{name} is {version[0]}.{version[1]}')
    raise BootstrapError(
        f'Python 3.10, 3.11 or 3.12 is needed ({"; ".join(seen) or "there is no Python"}): '
        'install one, e.g. "sudo apt-get install python3.12 python3.12-venv python3.12-dev"'
    )


def version_of(python: str) -> tuple[int, ...] | None:
    """(major, minor), or None if it does not run (a pyenv shim without its Python)."""
    text = _output([python, '-c', 'import sys; print(*sys.version_info[:2])'])
    return tuple(int(part) for part in text.split()) if text else None


def install_missing_tools(python: str, steps: Steps) -> None:
    """The venv module, Python's headers and g++, from apt when they are missing.

    Raises:
        BootstrapError: they are missing and we may not install them.
    """
    name = 'python{}.{}'.format(*(version_of(python) or (3, '')))
    headers = 'import os, sysconfig; os.stat(sysconfig.get_path("include") + "/Python.h")'
    missing = []
    if not _runs([python, '-c', 'import venv, ensurepip']):
        missing.append(f'{name}-venv')
    if not _runs([python, '-c', headers]):
        missing.append(f'{name}-dev')
    if shutil.which('g++') is None:
        missing.append('g++')
    if not missing:
        return
    packages = ' '.join(missing)
    sudo = [] if os.geteuid() == 0 else ['sudo', '-n']
    if shutil.which('apt-get') is None or (sudo and not _runs([*sudo, 'true'])):
        raise BootstrapError(f'missing: {packages}. Type: sudo apt-get install -y {packages}')
    steps.begin(f'installing {packages} with apt-get')
    steps.run([*sudo, 'apt-get', 'update'], 'apt-get update')
    environment = ['env', 'DEBIAN_FRONTEND=noninteractive']
    command = [*sudo, *environment, 'apt-get', 'install', '-y', '--no-install-recommends']
    steps.run([*command, *missing], f'apt-get install {packages}')


def stamped_extras(venv: Path) -> set[str]:
    """What a complete environment was made with; empty where it is not complete or outdated."""
    stamp = venv / STAMP
    words = stamp.read_text().split() if stamp.is_file() else []
    if words[:1] != [fingerprint(venv)] or not works(venv, 'import uav_prune_perception'):
        return set()
    return set(words[-1].split(','))


def fingerprint(venv: Path) -> str:
    """A hash over everything that decides what is in the environment."""
    value = hashlib.sha256(f'{venv}\0{REPOSITORY}'.encode())
    files = [REPOSITORY / 'setup.py', *HERE.rglob('*')]
    for path in sorted(f for f in files if f.is_file() and '__pycache__' not in f.parts):
        value.update(f'\0{path.name}\0'.encode() + path.read_bytes())
    return value.hexdigest()


def works(venv: Path, code: str) -> bool:
    """Whether the environment's Python runs ``code``."""
    return _runs([str(venv / 'bin/python'), '-c', code])


def why_not(venv: Path, code: str) -> str:
    """What the environment's Python says when it fails to run ``code``."""
    command = [str(venv / 'bin/python'), '-c', code]
    answer = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=clean_environment(),
        check=False,
    )
    return answer.stdout.decode(errors='replace').strip()[-500:]


def _runs(command: list[str]) -> bool:
    try:
        return subprocess.run(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL, env=clean_environment(), check=False,
        ).returncode == 0
    except OSError:
        return False


def _output(command: list[str]) -> str:
    try:
        return subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env=clean_environment(), check=True,
        ).stdout.decode().strip()
    except (OSError, subprocess.CalledProcessError):
        return ''


if __name__ == '__main__':
    sys.exit(main())
