# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""``uav-prune prune``: from a recipe to a ladder."""

from __future__ import annotations

import argparse

from rich.console import Console

from uav_prune_perception.ladder.writer import check_target
from uav_prune_perception.methods.recipe import load_recipe

from .inspect import print_ladder
from .progress import reporter


def run_prune(options: argparse.Namespace) -> int:
    """Read the recipe, do the job, show the levels.

    Raises:
        ValueError, RuntimeError: those of the package; see `methods.job.prune`.
    """
    recipe = load_recipe(options.recipe, options.assignments)
    target = options.output.expanduser().absolute()
    check_target(target, overwrite=options.overwrite)
    # After the quick checks: torch takes seconds to import, and a typing error should not.
    from uav_prune_perception.methods.job import prune
    from uav_prune_perception.training.ranks import Ranks

    from .report import write_reports

    console = Console(highlight=False)
    with Ranks.from_environment() as ranks, reporter(console, first=ranks.first) as shown:
        ladder = prune(
            recipe, target, shown, run_folder=options.run_folder, fresh=options.fresh,
            overwrite=options.overwrite, ranks=ranks, tensorboard=options.tensorboard,
        )
    if not ranks.first:
        return 0
    print_ladder(ladder)
    print(f'ladder: {ladder.folder}')
    for path in write_reports(ladder):
        print(f'report: {path}')
    return 0
