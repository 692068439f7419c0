# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Third-party networks with random weights, as their authors publish them, for `coverage.py`.

Needs the library that a network comes from; none of them is a dependency of this project
(ultralytics is AGPL: benchmark only). Inputs are as small as a network allows.
"""

from __future__ import annotations

import importlib.util
import re
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Factory = Callable[[], Any]

NAMED = """
tv:resnet18 tv:resnet50 tv:resnext50_32x4d tv:wide_resnet50_2 tv:vgg16_bn tv:alexnet
tv:mobilenet_v2 tv:mobilenet_v3_small tv:mobilenet_v3_large tv:densenet121 tv:googlenet
tv:inception_v3@96 tv:shufflenet_v2_x1_0 tv:squeezenet1_1 tv:efficientnet_b0 tv:regnet_x_400mf
tv:regnet_y_400mf tv:convnext_tiny tv:mnasnet1_0
timm:hrnet_w18_small timm:res2net50_26w_4s timm:cspdarknet53 timm:cspresnet50 timm:ghostnet_100
timm:repvgg_a0 timm:legacy_seresnet18 timm:ecaresnet26t timm:skresnet18
head:ssd300_vgg16@300 head:ssdlite320_mobilenet_v3_large@320 head:retinanet_resnet50_fpn@128
head:fcos_resnet50_fpn@128
seg:deeplabv3_resnet50 seg:fcn_resnet50 seg:lraspp_mobilenet_v3_large smp:Unet smp:FPN
yolo:yolov3-tiny@128 yolo:yolov5n@128 yolo:yolov8n@128 yolo:yolov8n-seg@128 yolo:yolov8n-obb@128
yolo:yolov9t@128 yolo:yolov10n@128 yolo:yolo11n@128 yolo:yolo12n@128 yolo:yolo26n@128
yolo:rtdetr-resnet50@128
"""
"""What issue 3 names."""

CONVOLUTIONAL = """
timm:resnest14d timm:dla34 timm:vovnet39a timm:ese_vovnet19b_dw timm:mobileone_s0 timm:mixnet_s
timm:rexnet_100 timm:hardcorenas_a timm:selecsls42 timm:xception41 timm:legacy_xception
timm:tf_efficientnetv2_b0 timm:fastvit_t8 timm:repghostnet_050 timm:ghostnetv2_100 timm:gernet_s
timm:resnetv2_50 timm:dpn68 timm:lcnet_050 timm:tinynet_e timm:repvit_m0_9 timm:edgenext_xx_small
timm:convnextv2_atto timm:inception_next_atto timm:poolformer_s12 timm:poolformerv2_s12
timm:efficientvit_b0 timm:efficientvit_m0@224 timm:mobilenetv4_conv_small timm:nf_regnet_b0
timm:eca_nfnet_l0 timm:nf_resnet26 timm:tresnet_m timm:darknet53 timm:darknetaa53
timm:cspresnext50 timm:cs3darknet_s timm:densenetblur121d timm:dla60_res2net timm:res2next50
timm:skresnext50_32x4d timm:seresnext26ts timm:gcresnet33ts timm:bat_resnext26ts@256
timm:resnetblur18 timm:efficientnet_lite0 timm:fbnetc_100 timm:spnasnet_100 timm:mnasnet_small
timm:hgnetv2_b0 timm:fasternet_t0 timm:starnet_s1 timm:mambaout_femto timm:rdnet_tiny
timm:inception_v4@96 timm:inception_resnet_v2@96 timm:regnetz_b16 timm:convmixer_768_32
timm:focalnet_tiny_srf timm:shvit_s1 timm:cspnext_s timm:nasnetalarge@96
tv:efficientnet_v2_s tv:shufflenet_v2_x0_5 tv:squeezenet1_0 tv:vgg11 tv:mnasnet0_5
seg:deeplabv3_mobilenet_v3_large video:r3d_18 video:mc3_18 video:r2plus1d_18 video:s3d@224
smp:UnetPlusPlus smp:Linknet smp:MAnet smp:PSPNet smp:DeepLabV3Plus smp:PAN@128
cv:resnet20_cifar10@32 cv:diaresnet20_cifar10@32 cv:shufflenet_g3_wd4@224
cv:igcv3_wd4@224 cv:menet108_8x1_g3@224 cv:peleenet@224 cv:bninception@224
cv:airnet50_1x64d_r2@224 cv:lwopenpose2d_mobilenet_cmupan_coco cv:hardnet39ds@224
cv:pyramidnet110_a48_cifar10@32
yolo:yolov3@128 yolo:yolov6n@128 yolo:yolov8n-pose@128 yolo:yolov8n-cls@128 yolo:yolov8n-p2@128
yolo:yolov8n-ghost@128 yolo:yolo11n-seg@128 yolo:yolo11n-pose@128 yolo:yolo11n-obb@128
yolo:yolo11n-cls@128 yolo:yolo12n-seg@128 yolo:yolo26n-seg@128 yolo:yolo26n-pose@128
"""
"""More convolutional families."""

ATTENTION = """
timm:coatnet_pico_rw_224@224 timm:maxvit_pico_rw_256@256 timm:swin_tiny_patch4_window7_224@224
timm:vit_tiny_patch16_224@224 timm:deit_tiny_patch16_224@224 timm:mobilevit_xxs
timm:mobilevitv2_050 timm:mobilenetv4_hybrid_medium timm:levit_128s@224 timm:pvt_v2_b0
timm:efficientformer_l1@224 timm:efficientformerv2_s0@224 timm:nextvit_small
timm:swiftformer_xs@224 timm:tiny_vit_5m_224@224 timm:mixer_s32_224@224 timm:resmlp_12_224@224
timm:xcit_nano_12_p16_224@224 timm:cait_xxs24_224@224 timm:halonet26t@256
timm:lambda_resnet26t@256 timm:botnet26t_256@256 timm:visformer_tiny@224 timm:sequencer2d_s@224
timm:volo_d1_224@224 timm:twins_svt_small@224 timm:davit_tiny timm:coat_lite_tiny@224 tv:swin_t
tv:swin_v2_t tv:vit_b_16@224 tv:maxvit_t@224 yolo:rtdetr-l@128 yolo:yolov8s-world@128
hf:rt_detr@128 hf:segformer hf:detr
"""
"""Networks with attention or token mixing."""

WHOLE_DETECTORS = """
det:fasterrcnn_mobilenet_v3_large_320_fpn@128 det:fasterrcnn_resnet50_fpn@128
det:maskrcnn_resnet50_fpn@128 det:keypointrcnn_resnet50_fpn@128 det:retinanet_resnet50_fpn@128
det:fcos_resnet50_fpn@128 det:ssd300_vgg16@300 det:ssdlite320_mobilenet_v3_large@320
"""
"""torchvision detectors as they come, with resizing and non-maximum suppression."""

SETS = {
    'named': NAMED.split(),
    'convolutional': CONVOLUTIONAL.split(),
    'attention': ATTENTION.split(),
    'detectors': WHOLE_DETECTORS.split(),
}
ALL = {}
for _set in SETS.values():
    for _entry in _set:
        ALL.setdefault(_entry.partition('@')[0], int(_entry.partition('@')[2] or 64))


@dataclass(frozen=True)
class Network:
    """A factory (always the same random weights) and example inputs."""

    factory: Factory
    example: tuple[Any, ...]


def import_torchvision() -> None:
    """Import torchvision, whose PyPI build cannot load its C++ operators beside CPU-only torch.

    The import then fails for want of their schemas, so they are declared first.
    """
    import torch

    spec = importlib.util.find_spec('torchvision')
    if spec is None or spec.origin is None:
        raise SystemExit('the coverage benchmark needs torchvision')
    try:
        import torchvision
    except RuntimeError:
        for name in [n for n in sys.modules if n.startswith('torchvision')]:
            del sys.modules[name]
        text = (Path(spec.origin).parent / '_meta_registrations.py').read_text()
        library = torch.library.Library('torchvision', 'DEF')
        for name in set(re.findall(r'register_(?:fake|meta)\("(?:torchvision::)?(\w+)"', text)):
            library.define(SCHEMAS.get(name, f'{name}(Tensor a) -> Tensor'))
        import_torchvision.library = library  # type: ignore[attr-defined]
        library.impl('nms', _nms, 'CPU')
        library.impl('roi_align', _roi_align, 'CPU')
        import torchvision
    torchvision.extension._has_ops = lambda: True  # nms and roi_align are stood in for


SCHEMAS = {
    'nms': 'nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor',
    'roi_align': (
        'roi_align(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, '
        'SymInt pooled_width, int sampling_ratio, bool aligned) -> Tensor'
    ),
}


def _nms(boxes: Any, scores: Any, threshold: float) -> Any:
    """Greedy non-maximum suppression, which stands in for the missing C++ operator."""
    import torch

    left, kept = scores.argsort(descending=True), []
    while left.numel():
        first, left = left[0], left[1:]
        kept.append(int(first))
        low = torch.maximum(boxes[first, :2], boxes[left, :2])
        high = torch.minimum(boxes[first, 2:], boxes[left, 2:])
        overlap = (high - low).clamp(min=0).prod(1)
        areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
        left = left[overlap <= threshold * (areas[first] + areas[left] - overlap)]
    return torch.tensor(kept, dtype=torch.int64)


def _roi_align(  # noqa: PLR0917 (the operator's own order)
    x: Any, rois: Any, scale: float, height: int, width: int, ratio: int, aligned: bool
) -> Any:
    """One bilinear sample for each cell, which stands in for the missing C++ operator."""
    import torch
    from torch.nn import functional

    if not len(rois):
        return x.new_zeros(0, x.shape[1], height, width)
    low, high = (rois[:, 1:3] * scale)[:, None, None], (rois[:, 3:5] * scale)[:, None, None]
    ys, xs = torch.meshgrid(
        (torch.arange(height).to(x) + 0.5) / height,
        (torch.arange(width).to(x) + 0.5) / width,
        indexing='ij',
    )
    at = low + (high - low) * torch.stack([xs, ys], -1)
    size = torch.tensor([x.shape[3], x.shape[2]]).to(x)
    grid = 2 * (at + (0 if aligned else 0.5)) / size - 1
    return functional.grid_sample(x[rois[:, 0].long()], grid, align_corners=False)


def build(name: str, size: int | None = None) -> Network:
    """The network called ``library:name``, in evaluation mode."""
    import torch

    import_torchvision()
    torch.set_num_threads(1)
    warnings.simplefilter('ignore')
    library, _, short = name.partition(':')
    make = LIBRARIES[library]

    def factory() -> Any:
        torch.manual_seed(0)
        return make(short).eval()

    generator = torch.Generator().manual_seed(0)
    size = size or ALL.get(name, 64)
    frames = 16 if short == 's3d' else 8  # S3D halves them three times and then averages two
    shape = (1, 3, frames, size, size) if library == 'video' else (1, 3, size, size)
    x = torch.randn(shape, generator=generator)
    return Network(factory, ([x[0].sigmoid()],) if library == 'det' else (x,))


def _torchvision(name: str) -> Any:
    from torchvision.models import get_model

    extra = {'init_weights': False} if name in {'googlenet', 'inception_v3'} else {}
    return get_model(name, weights=None, **extra)


def _video(name: str) -> Any:
    from torchvision.models import video

    return getattr(video, name)(weights=None)


def _segmentation(name: str) -> Any:
    from torchvision.models import segmentation

    return getattr(segmentation, name)(weights=None, weights_backbone=None)


def _detector(name: str) -> Any:
    from torchvision.models import detection

    # They enlarge images to 800 px; the constructor lets one choose.
    small = {} if name.startswith('ssd') else {'min_size': 128, 'max_size': 160}
    return getattr(detection, name)(weights=None, weights_backbone=None, **small)


def _detector_core(name: str) -> Any:
    return _core_class()(_detector(name))


def _core_class() -> type:
    from torch import nn

    if 'Core' in globals():
        return globals()['Core']  # type: ignore[no-any-return]

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
    return Core


def _timm(name: str) -> Any:
    import timm

    return timm.create_model(name, pretrained=False)


def _smp(name: str) -> Any:
    import segmentation_models_pytorch as smp

    return getattr(smp, name)('resnet18', encoder_weights=None, classes=4)


def _pytorchcv(name: str) -> Any:
    from pytorchcv.model_provider import get_model

    return get_model(name, pretrained=False)


def _ultralytics(name: str) -> Any:
    from ultralytics.nn import tasks

    kinds = {
        'seg': tasks.SegmentationModel,
        'obb': tasks.OBBModel,
        'pose': tasks.PoseModel,
        'cls': tasks.ClassificationModel,
        'world': tasks.WorldModel,
    }
    kind = kinds.get(name.rpartition('-')[2], tasks.DetectionModel)
    if name.startswith('rtdetr'):
        kind = tasks.RTDETRDetectionModel
    return kind(f'{name}.yaml', verbose=False)


def _transformers(name: str) -> Any:
    import transformers as hf

    if name == 'segformer':
        return hf.SegformerForSemanticSegmentation(hf.SegformerConfig())
    if name == 'detr':
        config = hf.DetrConfig(
            use_timm_backbone=False, use_pretrained_backbone=False,
            backbone_config=hf.ResNetConfig(out_features=['stage4']),
            encoder_layers=2, decoder_layers=2,
        )
        return hf.DetrForObjectDetection(config)
    return hf.RTDetrForObjectDetection(hf.RTDetrConfig())


LIBRARIES: dict[str, Callable[[str], Any]] = {
    'tv': _torchvision,
    'video': _video,
    'seg': _segmentation,
    'det': _detector,
    'head': _detector_core,
    'timm': _timm,
    'smp': _smp,
    'cv': _pytorchcv,
    'yolo': _ultralytics,
    'hf': _transformers,
}
