# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from uav_prune_perception.networks.registry import build_network
from uav_prune_perception.networks.weights import WeightsError, load_weights, stated_normalisation

PUBLISHED = Path('/work/shared/data/weights')


def network(classes=4):
    return build_network('resnet_cifar', classes=classes, depth=8)


def test_safetensors_and_wrapped_checkpoints_load_the_same(tmp_path):
    source = network()
    save_file(source.state_dict(), tmp_path / 'a.safetensors')
    wrapped = {'state_dict': {f'module.{k}': v for k, v in source.state_dict().items()}}
    torch.save(wrapped, tmp_path / 'a.pt')
    for name in ('a.safetensors', 'a.pt'):
        target = network()
        assert load_weights(target, tmp_path / name) == []
        for key, value in source.state_dict().items():
            assert torch.equal(value, target.state_dict()[key])


def test_what_does_not_fit_is_named_and_nothing_is_copied():
    state = network().state_dict()
    state['stray'] = torch.zeros(1)
    del state['conv1.weight']
    target = network(classes=9)
    before = {k: v.clone() for k, v in target.state_dict().items()}
    with pytest.raises(WeightsError) as caught:
        load_weights(target, state)
    text = str(caught.value)
    assert 'missing conv1.weight' in text
    assert 'unexpected stray' in text
    assert 'linear.weight (4, 64), the network has (9, 64)' in text
    assert all(torch.equal(v, target.state_dict()[k]) for k, v in before.items())


def test_a_new_head_may_sit_on_a_trained_backbone():
    left = load_weights(network(classes=9), network().state_dict(), strict=False)
    assert left == ['linear.weight', 'linear.bias']


def test_public_names_and_prefixes_of_the_same_layers_are_understood():
    source = build_network('resnet18', classes=4, widths=(8, 8, 8, 16))
    public = {
        'module.' + key.replace('fc.', 'classifier.').replace('downsample', 'shortcut'): value
        for key, value in source.state_dict().items()
    }
    target = build_network('resnet18', classes=4, widths=(8, 8, 8, 16))
    assert load_weights(target, public) == []
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(source.eval()(images), target.eval()(images))


def test_a_bias_before_batchnorm_goes_into_its_mean():
    model = build_network('vgg_bn', classes=4, depth=11, width=0.125)
    public = copy.deepcopy(model)
    for index, layer in enumerate(public.features):
        if isinstance(layer, nn.Conv2d):
            layer.bias = nn.Parameter(torch.randn(layer.out_channels))
            public.features[index + 1].running_mean.normal_()
    assert load_weights(model, public.state_dict()) == []
    images = torch.randn(2, 3, 32, 32)
    assert torch.allclose(public.eval()(images), model.eval()(images), atol=1e-5)


def test_a_renamed_layer_of_another_shape_is_still_refused():
    state = {k.replace('linear.', 'fc.'): v for k, v in network(classes=9).state_dict().items()}
    with pytest.raises(WeightsError, match=r'missing linear\.weight.*unexpected fc\.weight'):
        load_weights(network(), state)


@pytest.mark.parametrize(
    ('text', 'wanted'),
    [
        ('RGB/255, mean .485 .456 .406 std .229 .224 .225',
         ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))),
        ('RGB/255, mean .5 std .5', ((0.5,), (0.5,))),
        ('as usual', None),
    ],
)
def test_the_normalisation_that_weights_state_is_read(tmp_path, text, wanted):
    save_file({'a': torch.zeros(1)}, tmp_path / 'a.safetensors', {'normalise': text})
    assert stated_normalisation(tmp_path / 'a.safetensors') == wanted
    assert stated_normalisation(tmp_path / 'b.safetensors') is None


class Trap:
    def __reduce__(self):
        return (Path.touch, (Path('/tmp/uav_prune_trap'),))


def test_a_pickle_that_runs_code_is_refused(tmp_path):
    torch.save({'model': Trap()}, tmp_path / 'evil.pt')
    with pytest.raises(WeightsError, match=r'evil\.pt: holds more than tensors'):
        load_weights(network(), tmp_path / 'evil.pt')
    assert not Path('/tmp/uav_prune_trap').exists()


@pytest.mark.parametrize('name', ['a.pt', 'a.safetensors'])
def test_a_damaged_or_missing_file_is_one_line(tmp_path, name):
    with pytest.raises(WeightsError, match='no such weights file'):
        load_weights(network(), tmp_path / name)
    (tmp_path / name).write_bytes(b'garbage garbage garbage')
    with pytest.raises(WeightsError, match='a\\.') as caught:
        load_weights(network(), tmp_path / name)
    assert '\n' not in str(caught.value)


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason='no published weights at /work/shared/data')
@pytest.mark.parametrize(
    ('file', 'name', 'options'),
    [
        ('cifar10_resnet20', 'resnet_cifar', {'depth': 20}),
        ('cifar10_resnet56', 'resnet_cifar', {'depth': 56}),
        (
            'eurosat_resnet_baseline',
            'resnet18',
            {'layers': (2, 2, 2), 'widths': (32, 64, 128)},
        ),
    ],
)
def test_published_weights_load(file, name, options):
    model = build_network(name, classes=10, **options)
    assert load_weights(model, PUBLISHED / f'{file}.safetensors') == []
