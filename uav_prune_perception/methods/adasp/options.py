# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What a recipe may say about AdaSP under ``prune.options``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from uav_prune_perception.methods.recipe import Section


class SoftOptions(Section):
    """Options of every soft pruner (SFP, ASFP, AdaSP)."""

    start: Literal['scratch', 'dense'] = Field(
        default='scratch', description='initial weights, or those of the level above'
    )
    mask_interval: int = Field(default=0, ge=0, description='in iterations; 0: once an epoch')
    softness: float = Field(
        default=0.0, ge=0, lt=1,
        description='masked filters are multiplied by this, falling to 0 along a cosine',
    )
    freeze: float = Field(
        default=0.1, ge=0, lt=1,
        description='last share of the run in which masks are hard and final; 0: soft to the end',
    )
    regrow_clip: float = Field(
        default=10.0, ge=0,
        description="a masked filter's gradient is at most so many times the others'; 0: never",
    )


class AdaSPOptions(SoftOptions):
    """Options of AdaSP."""

    ratios: Literal['uniform', 'energy', 'movement', 'gamma'] = Field(
        default='energy', description='A0, A1, A2, A3 of METHODS 1.4'
    )
    alpha: float = Field(default=0.0, ge=0, le=4, description='A1: how much cost counts')
    schedule: Literal['asymptotic', 'constant'] = 'asymptotic'
    smoothing: float = Field(default=0.9, ge=0, lt=1, description='of ratios, per refresh')
    ratio_interval: int = Field(default=1, ge=1, description='iterations between refreshes')
