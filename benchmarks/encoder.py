"""How long a clip takes through Whisper's encoder on its own frames, beside the usual way that computes 30 s for each.

    python benchmarks/encoder.py [--model $SER_ENCODERS/whisper-base] [--clips 20] [--rounds 3] [--root CORPUS]

Seconds per clip, one process and one thread, from samples at 16 kHz to mean and deviation of every layer's frames;
without a corpus, of noise as long as RAVDESS's clips. The usual way is Hugging Face's: `WhisperFeatureExtractor`, which
pads to 30 s, `WhisperEncoder`, one clip at a time, hidden states cut to the clip. Its values differ, because its
attention sees the padding; so ours are compared with those that its own network gives for the same frames.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from common import Seconds, by_clock, ratios, show, timed

SECONDS = (3.0, 3.4, 3.7, 4.0, 4.4)


def waves(root: str | None, count: int) -> list[Any]:
    """Clips at 16 kHz."""
    import torch

    from ser.features import audio
    from ser.features.resample import resample

    if root is None:
        generator = torch.Generator().manual_seed(1)
        lengths = [round(16000 * SECONDS[number % len(SECONDS)]) for number in range(count)]
        return [0.1 * torch.randn(length, generator=generator) for length in lengths]
    files = sorted(path for path in Path(root).rglob("*") if path.suffix in (".wav", ".flac"))
    read = (audio.read(file) for file in files[:: max(1, len(files) // count)][:count])
    return [resample(torch.from_numpy(wave), facts.rate, 16000) for wave, facts in read if not facts.problem]


def theirs(folder: str) -> Any:
    """Hugging Face's network."""
    import torch
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    return WhisperEncoder.from_pretrained(folder, dtype=torch.float32).eval()


def usual(folder: str) -> Callable[[Any], Any]:
    """Hugging Face's way."""
    import torch
    from transformers import WhisperFeatureExtractor

    model = theirs(folder)
    extractor = WhisperFeatureExtractor(feature_size=model.num_mel_bins)

    def compute(wave: Any) -> Any:
        inputs = extractor(wave.numpy(), sampling_rate=16000, return_tensors="pt").input_features
        with torch.inference_mode():
            states = model(inputs, output_hidden_states=True).hidden_states
        own = torch.stack([state[0, : -(-len(wave) // 320)] for state in states])
        deviation, mean = torch.std_mean(own, dim=1, correction=0)
        return torch.stack((mean, deviation), dim=1).reshape(1, -1)

    return compute


def of_the_same_frames(folder: str, wave: Any) -> Any:
    """What Hugging Face's network gives for a clip that is not padded: it has as many positions as there are frames."""
    import torch

    from ser.features import whisper

    model = theirs(folder)
    mel = whisper.log_mel(wave, model.num_mel_bins)[None]
    frames = mel.shape[2] // 2
    model.config.max_source_positions = frames
    model.embed_positions = torch.nn.Embedding.from_pretrained(model.embed_positions.weight[:frames])
    with torch.inference_mode():
        states = torch.cat(model(mel, output_hidden_states=True).hidden_states)
    deviation, mean = torch.std_mean(states, dim=1, correction=0)
    return torch.stack((mean, deviation), dim=1).reshape(1, -1)


def per_clip(compute: Callable[[Any], Any], clips: Sequence[Any]) -> Seconds:
    return timed(lambda: [compute(wave) for wave in clips]) * (1 / len(clips))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=str(Path(os.environ.get("SER_ENCODERS", "."), "whisper-base")))
    parser.add_argument("--clips", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--root", help="of a corpus; without it, noise")
    arguments = parser.parse_args()

    import torch

    from ser.features.encoder import Encoder

    torch.set_num_threads(1)
    feature, clips = Encoder(arguments.model), waves(arguments.root, arguments.clips)
    ours, padded = (lambda wave: feature(wave, 16000)), usual(arguments.model)
    off = max(float((ours(wave) - of_the_same_frames(arguments.model, wave)).abs().max()) for wave in clips[:3])
    padded(clips[0])  # to warm up
    measured = [(per_clip(ours, clips), per_clip(padded, clips)) for _ in range(arguments.rounds)]
    fast, slow = zip(*measured, strict=True)
    seconds = sum(len(wave) for wave in clips) / len(clips) / 16000
    show(
        f"{len(clips)} clips of {seconds:.1f} s, {arguments.rounds} rounds; seconds per clip",
        ("way", "wall clock", "processor"),
        [
            ("features=encoder", *by_clock(fast, ".3f")),
            ("padded to 30 s", *by_clock(slow, ".3f")),
            ("ratio", *ratios(slow, fast, ".1f")),
        ],
        f"greatest difference from Hugging Face's network on the same frames: {off:.1e}",
    )


if __name__ == "__main__":
    main()
