# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Which third-party networks can be pruned: ours beside Torch-Pruning.

Needs torchvision, timm, ultralytics (AGPL, benchmark only) and torch-pruning in the environment;
none of them is a dependency of this project. Networks have random weights. Each network and tool
runs in its own process with a time limit.

    python benchmarks/coverage.py --out coverage            # everything
    python benchmarks/coverage.py --only resnet18 yolov8n   # some

A network counts as handled when MACs really go (at most 90 % left), the result equals the masked
dense network (relative error below 1e-4), runs after a reload (ours: plan + safetensors;
Torch-Pruning: pickle), and, with --onnx, gives the same numbers in ONNX Runtime.
"""

from __future__ import annotations

import argparse
import copy
import importlib.util
import json
import pickle
import re
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

TORCHVISION_NAMES = (
    'resnet18 resnet50 resnext50_32x4d wide_resnet50_2 vgg16_bn alexnet mobilenet_v2 '
    'mobilenet_v3_large densenet121 googlenet shufflenet_v2_x1_0 squeezenet1_1 '
    'efficientnet_b0 regnet_x_400mf regnet_y_400mf convnext_tiny mnasnet1_0'
)
TORCHVISION = {**dict.fromkeys(TORCHVISION_NAMES.split(), 64), 'inception_v3': 128}
SEGMENTATION = ('deeplabv3_resnet50', 'fcn_resnet50', 'lraspp_mobilenet_v3_large')
DETECTION = {
    'ssd300_vgg16': 300,
    'ssdlite320_mobilenet_v3_large': 320,
    'retinanet_resnet50_fpn': 128,
    'fcos_resnet50_fpn': 128,
}
TIMM_NAMES = (
    'hrnet_w18_small res2net50_26w_4s cspdarknet53 cspresnet50 ghostnet_100 repvgg_a0 '
    'legacy_seresnet18 ecaresnet26t skresnet18 resnest14d dla34 vovnet39a mobileone_s0 '
    'mixnet_s rexnet_100 hardcorenas_a selecsls42 xception41 tf_efficientnetv2_b0 fastvit_t8 '
    'repghostnet_050 gernet_s resnetv2_50 dpn68'
)
TIMM = TIMM_NAMES.split()
YOLO_NAMES = (
    'yolov3-tiny yolov5n yolov8n yolov8n-seg yolov8n-obb yolov9t yolov10n yolo11n yolo12n '
    'yolo26n rtdetr-resnet50'
)
YOLO = YOLO_NAMES.split()
NETWORKS = (*TORCHVISION, *SEGMENTATION, *DETECTION, *TIMM, *YOLO)
LEFT, TOLERANCE = 0.9, 1e-4


def import_torchvision() -> None:
    """Import torchvision, whose PyPI build cannot load its C++ operators beside CPU-only torch.

    The import then fails for want of their schemas, so they are declared first.
    """
    import torch

    spec = importlib.util.find_spec('torchvision')
    if spec is None or spec.origin is None:
        raise SystemExit('coverage.py needs torchvision')
    try:
        import torchvision
    except RuntimeError:
        for name in [n for n in sys.modules if n.startswith('torchvision')]:
            del sys.modules[name]
        text = (Path(spec.origin).parent / '_meta_registrations.py').read_text()
        library = torch.library.Library('torchvision', 'DEF')
        for name in set(re.findall(r'register_(?:fake|meta)\("(?:torchvision::)?(\w+)"', text)):
            library.define(f'{name}(Tensor a) -> Tensor')
        import torchvision  # noqa: F401

        import_torchvision.library = library  # type: ignore[attr-defined]


def build(name: str) -> tuple[Callable[[], Any], Any]:
    """A factory and example inputs."""
    import torch
    from torch import nn

    import_torchvision()
    torch.set_num_threads(1)
    warnings.simplefilter('ignore')

    class Core(nn.Module):
        """A torchvision detector up to its raw head outputs (before NMS)."""

        def __init__(self, detector: nn.Module) -> None:
            super().__init__()
            self.backbone, self.head = detector.backbone, detector.head

        def forward(self, x: Any) -> Any:
            features = self.backbone(x)
            return self.head(list(features.values()))

    Core.__qualname__ = 'Core'  # so that Torch-Pruning's result can be pickled
    globals()['Core'] = Core

    def factory() -> nn.Module:
        from torchvision.models import detection, get_model, segmentation

        torch.manual_seed(0)
        if name in TORCHVISION:
            extra = {'init_weights': False} if name in {'googlenet', 'inception_v3'} else {}
            return get_model(name, weights=None, **extra).eval()
        if name in SEGMENTATION:
            make = getattr(segmentation, name)
            return make(weights=None, weights_backbone=None).eval()
        if name in DETECTION:
            return Core(getattr(detection, name)(weights=None, weights_backbone=None)).eval()
        if name in TIMM:
            import timm

            return timm.create_model(name, pretrained=False).eval()
        from ultralytics.nn import tasks

        kind = {'seg': tasks.SegmentationModel, 'obb': tasks.OBBModel}.get(name[-3:])
        if name.startswith('rtdetr'):
            kind = tasks.RTDETRDetectionModel
        return (kind or tasks.DetectionModel)(f'{name}.yaml', verbose=False).eval()

    size = {**TORCHVISION, **DETECTION}.get(name, 128 if name in YOLO else 64)
    return factory, torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(0))


def macs_of(model: Any, x: Any) -> float:
    """Measured multiply-accumulates."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(x)
    return counter.get_total_flops() / 2


def floats(outputs: Any) -> list[Any]:
    """Floating-point tensors of nested outputs."""
    import torch
    from torch.utils import _pytree as pytree

    leaves = pytree.tree_leaves(outputs)
    return [t for t in leaves if isinstance(t, torch.Tensor) and t.is_floating_point()]


def error_between(reference: Any, other: Any) -> float:
    """Worst relative difference."""
    from uav_prune_perception.channels.verify import relative_error

    return relative_error(floats(reference), floats(other))


def run_ours(name: str, onnx: bool) -> dict[str, Any]:
    """Prune, measure, save, reload, export."""
    import torch

    from uav_prune_perception.channels import load_pruned, prune

    factory, x = build(name)
    model = factory()
    started = time.perf_counter()
    result = prune(model, x, ratio=0.5)
    row: dict[str, Any] = {'seconds': time.perf_counter() - started}
    free, total = result.report.channels
    row.update(
        left=macs_of(result.model, x) / macs_of(model, x),
        error=result.report.max_error,
        channels=f'{free}/{total}',
        frozen=[str(f) for f in result.report.frozen if 'output of the network' not in f.reason],
    )
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        result.plan.save(folder, result.model)
        again = load_pruned(factory, folder).eval()
        row['reload'] = error_between(result.model(x), again(x)) == 0
    if onnx:
        row['onnx'] = onnx_error(result.model, x)
    return row


def run_theirs(name: str, onnx: bool) -> dict[str, Any]:
    """The same with Torch-Pruning's high-level pruner, output layers ignored."""
    import torch
    import torch_pruning as tp
    from torch import nn

    factory, x = build(name)
    model, dense = factory(), factory()
    before = macs_of(dense, x)
    started = time.perf_counter()
    pruner = tp.pruner.BasePruner(
        model,
        x,
        importance=tp.importance.MagnitudeImportance(p=1),
        pruning_ratio=0.5,
        ignored_layers=output_layers(model),
    )
    names = {id(m): n for n, m in model.named_modules()}
    mask = Silencer(dense)
    for group in pruner.step(interactive=True):
        for dep, indices in group:
            mask.silence(names.get(id(dep.target.module)), dep.handler.__name__, indices)
        group.prune()
    row: dict[str, Any] = {'seconds': time.perf_counter() - started}
    model.eval()
    with torch.no_grad():
        row['left'] = macs_of(model, x) / before
        reference, pruned = floats(dense(x)), floats(model(x))
        # YOLO returns feature maps too, which Torch-Pruning may cut: not held against it.
        pairs = [(a, b) for a, b in zip(reference, pruned, strict=True) if a.shape == b.shape]
        row['error'] = error_between(*zip(*pairs, strict=True)) if pairs else float('inf')
        again = pickle.loads(pickle.dumps(model))
        row['reload'] = error_between(model(x), again(x)) == 0
    if onnx:
        row['onnx'] = onnx_error(model, x)
    assert isinstance(model, nn.Module)
    return row


class Silencer:
    """Zeroes in the dense network what Torch-Pruning says it removes, by original index."""

    def __init__(self, dense: Any) -> None:
        self.modules = dict(dense.named_modules())
        self.alive: dict[tuple[str, int], list[int]] = {}

    def silence(self, name: str | None, handler: str, indices: list[int]) -> None:
        """One removal; index lists refer to the already pruned network."""
        import torch
        from torch import nn

        module = self.modules.get(name or '?')
        weight = getattr(module, 'weight', None)
        if not isinstance(weight, torch.Tensor):
            return
        transposed = isinstance(module, nn.modules.conv._ConvTransposeNd)
        out = 'out' in handler
        dim = 0 if weight.dim() == 1 or out != transposed else 1
        depthwise = weight.dim() > 1 and weight.shape[dim] == 1
        if depthwise or (not out and weight.dim() == 1):
            return
        alive = self.alive.setdefault((name or '?', dim), list(range(weight.shape[dim])))
        gone = [alive[i] for i in indices if i < len(alive)]
        self.alive[name or '?', dim] = [i for i in alive if i not in set(gone)]
        with torch.no_grad():
            weight.index_fill_(dim, torch.tensor(gone, dtype=torch.int64), 0)
            bias = getattr(module, 'bias', None)
            if out and isinstance(bias, torch.Tensor):
                bias[gone] = 0


def output_layers(model: Any) -> list[Any]:
    """Layers that a user would tell Torch-Pruning to leave alone."""
    from torch import nn

    last = [m for m in model.modules() if isinstance(m, (nn.Linear, nn.Conv2d))][-1:]
    heads = [m for m in model.modules() if type(m).__name__ in HEADS]
    classifiers = [
        m
        for m in model.modules()
        if (isinstance(m, nn.Linear) and m.out_features == 1000)
        or (isinstance(m, nn.Conv2d) and m.out_channels in {21, 91, 1000})
    ]
    return [*last, *heads, *classifiers]


HEADS = {
    'Detect',
    'v10Detect',
    'Segment',
    'OBB',
    'RTDETRDecoder',
    'SSDHead',
    'SSDLiteHead',
    'RetinaNetHead',
    'FCOSHead',
}


def onnx_error(model: Any, x: Any) -> float:
    """Export, run in ONNX Runtime, compare."""
    import onnxruntime
    import torch

    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        path = str(Path(folder) / 'model.onnx')
        model = copy.deepcopy(model).eval()
        torch.onnx.export(model, (x,), path, dynamo=True, verbose=False, external_data=False)
        session = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])
        outputs = session.run(None, {session.get_inputs()[0].name: x.numpy()})
        return error_between(model(x), [torch.from_numpy(o) for o in outputs])


def handled(row: dict[str, Any], onnx: bool) -> bool:
    """Every condition of the module's docstring."""
    return (
        'failed' not in row
        and row['left'] <= LEFT
        and row['error'] < TOLERANCE
        and bool(row['reload'])
        and (not onnx or row.get('onnx', 1.0) < 1e-3)
    )


def in_process(tool: str, name: str, limit: float, onnx: bool) -> dict[str, Any]:
    """One network and tool in a process of its own."""
    command = [sys.executable, __file__, '--child', tool, '--only', name]
    try:
        done = subprocess.run(
            command + ['--onnx'] * onnx, capture_output=True, text=True, timeout=limit, check=False
        )
    except subprocess.TimeoutExpired:
        return {'failed': f'not done in {limit:.0f} s'}
    for line in done.stdout.splitlines():
        if line.startswith('ROW '):
            return json.loads(line[4:])
    return {'failed': (done.stderr.strip().splitlines() or ['killed'])[-1][:200]}


def child(tool: str, name: str, onnx: bool) -> None:
    """Print one row of results."""
    try:
        row = {'ours': run_ours, 'theirs': run_theirs}[tool](name, onnx)
    except Exception as error:
        row = {'failed': f'{type(error).__name__}: {str(error).strip().splitlines()[0][:160]}'}
    print('ROW', json.dumps(row), flush=True)


def cell(row: dict[str, Any], onnx: bool) -> str:
    """How a result reads in the table."""
    if 'failed' in row:
        return f'✗ {row["failed"][:60]}'.replace('|', '/')
    mark = '✓' if handled(row, onnx) else '✗'
    tail = f', onnx {row["onnx"]:.0e}' if 'onnx' in row else ''
    return f'{mark} {row["left"]:.0%}, err {row["error"]:.0e}{tail}, {row["seconds"]:.0f} s'


def table(results: dict[str, Any], onnx: bool) -> str:
    """Markdown."""
    lines = [
        '| network | ours: MACs left, error, time | Torch-Pruning |',
        '|---|---|---|',
    ]
    for name, row in results.items():
        lines.append(f'| {name} | {cell(row["ours"], onnx)} | {cell(row["theirs"], onnx)} |')
    counts = [sum(handled(r[t], onnx) for r in results.values()) for t in ('ours', 'theirs')]
    lines.append(f'| **handled of {len(results)}** | **{counts[0]}** | **{counts[1]}** |')
    return '\n'.join(lines) + '\n'


def main() -> None:
    """Run everything asked for; results are written after each network."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--only', nargs='+', default=list(NETWORKS), metavar='NAME')
    parser.add_argument('--limit', type=float, default=300, help='seconds per network and tool')
    parser.add_argument('--onnx', action='store_true', help='export and run in ONNX Runtime')
    parser.add_argument('--out', default='coverage', help='writes OUT.md and OUT.json')
    parser.add_argument('--child', choices=('ours', 'theirs'), help=argparse.SUPPRESS)
    options = parser.parse_args()
    unknown = set(options.only) - set(NETWORKS)
    if unknown:
        parser.error(f'unknown: {", ".join(sorted(unknown))}')
    if options.child:
        child(options.child, options.only[0], options.onnx)
        return
    results: dict[str, Any] = {}
    for name in options.only:
        results[name] = {
            tool: in_process(tool, name, options.limit, options.onnx)
            for tool in ('ours', 'theirs')
        }
        print(name, '|', *(cell(results[name][t], options.onnx) + ' |' for t in results[name]))
        Path(f'{options.out}.json').write_text(json.dumps(results, indent=1) + '\n')
        Path(f'{options.out}.md').write_text(table(results, options.onnx))


if __name__ == '__main__':
    main()
