"""Encoders of every family, tiny and random, against Hugging Face's own way to load and run them."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_encoders import KINDS, network, saved, whisper_encoder
from torch import Tensor

from ser.errors import ConfigError
from ser.features import weights
from ser.features.encoder import Encoder

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _installed() -> None:
    pytest.importorskip("transformers")


def noise(samples: int, seed: int = 1) -> Tensor:
    return 0.1 * torch.randn(samples, generator=torch.Generator().manual_seed(seed)) + 0.03


def rewritten(folder: Path, change: Any) -> None:
    """Put other tensors in place: what `change` makes of them."""
    from safetensors.torch import load_file, save_file

    path = folder / "model.safetensors"
    save_file(change(load_file(path)), path)


@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_values_are_hugging_faces_of_the_clip_by_itself(kind: str, scaled: bool, tmp_path: Path) -> None:
    from transformers import AutoFeatureExtractor, AutoModel

    folder, wave = saved(network(kind), tmp_path, scaled), noise(16000)
    extractor = AutoFeatureExtractor.from_pretrained(folder)
    inputs = extractor(wave.numpy(), sampling_rate=16000, return_tensors="pt")
    with torch.inference_mode():
        states = AutoModel.from_pretrained(folder).eval()(inputs.input_values, output_hidden_states=True).hidden_states
    expected = [part for state in states for part in torch.std_mean(state[0], 0, correction=0)[::-1]]
    torch.testing.assert_close(Encoder(str(folder))(wave, 16000)[0], torch.cat(expected), atol=1e-5, rtol=1e-4)
    for layer, state in enumerate(states):
        frames = Encoder(str(folder), pool="none", layer=layer)(wave, 16000)
        torch.testing.assert_close(frames, state[0], atol=1e-5, rtol=1e-4)


def test_the_choice_of_layers_is_a_choice_of_columns(tmp_path: Path) -> None:
    folder, wave = str(saved(network("hubert"), tmp_path)), noise(8000)
    for layer in (1, [2, 0]):
        feature = Encoder(folder, layer=layer)
        kept, columns = feature.part_of  # type: ignore[misc]
        assert torch.equal(feature(wave, 16000), kept(wave, 16000)[:, columns])
        assert len(feature.names) == len(set(feature.names)) == len(feature.families) == len(columns)


@pytest.mark.parametrize("samples", [0, 1, 399, 400, 401])
def test_the_shortest_clips_have_values(samples: int, tmp_path: Path) -> None:
    for model in (network("wav2vec2"), network("wavlm-large"), whisper_encoder()):
        folder = str(saved(model, tmp_path / model.config.model_type))
        assert Encoder(folder)(noise(samples), 16000).isfinite().all()
        assert len(Encoder(folder, pool="none", layer=0)(noise(samples), 16000)) in (1, 2)


def test_another_rate_is_resampled(tmp_path: Path) -> None:
    folder = str(saved(network("wav2vec2"), tmp_path))
    assert len(Encoder(folder, pool="none", layer=0)(noise(48000), 48000)) == 49


@pytest.mark.parametrize("kind", ["wavlm", "whisper"])
def test_threads_agree(kind: str, tmp_path: Path) -> None:
    model = whisper_encoder() if kind == "whisper" else network(kind)
    feature, waves = Encoder(str(saved(model, tmp_path))), [noise(4000 + 500 * seed, seed) for seed in range(6)]
    alone = [feature(wave, 16000) for wave in waves]
    again, barrier = Encoder(str(tmp_path)), threading.Barrier(4)
    weights._load.cache_clear()

    def work(number: int) -> list[Tensor]:
        barrier.wait()
        return [again(wave, 16000) for wave in waves]

    with ThreadPoolExecutor(4) as pool:
        for together in pool.map(work, range(4)):
            assert all(torch.equal(one, other) for one, other in zip(alone, together, strict=True))


def test_loading_draws_nothing_at_random(tmp_path: Path) -> None:
    feature = Encoder(str(saved(network("wav2vec2"), tmp_path)))
    before = torch.random.get_rng_state()
    feature(noise(4000), 16000)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_encoder_of_a_recogniser_is_the_encoder(tmp_path: Path) -> None:
    whole = saved(network("wav2vec2", "ForCTC"), tmp_path / "whole")
    alone = saved(network("wav2vec2"), tmp_path / "alone")
    encoder = network("wav2vec2", "ForCTC").wav2vec2
    encoder.save_pretrained(alone)
    assert torch.equal(Encoder(str(whole))(noise(8000), 16000), Encoder(str(alone))(noise(8000), 16000))


def test_weights_of_before_torch_2_and_in_half_precision_are_read(tmp_path: Path) -> None:
    folder = saved(network("hubert"), tmp_path)
    expected = Encoder(str(folder))(noise(8000), 16000)
    old = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}

    def renamed(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        for new, before in old.items():
            tensors = {name.replace(new, before): value.half() for name, value in tensors.items()}
        assert any(name.endswith("weight_g") for name in tensors)
        return tensors

    rewritten(folder, renamed)
    torch.testing.assert_close(Encoder(str(folder))(noise(8000), 16000), expected, atol=1e-2, rtol=1e-2)


def test_weights_of_training_alone_may_be_missing(tmp_path: Path) -> None:
    folder = saved(network("wav2vec2"), tmp_path)
    rewritten(folder, lambda tensors: {k: v for k, v in tensors.items() if k != "masked_spec_embed"})
    assert Encoder(str(folder))(noise(8000), 16000).isfinite().all()


LAST = "encoder.layers.1.final_layer_norm.weight"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda tensors: {k: v for k, v in tensors.items() if k != LAST}, f"lacks {LAST}, 1 in all"),
        (lambda tensors: tensors | {"encoder.layers.2.bias": torch.ones(2)}, r"has encoder\.layers\.2\.bias"),
        (lambda tensors: tensors | {"lm_head.weight": torch.ones(2)}, r"has lm_head\.weight"),
        (lambda tensors: tensors | {LAST: torch.ones(3)}, r"(?s)can't be used.*size mismatch"),
    ],
    ids=["missing", "unexpected", "of no prefix", "of another size"],
)
def test_weights_that_do_not_fit_are_refused(change: Any, says: str, tmp_path: Path) -> None:
    folder = saved(network("wav2vec2"), tmp_path)
    rewritten(folder, change)
    with pytest.raises(ConfigError, match=says):
        Encoder(str(folder))(noise(8000), 16000)


@pytest.mark.parametrize("content", [b"", b"weights", b"\xff" * 100])
def test_damaged_weights_are_refused(content: bytes, tmp_path: Path) -> None:
    folder = saved(network("wav2vec2"), tmp_path)
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(ConfigError, match="can't be used"):
        Encoder(str(folder))(noise(8000), 16000)


def test_no_code_is_fetched_or_run(tmp_path: Path) -> None:
    folder = saved(network("wav2vec2"), tmp_path)
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoModel": "code.Mine", "AutoConfig": "code.Settings"}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "code.py").write_text("raise SystemExit('code of the folder was run')")
    assert Encoder(str(folder))(noise(8000), 16000).isfinite().all()
