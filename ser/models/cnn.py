"""The reference CNN: a 7x7 stem and three depthwise separable blocks."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


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
    """A 7x7 stem, three depthwise separable blocks, global average pooling and two linear layers."""

    def __init__(self, shape: Sequence[int], classes: int, dropout: float) -> None:
        super().__init__()
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
