# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""AdaSP: adaptive soft filter pruning in the only training run (IEEE TCCN 2025).

DOI 10.1109/TCCN.2025.3631703. Its text could not be had; only its abstract. Section numbers are
those of METHODS.md.

Fixed by the paper (1.2), and kept here:

* soft: pruned filters may come back, in a cycle of pruning and regrowing (`masks`);
* one run from random initialisation, neither pre-training nor fine-tuning (``start: scratch``,
  recovery none);
* layer ratios are refreshed within every training iteration (``ratio_interval: 1``) from the
  updated weights alone: no sensitivity scan, no calibration data, no validation accuracy.

Our reconstruction, from published relatives:

* ``P(e) = a exp(-k e) + b`` through (0, 0), (E/8, 3/4 P), (E, P), so k E = 11.09 (`schedule`;
  ASFP, He et al. 2019). P is the share of MACs (or parameters) that goes, not of filters;
* score ``q_i = ||F_i||_2`` (SFP, He et al. 2018), zeroing weights at the end of each epoch while
  BatchNorm's scale stays, with the optimiser's momentum kept (1.5: with both at 0 a filter could
  never regrow; behind a ReLU one whose shift is below 0 regrows by momentum or ``softness``);
* layer ratios (`ratios`), by ``ratios:`` in the options: ``uniform`` (A0: ASFP, the control),
  ``energy`` (A1, the default: ``r_i = n ||F_i||^2 / sum_j ||F_j||^2``, one threshold for all
  layers, by bisection on MACs; ``alpha`` divides by what a filter costs), ``movement`` (A2, the
  other reading of "updated weights": layers that still move keep more), ``gamma`` (A3: CHEX's
  global percentile of |gamma|); smoothed by ``p = b p + (1 - b) p_hat``;
* ``softness``: masked filters are multiplied by s(e), falling to 0 along a cosine (SRFP; CHEX's
  cosine), 0 = SFP's zeroing;
* ``freeze``: in the last tenth of the run (an epoch at least) masks are hard and exactly on the
  budget (GHFP's switch from soft to hard), so that BatchNorm has settled when the filters go.
  Short runs from a trained network want more, such as 0.5. ``freeze: 0`` is soft to the end;
* ``regrow_clip``: the first gradient of a filter that is 0 is hundreds of times the others',
  for BatchNorm divides by sqrt(eps); it is limited so that gradient clipping spares the others.

Where SFP skips projection convolutions and aligns residual outputs by ``index_add``, here all
producers of a residual stream are one group of the channel graph and are masked together: the
final cut is then an ordinary compaction, equal to the masked network.
The best epoch may be chosen on val (``soft.keep_best``), among those that prune the whole target.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from uav_prune_perception.methods.interfaces import LevelContext, Method

from .masks import AdaptiveMasks
from .options import AdaSPOptions, SoftOptions

__all__ = ['AdaSPOptions', 'AdaptiveMasks', 'SoftOptions', 'adasp', 'asfp', 'sfp']


@dataclass(frozen=True)
class SoftFilterPruning:
    """The ``in_training`` slot of AdaSP, SFP and ASFP."""

    options: AdaSPOptions

    @property
    def start(self) -> Literal['scratch', 'dense']:
        """See `SoftPruning`."""
        return self.options.start

    def begin(self, context: LevelContext) -> AdaptiveMasks:
        """See `SoftPruning`."""
        return AdaptiveMasks(context, self.options)


def adasp(options: AdaSPOptions) -> Method:
    """AdaSP, as reconstructed above."""
    return Method(in_training=SoftFilterPruning(options), recovery='none')


def sfp(options: SoftOptions) -> Method:
    """Soft filter pruning (He et al., IJCAI 2018): one ratio for all layers, from the start."""
    return _plain(options, 'constant')


def asfp(options: SoftOptions) -> Method:
    """Asymptotic soft filter pruning (He et al., TCYB 2019): that ratio is approached."""
    return _plain(options, 'asymptotic')


def _plain(options: SoftOptions, schedule: Literal['asymptotic', 'constant']) -> Method:
    given = {**options.model_dump(), 'ratios': 'uniform', 'smoothing': 0.0, 'schedule': schedule}
    return Method(in_training=SoftFilterPruning(AdaSPOptions(**given)), recovery='none')
