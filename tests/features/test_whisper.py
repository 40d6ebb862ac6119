"""Whisper's values: against Hugging Face's own code, and against what they once were."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from tiny_encoders import saved, whisper_encoder, whisper_model
from torch import Tensor

from ser.features import pretrained, weights, whisper
from ser.features.encoder import Encoder

ENCODERS = Path(os.environ.get("SER_ENCODERS", "nowhere"))
REAL = pytest.mark.skipif(not (ENCODERS / "whisper-base").is_dir(), reason="SER_ENCODERS names no folder with it")


def sweep(seconds: float = 1.0) -> Tensor:
    time = torch.arange(int(16000 * seconds)) / 16000
    return 0.3 * torch.sin(2 * torch.pi * (150 * time + 200 * time * time)) * torch.sin(2 * torch.pi * 3 * time)


@pytest.mark.parametrize(("samples", "frames"), [(5, 2), (320, 2), (321, 4), (16000, 100), (480000, 3000)])
def test_two_mel_frames_for_every_20_ms_begun(samples: int, frames: int) -> None:
    found = whisper.log_mel(torch.rand(samples) - 0.5, 80)
    assert found.shape == (80, frames)
    assert found.isfinite().all()


def test_the_spectrogram_is_as_it_was() -> None:
    found = whisper.log_mel(sweep(), 80)
    torch.testing.assert_close(found[0, :4], torch.tensor([0.1422, 0.1596, 0.0884, -0.1131]), atol=1e-4, rtol=0)
    torch.testing.assert_close(found[:4, 50], torch.tensor([-0.5257, -0.4736, -0.3909, -0.2765]), atol=1e-4, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("samples", [5, 333, 16000, 50001, 479999, 480000])
def test_the_spectrogram_is_hugging_faces_on_the_clips_own_frames(samples: int) -> None:
    transformers = pytest.importorskip("transformers")
    wave = 0.1 * torch.randn(samples, generator=torch.Generator().manual_seed(samples))
    padded = transformers.WhisperFeatureExtractor()(wave.numpy(), sampling_rate=16000).input_features[0]
    found = whisper.log_mel(wave, 80)
    torch.testing.assert_close(found, torch.as_tensor(padded)[:, : found.shape[1]], atol=1e-4, rtol=0)


def by_hugging_face(folder: Path, wave: Tensor) -> list[Tensor]:
    """Its own network on the same frames: it insists on as many as it has positions, so it gets no more positions."""
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    mel = whisper.log_mel(wave, 80)[None]
    whole = WhisperEncoder.from_pretrained(folder, dtype=torch.float32)
    whole.config.max_source_positions = mel.shape[2] // 2
    whole.embed_positions = torch.nn.Embedding.from_pretrained(whole.embed_positions.weight[: mel.shape[2] // 2])
    with torch.inference_mode():
        found = whole.eval()(mel, output_hidden_states=True).hidden_states
    return [state[0] for state in found]


@pytest.mark.slow
@pytest.mark.parametrize("folder", [pytest.param("whisper-base", marks=REAL), "tiny"])
def test_hidden_states_are_hugging_faces_of_the_same_frames(folder: str, tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    place = saved(whisper_encoder(), tmp_path) if folder == "tiny" else ENCODERS / folder
    expected = by_hugging_face(place, sweep())
    with torch.inference_mode():
        found = weights.load(pretrained.find(str(place), None))(sweep())
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.shape == (50, expected[0].shape[1])
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


@pytest.mark.slow
def test_a_whole_model_gives_its_encoder(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    whole = whisper_model()
    first = saved(whole, tmp_path / "whole")
    second = saved(whole.encoder, tmp_path / "encoder")
    assert torch.equal(Encoder(str(first))(sweep(), 16000), Encoder(str(second))(sweep(), 16000))


@pytest.mark.slow
def test_longer_than_30_s_is_computed_in_pieces_and_pooled_together(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    folder = str(saved(whisper_encoder(), tmp_path))
    wave = torch.cat((sweep(30.0), 0.5 * sweep(10.0), torch.zeros(100)))
    frames = Encoder(folder, pool="none", layer=1)(wave, 16000)
    assert frames.shape == (2001, 32)
    assert torch.equal(frames[:1500], Encoder(folder, pool="none", layer=1)(wave[:480000], 16000))
    deviation, mean = torch.std_mean(frames, 0, correction=0)
    pooled = Encoder(folder, layer=1)(wave, 16000)
    torch.testing.assert_close(pooled[0], torch.cat((mean, deviation)), atol=1e-5, rtol=1e-5)


@REAL
@pytest.mark.slow
def test_the_values_of_whisper_base_are_as_they_were() -> None:
    pytest.importorskip("transformers")
    found = Encoder(str(ENCODERS / "whisper-base"))(sweep(), 16000).view(7, 2, 512)
    norms = [(17.145, 10.358), (14.188, 6.369), (14.175, 6.251), (15.397, 6.599), (17.370, 13.865)]
    norms += [(26.662, 17.114), (27.096, 15.579)]
    torch.testing.assert_close(found.norm(dim=2), torch.tensor(norms), atol=5e-3, rtol=0)
    torch.testing.assert_close(found[3, 0, :3], torch.tensor([0.5080, 0.0473, 0.7839]), atol=2e-3, rtol=0)
