"""A convolutional front, a recurrent layer in both directions, and attention over what it says of each frame.

Source: Mirsamadi, Barsoum and Zhang (2017), doi:10.1109/ICASSP.2017.7952552, for attention on a recurrent layer.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from ser.models.pooling import Attention, within
from ser.models.shape import spectrogram_size

STRIDE = 4  # frames of the input for one of the recurrent layer


class CRNN(nn.Module):
    """Two convolutions, a GRU of `hidden` units in each direction, attention, a linear layer.

    The GRU and the attention end where the utterance does. Shapes for 64 mel bands, 128 frames and 64 units:

        input                                   (batch,  1, 64, 128)
        5x5 convolution, stride 2               (batch, 32, 32,  64)
        pooling over bands, batch norm, ReLU    (batch, 32, 16,  64)
        3x3 convolution                         (batch, 64, 16,  64)
        pooling, batch norm, ReLU               (batch, 64,  8,  32)
        channels and bands of each frame        (batch, 32, 512)
        GRU in both directions                  (batch, 32, 128)
        weighted mean of frames, dropout        (batch, 128)
        linear                                  (batch, class)

    Raises:
        ConfigError: if `shape`, `(mel, frame)`, has no room for the halvings.
    """

    def __init__(self, shape: Sequence[int], classes: int, hidden: int, dropout: float) -> None:
        super().__init__()
        bands, _ = spectrogram_size(shape, bands=8, frames=STRIDE)
        self.front = nn.Sequential(
            nn.Conv2d(1, 32, 5, stride=2, padding=2, bias=False),
            *(nn.MaxPool2d((2, 1)), nn.BatchNorm2d(32), nn.ReLU()),
            nn.Conv2d(32, 64, 3, padding=1, bias=False),
            *(nn.MaxPool2d(2), nn.BatchNorm2d(64), nn.ReLU()),
        )
        self.dropout = nn.Dropout(dropout)
        self.gru = nn.GRU(64 * ((bands + 1) // 2 // 4), hidden, batch_first=True, bidirectional=True)
        self.attention = Attention(2 * hidden, hidden)
        self.head = nn.Linear(2 * hidden, classes)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """`(batch, mel, frame)` and the frames up to each utterance's end, `(batch,)`, to logits `(batch, class)`."""
        frames = self.front(x[:, None]).flatten(1, 2)
        inside = within(lengths, frames.shape[2], STRIDE)
        said = self._recurrent(self.dropout(frames).mT, inside.sum(1)).mT
        scores: Tensor = self.head(self.dropout((self.attention(said, inside) * said).sum(2)))
        return scores

    def _recurrent(self, frames: Tensor, ends: Tensor) -> Tensor:
        """`(batch, frame, dim)` to `(batch, frame, 2 * hidden)`; in full precision, for bf16 adds up over time."""
        with torch.autocast(frames.device.type, enabled=False):
            frames = frames.to(self.head.weight.dtype)
            packed = pack_padded_sequence(frames, ends.cpu(), batch_first=True, enforce_sorted=False)
            return pad_packed_sequence(self.gru(packed)[0], batch_first=True, total_length=frames.shape[1])[0]
