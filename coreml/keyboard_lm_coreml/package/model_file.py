"""From the bytes of a `.mlmodel` to its functions' bodies, its interface and its metadata.

Source: coremltools' `Model.proto`, `MIL.proto` and `FeatureTypes.proto`, whose field numbers stand in each function.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from keyboard_lm_coreml.package.data_types import BY_NAME, FEATURE_TYPES
from keyboard_lm_coreml.package.program import Feature, Interface, Metadata
from keyboard_lm_coreml.package.protobuf import (
    MalformedError,
    as_bytes,
    as_int,
    as_name,
    as_signed,
    as_text,
    fields,
    map_entry,
    packed_ints,
)


@dataclass(frozen=True)
class Model:
    """A parsed model file; the functions' bodies are parsed by `mil.parse_function`.

    Attributes:
        specification: Core ML's version of the format.
        metadata: what the package says about itself.
        default_function: the function that runs when none is named.
        interfaces: what callers of each function give and get.
        bodies: each function's bytes.
    """

    specification: int
    metadata: Metadata
    default_function: str
    interfaces: Mapping[str, Interface]
    bodies: Mapping[str, memoryview]


def parse_model(data: memoryview) -> Model:
    """Read a model file (Model: 1 version, 2 description, 502 program).

    Raises:
        MalformedError: it is broken, or holds another kind of model.
    """
    specification, description, program = 0, memoryview(b""), None
    for number, value in fields(data):
        if number == 1:
            specification = as_int(value)
        elif number == 2:
            description = as_bytes(value)
        elif number == 502:
            program = as_bytes(value)
    if program is None:
        raise MalformedError("it holds no ML Program")
    bodies = {}
    for number, value in fields(program):  # Program: 2 functions
        if number == 2:
            name, body = map_entry(value)
            bodies[name] = body
    if not bodies:
        raise MalformedError("its program has no function")
    metadata, default, interfaces = _parse_description(description)
    if len(bodies) == 1:
        (only,) = bodies
        default = default or only
    return Model(specification, metadata, default, interfaces, bodies)


def _parse_description(data: memoryview) -> tuple[Metadata, str, dict[str, Interface]]:
    # ModelDescription: 1 input, 10 output, 13 state, 20 functions, 21 default function, 100 metadata.
    default = ""
    metadata = Metadata("", "", "", "", {})
    interfaces: dict[str, Interface] = {}
    whole = _interface(data, inputs=1, outputs=10, states=13)
    for number, value in fields(data):
        if number == 20:  # FunctionDescription: 1 name, 2 input, 3 output, 6 state
            body = as_bytes(value)
            name = next((as_name(v) for found, v in fields(body) if found == 1), "")
            interfaces[name] = _interface(body, inputs=2, outputs=3, states=6)
        elif number == 21:
            default = as_name(value)
        elif number == 100:
            metadata = _metadata(as_bytes(value))
    if not interfaces:
        interfaces["main"] = whole
    return metadata, default, interfaces


def _interface(data: memoryview, inputs: int, outputs: int, states: int) -> Interface:
    found: dict[int, list[Feature]] = {inputs: [], outputs: [], states: []}
    for number, value in fields(data):
        if number in found:
            found[number].append(_feature(as_bytes(value)))
    return Interface(tuple(found[inputs]), tuple(found[outputs]), tuple(found[states]))


def _feature(data: memoryview) -> Feature:
    # FeatureDescription: 1 name, 2 description, 3 type (5 array, 8 state: 1 array).
    name, description = "", ""
    array: memoryview | None = None
    for number, value in fields(data):
        if number == 1:
            name = as_name(value)
        elif number == 2:
            description = as_text(value)
        elif number == 3:
            for kind, content in fields(as_bytes(value)):
                if kind == 5:
                    array = as_bytes(content)
                elif kind == 8:
                    array = next((as_bytes(v) for found, v in fields(as_bytes(content)) if found == 1), None)
    if array is None:
        return Feature(name, description, None, (), False)
    dtype, flexible = 0, False
    for number, value in fields(array):  # ArrayFeatureType: 1 shape, 2 data type, 21 and 31 other shapes
        if number == 2:
            dtype = as_signed(value)
        flexible |= number in (21, 31)
    type_name = FEATURE_TYPES.get(dtype)
    shape = tuple(packed_ints(array, 1))
    return Feature(name, description, BY_NAME[type_name] if type_name else None, shape, flexible)


def _metadata(data: memoryview) -> Metadata:
    # Metadata: 1 description, 2 version, 3 author, 4 licence, 100 the exporter's own.
    texts = {1: "", 2: "", 3: "", 4: ""}
    user: dict[str, str] = {}
    for number, value in fields(data):
        if number in texts:
            texts[number] = as_text(value)
        elif number == 100:
            key, content = map_entry(value)
            user[key] = str(content, "utf-8", "replace")
    return Metadata(texts[1], texts[3], texts[4], texts[2], user)
