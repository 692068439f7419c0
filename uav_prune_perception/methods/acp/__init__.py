# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""ACP: automatic channel pruning by clustering and swarm search (Applied Intelligence 52, 2022).

Chang, Lu, Xue, Xu and Wei; preprint arXiv 2101.06407. The paper's text was not at hand; the
authors' code (github.com/JingfeiChang/ACP-Automatic-Channel-Pruning) and result tables were.
Marks: [C] fixed by that code, [V] checked by us, [R] reconstructed, [ours] not theirs.

- A, `clusters`: DBSCAN (cosine, eps, min_samples 5) on the mean maps of 200 pictures; a layer's
  width becomes clusters + noise points [C].
- `space`: inner widths are searched, a bottleneck's two convolutions share one [C]; said as a
  rule for any network [R].
- B, `swarm`: x_i,l = clip(c_l + i s, 1, u_l), v ~ U(-2, 2); particle 0 is the clustered network
  itself [C].
- C, `space` and the driver: thin network, filters at random or by L1 norm [C], 3 epochs
  (``search:``) [C], fitness = top-1 (mAP for a detector [R]) on held-out pictures.
- D, `swarm`: 8 cycles of particle swarm optimisation, 8 layers each [C]; 'as_intended' [R].
- E, the driver: retrain the best from its stored weights (``retrain:``) [C].

Modes:

- ``as_released`` does what the released code does: see `swarm` for the motion; BatchNorm starts
  anew in each candidate; filters are drawn at random. No budget: eps alone decides the size.
- ``as_intended`` mends the motion and lets BatchNorm rows be inherited with their filters.
- ``budgeted`` [ours]: every candidate is brought to the level's budget (MACs, parameters, or the
  MACs of a latency) before it is judged, so each level hits it within 1 %; filters are taken over
  by importance and make up for the lost ones by least squares (`methods.surgeon`); a candidate is
  judged without training, against the dense network's outputs or by its accuracy.

What differs from the released code in every mode: pictures to cluster and fitness come from the
held-out split, never from the test set, which is read once for the final model. The released
code's other slips (METHODS.md 3.3, rows 6, 8 and 9: broken builders, missing hooks, input
columns that do not follow their producer) are not imitated. Nesterov momentum is the trainer's.

The papers' eps is a property of network and weights. Where the recipe gives none, the eps is
taken whose clusters cost what is nearest to the level's budget [ours]; the swarm may still leave
it in the papers' modes.
"""

from __future__ import annotations

from .method import acp
from .options import AcpOptions

__all__ = ['AcpOptions', 'acp']
