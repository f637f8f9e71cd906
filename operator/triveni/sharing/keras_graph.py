"""The graph of a Keras 3 file: its layers in the order of computation, what each reads, and where its weights are.

A model inside a model is taken apart: its layers are `outer/inner`. Nothing here knows what a layer computes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from triveni.sharing.failures import UnsupportedLayer

Config = Mapping[str, Any]

MODELS = ("Sequential", "Functional")
ONE_END = "a model of one input and one output is served, in which each layer is called once and without options"


@dataclass(frozen=True)
class Call:
    """One layer of the model.

    Attributes:
        name: of the layer, behind the names of the models that it is in.
        entry: what the file says of it: class_name, module, config.
        inputs: names of the layers that it reads; none for the model's own input.
        group: of its weights in the weights file.
    """

    name: str
    entry: Config
    inputs: tuple[str, ...]
    group: str


def calls_of(config: Config) -> list[Call]:
    """The layers of config.json, each after those that it reads; the first is the InputLayer, the last the answer.

    Raises:
        UnsupportedLayer: no Keras model, or a graph of another form.
    """
    calls, _ = _model(config, "", "", None, 0)
    return calls


def name_of(entry: Config) -> str:
    """The name of one layer of the file."""
    return str(entry["config"]["name"])


def _model(config: Config, prefix: str, group: str, source: str | None, depth: int) -> tuple[list[Call], str]:
    """The calls of a model whose input is `source` (its own InputLayer if None), and the name of its answer."""
    kind = config.get("class_name")
    inner = config.get("config") or {}
    if kind not in MODELS or config.get("registered_name") not in (None, kind):
        raise UnsupportedLayer(
            str(kind), "a model class of its own, whose computation is code", "use Sequential or a functional model"
        )
    entries = inner.get("layers") if isinstance(inner, dict) else None
    if not isinstance(entries, list) or not all(map(_is_entry, entries)) or depth > 8:
        raise UnsupportedLayer(str(kind), "config.json has no list of layers", "save the model again")
    if not entries or entries[0]["class_name"] != "InputLayer":
        name = name_of(entries[0]) if entries else "(none)"
        raise UnsupportedLayer(
            name, "the model has no fixed input shape", "begin it with keras.Input((height, width, channels))"
        )
    order, answer = _chain(entries) if kind == "Sequential" else _functional(inner, entries)
    groups = dict(zip(map(name_of, entries), _groups(group, entries), strict=True))
    first = name_of(entries[0])
    names = {first: prefix + first if source is None else source}
    calls = [Call(names[first], entries[0], (), "")] if source is None else []
    for entry, inputs in order:
        name = name_of(entry)
        sources = tuple(names[i] for i in inputs)
        if entry["class_name"] in MODELS:
            if len(sources) != 1:
                raise UnsupportedLayer(name, "it is a model with several inputs", ONE_END)
            nested, names[name] = _model(entry, f"{prefix}{name}/", groups[name], sources[0], depth + 1)
            calls += nested
        else:
            names[name] = prefix + name
            calls.append(Call(prefix + name, entry, sources, groups[name]))
    return calls, names[answer]


Order = list[tuple[Config, tuple[str, ...]]]


def _chain(entries: Sequence[Config]) -> tuple[Order, str]:
    names = [name_of(entry) for entry in entries]
    return [(entry, (before,)) for entry, before in zip(entries[1:], names, strict=False)], names[-1]


def _functional(model: Config, entries: Sequence[Config]) -> tuple[Order, str]:
    """Depth first from the output, so that each layer comes after its inputs."""
    first = name_of(entries[0])
    start, answer = _reference(model.get("input_layers")), _reference(model.get("output_layers"))
    by_name = {name_of(entry): entry for entry in entries}
    if start != first or len(by_name) < len(entries):
        raise UnsupportedLayer(first, "it is not the only one of the model's input_layers", ONE_END)
    if answer is None or answer not in by_name:
        raise UnsupportedLayer(name_of(entries[-1]), "it is not the only one of the model's output_layers", ONE_END)
    inputs = {first: (), **{name_of(entry): _inputs(entry) for entry in entries[1:]}}
    order: Order = []
    state = {first: True}
    stack = [(answer, False)]
    while stack:
        name, ready = stack.pop()
        if ready:
            state[name] = True
            order.append((by_name[name], inputs[name]))
        elif name not in state:
            state[name] = False
            stack.append((name, True))
            for source in reversed(inputs[name]):
                if source not in inputs or state.get(source) is False:
                    raise UnsupportedLayer(name, f"its input {source!r:.60} is no layer before it", ONE_END)
                stack.append((source, False))
    if left := [name for name in by_name if name not in state]:
        raise UnsupportedLayer(left[0], "it does not lead to the output", ONE_END)
    return order, answer


def _inputs(entry: Config) -> tuple[str, ...]:
    """The names of the layers whose only outputs feed this one."""
    match entry.get("inbound_nodes"):
        case [{"args": [[*tensors]], **rest}] | [{"args": [*tensors], **rest}]:
            options = rest.get("kwargs", {})
            names = tuple(_tensor(tensor) for tensor in tensors)
            if isinstance(options, dict) and not any(options.values()) and names and None not in names:
                return tuple(name for name in names if name is not None)
    raise UnsupportedLayer(
        name_of(entry), "it has an input that is no layer's, is used more than once, or with call options", ONE_END
    )


def _tensor(value: Any) -> str | None:
    match value:
        case {"class_name": "__keras_tensor__", "config": {"keras_history": history}}:
            return _reference(history)
    return None


def _reference(value: Any) -> str | None:
    """``[name, 0, 0]``, or that in a list of one, as Keras writes the only tensor of a layer."""
    match value:
        case [str(name), 0, 0] | [[str(name), 0, 0]]:
            return name
    return None


def _is_entry(entry: Any) -> bool:
    return (
        isinstance(entry, dict)
        and isinstance(entry.get("class_name"), str)
        and isinstance(entry.get("config"), dict)
        and isinstance(entry["config"].get("name"), str)
    )


def _groups(group: str, entries: Sequence[Config]) -> Iterator[str]:
    """Where Keras puts each layer's weights: under its class name in snake case, numbered in the order of the file."""
    seen: dict[str, int] = {}
    for entry in entries:
        name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", entry["class_name"]))
        name = re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
        number = seen[name] = seen.get(name, -1) + 1
        path = f"layers/{name}_{number}" if number else f"layers/{name}"
        yield f"{group}/{path}" if group else path
