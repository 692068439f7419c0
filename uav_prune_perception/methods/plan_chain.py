# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Two cuts, one after the other, as one plan of the dense network."""

from __future__ import annotations

from uav_prune_perception.channels import Cut, PruningPlan, Widening

from .interfaces import MethodError


def chained(first: PruningPlan | None, second: PruningPlan) -> PruningPlan:
    """The plan that does to the dense network what ``second`` does after ``first``.

    Args:
        first: from the dense network to some compact one; None cuts nothing.
        second: from that compact network on.

    Raises:
        MethodError: ``second`` is not a plan of what ``first`` makes, or ``first`` has branches
            with channels of their own (cut those in the dense shape: `expansion.expanded`).
    """
    if first is None:
        return second
    if first.placements and second.cuts:
        raise MethodError('no plan can follow one with residual reconstruction')
    cuts = {(cut.parameter, cut.dim): cut for cut in first.cuts}
    for cut in second.cuts:
        earlier = cuts.get((cut.parameter, cut.dim))
        if earlier is None:
            cuts[cut.parameter, cut.dim] = cut
            continue
        if len(earlier.kept) != cut.size:
            raise MethodError(
                f'{cut.parameter}: the second plan expects {cut.size} entries, the first leaves '
                f'{len(earlier.kept)}'
            )
        kept = tuple(earlier.kept[index] for index in cut.kept)
        cuts[cut.parameter, cut.dim] = Cut(cut.parameter, cut.dim, earlier.size, kept)
    attributes = {path: dict(values) for path, values in first.attributes.items()}
    for path, values in second.attributes.items():
        attributes.setdefault(path, {}).update(values)
    kept_of = dict(first.kept)
    for name, (kept_now, width) in second.kept.items():
        kept_of[name] = (kept_now, first.kept.get(name, (width, width))[1])
    placements = {**first.placements, **second.placements}
    wide = dict(first.wide)
    for path, later in second.wide.items():
        before = wide.get(path)
        if before is None:
            wide[path] = later
        else:
            places = tuple(before.positions[index] for index in later.positions)
            wide[path] = Widening(places, before.width, later.dim)
    baked = (*first.baked, *(path for path in second.baked if path not in first.baked))
    return PruningPlan(tuple(cuts.values()), attributes, kept_of, placements, wide, baked)
