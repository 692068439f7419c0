# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The standard augmentation of small pictures, for a whole batch at once (He et al. 2016, 4.2).

Pad, crop at random, mirror half. All on bytes, by indexing, on whichever device the pictures
lie; the numbers are drawn on the CPU, so every device gets the same crops.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class CropFlip:
    """How pictures are changed.

    Attributes:
        pad: black pixels added on every side before a crop of the original size; 0: no crop.
        flip: mirror half of the pictures.
        quarter_turns: turn by 0, 90, 180 or 270 degrees (square pictures without an up).
    """

    pad: int = 4
    flip: bool = True
    quarter_turns: bool = False


def crop_flip(
    images: Tensor, options: CropFlip, generator: torch.Generator, part: slice | None = None,
    batch: int | None = None,
) -> Tensor:
    """Changed pictures of the same shape.

    Args:
        images: uint8 [B, H, W, C].
        options: how.
        generator: of the CPU; source of chance.
        part: ``images`` are this part of a batch, and are changed as they would be within it.
        batch: pictures of that whole batch.

    Returns:
        uint8 [B, C, H, W].
    """
    count, height, width, _ = images.shape
    device, pad = images.device, options.pad
    own, drawn = part or slice(None), batch or count
    if pad > 0:
        at = torch.randint(2 * pad + 1, (2, drawn), generator=generator)[:, own].to(device)
        padded = functional.pad(images, (0, 0, pad, pad, pad, pad))
        windows = padded.unfold(1, height, 1).unfold(2, width, 1)  # [B, 2p+1, 2p+1, C, H, W]
        images = windows[torch.arange(count, device=device), at[0], at[1]]
    else:
        images = images.permute(0, 3, 1, 2)
    if options.flip:
        mirrored = torch.rand(drawn, generator=generator)[own].to(device) < 0.5
        images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
    if options.quarter_turns:
        turns = torch.randint(4, (drawn,), generator=generator)[own].to(device)
        images = images.clone()
        for turn in (1, 2, 3):
            images[turns == turn] = images[turns == turn].rot90(turn, (2, 3))
    return images
