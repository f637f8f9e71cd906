"""The networks, each as small as keeps it what its name says. All end in ten logits."""

import keras
from keras import layers


def mlp() -> keras.Model:
    """Two hidden layers of 128: the network that SecureML (2017) measured, and most papers after it."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(128, activation="relu"),
            layers.Dense(10, name="logit"),
        ],
        name="mlp",
    )


def lenet5() -> keras.Model:
    """LeNet-5 (LeCun et al., 1998) as it is taught now: ReLU for tanh, max pooling, a last layer without RBF."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(6, 5, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(16, 5, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(120, activation="relu"),
            layers.Dense(84, activation="relu"),
            layers.Dense(10, name="logit"),
        ],
        name="lenet5",
    )


def resnet() -> keras.Model:
    """ResNet (He et al., 2015) with one block a stage: the CIFAR shape, 8 layers deep, 8, 16 and 32 wide.

    The blocks are the paper's: convolution, normalisation, ReLU, convolution, normalisation, plus the skip, ReLU; a
    skip that changes its shape is a 1x1 convolution of stride 2 with normalisation (the paper's option B).
    """
    image = keras.Input((32, 32, 3))
    x = layers.ReLU()(_normal_conv(image, 8))
    for filters, strides in (8, 1), (16, 2), (32, 2):
        y = layers.ReLU()(_normal_conv(x, filters, strides=strides))
        y = _normal_conv(y, filters)
        skip = x if strides == 1 else _normal_conv(x, filters, size=1, strides=strides)
        x = layers.ReLU()(layers.Add()([y, skip]))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(10, name="logit")(x), name="resnet")


def mobilenet() -> keras.Model:
    """MobileNet (Howard et al., 2017) for small pictures: pairs of a depthwise and a 1x1 convolution, 8 to 64 wide."""
    image = keras.Input((32, 32, 3))
    x = layers.ReLU()(_normal_conv(image, 8, strides=2))
    for filters, strides in (16, 1), (32, 2), (32, 1), (64, 2):
        x = layers.DepthwiseConv2D(3, strides=strides, padding="same", use_bias=False)(x)
        x = layers.ReLU()(_normal(x))
        x = layers.ReLU()(_normal_conv(x, filters, size=1))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(10, name="logit")(x), name="mobilenet")


def _normal_conv(x: keras.KerasTensor, filters: int, *, size: int = 3, strides: int = 1) -> keras.KerasTensor:
    return _normal(layers.Conv2D(filters, size, strides=strides, padding="same", use_bias=False)(x))


def _normal(x: keras.KerasTensor) -> keras.KerasTensor:
    # Keras's momentum, 0.99, would need more steps than these short trainings have.
    return layers.BatchNormalization(momentum=0.9)(x)
