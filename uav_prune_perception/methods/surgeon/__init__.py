# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Kept channels take over from lost ones by least squares [ours]. Needs data, but no labels.

Reading order: `readings` (what each layer sees of a group), `elimination` (which channel can go
next), `takeover` (the new weights for one choice, many choices of one look: ACP's search), `score`
(elimination as a slot), `refit` (the layers of a network that is cut, in turn).

A channel that can be predicted from others costs little, however large its weights are; magnitude
and gradient scores do not see that. Sources: optimal brain surgeon (Hassibi and Stork, 1992) with
a layer's own output as its objective (Dong et al., NeurIPS 2017; Frantar and Alistarh, Optimal
Brain Compression, NeurIPS 2022); channel pruning by reconstruction (He et al., ICCV 2017; Luo et
al., ThiNet, ICCV 2017).
"""
