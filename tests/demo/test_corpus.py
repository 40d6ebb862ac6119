from __future__ import annotations

import hashlib
import inspect
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import soundfile
from omegaconf import OmegaConf

from ser.corpora import ravdess
from ser.demo import corpus as synthetic
from ser.demo import voice
from ser.errors import ConfigError, DataError

SMALL = {"speakers": (1, 2), "statements": 1, "repetitions": 1, "seconds": 0.4, "rate": 16000}


def make(root: Path) -> dict[str, str]:
    synthetic.fetch(root, **SMALL)
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in root.rglob("*.wav")}


def test_the_configuration_has_the_default_settings() -> None:
    settings = OmegaConf.load(Path(__file__).parents[2] / "conf/data/synthetic.yaml").fetch
    defaults = inspect.signature(synthetic.fetch).parameters
    assert settings.pop("_target_") == "ser.demo.corpus.fetch"
    assert {name: defaults[name].default for name in settings} == {**settings, "speakers": tuple(settings.speakers)}
    assert [*defaults] == ["root", *settings]


def test_default_corpus_counts_as_ravdess() -> None:
    codes = list(synthetic.utterances(range(1, 25), 2, 2))
    assert len(codes) == len(set(codes)) == 1440
    assert sum(code[0] == 1 for code in codes) == 24 * 4
    assert {code[1] for code in codes if code[0] == 1} == {1}


def test_files_read_as_an_utterance_table(tmp_path: Path) -> None:
    make(tmp_path / "corpus")
    listing = ravdess.read(tmp_path / "corpus")
    assert len(listing.table) == 2 * 15
    assert not listing.problems
    assert set(listing.table["emotion"]) == set(ravdess.EMOTIONS)
    assert set(zip(listing.table["speaker"], listing.table["sex"], strict=True)) == {("01", "male"), ("02", "female")}
    for path in listing.table["path"]:
        info = soundfile.info(path)
        assert (info.samplerate, info.channels, info.subtype) == (16000, 1, "PCM_16")
        wave, _ = soundfile.read(path)
        assert np.sqrt(np.mean(wave**2)) > 0.001
        assert np.abs(wave).max() < 0.96


def test_same_settings_same_bytes_and_each_take_its_own(tmp_path: Path) -> None:
    first, second = make(tmp_path / "a"), make(tmp_path / "b")
    assert first == second
    assert len(set(first.values())) == len(first) == 30


def test_takes_are_frozen() -> None:
    takes = [voice.take(0, codes) for codes in synthetic.utterances(range(1, 25), 2, 2)]
    numbers = np.array([[*take, *how] for *take, how in takes])
    assert {type(number) for *take, how in takes for number in (*take, *how)} == {float}, "NumPy's would widen float32"
    assert hashlib.sha256(np.round(numbers, 3).astype("<f4").tobytes()).hexdigest()[:16] == "7d0d7d02645327e2"


def test_other_settings_are_refused_and_nothing_is_touched(tmp_path: Path) -> None:
    before = make(tmp_path / "corpus")
    with pytest.raises(DataError, match="other settings"):
        synthetic.fetch(tmp_path / "corpus", **{**SMALL, "seed": 1})
    assert make(tmp_path / "corpus") == before


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no synthetic corpus"):
        synthetic.fetch(tmp_path, **SMALL)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("wrong", [{"speakers": (0,)}, {"speakers": ()}, {"statements": 3}, {"seconds": 0.0}])
def test_settings_out_of_range_are_refused(tmp_path: Path, wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        synthetic.fetch(tmp_path / "corpus", **{**SMALL, **wrong})
    assert not list(tmp_path.iterdir())


def test_stopped_halfway_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = synthetic.synthesise

    def stop(seed: int, codes: tuple[int, int, int, int, int], seconds: float, rate: int) -> object:
        if codes[0] == 5:
            raise KeyboardInterrupt
        return plain(seed, codes, seconds, rate)

    monkeypatch.setattr(synthetic, "synthesise", stop)
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "corpus")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_two_processes_at_once_both_succeed(tmp_path: Path) -> None:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        first, second = pool.map(make, [tmp_path / "corpus"] * 2)
    assert first == second
    assert len(first) == 30
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and deviation of every mel band `(utterance, 128)`, emotion and speaker of eight speakers."""
    import torch

    from ser.features import audio
    from ser.features.mel import Mel

    root = tmp_path_factory.mktemp("spoken") / "corpus"
    synthetic.fetch(root, speakers=range(1, 9), repetitions=1, rate=16000)
    listing = ravdess.read(root)
    mel = Mel(16000, 512, 256, 64, 0.0, None, -100.0)
    clips = [mel(torch.from_numpy(audio.read(path)[0]), 16000) for path in listing.table["path"]]
    values = torch.stack([torch.cat((clip.mean(0), clip.std(0))) for clip in clips]).numpy()
    return values, listing.table["emotion"].to_numpy(), listing.table["speaker"].to_numpy()


def uar(values: np.ndarray, emotions: np.ndarray, speakers: np.ndarray) -> float:
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.model_selection import GroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500))
    predicted = cross_val_predict(model, values, emotions, groups=speakers, cv=GroupKFold(4))
    return float(balanced_accuracy_score(emotions, predicted))


@pytest.mark.slow
def test_emotions_carry_over_to_unseen_speakers(spoken: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    assert uar(*spoken) > 0.6


@pytest.mark.slow
def test_no_level_alone_gives_an_emotion_away(spoken: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    values, emotions, speakers = spoken
    assert uar(values.mean(1, keepdims=True), emotions, speakers) < 0.4


@pytest.mark.slow
def test_shuffled_labels_can_not_be_learnt(spoken: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    values, emotions, speakers = spoken
    assert uar(values, np.random.default_rng(0).permutation(emotions), speakers) < 0.25
