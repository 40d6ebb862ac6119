"""The blocks of docs/usual-mistakes.md: each command, and what it says."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest
from conftest import QUICK, ROOT, Command

TEXT = (ROOT / "docs" / "usual-mistakes.md").read_text()
BLOCKS = re.findall(r"^```console\n\$ python (.*)\n((?:.*\n)*?)```$", TEXT, flags=re.MULTILINE)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(command: Command, workplace: Path) -> Path:
    """The folder outputs/first of the document."""
    folder = workplace / "outputs" / "first"
    shutil.rmtree(folder, ignore_errors=True)
    command("train.py", *QUICK, f"data.root={workplace / 'corpus'}", f"hydra.run.dir={folder}")
    return folder


@pytest.mark.parametrize(("line", "said"), BLOCKS, ids=[line for line, _ in BLOCKS])
def test_what_is_typed_is_answered_so(
    line: str, said: str, run: Path, command: Command, workplace: Path, tmp_path: Path
) -> None:
    script, *overrides = shlex.split(line)
    if script == "train.py" and "outputs/first" not in line:
        overrides += [f"hydra.run.dir={tmp_path}"]
    if "resume" not in line and script == "train.py":
        overrides += [f"data.root={workplace / 'corpus'}"]
    refused = command(script, *overrides, fails=True)
    assert "Traceback" not in refused.stderr
    lines = [shown.strip() for shown in refused.stderr.splitlines()]
    for expected in said.splitlines():
        assert any(shown.startswith(expected.strip()) for shown in lines), refused.stderr


def test_what_works_without_a_word(run: Path, command: Command, workplace: Path, tmp_path: Path) -> None:
    other = tmp_path / "epoch=3, step (60).ckpt"
    other.write_bytes((run / "checkpoints" / "best.ckpt").read_bytes())
    command("evaluate.py", str(other), f"out={tmp_path}/a=b, c")
    assert (tmp_path / "a=b, c" / "metrics.json").exists()
    command("evaluate.py", f"ckpt={run}/checkpoints", "split=val")
    command("train.py", f"resume={run}/checkpoints", "trainer.max_epochs=3")
    assert (run / "evaluation" / "best-val" / "metrics.json").exists()
