# Copyright 2026 uav_prune_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Between the dataclasses and ``ladder.json``: conversion, schema check, digest."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import jsonschema

from .model import (
    FORMAT,
    READABLE_VERSIONS,
    SCHEMA_VERSION,
    Accuracy,
    BoxesScores,
    DecodeSpec,
    DeviceProfile,
    InputSpec,
    Ladder,
    LadderError,
    Level,
    LevelFile,
    Logits,
    Variant,
)


def digest(document: dict[str, Any]) -> str:
    """sha256 of the document without its ``digest`` field, as JSON with sorted keys.

    Raises:
        LadderError: a number is nan or infinite, which JSON does not know.
    """
    body = {key: value for key, value in document.items() if key != 'digest'}
    text = _text(body)
    return hashlib.sha256(text.encode()).hexdigest()


def to_document(ladder: Ladder) -> dict[str, Any]:
    """A sealed, schema-valid JSON document.

    Raises:
        LadderError: the ladder breaks the schema.
    """
    document: dict[str, Any] = {'format': FORMAT, 'schema_version': SCHEMA_VERSION}
    for item in dataclasses.fields(ladder):
        if item.name != 'folder':
            value = getattr(ladder, item.name)
            document[item.name] = _plain(value)
    document = json.loads(_text(document))  # one number and key type for all
    document['digest'] = digest(document)
    validate(document, where='new ladder')
    return document


def from_document(document: dict[str, Any], folder: Path) -> Ladder:
    """Dataclasses from a document that passed `validate`."""
    decode = dict(document['decode'])
    decode_type: type[BoxesScores] | type[Logits] = (
        BoxesScores if decode['kind'] == 'boxes_scores' else Logits
    )
    spec: DecodeSpec = decode_type(**decode)
    tensor = dict(document['input'])
    tensor['mean'] = tuple(tensor['mean'])
    tensor['std'] = tuple(tensor['std'])
    return Ladder(
        name=document['name'],
        task=document['task'],
        classes=tuple(document['classes']),
        input=InputSpec(**tensor),
        decode=spec,
        provenance=document['provenance'],
        levels=tuple(_level(item) for item in document['levels']),
        folder=folder,
    )


def validate(document: object, where: str) -> dict[str, Any]:
    """Check version, schema, digest, and what a schema cannot say; returns the document, typed.

    Raises:
        LadderError: names ``where``, the field and the fault.
    """
    if not isinstance(document, dict) or document.get('format') != FORMAT:
        raise LadderError(f'{where}: not a ladder document (no "format": "{FORMAT}")')
    version = document.get('schema_version')
    if type(version) is not int or version not in READABLE_VERSIONS:
        known = ' and '.join(str(number) for number in READABLE_VERSIONS)
        raise LadderError(
            f'{where}: schema version {version!r}, this package reads {known}; '
            'rebuild the ladder or install the matching uav_prune_perception'
        )
    error = jsonschema.exceptions.best_match(_validator().iter_errors(document))
    if error is not None:
        path = '.'.join(str(part) for part in error.absolute_path) or 'document'
        raise LadderError(f'{where}: {path}: {error.message[:200]}')
    _check_sense(document, where)
    if document['digest'] != digest(document):
        raise LadderError(
            f'{where}: does not match its own digest: edited by hand or damaged; restore it, '
            'or accept the edit with "uav-prune inspect --reseal LADDER"'
        )
    return document


def _check_sense(document: dict[str, Any], where: str) -> None:
    names = [level['name'] for level in document['levels']]
    if len(set(names)) != len(names):
        raise LadderError(f'{where}: levels: two levels have the same name: {", ".join(names)}')
    for level in document['levels']:
        for precision, variant in level.get('variants', {}).items():
            if variant['file'] not in level['files']:
                raise LadderError(
                    f'{where}: level "{level["name"]}": its {precision} variant is '
                    f'{variant["file"]}, which is not among its files'
                )
    macs = [level['macs'] for level in document['levels']]
    if macs != sorted(macs, reverse=True):
        raise LadderError(f'{where}: levels: must go from most to fewest MACs')
    tensor = document['input']
    channels = 1 if tensor['color'] == 'gray' else 3
    for key in ('mean', 'std'):
        if len(tensor[key]) != channels:
            count = len(tensor[key])
            raise LadderError(f'{where}: input.{key}: {count} numbers for {channels} channels')
    kind = {'detection': 'boxes_scores', 'classification': 'logits'}[document['task']]
    if document['decode']['kind'] != kind:
        raise LadderError(f'{where}: decode.kind: a {document["task"]} ladder needs "{kind}"')
    for name in document['decode'].get('class_thresholds', ()):
        if name not in document['classes']:
            known = ', '.join(document['classes'])
            raise LadderError(
                f'{where}: decode.class_thresholds: no class "{name}"; there are {known}'
            )


@lru_cache(maxsize=1)
def _validator() -> Any:
    schema = json.loads((Path(__file__).parent / 'ladder.schema.json').read_text(encoding='utf-8'))
    # JSON Schema takes 320.0 for an integer; as a tensor's width it would fail much later.
    strict = jsonschema.Draft7Validator.TYPE_CHECKER.redefine(
        'integer', lambda _, value: isinstance(value, int) and not isinstance(value, bool)
    )
    validator = jsonschema.validators.extend(jsonschema.Draft7Validator, type_checker=strict)
    return validator(schema)


def _text(document: dict[str, Any]) -> str:
    try:
        return json.dumps(document, sort_keys=True, separators=(',', ':'), allow_nan=False)
    except (ValueError, RecursionError) as error:
        raise LadderError(f'ladder document cannot be JSON: {error}') from None


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        items = ((item.name, getattr(value, item.name)) for item in dataclasses.fields(value))
        return {name: _plain(inner) for name, inner in items if inner is not None}
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return value


def _level(item: dict[str, Any]) -> Level:
    return Level(
        name=item['name'],
        kept_macs=item['kept_macs'],
        macs=item['macs'],
        params=item['params'],
        accuracy=Accuracy(**item['accuracy']),
        files={kind: LevelFile(**file) for kind, file in item['files'].items()},
        profiles=_profiles(item['profiles']),
        variants={
            precision: Variant(
                variant['file'], Accuracy(**variant['accuracy']), _profiles(variant['profiles'])
            )
            for precision, variant in item.get('variants', {}).items()
        },
    )


def _profiles(document: dict[str, Any]) -> dict[str, DeviceProfile]:
    return {device: DeviceProfile(**profile) for device, profile in document.items()}
