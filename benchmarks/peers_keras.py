"""GoogLeNet handwritten in Keras from the paper, with Caffe's padding: the emitted file's peer.

Its layers have the same names as in the emitted file, so that weights can be copied by name.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from keras import layers


class LRN(layers.Layer):
    """TensorFlow's operation, which takes a radius and does not divide alpha by the size."""

    def call(self, inputs: Any) -> Any:
        return tf.nn.local_response_normalization(
            inputs, depth_radius=2, bias=1.0, alpha=1e-4 / 5, beta=0.75
        )


def conv(x: Any, filters: int, size: int, name: str) -> Any:
    return layers.Conv2D(filters, size, padding="same", activation="relu", name=f"{name}-conv")(x)


def inception(
    x: Any, name: str, n1: int, n3_reduce: int, n3: int, n5_reduce: int, n5: int, proj: int
) -> Any:
    b1 = conv(x, n1, 1, f"{name}-1x1-convolution")
    b3 = conv(conv(x, n3_reduce, 1, f"{name}-3x3-reduce"), n3, 3, f"{name}-3x3-conv")
    b5 = conv(conv(x, n5_reduce, 1, f"{name}-5x5-reduce"), n5, 5, f"{name}-5x5-conv")
    pool = conv(layers.MaxPooling2D(3, strides=1, padding="same")(x), proj, 1, f"{name}-pool-proj")
    return layers.Concatenate()([b1, b3, b5, pool])


def auxiliary(x: Any, name: str) -> Any:
    x = layers.AveragePooling2D(5, strides=3)(x)
    x = conv(x, 128, 1, f"{name}-conv")
    x = layers.Flatten()(layers.Permute((3, 1, 2))(x))  # channels first, as the weights are
    x = layers.Dense(1024, activation="relu", name=f"{name}-fc")(x)
    x = layers.Dropout(0.7)(x)
    return layers.Dense(1000, name=f"{name}-classifier")(x)


def googlenet(train: bool) -> keras.Model:
    """Return a model of the logits; with `train`, of all three heads."""
    inputs = keras.Input((224, 224, 3))
    x = layers.ZeroPadding2D(3)(inputs)
    x = layers.Conv2D(64, 7, strides=2, activation="relu", name="conv1-conv")(x)
    x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
    x = LRN()(x)
    x = conv(x, 64, 1, "conv2-reduce")
    x = conv(x, 192, 3, "conv2-conv")
    x = LRN()(x)
    x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
    x = inception(x, "inception_3a", 64, 96, 128, 16, 32, 32)
    x = inception(x, "inception_3b", 128, 128, 192, 32, 96, 64)
    x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
    x = side1 = inception(x, "inception_4a", 192, 96, 208, 16, 48, 64)
    x = inception(x, "inception_4b", 160, 112, 224, 24, 64, 64)
    x = inception(x, "inception_4c", 128, 128, 256, 24, 64, 64)
    x = side2 = inception(x, "inception_4d", 112, 144, 288, 32, 64, 64)
    x = inception(x, "inception_4e", 256, 160, 320, 32, 128, 128)
    x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
    x = inception(x, "inception_5a", 256, 160, 320, 32, 128, 128)
    x = inception(x, "inception_5b", 384, 192, 384, 48, 128, 128)
    x = layers.AveragePooling2D(7)(x)
    x = layers.Dropout(0.4)(x)
    x = layers.Dense(1000, name="linear-linear")(layers.Flatten()(x))
    if not train:
        return keras.Model(inputs, x)
    return keras.Model(
        inputs, {"main": x, "aux1": auxiliary(side1, "aux1"), "aux2": auxiliary(side2, "aux2")}
    )


def copy_weights(target: keras.Model, source: keras.Model) -> None:
    """Copy all weights by layer name; raise ValueError if `target` lacks a layer."""
    for layer in source.layers:
        if layer.weights:
            target.get_layer(layer.name).set_weights(layer.get_weights())
