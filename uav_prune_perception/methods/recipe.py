# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What a pruning job is: one YAML file, checked before any work is done."""

from __future__ import annotations

import difflib
import itertools
import sys
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from uav_prune_perception.ladder.model import BoxesScores, Precision

from .recipe_source import KeyPath, RecipeError, RecipeSource, assign, read_source

# What follows a cut.
Recovery = Literal['finetune', 'retrain', 'scratch', 'none']
NAME = r'^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$'


class Section(BaseModel):
    """Part of a recipe: unknown keys are errors, values do not change."""

    model_config = ConfigDict(
        extra='forbid', frozen=True, populate_by_name=True, coerce_numbers_to_str=True
    )


class NetworkSection(Section):
    """Which network, and what it starts from."""

    name: str
    options: dict[str, Any] = Field(default_factory=dict)
    weights: Path | None = Field(
        None, description='trained weights to start from; with train.epochs: 0 they are the top'
    )


class FitSection(Section):
    """One training phase: the fields of `training.fit_options.FitOptions`, with their ranges."""

    epochs: int = Field(ge=0)
    batch_size: int = Field(default=16, ge=1)
    lr: float = Field(default=3e-3, gt=0)
    weight_decay: float = Field(default=0.02, ge=0)
    warmup_epochs: float = Field(default=1.0, ge=0)
    optimizer: Literal['adamw', 'sgd'] = 'adamw'
    ema: bool = True
    ema_decay: float = Field(default=0.99, gt=0, lt=1)
    clip_norm: float = Field(default=10.0, ge=0)
    threads: int | None = Field(default=None, ge=1)
    final_lr: float = Field(default=0.02, ge=0, le=1)
    evaluate_every: int = Field(default=0, ge=0)
    device: str = 'cpu'
    amp: bool = False
    keep_best: bool = False

    def options(self) -> dict[str, Any]:
        """The fields of `FitOptions`, without what a phase has beside them."""
        return self.model_dump(include=set(FitSection.model_fields))

    @model_validator(mode='after')
    def _best_is_seen(self) -> FitSection:
        if self.keep_best and self.evaluate_every == 0:
            raise ValueError('keep_best: needs evaluate_every: 1 or more')
        return self


class FinetuneSection(FitSection):
    """A training phase that may have the dense network as its teacher."""

    distil: bool = False


class RecoverySection(FinetuneSection):
    """The training of a cut network, which ``distil`` teaches the dense one's feature maps too."""

    feature_weight: float = Field(
        default=60.0, ge=0, description='of feature maps where distil is on; 0: outputs only'
    )


class SearchSection(FitSection):
    """The short training of each candidate of a search; 0 epochs: judged without training."""

    workers: int = Field(default=1, ge=1, description='processes that judge candidates')


LevelKind = Literal['kept_macs', 'kept_params', 'latency']
LEVEL_KINDS: tuple[LevelKind, ...] = get_args(LevelKind)


class LevelSection(Section):
    """One rung of the ladder: a share of the dense network's cost, counted or measured."""

    kept_macs: float | None = Field(default=None, gt=0, le=1)
    kept_params: float | None = Field(default=None, gt=0, le=1)
    latency: float | None = Field(
        default=None, gt=0, le=1, description='measured with ONNX Runtime on this machine'
    )
    name: str = Field(default='', pattern=r'^$|' + NAME)

    @model_validator(mode='after')
    def _one_budget(self) -> LevelSection:
        given = [kind for kind in LEVEL_KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            raise ValueError(
                f'give one of {", ".join(LEVEL_KINDS)}'
                + (f', not {" and ".join(given)}' if given else '')
            )
        if not self.name:  # '70' for 0.70
            object.__setattr__(self, 'name', f'{100 * self.share:g}'.replace('.', '_'))
        return self

    @property
    def kind(self) -> LevelKind:
        """Which of its keys is given."""
        return next(kind for kind in LEVEL_KINDS if getattr(self, kind) is not None)

    @property
    def share(self) -> float:
        """The value of that key: part of the dense network's, 0..1."""
        return float(getattr(self, self.kind))


class PruneSection(Section):
    """How channels are chosen, and how many stay at each level."""

    levels: tuple[LevelSection, ...] = Field(min_length=1)
    method: str = 'l1'
    options: dict[str, Any] = Field(
        default_factory=dict, description='of the method, which checks them'
    )
    allocation: str | None = Field(default=None, description="None: the method's own, or global")
    recovery: Recovery | None = Field(default=None, description="None: the method's own")
    start: Literal['previous', 'dense'] = Field(default='previous', alias='from')
    round_to: int | Literal['auto'] = Field(
        default='auto', description='widths are multiples of it; auto: as the engine likes them'
    )
    min_channels: int = Field(default=4, ge=1)
    max_cut: float = Field(default=0.9, gt=0, le=1)
    recalibrate_batches: int = Field(default=20, ge=0)
    keep: tuple[str, ...] = ()
    reconstruct: bool = Field(
        default=False, description='layers are fitted, in turn, to what is left'
    )

    @field_validator('round_to', mode='before')
    @classmethod
    def _a_step(cls, value: Any) -> Any:
        if value == 'auto' or (type(value) is int and value >= 1):
            return value
        raise PydanticCustomError('step', "must be a whole number from 1, or 'auto'")

    @model_validator(mode='after')
    def _levels_descend(self) -> PruneSection:
        for kind in LEVEL_KINDS:
            kept = [level.share for level in self.levels if level.kind == kind]
            if any(lower >= upper for upper, lower in itertools.pairwise(kept)):
                given = ', '.join(f'{value:g}' for value in kept)
                raise ValueError(f'levels: {kind} must fall from level to level, not {given}')
        whole = [index for index, level in enumerate(self.levels) if level.share == 1.0]
        if whole not in ([], [0]):
            raise ValueError('levels: only the first level can be the dense network (share 1.0)')
        names = [level.name for level in self.levels]
        if len(set(names)) != len(names):
            raise ValueError(f'levels: two levels have the same name: {", ".join(names)}')
        return self


class ExportSection(Section):
    """What the engines must look like, and how they are measured."""

    opset: int = Field(default=17, ge=13, le=22)
    profile_runs: int = Field(default=100, ge=5)
    threads: int = Field(default=0, ge=0)
    tolerance: float = Field(default=1e-3, gt=0)
    precisions: tuple[Precision, ...] = ('fp32',)
    max_accuracy_drop: float = Field(default=0.02, ge=0, lt=1)
    require_faster: bool = False

    @model_validator(mode='after')
    def _fp32_is_there(self) -> ExportSection:
        if 'fp32' not in self.precisions or len(set(self.precisions)) < len(self.precisions):
            given = ', '.join(self.precisions) or 'none'
            raise ValueError(f'precisions: must name fp32 and each only once, not {given}')
        return self


class PostprocessSection(Section):
    """What a detector's ladder does with boxes unless the drone says otherwise."""

    score_threshold: float = Field(default=BoxesScores.score_threshold, ge=0, le=1)
    class_thresholds: dict[str, Annotated[float, Field(ge=0, le=1)]] = {}
    iou_threshold: float = Field(default=BoxesScores.iou_threshold, ge=0, le=1)
    class_aware_nms: bool = BoxesScores.class_aware_nms
    max_detections: int = Field(default=BoxesScores.max_detections, ge=1)


class Recipe(Section):
    """A whole job. ``data`` is checked by `training.make_task`, which knows each data set."""

    name: str = Field(pattern=NAME)
    seed: int = Field(default=0, ge=0, lt=2**31)
    data: dict[str, Any]
    network: NetworkSection
    train: FitSection
    prune: PruneSection
    finetune: RecoverySection | None = None
    sparse: FitSection | None = Field(default=None, description='sparse training before cuts')
    soft: FinetuneSection | None = Field(default=None, description='training with masks')
    search: SearchSection | None = Field(default=None, description='each candidate of a search')
    retrain: RecoverySection | None = Field(default=None, description='recovery: retrain')
    export: ExportSection = ExportSection()
    postprocess: PostprocessSection | None = Field(default=None, description='of a detector')
    _source: RecipeSource | None = PrivateAttr(default=None)

    @model_validator(mode='after')
    def _trained_somewhere(self) -> Recipe:
        carried = str(self.network.options.get('model', '')).endswith('.pt')  # of ultralytics
        if self.train.epochs == 0 and self.network.weights is None and not carried:
            raise ValueError('train.epochs is 0, so network.weights must name trained weights')
        return self

    def document(self) -> dict[str, Any]:
        """As plain JSON values, with every default written out."""
        return self.model_dump(mode='json', by_alias=True)

    @property
    def source(self) -> RecipeSource:
        """Where the values stand."""
        return self._source if self._source is not None else RecipeSource(self.name, {})

    def place(self, path: KeyPath) -> str:
        """Where the value at ``path`` was given: ``file:line``."""
        return self.source.place(path)


def load_recipe(path: str | Path, assignments: Sequence[str] = ()) -> Recipe:
    """Read and check a recipe.

    Args:
        path: the YAML file. Paths in it are relative to the working directory.
        assignments: ``key.path=value`` pairs that replace what the file says.

    Raises:
        RecipeError: names file, line, key, fault, and the nearest key that exists.
    """
    source = read_source(Path(path).expanduser())
    for assignment in assignments:
        assign(source, assignment)
    return check_recipe(source)


def check_recipe(source: RecipeSource) -> Recipe:
    """The typed recipe.

    Raises:
        RecipeError: a misspelt key if there is one, else the first fault of the file.
    """
    try:
        recipe = Recipe.model_validate(source.values)
        recipe._source = source
        return recipe
    except ValidationError as error:
        raise first_fault(error, source, Recipe) from None


def first_fault(
    error: ValidationError, source: RecipeSource, model: type[BaseModel], under: KeyPath = ()
) -> RecipeError:
    """The fault to show first, as an error that leads to its line.

    Args:
        error: what the check of ``model`` raised.
        source: where the values stand.
        model: whose keys there are.
        under: path of what was checked, in the recipe.
    """
    faults = [_fault(item, source, model, under) for item in error.errors()]
    faults.sort(key=lambda fault: fault[0])
    more = len(faults) - 1
    tail = f' (and {more} more fault{"s" if more > 1 else ""})' if more else ''
    return RecipeError(faults[0][1] + tail)


def _fault(
    item: Any, source: RecipeSource, model: type[BaseModel], under: KeyPath
) -> tuple[int, str]:
    path: KeyPath = (*under, *item['loc'])
    dotted = '.'.join(str(part) for part in path)
    kind = item['type']
    if kind == 'extra_forbidden':
        known = _keys_at(model, item['loc'][:-1])
        near = difflib.get_close_matches(str(path[-1]), known, n=1, cutoff=0.5)
        there = f'there are {", ".join(known)}' if known else 'there is none'
        hint = f'did you mean "{near[0]}"?' if near else there
        message = f'{dotted}: no such key; {hint}'
    elif kind == 'missing':
        message = f'{dotted}: is missing'
    elif kind == 'value_error':
        text = str(item['ctx']['error'])
        message = f'{dotted}.{text}' if dotted else text
        path = (*path, text.partition(':')[0])
    else:
        text = item['msg'][0].lower() + item['msg'][1:]
        message = f'{dotted}: {text}, not {item["input"]!r}'
    # A misspelt key is also a missing one: the spelling is the fault to show first.
    # Of a list of faulty sections nothing is left: that it is empty comes last.
    ranks = {'extra_forbidden': -1, 'too_short': sys.maxsize}
    rank = ranks.get(kind, source.lines.get(path, 0))
    return rank, f'{source.place(path)}: {message}'


def _keys_at(model: Any, path: KeyPath) -> list[str]:
    """The keys that ``model`` may have at ``path``."""
    for part in path:
        if isinstance(part, int):
            continue
        named = {field.alias or name: field for name, field in model.model_fields.items()}
        model = _section_of(named[part].annotation if part in named else None)
        if model is None:
            return []
    return [field.alias or name for name, field in model.model_fields.items()]


def _section_of(annotation: Any) -> type[Section] | None:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    if get_origin(annotation) in (tuple, Union, types.UnionType):
        found = (_section_of(inner) for inner in get_args(annotation))
        return next((section for section in found if section is not None), None)
    return None
