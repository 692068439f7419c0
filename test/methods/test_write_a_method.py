# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The method of ``docs/write_a_method.md`` is run as it stands there."""

from __future__ import annotations

import importlib.metadata
import re
import sys
from pathlib import Path

import pytest
import yaml
from tiny_job import Quiet, build, classifier

from uav_prune_perception.methods import registry

PAGE = Path(__file__).parents[2] / 'docs' / 'write_a_method.md'


def block(kind: str) -> str:
    found = re.search(rf'```{kind}\n(.*?)```', PAGE.read_text(encoding='utf-8'), re.S)
    assert found
    return found.group(1)


def test_the_method_of_the_page_makes_a_ladder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = block('python')
    lines = [line for line in code.splitlines() if line.strip() and 'import' not in line]
    assert len(lines) <= 60, 'the page promises a short one'
    package = tmp_path / 'package' / 'my_package'
    package.mkdir(parents=True)
    (package / '__init__.py').touch()
    (package / 'ridge.py').write_text(code)
    monkeypatch.syspath_prepend(str(package.parent))
    name, _, value = re.search(r'^(\w+) (=) "(.*)"$', block('toml'), re.M).groups()
    point = importlib.metadata.EntryPoint(name, value, registry.ENTRY_POINTS)
    monkeypatch.setattr(importlib.metadata, 'entry_points', lambda group: [point])
    given = yaml.safe_load(block('yaml'))
    settings = [
        f'prune.method={given["prune"]["method"]}',
        f'prune.options.strength={given["prune"]["options"]["strength"]}',
        'prune.levels=[{kept_macs: 1.0}, {kept_macs: 0.5}]',
        f'sparse={{epochs: {given["sparse"]["epochs"]}, batch_size: 16, threads: 1}}',
    ]
    reporter = Quiet()
    _, level = build(classifier(tmp_path, *settings), tmp_path, reporter=reporter)
    assert level.kept_macs == pytest.approx(0.5, rel=0.01)
    assert 'sparse training' in reporter.lines
    assert 'my_package.ridge' in sys.modules
