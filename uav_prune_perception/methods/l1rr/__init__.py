# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""L1RR: L1 reweighted regularisation pruning (Remote Sensing 2024, 16(11), 2026).

The paper's equations, settings and most tables could not be had (METHODS.md 0.2). What it fixes,
from its abstract and one passage of results:

1. channel pruning by sparse training with a *reweighted* L1 penalty, made of a *dynamic* and a
   *self-adaptive* module;
2. a *feature attention loss* picks the pruning ratios and keeps target features;
3. *residual reconstruction* cuts redundant channels out of residual structures and keeps their
   form, by recombining output channels and input channels.

Everything below that is a formula is our reconstruction from published relatives:

- penalty: ``gamma.grad += lambda(t) w sign(gamma)`` on every BatchNorm, residual ones included,
  or for short runs a proximal step (`sparsity`); with the gradient, w = 1 and a constant lambda it
  is network slimming (Liu et al., ICCV 2017);
- self-adaptive: ``w = 1 / (g / mean(g) + eps)``, g the smoothed |gamma|, mean 1 in a layer, then
  clipped to 0.1..10 (`reweighting`; reweighted L1 of Candes, Wakin and Boyd, 2008);
- dynamic: a rise over the first tenth, then ``lambda_0 (1 - 0.9 t)``, or a closed loop that
  follows a share of channels gone (`strength`);
- extra L1 of ``b lambda`` on the shifts, as public YOLOv5 slimming code has it (`sparsity`);
- feature attention: ``Att(F) = sum_c F_c^2 / |sum_c F_c^2|``, squared differences weighed by a
  mask of the targets, background a tenth (`attention`; Zagoruyko and Komodakis, 2017). Targets
  are boxes for detectors, the gradient-weighted class activation for classifiers
  (`target_masks`). Levels are found in any network (`feature_levels`);
- ratio: the largest whose loss stays within tau of the uncut network's, tau at the curve's knee
  (`ratio_search`, `ratio_choice`), by forward passes of a silenced copy (`candidates`);
- a level with a budget: the same rule group by group with one tau, which the budget decides
  (`attention_shares`; ours). The class that suffers most may decide, for small ships and vehicles
  are what the paper says it loses (`attention_probe`; ours);
- residual reconstruction: ``channels.recombine`` (each producer of a sum keeps channels of its
  own, the sum carries their union), exact by proof.

Networks without BatchNorm are refused; single layers without one are scored by their filters.
"""
