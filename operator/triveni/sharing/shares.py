"""A model's weights as three sets of shares, one for each worker. Pure, but for the randomness of `split`."""

from __future__ import annotations

from dataclasses import dataclass

from triveni.api.inference import Tensor
from triveni.mpc.architecture import Architecture, InvalidArchitecture
from triveni.mpc.fixedpoint import OutOfRange, fixed_point
from triveni.mpc.input_range import InputRange
from triveni.mpc.lowering import lower
from triveni.mpc.ranges import DoesNotFit, Ranges, analyse
from triveni.mpc.sharing import components_of, split
from triveni.sharing.failures import UnsupportedLayer, ValueOutOfRange, ValuesDoNotFit
from triveni.sharing.keras_file import KerasModel


@dataclass(frozen=True)
class ModelShares:
    """What is handed over: the same architecture to all, `tensors[p]` to worker p alone.

    A tensor is named ``<weight>/component_<c>``; the repr of a `Tensor` shows its shape only. A worker that holds no
    component is given none. `inputs` is what all inputs are within, told to all, and `ranges` what follows from it;
    both None if nothing is known of the inputs.
    """

    architecture: Architecture
    tensors: tuple[tuple[Tensor, ...], ...]
    inputs: InputRange | None = None
    ranges: Ranges | None = None


def split_model(model: KerasModel, protocol: str, inputs: InputRange | None = None) -> ModelShares:
    """Encode the weights in the protocol's fixed point and split each into its components.

    Args:
        model: its architecture and weights.
        protocol: how the workers compute.
        inputs: what all inputs are within; None if that is not known, and then nothing is known of what fits.

    Raises:
        UnsupportedLayer: the layers fit together, but cannot be lowered to steps on shares.
        ValueOutOfRange: a weight is larger than the fixed point carries.
        ValuesDoNotFit: for some inputs a value may be larger than the protocol computes with.
    """
    try:
        network = lower(model.architecture)
    except InvalidArchitecture as error:
        raise UnsupportedLayer(error.layer, error.problem) from error
    numbers = fixed_point(protocol)
    parties: tuple[list[Tensor], ...] = ([], [], [])
    weights = network.encode(model.weights)
    for name, values in weights.items():
        try:
            components = split(numbers.encode(values, name), protocol)
        except OutOfRange as error:
            problem = f"is {error.problem}: at most ±{error.at_most:g} can be carried, scale the model down"
            raise ValueOutOfRange(f"{name}{list(error.index)}", problem) from error
        for party, tensors in enumerate(parties):
            tensors += (Tensor(f"{name}/component_{c}", components[c]) for c in components_of(party, protocol))
    ranges = None
    if inputs is not None:
        try:
            ranges = analyse(network, weights, numbers, inputs)
        except DoesNotFit as error:
            raise ValuesDoNotFit(error.reach, protocol, inputs) from error
    return ModelShares(model.architecture, tuple(map(tuple, parties)), inputs, ranges)
