"""Checkpoints of a real run that somebody changed: every command refuses them, shortly, and does nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from conftest import Command, Said

from ser import cli
from ser.demo import corpus as synthetic
from ser.results import figures
from tests.trained.crafted import PLACES, TEXTS, craft, inject

pytestmark = pytest.mark.slow

MKDIR = {"_target_": "os.mkdir", "path": "FOLDER"}
EVERYWHERE = ("evaluate", "resume", "predict")

BUILT: dict[str, tuple[Callable[[dict[str, Any], Any], object], tuple[str, ...]]] = {
    "data.read": (lambda config, call: config["data"].update(read=call), ("evaluate", "resume")),
    "protocol": (lambda config, call: config.update(protocol=call), ("resume",)),
    "model.optimizer": (lambda config, call: config["model"].update(optimizer=call), ("resume",)),
    "callbacks": (lambda config, call: config.update(callbacks={"one": call}), ("resume",)),
    "augment": (lambda config, call: config.update(augment=call), ("resume",)),
    "input": (lambda config, call: config.update(input=call), EVERYWHERE),
    "features": (lambda config, call: config.update(features=call), EVERYWHERE),
    "model.net": (lambda config, call: config["model"].update(net=call), EVERYWHERE),
    "in model.net": (lambda config, call: config["model"]["net"].update(dropout={"a": [call]}), EVERYWHERE),
}
"""Where a call can be put, and which commands would make it."""


@pytest.fixture(scope="module")
def run(command: Command, workplace: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of the CNN."""
    folder = tmp_path_factory.mktemp("crafted") / "run"
    quick = ["trainer=cpu", "trainer.max_epochs=1", "features.sample_rate=16000", "input.frames=32"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "save", lambda figure, path: [])
        command("train.py", *quick, f"data.root={workplace / 'corpus'}", f"hydra.run.dir={folder}")
    return folder


Attempt = Callable[[str, Path], str]


@pytest.fixture
def attempt(command: Command, workplace: Path, capsys: pytest.CaptureFixture[str]) -> Attempt:
    """Give a checkpoint to a command that has to refuse it without leaving anything; what it said."""

    def give(name: str, ckpt: Path) -> str:
        before = contents(ckpt.parent.parent, workplace)
        if name == "predict":
            clip = str(next((workplace / "corpus").rglob("*.wav")))
            assert cli.main(["predict", clip, "--ckpt", str(ckpt)]) == 2
            captured = capsys.readouterr()
            said = Said(captured.out, captured.err)
        else:
            script, key = ("evaluate.py", "ckpt") if name == "evaluate" else ("train.py", "resume")
            said = command(script, f"{key}={ckpt}", *(["trainer.max_epochs=2"] if name == "resume" else []), fails=True)
        assert "Traceback" not in said.stdout + said.stderr
        assert contents(ckpt.parent.parent, workplace) == before
        return said.stderr

    return give


def contents(*folders: Path) -> dict[Path, int]:
    """All files but the log, which Hydra opens before the checkpoint is read, with the time of their last change."""
    found = (path for folder in folders for path in folder.rglob("*") if path.name != "train.log")
    return {path: path.stat().st_mtime_ns for path in found if path.is_file()}


@pytest.mark.parametrize("name", EVERYWHERE)
@pytest.mark.parametrize("place", PLACES)
def test_nothing_is_resolved_wherever_it_stands(
    place: str, name: str, run: Path, attempt: Attempt, tmp_path: Path
) -> None:
    bad = run / "checkpoints" / "bad.ckpt"
    for text in TEXTS if place in ("value", "key") else TEXTS[:1]:
        inject(run / "checkpoints" / "best.ckpt", bad, place, text, tmp_path / "made")
        assert "asks for something to be resolved" in attempt(name, bad)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(("place", "name"), [(place, name) for place, (_, names) in BUILT.items() for name in names])
def test_no_function_of_somebody_elses_is_called(
    place: str, name: str, run: Path, attempt: Attempt, tmp_path: Path
) -> None:
    put, _ = BUILT[place]
    call = {**MKDIR, "path": str(tmp_path / "made")}
    bad = craft(
        run / "checkpoints" / "best.ckpt",
        run / "checkpoints" / "bad.ckpt",
        lambda content: put(content["ser"]["config"], call),
    )
    assert "asks for what is not trusted: os.mkdir" in attempt(name, bad)
    assert not (tmp_path / "made").exists()


def test_a_module_is_not_even_imported(run: Path, attempt: Attempt, tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "intruder.py").write_text(f"import os\nos.mkdir({str(tmp_path / 'made')!r})\ndef call(): pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    for place in ("data.read", "callbacks", "model.net"):
        put, names = BUILT[place]
        bad = craft(
            run / "checkpoints" / "best.ckpt",
            run / "checkpoints" / "bad.ckpt",
            lambda content, put=put: put(content["ser"]["config"], {"_target_": "intruder.call"}),
        )
        for name in names:
            assert "not trusted: intruder.call" in attempt(name, bad), place
    assert not (tmp_path / "made").exists()


def test_a_corpus_is_not_fetched_for_a_checkpoint(
    run: Path, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[Mapping[str, Any]] = []
    monkeypatch.setattr(synthetic, "fetch", lambda **settings: fetched.append(settings))
    place = str(tmp_path / "made")
    fetch = {"_target_": "ser.demo.corpus.fetch", "seed": 1}
    bad = craft(
        run / "checkpoints" / "last.ckpt",
        run / "checkpoints" / "bad.ckpt",
        lambda content: content["ser"]["config"]["data"].update(fetch=fetch, root=place, place=place, download=True),
    )
    for script, key in (("train.py", "resume"), ("evaluate.py", "ckpt")):
        refused = command(script, f"{key}={bad}", fails=True).stderr
        assert "not trusted: ser.demo.corpus.fetch" in refused or place in refused
    assert not fetched
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("missing", ["protocol", "data", "seed", "trainer", "monitor", "features", "input", "model"])
def test_a_record_without_a_part_of_its_settings(missing: str, run: Path, attempt: Attempt) -> None:
    bad = craft(
        run / "checkpoints" / "best.ckpt",
        run / "checkpoints" / "bad.ckpt",
        lambda content: content["ser"]["config"].pop(missing),
    )
    assert bad.name in attempt("resume", bad)
