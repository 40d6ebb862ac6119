"""Whisper's encoder on a clip's own frames, where the usual way computes 30 s for every clip.

Positions are absolute, so the frames of a clip need nothing of what would be padded after them. Source: Radford et al.
(2022), arXiv:2212.04356. Values are those of Hugging Face's `WhisperFeatureExtractor` and `WhisperEncoder`; the latter
insists on 30 s, and its import alone takes as long as fifty clips.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ser.errors import ConfigError
from ser.features.pretrained import RATE

LONGEST = 30 * RATE
"""Samples: what Whisper was trained on at once."""

WINDOW, HOP = 400, 160
FRAME = 2 * HOP  # of the encoder, 20 ms: its second convolution leaves out every other frame


class Layer(nn.Module):
    """Self-attention and two linear layers, each on normalised values and added to what it got."""

    def __init__(self, width: int, heads: int, inner: int) -> None:
        super().__init__()
        self.heads = heads
        parts = {f"{name}_proj": nn.Linear(width, width, bias=name != "k") for name in ("q", "k", "v", "out")}
        self.self_attn = nn.ModuleDict(parts)
        self.self_attn_layer_norm, self.final_layer_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.fc1, self.fc2 = nn.Linear(width, inner), nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        """`(frame, unit)` to the same."""
        attend, normed = self.self_attn, self.self_attn_layer_norm(x)
        q, k, v = (attend[f"{it}_proj"](normed).unflatten(1, (self.heads, -1)).transpose(0, 1)[None] for it in "qkv")
        found = F.scaled_dot_product_attention(q, k, v)[0]
        x = x + attend["out_proj"](found.transpose(0, 1).flatten(1))
        y: Tensor = self.fc2(F.gelu(self.fc1(self.final_layer_norm(x))))
        return x + y


class Network(nn.Module):
    """The encoder, its parameters named as Hugging Face's are; of `config.json`, sizes alone."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        if config.get("activation_function", "gelu") != "gelu":
            raise ConfigError(f"not Whisper's activation: {config['activation_function']}", where="features.model")
        width, self.bands = config["d_model"], config["num_mel_bins"]
        self.conv1 = nn.Conv1d(self.bands, width, 3, padding=1)
        self.conv2 = nn.Conv1d(width, width, 3, stride=2, padding=1)
        # No nn.Embedding: to draw its values without a device, as in `weights`, torch would import its compiler.
        self.embed_positions = nn.ParameterDict({"weight": torch.empty(config["max_source_positions"], width)})
        sizes = width, config["encoder_attention_heads"], config["encoder_ffn_dim"]
        self.layers = nn.ModuleList(Layer(*sizes) for _ in range(config["encoder_layers"]))
        self.layer_norm = nn.LayerNorm(width)

    def forward(self, wave: Tensor) -> list[Tensor]:
        """Wave `(samples,)` of 30 s or less, at `RATE` Hz, to what goes into the first layer and comes out of each.

        Returns:
            `(frame, unit)` each, for every 20 ms begun; the last one normalised, as the decoder would have it.
        """
        x = F.gelu(self.conv1(log_mel(wave, self.bands)[None]))
        x = F.gelu(self.conv2(x))[0].T
        states = [x + self.embed_positions["weight"][: len(x)]]
        for layer in self.layers:
            states.append(layer(states[-1]))
        return [*states[:-1], self.layer_norm(states[-1])]


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
