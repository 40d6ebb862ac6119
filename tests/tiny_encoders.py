"""Tiny encoders with random weights, in the layout of the hub."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

TINY = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "conv_dim": [16] * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
    "vocab_size": 12,
}
STABLE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
"""How the large ones differ."""

KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "wav2vec2": ("Wav2Vec2", {}),
    "wav2vec2-large": ("Wav2Vec2", STABLE),
    "hubert": ("Hubert", {}),
    "wavlm": ("WavLM", {}),
    "wavlm-large": ("WavLM", STABLE),
    "data2vec": ("Data2VecAudio", {"conv_pos_kernel_size": 4}),
}


def network(kind: str, head: str = "Model", **settings: Any) -> Any:
    """A network of this kind, in evaluation mode."""
    import transformers

    family, own = KINDS[kind]
    torch.manual_seed(1)
    config = getattr(transformers, f"{family}Config")(**{**TINY, **own, **settings})
    return getattr(transformers, family + head)(config).eval()


def whisper_model() -> Any:
    """Encoder and decoder."""
    from transformers import WhisperConfig, WhisperModel

    torch.manual_seed(1)
    size = {"layers": 2, "attention_heads": 2, "ffn_dim": 64}
    sides = {f"{side}_{name}": value for side in ("encoder", "decoder") for name, value in size.items()}
    tokens = dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id"), 0)
    return WhisperModel(WhisperConfig(d_model=32, num_mel_bins=80, vocab_size=50, **tokens, **sides)).eval()


def whisper_encoder() -> Any:
    """The encoder alone."""
    return whisper_model().encoder


def saved(model: Any, folder: Path, scaled: bool = True) -> Path:
    """The folder, with the network in it."""
    model.save_pretrained(folder)
    extractor = {"sampling_rate": 16000, "do_normalize": scaled, "feature_extractor_type": "Wav2Vec2FeatureExtractor"}
    (folder / "preprocessor_config.json").write_text(json.dumps(extractor))
    return folder
