"""What a notebook offers to serve: a model as it was shared, and what its inputs are within."""

from __future__ import annotations

from dataclasses import dataclass

from triveni.mpc.input_range import InputRange
from triveni.sharing.keras_file import KerasModel
from triveni.sharing.shares import ModelShares, split_model


@dataclass(frozen=True, slots=True)
class Offer:
    """`inputs` None: not known, and so it is not known whether all values fit."""

    model: KerasModel
    inputs: InputRange | None = None

    def split(self, protocol: str) -> ModelShares:
        """Shares that were never made before.

        Raises:
            triveni.sharing.failures.SharingFailure: it cannot be served.
        """
        return split_model(self.model, protocol, self.inputs)
