# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Jobs that end in a second or two, for tests of methods."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from uav_prune_perception.methods import registry
from uav_prune_perception.methods.driver import Driver
from uav_prune_perception.methods.interfaces import Method
from uav_prune_perception.methods.job import open_task
from uav_prune_perception.methods.recipe import Recipe, load_recipe
from uav_prune_perception.methods.run_folder import RunFolder
from uav_prune_perception.methods.stages import BuiltLevel, base_key

RECIPE = """\
name: tiny
data: {kind: generated_scenes, train: 8, val: 2, test: 2, width: 96, height: 64}
network:
  name: aerial_detector
  options: {width: 0.5}
train: {epochs: 2, batch_size: 4, threads: 1}
prune:
  levels:
    - {kept_macs: 1.0}
    - {kept_macs: 0.6}
    - {kept_macs: 0.3}
finetune: {epochs: 1, batch_size: 4, threads: 1}
export: {profile_runs: 5, threads: 1}
"""


def pictures(folder: Path) -> Path:
    """Reddish and bluish noise, 40 pictures of each, in ``folder/pictures``."""
    root = folder / 'pictures'
    random = np.random.default_rng(0)
    for name, channel in (('red', 0), ('blue', 2)):
        (root / name).mkdir(parents=True, exist_ok=True)
        for index in range(40):
            image = random.integers(0, 120, (16, 16, 3), dtype=np.uint8)
            image[:, :, channel] += 60
            Image.fromarray(image).save(root / name / f'{index}.png')
    return root


class Quiet:
    """A reporter that remembers."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def phase(self, title: str, steps: int) -> None:
        self.lines.append(title)

    def step(self, done: int, text: str = '') -> None:
        pass

    def note(self, text: str) -> None:
        self.lines.append(text)

    def warn(self, text: str) -> None:
        self.lines.append(text)


def recipe(folder: Path, *settings: str) -> Recipe:
    """The tiny recipe with some settings replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / 'tiny.yaml'
    path.write_text(RECIPE)
    return load_recipe(path, settings)


def classifier(folder: Path, *settings: str) -> Recipe:
    """The same for a small classifier: a job takes half the time."""
    return recipe(
        folder,
        f'data={{kind: image_folder, root: {pictures(folder)}, width: 16, height: 16}}',
        'network={name: resnet_cifar, options: {depth: 8}}', 'prune.min_channels=2',
        'train.batch_size=16', 'finetune.batch_size=16', *settings,
    )


def build(
    job: Recipe, folder: Path, method: Method | None = None, reporter: Quiet | None = None
) -> list[BuiltLevel]:
    """The levels of a job, without export."""
    reporter = reporter or Quiet()
    chosen = registry.completed(method, job) if method else registry.make_method(job)
    task = open_task(job, reporter)
    with RunFolder(folder / f'run-{base_key(job, task)}') as run:
        return Driver(job, chosen, task, run, reporter).build()
