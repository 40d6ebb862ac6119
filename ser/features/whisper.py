"""Whisper's encoder on a clip's own frames, where the usual way computes 30 s for every clip.

Positions are absolute, so the frames of a clip need nothing of what would be padded after them. Source: Radford et al.
(2022), arXiv:2212.04356; values are those of Hugging Face's `WhisperFeatureExtractor` and `WhisperEncoder`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ser.features.pretrained import RATE

LONGEST = 30 * RATE
"""Samples: what Whisper was trained on at once."""

WINDOW, HOP = 400, 160
FRAME = 2 * HOP  # of the encoder, 20 ms: its second convolution leaves out every other frame


def hidden_states(model: Any, wave: Tensor) -> list[Tensor]:
    """Wave `(samples,)` of 30 s or less to what goes into the first layer and what comes out of each.

    Args:
        model: a `WhisperEncoder`.
        wave: at `RATE` Hz.

    Returns:
        `(frame, unit)` each, for every 20 ms begun; the last one normalised, as the decoder would have it.
    """
    x = F.gelu(model.conv1(log_mel(wave, model.num_mel_bins)[None]))
    x = F.gelu(model.conv2(x)).mT
    x = x + model.embed_positions.weight[: x.shape[1]]
    states = [x]
    for layer in model.layers:
        states.append(layer(states[-1], None))
    return [x[0] for x in (*states[:-1], model.layer_norm(states[-1]))]


def log_mel(wave: Tensor, bands: int) -> Tensor:
    """Wave `(samples,)` of 30 s or less to its log-mel spectrogram, `(mel, frame)`: two frames for every 20 ms begun.

    A window that reaches beyond the end has silence there, as it would in the 30 s.
    """
    frames = 2 * -(-len(wave) // FRAME)
    beyond = min((frames + 4) * HOP, LONGEST)  # the loudest value may be in a window that reaches over the end
    padded = F.pad(wave, (0, beyond - len(wave)))
    spectrum = torch.view_as_real(torch.stft(padded, WINDOW, HOP, window=_hann(), return_complex=True)[:, :-1])
    log = (_mel_filters(bands) @ spectrum.square().sum(2)).clamp_(min=1e-10).log10_()
    return (log[:, :frames].clamp_(min=log.max() - 8.0) + 4.0) / 4.0


@lru_cache
def _hann() -> Tensor:
    return torch.hann_window(WINDOW)


@lru_cache
def _mel_filters(bands: int) -> Tensor:
    """`(mel, bin)`, Slaney's scale and norm."""
    from torchaudio.functional import melscale_fbanks

    found: Tensor = melscale_fbanks(WINDOW // 2 + 1, 0.0, RATE / 2, bands, RATE, norm="slaney", mel_scale="slaney")
    return found.T.contiguous()
