"""The architecture: the public part of a model, its layers and shapes without a weight.

It is what workers compile from and what a client is told. A Keras activation is a layer of its own here, and layers
that do nothing at inference (InputLayer, Dropout) are gone: whoever reads a Keras file leaves them out.
"""

from triveni.mpc.architecture.activations import HardSigmoid, Relu, Sigmoid, Softmax, Tanh
from triveni.mpc.architecture.graph import CLIENTS, FORMAT, Architecture
from triveni.mpc.architecture.layer import INPUT, MAX_ELEMENTS, InvalidArchitecture, Layer, Pads, Shape
from triveni.mpc.architecture.linear import (
    BatchNormalization,
    Conv1D,
    Conv2D,
    Dense,
    DepthwiseConv1D,
    DepthwiseConv2D,
    Rescaling,
    SeparableConv1D,
    SeparableConv2D,
)
from triveni.mpc.architecture.merging import Add, Average, Concatenate, Maximum, Minimum, Subtract
from triveni.mpc.architecture.moving import (
    Cropping1D,
    Cropping2D,
    Flatten,
    Permute,
    Reshape,
    UpSampling1D,
    UpSampling2D,
    ZeroPadding1D,
    ZeroPadding2D,
)
from triveni.mpc.architecture.pooling import (
    AveragePooling1D,
    AveragePooling2D,
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
    MaxPooling1D,
    MaxPooling2D,
)
from triveni.mpc.architecture.reading import KINDS, MAX_ANSWER_BITS

__all__ = [
    "CLIENTS",
    "FORMAT",
    "INPUT",
    "KINDS",
    "MAX_ANSWER_BITS",
    "MAX_ELEMENTS",
    "Add",
    "Architecture",
    "Average",
    "AveragePooling1D",
    "AveragePooling2D",
    "BatchNormalization",
    "Concatenate",
    "Conv1D",
    "Conv2D",
    "Cropping1D",
    "Cropping2D",
    "Dense",
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "Flatten",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "HardSigmoid",
    "InvalidArchitecture",
    "Layer",
    "MaxPooling1D",
    "MaxPooling2D",
    "Maximum",
    "Minimum",
    "Pads",
    "Permute",
    "Relu",
    "Rescaling",
    "Reshape",
    "SeparableConv1D",
    "SeparableConv2D",
    "Shape",
    "Sigmoid",
    "Softmax",
    "Subtract",
    "Tanh",
    "UpSampling1D",
    "UpSampling2D",
    "ZeroPadding1D",
    "ZeroPadding2D",
]
