"""A small residual network.

Source: He et al. (2016), arXiv:1512.03385; narrower and with fewer blocks than its smallest.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ser.models.pooling import mean, within
from ser.models.shape import spectrogram_size

STRIDE = 16  # bands and frames of the input for one that is pooled


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a short cut: `(b, i, h, w)` to `(b, o, h / stride, w / stride)`."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.way = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.short = nn.Sequential()
        if stride > 1 or inputs != outputs:
            self.short = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """The sum of both ways, ReLU."""
        return F.relu(self.way(x) + self.short(x))


class ResNet(nn.Module):
    """A stem, three stages of two residual blocks each, the mean over bands and frames, a linear layer.

    The mean ends where the utterance does. Shapes for 64 mel bands, 128 frames and a width of 24:

        input                                   (batch,  1, 64, 128)
        stem      5x5 convolution, stride 2     (batch, 24, 32,  64)
                  batch norm, ReLU, pooling     (batch, 24, 16,  32)
        stage 1                                 (batch, 24, 16,  32)
        stage 2, stride 2                       (batch, 48,  8,  16)
        stage 3, stride 2                       (batch, 96,  4,   8)
        mean over bands and frames, dropout     (batch, 96)
        linear                                  (batch, class)

    Raises:
        ConfigError: if `shape`, `(mel, frame)`, has no room for the halvings.
    """

    def __init__(self, shape: Sequence[int], classes: int, width: int, dropout: float) -> None:
        super().__init__()
        spectrogram_size(shape, bands=STRIDE, frames=STRIDE)
        self.trunk = nn.Sequential(
            nn.Conv2d(1, width, 5, stride=2, padding=2, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.MaxPool2d(2, ceil_mode=True),
            *(ResidualBlock(width, width), ResidualBlock(width, width)),
            *(ResidualBlock(width, 2 * width, stride=2), ResidualBlock(2 * width, 2 * width)),
            *(ResidualBlock(2 * width, 4 * width, stride=2), ResidualBlock(4 * width, 4 * width)),
        )
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(4 * width, classes))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """`(batch, mel, frame)` and the frames up to each utterance's end, `(batch,)`, to logits `(batch, class)`."""
        frames = self.trunk(x[:, None]).mean(2)
        scores: Tensor = self.head(mean(frames, within(lengths, frames.shape[2], STRIDE)))
        return scores
