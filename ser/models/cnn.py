"""The reference CNN."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ser.models.shape import spectrogram_size

SMALLEST = 31  # bands and frames: halved five times, less would be nothing


class SharedInputConv(nn.Conv2d):
    """A convolution of input channels that are all equal: their weights are summed first, which saves work."""

    def forward(self, x: Tensor) -> Tensor:
        """The one channel `(batch, 1, height, width)` to `(batch, out, height / stride, width / stride)`."""
        x, weight = x.contiguous(), self.weight.sum(1, keepdim=True)
        # With one channel both memory formats look alike; these strides say channels last, and so will the result be.
        height, width = x.shape[2:]
        x = x.as_strided(x.shape, (height * width, 1, width, 1))
        result: Tensor = self._conv_forward(x, weight.contiguous(memory_format=torch.channels_last), self.bias)
        return result


class SeparableBlock(nn.Sequential):
    """Depthwise 3x3, pointwise 1x1, max pooling, batch norm, ReLU: `(b, i, h, w)` to `(b, o, h/2, w/2)`."""

    def __init__(self, inputs: int, outputs: int, pool: tuple[int, int] = (2, 2)) -> None:
        super().__init__(
            nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False),
            nn.Conv2d(inputs, outputs, 1, bias=False),
            nn.MaxPool2d(pool),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
        )


class SeparableCNN(nn.Module):
    """A 7x7 stem, three depthwise separable blocks, global average pooling and two linear layers.

    The reference fixes the parts, three equal input channels among them; strides, pooling and the place of dropout are
    chosen here. Pooling before batch norm and ReLU leaves these a quarter of the work. Shapes for 64 mel bands and 128
    frames:

        input, three equal channels             (batch,   3, 64, 128)
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

    Raises:
        ConfigError: if `shape`, `(mel, frame)`, has no room for the five halvings.
    """

    def __init__(self, shape: Sequence[int], classes: int, dropout: float) -> None:
        super().__init__()
        spectrogram_size(shape, SMALLEST, SMALLEST)
        self.stem = nn.Sequential(
            SharedInputConv(3, 64, 7, stride=2, padding=3, bias=False),
            nn.MaxPool2d(2),
            nn.BatchNorm2d(64),
            nn.ReLU(),
        )
        self.blocks = nn.Sequential(SeparableBlock(64, 128), SeparableBlock(128, 256), SeparableBlock(256, 512))
        self.head = nn.Sequential(nn.Linear(512, 256), nn.ReLU(), nn.Dropout(dropout), nn.Linear(256, classes))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """`(batch, mel, frame)` to logits `(batch, class)`; padding counts as silence, so lengths do not."""
        scores: Tensor = self.head(self.blocks(self.stem(x[:, None])).mean((2, 3)))
        return scores
