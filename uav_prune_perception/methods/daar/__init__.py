# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""DAAR: dual attention with adaptive pruning rate (Applied Intelligence 2025).

DOI 10.1007/s10489-025-06332-5; only its abstract could be had (METHODS.md 0.2). What it fixes:

1. filter pruning that looks at data;
2. importance from a dual attention module: *spatial* attention in shallow layers, *channel*
   attention in deep ones;
3. an adaptive strategy that sets each layer's rate, with nothing to choose by hand.

Everything below is our reconstruction from published relatives:

- feature maps behind BatchNorm and activation, of unlabelled training pictures, five batches of
  128 as HRank and CHIP take (`feature_maps`);
- spatial score: agreement of |F_c| with ``softmax(mean_c F_c^2)``, times strength^0.5
  (`attention_scores`; after FPAC's idea and attention transfer). We divide inside the softmax by
  the map's mean, without which the score would change with the layer's scale;
- channel score: mean gate of a squeeze-and-excitation probe times |gamma| (`channel_probe`;
  after RemoteTrimmer), the probe trained briefly on the frozen network and removed; or, free of
  training, the mean of |mean F_c|. We divide what the probe sees by the layer's mean size, for
  the same reason, and start its gates at 0.88;
- shallow: output at least half as wide as the picture, an eighth for detectors
  (`importance.AttentionOptions.boundary`);
- groups tied by additions: the sum of their members' scores, each with mean 1 in its layer;
- rates: the share of channels with ``s < 1 - kappa std(s)`` in their layer (`rates`), kappa by
  bisection until the budget is met, or, in accuracy mode, lowered as AAP (AISTATS 2023) raises its
  threshold: until accuracy on held-out pictures falls too far, then back, with half the step.
"""
