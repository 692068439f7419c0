# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What is written is one file that old readers accept and that computes what torch computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from uav_prune_perception.export.onnx_export import ExportError, export_onnx
from uav_prune_perception.export.verification import verify_onnx


class Mixed(nn.Module):
    """The operators whose ONNX form changed between opsets: resize, split, reduce, pad."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.out = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        y = F.interpolate(F.silu(self.norm(self.conv(x))), scale_factor=2.0)
        a, b = F.pad(y, (1, 1, 1, 1)).chunk(2, dim=1)
        return self.out(torch.cat([a.sigmoid(), b], dim=1).mean((2, 3)))


def inputs(count: int = 3) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.random((1, 3, 16, 24), dtype=np.float32) for _ in range(count)]


def network() -> Mixed:
    torch.manual_seed(0)
    return Mixed()


@pytest.mark.parametrize('opset', [17, 18])
def test_the_file_is_whole_old_and_equal(
    tmp_path: Path, opset: int, capfd: pytest.CaptureFixture[str]
) -> None:
    model = network().train()
    path = export_onnx(
        model, torch.zeros(1, 3, 16, 24), tmp_path / 'model.onnx', input_name='images',
        output_name='logits', opset=opset,
    )
    assert model.training, 'exporting must not change the mode'
    assert [item.name for item in tmp_path.iterdir()] == ['model.onnx'], 'no external data'
    proto = onnx.load(path)
    assert proto.ir_version <= 8, 'ONNX Runtime 1.14 reads no newer file'
    assert {item.domain: item.version for item in proto.opset_import} == {'': opset}
    assert [item.name for item in proto.graph.input] == ['images']
    assert [item.name for item in proto.graph.output] == ['logits']
    shape = proto.graph.input[0].type.tensor_type.shape
    assert [item.dim_value for item in shape.dim] == [1, 3, 16, 24]
    agreement = verify_onnx(model, path, inputs())
    assert agreement.inputs == 3
    assert agreement.relative_error < 1e-5
    assert capfd.readouterr() == ('', ''), 'the exporter must be quiet'


@pytest.mark.parametrize(('opset', 'refusing'), [(17, False), (18, True)])
def test_the_other_exporter_takes_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opset: int, refusing: bool
) -> None:
    ordinary = torch.onnx.export

    def refuse(*args: object, dynamo: bool, **options: object) -> object:
        if dynamo is refusing:
            raise RuntimeError('no such operator\nmany lines')
        return ordinary(*args, dynamo=dynamo, **options)

    monkeypatch.setattr(torch.onnx, 'export', refuse)
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU())
    example, path = torch.zeros(1, 3, 16, 24), tmp_path / 'm.onnx'
    export_onnx(model, example, path, input_name='i', output_name='o', opset=opset)
    assert {item.domain: item.version for item in onnx.load(path).opset_import} == {'': opset}
    assert verify_onnx(model, path, inputs()).relative_error < 1e-5


class Attentive(nn.Module):
    """Attention over places, as the necks of transformer detectors have it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 8, 8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        places = self.conv(x).flatten(2).transpose(1, 2)
        return places + self.attention(places, places, places, need_weights=False)[0]


def test_attention_is_written_for_old_readers_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ordinary = torch.onnx.export

    def older_only(*args: object, dynamo: bool, **options: object) -> object:
        if dynamo:
            raise RuntimeError('its opset 18 goes down to 17 for a part of networks only')
        return ordinary(*args, dynamo=dynamo, **options)

    monkeypatch.setattr(torch.onnx, 'export', older_only)
    torch.manual_seed(0)
    model, example, path = Attentive().eval(), torch.zeros(1, 3, 16, 24), tmp_path / 'm.onnx'
    before = torch.backends.mha.get_fastpath_enabled()
    export_onnx(model, example, path, input_name='i', output_name='o', opset=17)
    assert torch.backends.mha.get_fastpath_enabled() == before
    assert verify_onnx(model, path, inputs()).relative_error < 1e-5


class Sampled(nn.Module):
    """Reference points made of the picture's size, as deformable attention has them."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        h, w = y.shape[-2:]
        rows, columns = (torch.arange(h) + 0.5) / h, (torch.arange(w) + 0.5) / w
        grid = torch.stack(torch.meshgrid(columns, rows, indexing='xy'), -1)[None]
        shifted = (grid * 1.7 - 0.9).expand(len(y), -1, -1, -1)
        return F.grid_sample(y, shifted, align_corners=False)


def test_sizes_that_are_divided_stay_in_single_precision(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, path = Sampled().eval(), tmp_path / 'm.onnx'
    export_onnx(model, torch.zeros(1, 3, 16, 24), path, input_name='i', output_name='o')
    assert verify_onnx(model, path, inputs()).relative_error < 1e-4


def test_both_refusals_are_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, dynamo: bool, **__: object) -> None:
        raise RuntimeError(f'no {"new" if dynamo else "old"} operator\nmany lines')

    monkeypatch.setattr(torch.onnx, 'export', refuse)
    with pytest.raises(ExportError, match=r'TorchScript.*no old operator.*no new') as refusal:
        export_onnx(
            network(), torch.zeros(1, 3, 16, 24), tmp_path / 'm.onnx', input_name='i',
            output_name='o',
        )
    assert '\n' not in str(refusal.value)
    assert not list(tmp_path.iterdir())


def test_no_machine_path_is_left_in_the_file(tmp_path: Path) -> None:
    path = export_onnx(
        network(), torch.zeros(1, 3, 16, 24), tmp_path / 'm.onnx', input_name='i',
        output_name='o', opset=18,
    )
    assert b'site-packages' not in path.read_bytes()
    assert Path(__file__).name.encode() not in path.read_bytes()


def test_another_networks_file_is_refused(tmp_path: Path) -> None:
    path = export_onnx(
        network(), torch.zeros(1, 3, 16, 24), tmp_path / 'm.onnx', input_name='i', output_name='o'
    )
    other = network()
    with torch.no_grad():
        other.out.weight[0, 0] += 0.5
    with pytest.raises(ExportError, match='differs from the torch network by'):
        verify_onnx(other, path, inputs())


class Boxes(nn.Module):
    """Two candidates, one of them driven out of every picture by an exponential."""

    def __init__(self, wild: float, shift: float = 0.0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 16, 16)
        self.wild, self.shift = wild, shift

    def forward(self, x: Tensor) -> Tensor:
        near = self.conv(x).flatten(2)[:, :, :1].sigmoid() * 20 + self.shift
        far = near * (self.wild * (1 + 0.1 * self.shift))
        return torch.cat([near, far], dim=2)


def test_a_box_out_of_all_pictures_neither_hides_nor_is_a_difference(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, path = Boxes(1e9), tmp_path / 'm.onnx'
    export_onnx(model, torch.zeros(1, 3, 16, 24), path, input_name='i', output_name='o')
    other = Boxes(1e9)
    other.load_state_dict(model.state_dict())
    other.shift = 0.02  # of a box in the picture; the wild one moves by two in a thousand
    assert verify_onnx(model, path, inputs(), reach=48.0).relative_error < 1e-5
    agreement = verify_onnx(other, path, inputs(), reach=48.0, tolerance=1.0)
    assert 1e-4 < agreement.relative_error < 2e-2
    with pytest.raises(ExportError, match='differs from the torch network by'):
        verify_onnx(other, path, inputs(), reach=48.0, tolerance=1e-4)


class Amplifier(nn.Module):
    """One sum in two orders, and a large multiple of what rounding makes of their difference."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.lift = nn.Conv2d(3, 512, 3)
        self.first, self.second = nn.Conv2d(512, 16, 3), nn.Conv2d(512, 16, 3)
        self.base = nn.Conv2d(3, 16, 5)
        self.factor = factor
        with torch.no_grad():
            self.second.weight.copy_(self.first.weight.flip(1))
            self.second.bias.copy_(self.first.bias)

    def forward(self, x: Tensor) -> Tensor:
        y = self.lift(x)
        noise = self.first(y) - self.second(y.flip(1))
        return (self.base(x) + self.factor * noise).amax((2, 3))


def test_a_network_that_amplifies_rounding_is_compared_with_exact_numbers(tmp_path: Path) -> None:
    model, path = Amplifier(3e4), tmp_path / 'm.onnx'
    export_onnx(model, torch.zeros(1, 3, 16, 24), path, input_name='i', output_name='o')
    agreement = verify_onnx(model, path, inputs())
    assert agreement.relative_error > 1e-3
    assert agreement.rounding > 3e-4
    other = Amplifier(3e4)
    with torch.no_grad():
        other.base.bias += 0.5  # another network: no rounding explains it
    with pytest.raises(ExportError, match='differs from the torch network by'):
        verify_onnx(other, path, inputs())
    assert verify_onnx(Amplifier(0.0), path, inputs(), tolerance=1.0).rounding == 0.0


def test_numbers_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    model = network()
    with torch.no_grad():
        model.out.bias[0] = float('nan')
    path = export_onnx(
        model, torch.zeros(1, 3, 16, 24), tmp_path / 'm.onnx', input_name='i', output_name='o'
    )
    with pytest.raises(ExportError, match=r'not finite; clamp'):
        verify_onnx(model, path, inputs())


def test_a_network_that_cannot_be_written_leaves_no_file(tmp_path: Path) -> None:
    class Pair(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return x + 1, x * 2

    with pytest.raises(ExportError, match='one input and one output'):
        export_onnx(
            Pair(), torch.zeros(1, 3, 4, 4), tmp_path / 'm.onnx', input_name='i', output_name='o'
        )
    assert list(tmp_path.iterdir()) == []


def test_no_inputs_prove_nothing(tmp_path: Path) -> None:
    path = export_onnx(
        network(), torch.zeros(1, 3, 16, 24), tmp_path / 'm.onnx', input_name='i', output_name='o'
    )
    with pytest.raises(ExportError, match='no inputs'):
        verify_onnx(network(), path, [])
