from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import soundfile
import torch

from ser.augment.speed import Speed
from ser.features import cache
from ser.features.copied import Copied
from ser.features.key import key
from ser.features.mel import Mel
from ser.utterances import SEGMENT

MEL = Mel(16000, n_fft=512, hop_length=256, n_mels=20, f_min=0.0, f_max=None, floor_db=-100.0)


def noise(samples: int) -> torch.Tensor:
    return torch.rand(samples, generator=torch.Generator().manual_seed(1)) - 0.5


def test_it_is_the_feature_of_the_changed_wave() -> None:
    wave, copied = noise(16000), Copied(MEL, Speed(0.8))
    assert torch.equal(copied(wave, 16000), MEL(Speed(0.8)(wave, 16000), 16000))
    assert (copied.silence, copied.names) == (MEL.silence, MEL.names)


def test_its_key_has_the_settings_of_both() -> None:
    features = [MEL, Copied(MEL, Speed(0.9)), Copied(MEL, Speed(1.1)), Copied(replace(MEL, n_mels=40), Speed(0.9))]
    keys = [key(feature, ["a"]) for feature in features]
    assert len(set(keys)) == 4
    assert key(Copied(MEL, Speed(0.9)), ["a"]) == keys[1]


def test_the_cache_computes_it_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    soundfile.write(tmp_path / "a.wav", noise(8000).numpy(), 16000)
    recordings, copied = pd.DataFrame({"path": [str(tmp_path / "a.wav")]}).assign(**SEGMENT), Copied(MEL, Speed(0.5))
    bank = cache.bank(recordings, copied, tmp_path / "cache")
    assert len(bank.rows) == 16000 // 256 + 1 + 1  # twice the time, and silence
    monkeypatch.setattr(Copied, "__call__", lambda *_: pytest.fail("computed again"))
    assert torch.equal(cache.bank(recordings, copied, tmp_path / "cache").rows, bank.rows)
