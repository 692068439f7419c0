# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Which channels live and die together, and their physical removal.

Reading order: `id_space` (ids and their union), `exported` and `parts` (the network, or what can
be traced of it, as a graph), `walk` and the `rules_*` (ids through every operator), `groups` (what
can be chosen), `keep` and `plan` (what is chosen), `compact` (the cut), `widen` (modules that need
all channels), `baked` (weights that are computed), `recombine` (branches that keep channels of
their own), `verify` and `settle` (the proof), `fold` (constants of cut channels), `prune` (all of
it at once).
"""

from __future__ import annotations

from .compact import compact
from .cost import Cost
from .errors import ChannelError
from .fold import FoldReport, fold_constants
from .graph import ChannelGraph
from .groups import Frozen, Group, Slot
from .importance import branch_magnitude, magnitude
from .keep import choose_keep
from .plan import Cut, PruningPlan, load_pruned
from .prune import PruneReport, PruneResult, prune
from .verify import verify
from .walk import rule
from .widen import Widening
from .width_cost import WidthCost

__all__ = [
    'ChannelError',
    'ChannelGraph',
    'Cost',
    'Cut',
    'FoldReport',
    'Frozen',
    'Group',
    'PruneReport',
    'PruneResult',
    'PruningPlan',
    'Slot',
    'Widening',
    'WidthCost',
    'branch_magnitude',
    'choose_keep',
    'compact',
    'fold_constants',
    'load_pruned',
    'magnitude',
    'prune',
    'rule',
    'verify',
]
