from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from ser.build import check
from ser.errors import ConfigError
from ser.features import smile
from ser.features.smile import Smile


def voice(seconds: float = 1.0, f0: float = 200.0) -> torch.Tensor:
    time = torch.arange(int(16000 * seconds)) / 16000
    return sum((torch.sin(2 * torch.pi * f0 * k * time) / k for k in range(1, 20)), torch.zeros(())) * 0.1


@pytest.mark.parametrize(("feature_set", "dim"), [("eGeMAPSv02", 88), ("ComParE_2016", 6373)])
def test_one_finite_vector_per_utterance(feature_set: str, dim: int) -> None:
    pytest.importorskip("opensmile")
    feature = Smile(feature_set, 16000)
    assert len(set(feature.names)) == dim
    for wave in (voice(), torch.zeros(16000)):
        values = feature(wave, 16000)
        assert values.shape == (1, dim)
        assert values.dtype == torch.float32
        assert values.isfinite().all()


def test_known_pitch() -> None:
    pytest.importorskip("opensmile")
    feature = Smile("eGeMAPSv02", 16000)
    values = dict(zip(feature.names, feature(voice(), 16000)[0].tolist(), strict=True))
    assert 27.5 * 2 ** (values["F0semitoneFrom27.5Hz_sma3nz_percentile50.0"] / 12) == pytest.approx(200, rel=0.02)


@pytest.mark.filterwarnings("ignore:Segment too short")
@pytest.mark.parametrize("samples", [0, 1, 300])
def test_shorter_than_a_frame(samples: int) -> None:
    pytest.importorskip("opensmile")
    assert Smile("eGeMAPSv02", 16000)(torch.zeros(samples), 48000).isfinite().all()


def test_threads_agree() -> None:
    pytest.importorskip("opensmile")
    feature = Smile("eGeMAPSv02", 16000)
    waves = [voice(0.5, f0) for f0 in (110.0, 150.0, 220.0, 300.0)]
    alone = [feature(wave, 16000) for wave in waves]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda wave: feature(wave, 16000), waves * 3))
    assert all(torch.equal(a, b) for a, b in zip(alone * 3, together, strict=True))


def test_an_unknown_set_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"(?s)features\.feature_set: 'GeMAPSv9' is not accepted.*eGeMAPSv02"):
        check({"_target_": "ser.features.smile.Smile", "feature_set": "GeMAPSv9"}, "features")


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opensmile", None)
    smile._extractor.cache_clear()
    with pytest.raises(ConfigError, match=r'pip install "ser\[opensmile\]"'):
        Smile("eGeMAPSv02", 16000)(voice(), 16000)


@pytest.mark.parametrize("feature_set", ["eGeMAPSv02", "ComParE_2016"])
def test_every_dimension_has_a_family(feature_set: str) -> None:
    pytest.importorskip("opensmile")
    feature = Smile(feature_set, 16000)
    assert len(feature.families) == len(feature.names)
    assert set(feature.families) <= set(smile.FAMILIES)
    found = dict(zip(feature.names, feature.families, strict=True))
    for begins, family in (("F0", "pitch"), ("mfcc", "mfcc"), ("shimmer", "level"), ("jitter", "pitch")):
        assert {found[name] for name in found if name.startswith(begins)} == {family}
