"""The reference CNN: a 7x7 stem and three depthwise separable blocks."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ser.errors import ConfigError


class SharedInputConv(nn.Conv2d):
    """A convolution whose input channels may all be one: then their weights are summed first, for a third of the work.

    Channels that an `expand` made have stride 0, so they are known to be equal without looking. Weights, gradients
    and result (but for rounding) are those of the plain convolution.
    """

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, channel, height, width)` to `(batch, out, height / stride, width / stride)`."""
        if x.shape[1] == 1 or x.stride(1):
            return super().forward(x)
        x, weight = x[:, :1].contiguous(), self.weight.sum(1, keepdim=True)
        # With one channel both memory formats look alike; these strides say channels last, and so will the result be.
        height, width = x.shape[2:]
        x = x.as_strided(x.shape, (height * width, 1, width, 1))
        result: Tensor = self._conv_forward(x, weight.contiguous(memory_format=torch.channels_last), self.bias)
        return result


class SeparableBlock(nn.Sequential):
    """Depthwise 3x3, pointwise 1x1, batch norm, ReLU, 2x2 max pooling: `(b, i, h, w)` to `(b, o, h/2, w/2)`."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(
            nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False),
            nn.Conv2d(inputs, outputs, 1, bias=False),
            nn.MaxPool2d(2),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
        )


class SeparableCNN(nn.Module):
    """A 7x7 stem, three depthwise separable blocks, global average pooling and two linear layers.

    The recipe fixes the parts; strides, pooling and where dropout stands are chosen here. Pooling comes before batch
    norm and ReLU, which then have a quarter of the work. Shapes for 64 mel bands and 128 frames:

        input                                   (batch,   3, 64, 128)
        stem      7x7 convolution, stride 2     (batch,  64, 32,  64)
                  pooling, batch norm, ReLU     (batch,  64, 16,  32)
        block 1   depthwise 3x3                 (batch,  64, 16,  32)
                  pointwise 1x1                 (batch, 128, 16,  32)
                  pooling, batch norm, ReLU     (batch, 128,  8,  16)
        block 2   depthwise, pointwise          (batch, 256,  8,  16)
                  pooling, batch norm, ReLU     (batch, 256,  4,   8)
        block 3   depthwise, pointwise          (batch, 512,  4,   8)
                  pooling, batch norm, ReLU     (batch, 512,  2,   4)
        mean over bands and frames              (batch, 512)
        linear, ReLU, dropout                   (batch, 256)
        linear                                  (batch, class)

    Args:
        shape: `(channel, mel, frame)` of one input; only the channels matter, any length is taken.
        classes: length of the result.
        dropout: probability, between the two linear layers.

    Raises:
        ConfigError: if the features are one vector an utterance.
    """

    def __init__(self, shape: Sequence[int], classes: int, dropout: float) -> None:
        super().__init__()
        if len(shape) != 3:
            raise ConfigError(
                "this model takes a spectrogram, not one vector an utterance", where="features", do="features=mel"
            )
        self.stem = nn.Sequential(
            SharedInputConv(shape[0], 64, 7, stride=2, padding=3, bias=False),
            nn.MaxPool2d(2),
            nn.BatchNorm2d(64),
            nn.ReLU(),
        )
        self.blocks = nn.Sequential(SeparableBlock(64, 128), SeparableBlock(128, 256), SeparableBlock(256, 512))
        self.head = nn.Sequential(nn.Linear(512, 256), nn.ReLU(), nn.Dropout(dropout), nn.Linear(256, classes))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, channel, mel, frame)` to logits `(batch, class)`."""
        scores: Tensor = self.head(self.blocks(self.stem(x)).mean((2, 3)))
        return scores
