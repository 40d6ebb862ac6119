from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

import ser
from ser.errors import CheckpointError, ConfigError
from ser.features import audio
from ser.trained.recogniser import Recogniser
from tests.trained import crafted

TRUST = [crafted.TRUST]


@pytest.fixture(scope="module")
def ckpt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return crafted.whole(tmp_path_factory.mktemp("run") / "checkpoints" / "best.ckpt")


@pytest.fixture(scope="module")
def model(ckpt: Path) -> Recogniser:
    return ser.load(ckpt, TRUST)


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Recordings shorter and longer than the 30 frames of 10 ms that the network takes, more than a batch."""
    folder, noise = tmp_path_factory.mktemp("files"), np.random.default_rng(1)
    for number in range(40):
        wave = noise.normal(0, 0.1, noise.integers(800, 12000)) * np.exp(noise.normal(0, 1))
        soundfile.write(folder / f"{number:02d}.wav", wave.clip(-1, 1), 16000)
    return [str(path) for path in sorted(folder.iterdir())]


def bank(model: Recogniser, paths: list[str]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Rows, starts and lengths, as `ser.features.cache` has them."""
    rows = [model.feature(torch.from_numpy(audio.read(path)[0]), 16000) for path in paths]
    lengths = torch.tensor([len(some) for some in rows])
    return torch.cat([*rows, torch.full((1, 8), -100.0)]), lengths.cumsum(0) - lengths, lengths


@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_rows_of_a_bank_have_the_scores_of_their_recordings(
    batch_size: int, model: Recogniser, paths: list[str]
) -> None:
    found = model.on_rows(*bank(model, paths), batch_size)
    results = list(model.recognise(paths))
    assert found.dtype == np.float64
    assert found.shape == (40, 4)
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-6)
    np.testing.assert_allclose(found, [list(result.scores.values()) for result in results], rtol=0, atol=1e-6)
    assert [result.path for result in results] == paths
    assert [result.label for result in results] == [crafted.LABELS[best] for best in found.argmax(1)]
    assert len({result.label for result in results}) > 1


def test_scores_are_the_softmax_of_the_network_on_normalised_frames(model: Recogniser, paths: list[str]) -> None:
    rows, starts, lengths = bank(model, paths)
    short = int(lengths.argmin())
    length = int(lengths[short])
    assert length < 30
    frames = torch.full((30, 8), -100.0)
    first = (30 - length + 1) // 2
    frames[first : first + length] = rows[starts[short] : starts[short] + length]
    logits = model.net((((frames + 60) / 20).T)[None], torch.tensor([first + length]))
    found = model.on_rows(rows, starts[[short]], lengths[[short]], 1)
    np.testing.assert_allclose(found, logits.softmax(1).numpy(), atol=1e-6)


def test_mixed_precision_is_that_of_the_run(ckpt: Path, model: Recogniser, paths: list[str], tmp_path: Path) -> None:
    mixed = ser.load(crafted.whole(tmp_path / "mixed.ckpt", precision="bf16-mixed"), TRUST)
    assert (model.mixed, mixed.mixed) == (False, True)
    one, other = (each.on_rows(*bank(model, paths), 16) for each in (model, mixed))
    assert 1e-5 < np.abs(one - other).max() < 0.05


@pytest.mark.parametrize("labels", [("a", "b"), tuple("abcdefghij")])
def test_labels_come_from_the_checkpoint(labels: tuple[str, ...], paths: list[str], tmp_path: Path) -> None:
    model = ser.load(crafted.whole(tmp_path / "best.ckpt", labels), TRUST)
    (result,) = model.recognise(paths[:1])
    assert model.labels == tuple(result.scores) == labels


def test_loading_leaves_the_random_state_and_gradients_alone(ckpt: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    model = ser.load(ckpt, TRUST)
    assert torch.equal(torch.rand(3), expected)
    assert not model.net.training
    assert not any(parameter.requires_grad for parameter in model.net.parameters())


@pytest.mark.parametrize("device", ["cpu", torch.device("cpu")])
def test_a_model_is_moved(device: Any, ckpt: Path, paths: list[str]) -> None:
    model = ser.load(ckpt, TRUST)
    assert model.to(device) is model
    assert model.device == torch.device("cpu")
    assert len(list(model.recognise(paths[:3]))) == 3


def test_a_network_that_is_not_trusted_is_not_loaded(ckpt: Path) -> None:
    with pytest.raises(CheckpointError, match=r"not trusted: tests\.trained\.crafted\.Mean"):
        ser.load(ckpt)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content["ser"].update(config={}), r"do not fit together \(KeyError\)"),
        (lambda content: content.pop("state_dict"), r"do not fit together \(KeyError\)"),
        (lambda content: content.update(state_dict={"net.a": torch.zeros(1)}), r"do not fit together \(RuntimeError\)"),
        (lambda content: content["ser"]["labels"].append("more"), r"do not fit together \(RuntimeError\)"),
        (lambda content: content["ser"]["config"].update(input=3), r"do not fit together \(AttributeError\)"),
        (lambda content: content["ser"]["normalisation"].pop("mean"), r"do not fit together \(KeyError\)"),
    ],
)
def test_parts_that_do_not_fit_are_refused(change: Any, message: str, ckpt: Path, tmp_path: Path) -> None:
    path = crafted.craft(ckpt, tmp_path / "bad.ckpt", change)
    with pytest.raises(CheckpointError, match=rf"(?s){message}.*bad\.ckpt"):
        ser.load(path, TRUST)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (lambda config: config["input"].update(frames=0), "input.frames"),
        (lambda config: config["input"].update(place="end"), "input.place"),
        (lambda config: config["features"].pop("n_mels"), "features"),
        (lambda config: config["model"]["net"].update(depth=1), "model.net.depth"),
    ],
)
def test_settings_that_the_code_no_longer_takes_are_named(change: Any, where: str, ckpt: Path, tmp_path: Path) -> None:
    path = crafted.craft(ckpt, tmp_path / "bad.ckpt", lambda content: change(content["ser"]["config"]))
    with pytest.raises(ConfigError) as raised:
        ser.load(path, TRUST)
    assert raised.value.where == where
