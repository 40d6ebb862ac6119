from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import ser
from ser.cli import main
from ser.errors import CheckpointError, ConfigError
from ser.trained import record, trust
from tests.trained import crafted

ROOT = Path(__file__).parent.parent.parent
CHOICES = sorted(path for path in (ROOT / "conf").glob("*/*.yaml") if path.parent.name != "logger")
"""All that a checkpoint records; where a run reports to belongs to its machine."""

UNUSED = ("defaults", "fetch")
"""What is not built from a checkpoint: no checkpoint decides what is fetched to where."""

FOREIGN = [
    "os.system",
    "joblib.load",
    "pandas.read_pickle",
    "torch.load",
    "torch.hub.load",
    "serious.Model",
    "ser",
    "",
]
IMPORTED = [
    "ser.atomic.os.replace",
    "ser.atomic.write_text",
    "ser.utterances.np.load",
    "ser.trained.recogniser.torch.load",
    "ser.trained.recogniser.of",
    "ser.corpora.listing.read_pickle",
    "sklearn.datasets.fetch_openml",
    "torch.nn.init.normal_",
]


@pytest.fixture
def ckpt(tmp_path: Path) -> Path:
    return crafted.whole(tmp_path / "best.ckpt")


@pytest.mark.parametrize("path", CHOICES, ids=lambda path: f"{path.parent.name}={path.stem}")
def test_what_the_package_offers_is_trusted(path: Path) -> None:
    def resolved(values: Any) -> Any:
        if isinstance(values, dict):
            return {key: resolved(value) for key, value in values.items() if key not in UNUSED}
        return "resolved" if isinstance(values, str) and "${" in values else values

    trust.check(resolved(yaml.safe_load(path.read_text())), "best.ckpt")


@pytest.mark.parametrize("nest", [lambda one: one, lambda one: {"model": {"net": {"_args_": [[one], 1]}}}])
@pytest.mark.parametrize("target", FOREIGN)
def test_other_code_is_refused_however_deep_it_is(target: str, nest: Callable[[Any], Any]) -> None:
    with pytest.raises(CheckpointError, match=rf"(?s)not trusted: {target}.*best\.ckpt.*trust="):
        trust.build(nest({"_target_": target}), checkpoint="best.ckpt")


@pytest.mark.parametrize("target", IMPORTED)
def test_what_trusted_modules_have_imported_is_not_built(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from ser.corpora import listing

    monkeypatch.setattr(listing, "read_pickle", print, raising=False)
    with pytest.raises(CheckpointError, match=rf"(?s)not trusted: {target}.*best\.ckpt"):
        trust.build({"a": [{"_target_": target}]}, checkpoint="best.ckpt")


def test_a_function_that_reads_a_corpus_is_trusted_without_being_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ser.corpora

    (tmp_path / "new_corpus.py").write_text(
        "from pickle import load as read_all\ndef read(root): return f'from {root}'\n"
    )
    monkeypatch.setattr(ser.corpora, "__path__", [*ser.corpora.__path__, str(tmp_path)])
    assert (
        trust.build({"_target_": "ser.corpora.new_corpus.read", "root": "here"}, checkpoint="best.ckpt") == "from here"
    )
    with pytest.raises(CheckpointError, match="not trusted"):
        trust.build({"_target_": "ser.corpora.new_corpus.read_all"}, checkpoint="best.ckpt")


def test_what_is_trusted_is_built() -> None:
    config = {
        "_target_": "sklearn.pipeline.make_pipeline",
        "_args_": [{"_target_": "sklearn.preprocessing.StandardScaler"}, {"_target_": "sklearn.svm.SVC", "C": 10}],
    }
    assert trust.build(config, checkpoint="best.ckpt").steps[1][1].C == 10
    with pytest.raises(ConfigError, match=r"no class or function sklearn\.svm\.SVCC"):
        trust.build({"_target_": "sklearn.svm.SVCC"}, checkpoint="best.ckpt", where="model.net")


def test_a_package_of_ones_own_is_trusted_when_named() -> None:
    config = crafted.CONFIG["model"]["net"]
    with pytest.raises(CheckpointError, match=r"not trusted: tests\.trained\.crafted\.Mean"):
        trust.build(config, checkpoint="best.ckpt")
    net = trust.build(config, checkpoint="best.ckpt", packages=["tests"], shape=(8, 1), classes=2)
    assert isinstance(net, crafted.Mean)


@pytest.mark.parametrize("place", crafted.PLACES)
@pytest.mark.parametrize("text", crafted.TEXTS)
def test_nothing_in_a_checkpoint_is_resolved(place: str, text: str, ckpt: Path, tmp_path: Path) -> None:
    made = tmp_path / "made"
    path = crafted.inject(ckpt, tmp_path / "bad.ckpt", place, text, made)
    for look in (record.read, lambda path: ser.load(path, [crafted.TRUST])):
        with pytest.raises(CheckpointError, match=r"(?s)asks for something to be resolved.*bad\.ckpt"):
            look(path)
    assert not made.exists()


@pytest.mark.parametrize("text", crafted.TEXTS)
@pytest.mark.parametrize("nest", [lambda t: t, lambda t: {"a": [{"b": t}]}, lambda t: {t: 1}, lambda t: [(t,)]])
def test_an_unresolved_configuration_is_refused(text: str, nest: Callable[[str], Any]) -> None:
    with pytest.raises(CheckpointError, match="asks for something to be resolved"):
        trust.build(nest(text), checkpoint="best.ckpt")


def test_a_configuration_holds_plain_values_alone() -> None:
    for value in (b"bytes", {1, 2}, object()):
        with pytest.raises(CheckpointError, match="not plain values"):
            trust.build({"a": [value]}, checkpoint="best.ckpt")


@pytest.mark.parametrize("place", crafted.PLACES)
def test_the_command_refuses_them_and_does_nothing(
    place: str, ckpt: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = tmp_path / "made"
    path = crafted.inject(ckpt, tmp_path / "bad.ckpt", place, crafted.TEXTS[0], made)
    assert main(["predict", "a.wav", "--ckpt", str(path), "--trust", crafted.TRUST]) == 2
    assert "asks for something to be resolved" in capsys.readouterr().err
    assert not made.exists()


@pytest.mark.parametrize(
    "target",
    ["ser.training.checkpoint.MovableCheckpoint", "ser.training.history.History", "ser.trained.recogniser.Recogniser"],
)
def test_classes_that_no_configuration_names_are_refused(target: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="not trusted"):
        trust.build({"best": {"_target_": target, "dirpath": str(tmp_path)}}, checkpoint="best.ckpt")


@pytest.mark.parametrize(
    "config",
    [
        {"_target_": "sklearn.pipeline.make_pipeline", "memory": "cache"},
        {"_target_": "sklearn.model_selection.GridSearchCV", "param_grid": {"pipeline__memory": ["cache"]}},
    ],
)
def test_a_cache_of_pickles_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError, match="a cache of pickles"):
        trust.build(config, checkpoint="best.ckpt")
