# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""``prune.options`` of ACP."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from uav_prune_perception.methods.recipe import Section

from .space import Inheritance, Searched

Mode = Literal['as_released', 'as_intended', 'budgeted']


class AcpOptions(Section):
    """Settings of the search; the training of each candidate is ``search:``.

    Attributes:
        mode: see the package.
        eps: DBSCAN's radius; None: that whose clusters are nearest to the level's budget.
        min_samples: of DBSCAN.
        images: pictures of the held-out split whose mean maps are clustered.
        particles: N.
        cycles: T.
        moved: J, layers that move in one cycle.
        inherit: which filters a candidate takes over; None: the mode's own.
        layers: 'inner' widths only, or 'all'; None: inner widths where they suffice for the
            level's budget (always in the paper's modes), for cutting a residual stream costs
            more accuracy than the same MACs inside its branches.
        fitness: of 'budgeted': 'accuracy' on the held-out split, or 'agreement' with the dense
            network's outputs on some of its pictures, which tells close candidates apart sooner.
        pictures: for 'agreement'.
        reconstruct: kept channels take over from lost ones by least squares before judging
            ('budgeted' only).
    """

    mode: Mode = 'budgeted'
    eps: float | None = Field(default=None, gt=0, le=2)
    min_samples: int = Field(default=5, ge=1)
    images: int = Field(default=200, ge=1)
    particles: int = Field(default=10, ge=1)
    cycles: int = Field(default=8, ge=0)
    moved: int = Field(default=8, ge=1)
    inherit: Inheritance | None = None
    layers: Searched | None = None
    fitness: Literal['accuracy', 'agreement'] = 'agreement'
    pictures: int = Field(default=512, ge=1)
    reconstruct: bool = True

    @model_validator(mode='after')
    def _paper_modes(self) -> AcpOptions:
        if not self.budgeted and self.inherit == 'score':
            raise ValueError("inherit: 'score' is for mode budgeted; the paper's modes draw at "
                             "random (random_pretrain) or by L1 norm (l1_pretrain)")
        return self

    @property
    def budgeted(self) -> bool:
        """Our own mode."""
        return self.mode == 'budgeted'

    @property
    def rule(self) -> Inheritance:
        """Which filters are taken over."""
        return self.inherit or ('score' if self.budgeted else 'random_pretrain')

    @property
    def mends(self) -> bool:
        """Least squares before judging."""
        return self.budgeted and self.reconstruct

    @property
    def fresh_batchnorm(self) -> bool:
        """BatchNorm is not inherited."""
        return self.mode == 'as_released'

    @property
    def repeatable(self) -> bool:
        """Equal widths are equal networks, so they are judged once (training seeds aside)."""
        return self.rule != 'random_pretrain' and self.budgeted
