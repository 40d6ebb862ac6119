"""The reference CNN's trunk with attentive statistics pooling over time.

Source: Okabe et al. (2018), arXiv:1803.10963, for the pooling.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ser.models.cnn import SeparableBlock, SharedInputConv
from ser.models.pooling import AttentiveStatistics, within
from ser.models.shape import spectrogram_size

STRIDE = 8  # frames of the input for one that is pooled


class AttentionCNN(nn.Module):
    """Stem and separable blocks of `ser.models.cnn`; the last two halve the bands alone, so that time is left to pool.

    Shapes for 64 mel bands and 128 frames:

        input, three equal channels             (batch,    3, 64, 128)
        stem, as the reference's                (batch,   64, 16,  32)
        block 1                                 (batch,  128,  8,  16)
        block 2, pooling over bands             (batch,  256,  4,  16)
        block 3, pooling over bands             (batch,  512,  2,  16)
        mean over bands                         (batch,  512, 16)
        weighted mean and deviation of frames   (batch, 1024)
        dropout, linear, ReLU, dropout          (batch,  256)
        linear                                  (batch, class)

    Raises:
        ConfigError: if `shape`, `(mel, frame)`, has no room for the halvings.
    """

    def __init__(self, shape: Sequence[int], classes: int, attention: int, dropout: float) -> None:
        super().__init__()
        spectrogram_size(shape, bands=31, frames=STRIDE - 1)
        self.trunk = nn.Sequential(
            SharedInputConv(3, 64, 7, stride=2, padding=3, bias=False),
            nn.MaxPool2d(2),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            SeparableBlock(64, 128),
            SeparableBlock(128, 256, pool=(2, 1)),
            SeparableBlock(256, 512, pool=(2, 1)),
        )
        self.pool = AttentiveStatistics(512, attention)
        self.head = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(1024, 256), nn.ReLU(), nn.Dropout(dropout), nn.Linear(256, classes)
        )
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """`(batch, mel, frame)` and the frames up to each utterance's end, `(batch,)`, to logits `(batch, class)`."""
        frames = self.trunk(x[:, None]).mean(2)
        scores: Tensor = self.head(self.pool(frames, within(lengths, frames.shape[2], STRIDE)))
        return scores
