# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Small networks, each with one structure that channel pruners trip over.

``NETWORKS`` maps a name to (factory, example inputs, largest share of MACs that may be left at
ratio 0.5).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class Body(nn.Module):
    """Stem of 16 channels, ``self.body`` in the middle, mean pool, linear layer."""

    width = 16

    def __init__(self):
        super().__init__()
        self.stem = conv(3, 16)
        self.build()
        self.head = nn.Linear(self.width, 5)

    def build(self) -> None:
        raise NotImplementedError

    def body(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(self.stem(x)).mean((2, 3)))


class Plain(Body):
    width = 24

    def build(self):
        self.down = conv(16, 24, stride=2)

    def body(self, x):
        return self.down(x)


class Residual(Body):
    def build(self):
        self.a = nn.Sequential(conv(16, 8, 1), conv(8, 16))
        self.b = nn.Sequential(conv(16, 12, 1), conv(12, 16))

    def body(self, x):
        x = x + self.a(x)
        return F.relu(x + self.b(x))


class PadShortcut(Body):
    """Option A: channels filled with zeros."""

    width = 32

    def build(self):
        self.a = nn.Sequential(conv(16, 24), conv(24, 32, stride=2))

    def body(self, x):
        return F.relu(F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 8, 8)) + self.a(x))


class ChunkConcatAdd(Body):
    """C2f of YOLOv8."""

    def build(self):
        self.enter = conv(16, 32, 1)
        self.blocks = nn.ModuleList(nn.Sequential(conv(16, 16), conv(16, 16)) for _ in range(2))
        self.leave = conv(64, 16, 1)

    def body(self, x):
        y = list(self.enter(x).chunk(2, 1))
        for block in self.blocks:
            y.append(y[-1] + block(y[-1]))
        return self.leave(torch.cat(y, 1))


class LiteralSplit(Body):
    """Sizes of a split kept as an attribute: CSPDarkNet, Res2Net, C2PSA."""

    def build(self):
        self.half = 16
        self.enter = conv(16, 32, 1)
        self.mix = conv(16, 16)
        self.leave = conv(32, 16, 1)

    def body(self, x):
        a, b = self.enter(x).split((self.half, self.half), 1)
        return self.leave(torch.cat([a, self.mix(b)], 1))


class UnequalSplit(Body):
    def build(self):
        self.sizes = [8, 24]
        self.enter = conv(16, 32, 1)
        self.mix = conv(24, 24)
        self.leave = conv(32, 16, 1)

    def body(self, x):
        a, b = self.enter(x).split(self.sizes, 1)
        return self.leave(torch.cat([a, self.mix(b)], 1))


class ConcatOfConcat(Body):
    width = 56

    def build(self):
        self.a, self.b, self.c = conv(16, 8), conv(24, 16), conv(16, 16)

    def body(self, x):
        y = torch.cat([x, self.a(x)], 1)
        return torch.cat([y, self.b(y), self.c(x)], 1)


class ChannelShuffle(Body):
    def build(self):
        self.a, self.b = conv(16, 32, 1, groups=2), conv(32, 16, 1, groups=2)

    def body(self, x):
        y = self.a(x)
        b, c, h, w = y.shape
        y = y.view(b, 2, c // 2, h, w).transpose(1, 2).reshape(b, c, h, w)
        return self.b(y)


class PixelShuffle(Body):
    def build(self):
        self.up, self.after = conv(16, 64), conv(16, 16)

    def body(self, x):
        return self.after(F.pixel_shuffle(self.up(x), 2))


class ViewedPixelShuffle(Body):
    def build(self):
        self.up, self.after = conv(16, 64), conv(16, 16)

    def body(self, x):
        y = self.up(x)
        b, c, h, w = y.shape
        y = y.view(b, c // 4, 2, 2, h, w).permute(0, 1, 4, 2, 5, 3)
        return self.after(y.reshape(b, c // 4, h * 2, w * 2))


class SpaceToDepth(Body):
    """Focus of YOLOv5."""

    def build(self):
        self.mix = conv(64, 16)

    def body(self, x):
        parts = [x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2]]
        return self.mix(torch.cat(parts, 1))


class Gate(Body):
    """Squeeze and excitation, and a plain SiLU."""

    def build(self):
        self.a = conv(16, 24)
        self.fc1, self.fc2 = nn.Conv2d(24, 12, 1), nn.Conv2d(12, 24, 1)
        self.b = conv(24, 16)

    def body(self, x):
        x = F.silu(self.a(x))
        gate = torch.sigmoid(self.fc2(F.relu(self.fc1(F.adaptive_avg_pool2d(x, 1)))))
        return self.b(x * gate)


class LayerScale(Body):
    """A scale of each channel, and two scalars that fuse two branches (BiFPN)."""

    def build(self):
        self.a, self.b = conv(16, 16), conv(16, 16)
        self.gamma = nn.Parameter(1e-6 * torch.ones(16, 1, 1))
        self.fusion = nn.Parameter(torch.tensor([0.4, 0.6]))

    def body(self, x):
        weight = self.fusion / (self.fusion.sum() + 1e-4)
        return weight[0] * x + weight[1] * self.a(x) + self.gamma * self.b(x)


class Grouped(Body):
    """ResNeXt (many small groups), two large groups, depthwise, depthwise with multiplier."""

    width = 32

    def build(self):
        self.many, self.two = conv(16, 32, groups=8), conv(32, 16, groups=2)
        self.depth, self.multiplied = conv(16, 16, groups=16), conv(16, 32, groups=16)
        self.between = conv(16, 16, 1)

    def body(self, x):
        return self.multiplied(self.between(self.depth(self.two(self.many(x)))))


class SharedHead(nn.Module):
    """One head on two levels (RetinaNet), several inputs, outputs in a dict, a ModuleDict."""

    def __init__(self):
        super().__init__()
        self.levels = nn.ModuleDict({'fine': conv(3, 16), 'coarse': conv(16, 16, stride=2)})
        self.head = nn.Sequential(conv(16, 16), nn.GroupNorm(4, 16), nn.Conv2d(16, 6, 1))

    def forward(self, x: Tensor, scale: Tensor) -> dict[str, Any]:
        fine = self.levels['fine'](x * scale)
        coarse = self.levels['coarse'](fine)
        outputs = [self.head(level).flatten(2) for level in (fine, coarse)]
        return {'levels': tuple(outputs), 'all': torch.cat(outputs, 2)}


class TiedWeights(nn.Module):
    """An auto-encoder whose decoder is the encoder's weight."""

    def __init__(self):
        super().__init__()
        self.enter, self.code, self.out = nn.Linear(12, 24), nn.Linear(24, 16), nn.Linear(24, 3)
        self.again = self.code

    def forward(self, x: Tensor) -> Tensor:
        y = self.again(F.relu(self.enter(x)))
        return self.out(F.linear(F.relu(y), self.code.weight.t()))


class FlattenLinear(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(conv(3, 16), nn.MaxPool2d(4), conv(16, 8))
        self.classifier = nn.Sequential(nn.Linear(8 * 4 * 4, 32), nn.ReLU(), nn.Linear(32, 5))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).flatten(1))


class ChannelsLast(nn.Module):
    """Permute to NHWC, then flatten: the order in which a linear layer reads changes."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(conv(3, 16), nn.AdaptiveAvgPool2d(3))
        self.classifier = nn.Linear(16 * 9, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).permute(0, 2, 3, 1).reshape(x.shape[0], -1))


class Norms(Body):
    """GroupNorm over eight groups, LayerNorm over channels, an inverted bottleneck."""

    def build(self):
        self.a = nn.Sequential(nn.Conv2d(16, 32, 3, padding=1), nn.GroupNorm(8, 32), nn.SiLU())
        self.b = nn.Conv2d(32, 16, 1)
        self.norm = nn.LayerNorm(16)
        self.wide, self.narrow = nn.Linear(16, 64), nn.Linear(64, 16)

    def body(self, x):
        y = self.b(self.a(x)).permute(0, 2, 3, 1)
        y = y + self.narrow(F.gelu(self.wide(self.norm(y))))
        return y.permute(0, 3, 1, 2)


class GlobalResponse(nn.Module):
    """GRN of ConvNeXt V2, channels last: a mean over all channels."""

    def __init__(self, width: int):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        norm = x.norm(dim=(1, 2), keepdim=True)
        return x + x * self.scale * norm / (norm.mean(-1, keepdim=True) + 1e-6)


class SlidingGate(nn.Module):
    """ECA: a 1-D convolution slides over the channels."""

    def __init__(self):
        super().__init__()
        self.slide = nn.Conv1d(1, 1, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate = self.slide(x.mean((2, 3)).view(x.shape[0], 1, -1)).sigmoid()
        return x * gate.view(x.shape[0], -1, 1, 1)


class MixingModules(Body):
    """Cheap modules that mix all channels, between layers that can be cut."""

    def build(self):
        self.a, self.gate, self.norm = conv(16, 24), SlidingGate(), nn.LayerNorm(24)
        self.wide, self.narrow = nn.Linear(24, 64), nn.Linear(64, 16)
        self.response = GlobalResponse(64)

    def body(self, x):
        y = self.norm(self.gate(self.a(x)).permute(0, 2, 3, 1))
        return self.narrow(self.response(F.gelu(self.wide(y)))).permute(0, 3, 1, 2)


class StandardisedConv(nn.Conv2d):
    """NFNet, BiT: each filter is standardised over all its inputs."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs, 3, padding=1)
        self.gain = nn.Parameter(torch.rand(outputs, 1, 1, 1) + 0.5)

    def forward(self, x: Tensor) -> Tensor:
        centred = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        weight = self.gain * centred / (centred.square().mean((1, 2, 3), keepdim=True) + 1e-6)
        return F.conv2d(x, weight, self.bias, self.stride, self.padding)


class ComputedWeights(Body):
    """Weights that are computed from parameters, also by torch's weight normalisation."""

    def build(self):
        self.a, self.b = StandardisedConv(16, 24), StandardisedConv(24, 16)
        self.c = nn.utils.parametrizations.weight_norm(nn.Conv2d(16, 16, 1))

    def body(self, x):
        return F.silu(self.c(F.silu(self.b(F.silu(self.a(x))))))


class ChannelAttention(Body):
    """CBAM-like mean over channels, and attention between channels: both need all of them."""

    def build(self):
        self.a, self.b, self.mask = conv(16, 16), conv(16, 24), nn.Conv2d(2, 1, 3, padding=1)
        self.c = conv(24, 16)

    def body(self, x):
        y = self.a(x)
        both = torch.cat([y.mean(1, keepdim=True), y.amax(1, keepdim=True)], 1)
        y = self.c(self.b(y * torch.sigmoid(self.mask(both))))
        flat = y.flatten(2)
        mixed = (flat @ flat.transpose(1, 2)).softmax(-1) @ flat
        return y + mixed.view_as(y)


class ClassToken(nn.Module):
    """A token of its own in front, a position table longer than it is wide, a LayerNorm."""

    def __init__(self):
        super().__init__()
        self.patch, self.token = nn.Conv2d(3, 8, 4, 4), nn.Parameter(torch.randn(1, 1, 8))
        self.position = nn.Parameter(torch.randn(1, 17, 8))
        self.norm, self.mlp = nn.LayerNorm(8), nn.Sequential(nn.Linear(8, 32), nn.Linear(32, 8))
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.position
        return self.head((x + self.mlp(self.norm(x)))[:, 0])


class SpatialMask(Body):
    """One mask for all channels: size 1 must not couple."""

    def build(self):
        self.mask, self.a = nn.Conv2d(16, 1, 1), conv(16, 24)
        self.b = conv(24, 16)

    def body(self, x):
        return self.b(self.a(x) * torch.sigmoid(self.mask(x)))


class Attention(nn.Module):
    """Tokens with heads: qkv in one layer, explicit scale."""

    def __init__(self):
        super().__init__()
        self.heads = 4
        self.patch = nn.Conv2d(3, 16, 4, 4)
        self.position = nn.Parameter(torch.randn(1, 16, 16))
        self.qkv, self.out = nn.Linear(16, 48), nn.Linear(16, 16)
        self.mlp = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))
        self.head = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2) + self.position
        b, n, _c = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        y = ((q * 0.5) @ k.transpose(-2, -1)).softmax(-1) @ v
        x = x + self.out(y.transpose(1, 2).reshape(b, n, -1))
        return self.head((x + self.mlp(x)).mean(1))


class WindowMask(nn.Module):
    """Windowed attention as in Swin V2: a bias that is zero in places, a filled mask, a table."""

    def __init__(self):
        super().__init__()
        self.patch, self.norm = nn.Conv2d(3, 24, 4, 4), nn.LayerNorm(24)
        self.qkv, self.out = nn.Linear(24, 72), nn.Linear(24, 24)
        self.table = nn.Parameter(torch.randn(31, 2))
        self.register_buffer('offsets', torch.arange(16)[:, None] - torch.arange(16) + 15)
        self.head = nn.Linear(24, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        bias = self.qkv.bias.clone()
        third = bias.numel() // 3
        bias[third : 2 * third].zero_()
        qkv = nn.functional.linear(x, self.qkv.weight, bias).unflatten(-1, (3, 2, third // 2))
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        mask = x.new_zeros(16, 16)
        for first, value in ((0, 1.0), (8, 2.0)):
            for second in (0, 8):
                mask[first : first + 8, second : second + 8] = value + second
        weights = (q @ k.transpose(-2, -1)) * 0.3 + self.table[self.offsets].permute(2, 0, 1)
        y = (weights + mask).softmax(-1) @ v
        x = x + self.norm(self.out(y.transpose(1, 2).flatten(2)))
        return self.head(x.mean(1))


class Sized(nn.Module):
    """Normalises over channels, and is told a size."""

    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(20)

    def forward(self, x: Tensor, size: int) -> Tensor:
        return self.norm(x) * size


class Queries(nn.Module):
    """The best tokens by score, mixed by an operator without a rule of its own (einsum)."""

    def __init__(self):
        super().__init__()
        self.patch, self.sized = nn.Conv2d(3, 20, 4, 4), Sized()
        self.score, self.mix = nn.Linear(20, 1), nn.Linear(20, 20)
        self.head = nn.Linear(20, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.sized(self.patch(x).flatten(2).transpose(1, 2), 2)
        best = self.score(x)[..., 0].topk(4).indices
        rows = torch.arange(len(x))[:, None]
        x = x[rows, best]
        y = torch.einsum('bnc,bmc->bnm', x, x).softmax(-1)
        x = x + self.mix(torch.einsum('bnm,bmc->bnc', y, x).flatten(0, 1)).reshape_as(x)
        return self.head(x)


class Transposed(Body):
    def build(self):
        self.down, self.up = conv(16, 24, stride=2), nn.ConvTranspose2d(24, 16, 2, 2)
        self.depth = nn.ConvTranspose2d(16, 16, 3, padding=1, groups=16)
        self.two = nn.ConvTranspose2d(16, 16, 3, padding=1, groups=2)

    def body(self, x):
        return self.two(self.depth(F.relu(self.up(self.down(x))) + x))


class InPlace(Body):
    """A part of a tensor is changed in place."""

    def build(self):
        self.a, self.b = conv(16, 16), conv(16, 8)

    def body(self, x):
        y = self.a(x).clone()
        y[:, :8] += self.b(x)
        return y


class Halves(Body):
    """Slices by computed bounds, and every second channel."""

    def build(self):
        self.a, self.b, self.c = conv(16, 32), conv(16, 16), conv(8, 16)

    def body(self, x):
        y = self.a(x)
        half = y.shape[1] // 2
        z = self.b(y[:, :half] * torch.sigmoid(y[:, half:]))
        return self.c(z[:, ::2] + z[:, 1::2])


class Upsampled(nn.Module):
    """A small detector: pyramid with upsampling and concat, heads on two levels."""

    def __init__(self):
        super().__init__()
        self.c1, self.c2, self.c3 = (
            conv(3, 16, stride=2),
            conv(16, 32, stride=2),
            conv(32, 48, 3, 2),
        )
        self.lateral, self.neck = conv(48, 24, 1), conv(56, 32)
        self.heads = nn.ModuleList(
            nn.Sequential(conv(n, 16), nn.Conv2d(16, 9, 1)) for n in (32, 48)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        fine = self.c2(self.c1(x))
        coarse = self.c3(fine)
        up = F.interpolate(self.lateral(coarse), scale_factor=2, mode='nearest')
        levels = [self.neck(torch.cat([up, fine], 1)), coarse]
        raw = [head(level) for head, level in zip(self.heads, levels, strict=True)]
        joined = torch.cat([r.view(r.shape[0], 9, -1) for r in raw], 2)
        box, score = joined.split((4, 5), 1)
        return torch.cat([box.exp(), score.sigmoid()], 1), raw


@torch.library.custom_op('channel_networks::mirror', mutates_args=())
def mirror(x: Tensor) -> Tensor:
    return x.flip(1)


@mirror.register_fake
def _(x: Tensor) -> Tensor:
    return torch.empty_like(x)


class CustomOperator(Body):
    """An operator that nobody has a rule for."""

    def build(self):
        self.a, self.b, self.c = conv(16, 32), conv(32, 16), conv(16, 16)

    def body(self, x):
        return self.c(mirror(self.b(self.a(x))))


class LiteralView(Body):
    """A view whose size is written as a number: only a trial can tell."""

    def build(self):
        self.a, self.b = conv(16, 32), conv(32, 16)

    def body(self, x):
        y = self.b(self.a(x))
        return y.reshape(y.shape[0], 16, -1, y.shape[3])


@dataclass(frozen=True)
class Case:
    """A network, inputs that fit, and how many MACs may be left at ratio 0.5."""

    factory: Callable[[], nn.Module]
    left: float = 0.4
    inputs: tuple[int, ...] = (2, 3, 16, 16)

    def example(self) -> tuple[Tensor, ...]:
        generator = torch.Generator().manual_seed(1)
        x = torch.randn(self.inputs, generator=generator)
        return (x, torch.tensor(0.7)) if self.factory is SharedHead else (x,)


CASES = [
    Case(Plain),
    Case(Residual),
    Case(PadShortcut, 0.7),
    Case(ChunkConcatAdd),
    Case(LiteralSplit),
    Case(UnequalSplit),
    Case(ConcatOfConcat),
    Case(ChannelShuffle),
    Case(PixelShuffle),
    Case(ViewedPixelShuffle),
    Case(SpaceToDepth),
    Case(Gate),
    Case(LayerScale),
    Case(Grouped),
    Case(SharedHead),
    Case(TiedWeights, inputs=(2, 12)),
    Case(FlattenLinear, 0.5),
    Case(ChannelsLast, 0.6),
    Case(Norms, 0.6),
    Case(MixingModules),
    Case(ComputedWeights),
    Case(ClassToken, 0.5),
    Case(ChannelAttention, 0.8),
    Case(SpatialMask),
    Case(Attention, 0.6),
    Case(WindowMask, 0.8),
    Case(Queries, 0.5),
    Case(Transposed),
    Case(InPlace, 0.6),
    Case(Halves),
    Case(Upsampled, inputs=(2, 3, 32, 32)),
    Case(CustomOperator, 0.7),
    Case(LiteralView, 0.7),
]
