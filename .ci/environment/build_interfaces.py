#!/usr/bin/env python3
# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Build a ROS 2 message package for Python, with the rosidl generators and gcc alone.

    build_interfaces.py PACKAGE FOLDER [--prefix PREFIX] [--version VERSION] [-j JOBS]

FOLDER holds ``msg/*.msg``. The running Python must have the ROS 2 wheels; into its environment
(or PREFIX) go one extension module (C structs, type hashes, type supports, Python
conversion), the Python classes, the definitions and the ament index entries. No cmake, no ament.
A ROS 2 machine has the package from apt and needs none of this.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

# Fast DDS serialises through the first; rmw also asks for the second, and complains without it.
TYPESUPPORTS = ('rosidl_typesupport_fastrtps_c', 'rosidl_typesupport_introspection_c')
EXTENSION = f'_s__rosidl_typesupport_c{sysconfig.get_config_var("EXT_SUFFIX")}'
RUNTIME_LIBRARIES = (
    *TYPESUPPORTS, 'rosidl_typesupport_c', 'rosidl_typesupport_fastrtps_cpp', 'fastcdr',
    'rosidl_runtime_c', 'rcutils', 'rmw',
)
PACKAGE_LIBRARIES = (
    'rosidl_generator_c', 'rosidl_generator_py', 'rosidl_typesupport_c', *TYPESUPPORTS,
)


@dataclass(frozen=True)
class Build:
    """One package on its way: names, folders, and what is known after the IDL step.

    ``ros`` is the environment that holds the ROS 2 wheels, ``work`` a scratch folder, ``out`` the
    generated sources in it. ``idl`` are paths relative to ``out``, ``dependencies`` the packages
    whose types are used, directly or through another package.
    """

    package: str
    source: Path
    ros: Path
    work: Path
    messages: tuple[Path, ...]
    idl: tuple[Path, ...]
    dependencies: tuple[str, ...]

    @property
    def out(self) -> Path:
        """Where the generators write."""
        return self.work / self.package


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('package')
    parser.add_argument('folder', type=Path, help='holds msg/*.msg')
    parser.add_argument('--prefix', type=Path, default=Path(sys.prefix))
    parser.add_argument('--version', default='0.0.0')
    parser.add_argument('-j', '--jobs', type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    source = arguments.folder.resolve()
    messages = sorted(source.glob('msg/*.msg'))
    if not messages:
        print(f'{arguments.folder}: no msg/*.msg there', file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix=f'{arguments.package}-') as work:
        build = convert(arguments.package, source, messages, Path(work))
        generate(build)
        extension = link(build, compile_sources(build, arguments.jobs))
        install(build, extension, arguments.prefix.resolve(), arguments.version)
    print(f'{arguments.package}: {len(messages)} messages')
    return 0


def convert(package: str, source: Path, messages: list[Path], work: Path) -> Build:
    """.msg -> .idl, and from the .idl which other packages are needed."""
    from rosidl_adapter import convert_to_idl

    out = work / package
    (out / 'msg').mkdir(parents=True)
    ros = Path(sys.prefix)
    idl = [Path(convert_to_idl(source, package, m.relative_to(source), out)) for m in messages]
    needed: set[str] = set()
    _collect_dependencies(idl, ros / 'share', package, needed)
    return Build(
        package, source, ros, work, tuple(messages), tuple(f.relative_to(out) for f in idl),
        tuple(sorted(needed)),
    )


def _collect_dependencies(files: Iterable[Path], share: Path, own: str, found: set[str]) -> None:
    for file in files:
        for package in re.findall(r'#include "([a-z0-9_]+)/', file.read_text()):
            if package != own and package not in found and (share / package).is_dir():
                found.add(package)
                _collect_dependencies((share / package / 'msg').glob('*.idl'), share, own, found)


def generate(build: Build) -> None:
    """.idl -> type hashes, C structs, type supports, Python classes."""
    # The functions, not the `rosidl` command: with the wheels it finds each entry point twice.
    from rosidl_generator_c import generate_c
    from rosidl_generator_py import generate_py
    from rosidl_generator_type_description import generate_type_hash
    from rosidl_typesupport_c import generate_c as generate_typesupport_c
    from rosidl_typesupport_fastrtps_c import generate_typesupport_fastrtps_c
    from rosidl_typesupport_introspection_c import generate_c as generate_introspection_c

    share = build.ros / 'share'
    includes = [f'{package}:{share / package}' for package in build.dependencies]
    hashes = generate_type_hash(
        _arguments(build, 'rosidl_generator_type_description', include_paths=includes)
    )
    by_name = {Path(file).stem: file for file in hashes}
    pairs = [f'{idl}:{by_name[idl.stem]}' for idl in build.idl]
    generate_c(_arguments(build, 'rosidl_generator_c', type_description_tuples=pairs))
    for generator in ('rosidl_generator_c', *TYPESUPPORTS):
        _write_visibility_header(build, generator)
    generate_typesupport_fastrtps_c(_arguments(build, TYPESUPPORTS[0]))
    generate_introspection_c(_arguments(build, TYPESUPPORTS[1]))
    generate_typesupport_c(_arguments(build, 'rosidl_typesupport_c'), list(TYPESUPPORTS))
    generate_py(_arguments(build, 'rosidl_generator_py'), ['rosidl_typesupport_c'])


def _arguments(build: Build, generator: str, **extra: list[str]) -> str:
    """The JSON file that a generator reads its arguments from."""
    share = build.ros / 'share'
    file = build.work / f'{generator}.json'
    arguments = {
        'package_name': build.package,
        'output_dir': str(build.out),
        'template_dir': str(share / generator / 'resource'),
        'idl_tuples': [f'{build.out}:{idl}' for idl in build.idl],
        'target_dependencies': [],
        'ros_interface_files': [str(message) for message in build.messages],
        'ros_interface_dependencies': [
            f'{package}:{idl}'
            for package in build.dependencies
            for idl in sorted((share / package).glob('*/*.idl'))
        ],
        **extra,
    }
    file.write_text(json.dumps(arguments))
    return str(file)


def _write_visibility_header(build: Build, generator: str) -> None:
    # CMake's configure_file does this in an ament build.
    name = f'{generator}__visibility_control.h'
    template = (build.ros / 'share' / generator / 'resource' / f'{name}.in').read_text()
    text = template.replace('@PROJECT_NAME@', build.package)
    text = text.replace('@PROJECT_NAME_UPPER@', build.package.upper())
    (build.out / 'msg' / name).write_text(text)


def compile_sources(build: Build, jobs: int) -> list[Path]:
    """All generated C and C++ sources -> object files."""
    import numpy

    include = build.ros / 'include'
    folders = [build.work, include, Path(sysconfig.get_path('include')), numpy.get_include()]
    folders += sorted(path for path in include.iterdir() if path.is_dir())
    flags = ['-O2', '-fPIC', '-w', f'-DROS_PACKAGE_NAME="{build.package}"']
    flags += [f'-I{folder}' for folder in folders]

    def compile_one(source: Path) -> Path:
        target = source.with_suffix(f'{source.suffix}.o')
        compiler = ['gcc', '-std=c11'] if source.suffix == '.c' else ['g++', '-std=c++17']
        subprocess.run([*compiler, *flags, '-c', source, '-o', target], check=True)
        return target

    sources = sorted(path for path in build.out.rglob('*') if path.suffix in ('.c', '.cpp'))
    with ThreadPoolExecutor(max(jobs, 1)) as pool:
        return list(pool.map(compile_one, sources))


def link(build: Build, objects: list[Path]) -> Path:
    """One shared object for everything."""
    libraries = build.ros / 'lib'
    names = [f'{p}__{kind}' for p in build.dependencies for kind in PACKAGE_LIBRARIES]
    used = [name for name in names if (libraries / f'lib{name}.so').exists()]
    extension = build.work / f'{build.package}{EXTENSION}'
    command = ['g++', '-shared', '-Wl,--as-needed', *map(str, objects), f'-L{libraries}']
    command += [f'-Wl,-rpath,{libraries}', f'-Wl,-rpath-link,{libraries}']
    command += [f'-l{name}' for name in (*used, *RUNTIME_LIBRARIES)]
    subprocess.run([*command, '-o', str(extension)], check=True)
    return extension


def install(build: Build, extension: Path, prefix: Path, version: str) -> None:
    """Python package, definitions, ament index; the Python package appears at once, last."""
    share = prefix / 'share' / build.package
    (share / 'msg').mkdir(parents=True, exist_ok=True)
    entries = []
    for message in build.messages:
        generated = [build.out / 'msg' / f'{message.stem}{suffix}' for suffix in ('.idl', '.json')]
        for file in (message, *generated):
            shutil.copyfile(file, share / 'msg' / file.name)
            entries.append(f'msg/{file.name}')
    (share / 'package.xml').write_text(_manifest(build, version))
    index = prefix / 'share' / 'ament_index' / 'resource_index'
    for kind, text in (('packages', ''), ('rosidl_interfaces', '\n'.join(entries))):
        (index / kind).mkdir(parents=True, exist_ok=True)
        (index / kind / build.package).write_text(text)

    variables = {'base': str(prefix), 'platbase': str(prefix)}
    site = Path(sysconfig.get_path('purelib', vars=variables))
    staging = site / f'.{build.package}.new'
    shutil.rmtree(staging, ignore_errors=True)
    (staging / 'msg').mkdir(parents=True)
    (staging / '__init__.py').touch()
    for file in build.out.glob('msg/*.py'):
        shutil.copyfile(file, staging / 'msg' / file.name)
    shutil.copy(extension, staging / extension.name)
    shutil.rmtree(site / build.package, ignore_errors=True)
    staging.rename(site / build.package)
    # A type support is looked up at run time by its library's name; both are in the extension.
    for typesupport in TYPESUPPORTS:
        library = prefix / 'lib' / f'lib{build.package}__{typesupport}.so'
        library.unlink(missing_ok=True)
        library.symlink_to(site / build.package / extension.name)


def _manifest(build: Build, version: str) -> str:
    depends = ''.join(f'  <depend>{package}</depend>\n' for package in build.dependencies)
    return f"""<?xml version="1.0"?>
<package format="3">
  <name>{build.package}</name>
  <version>{version}</version>
  <description>Message definitions, built without ament.</description>
  <maintainer email="maintainers@uav-prune-perception.invalid">contributors</maintainer>
  <license>Apache-2.0</license>
{depends}  <member_of_group>rosidl_interface_packages</member_of_group>
</package>
"""


if __name__ == '__main__':
    sys.exit(main())
