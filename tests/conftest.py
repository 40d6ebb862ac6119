"""What the tests share: a tiny generated corpus, and the two commands as a user would type them."""

from __future__ import annotations

import io
import logging
import os
import runpy
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported: the tests themselves fill the cores

import pytest
from hydra.core.global_hydra import GlobalHydra

from ser.demo import corpus as synthetic

ROOT = Path(__file__).parent.parent

SPEAKERS = (1, 2, 3, 4, 20, 21)
"""Of the tiny corpus: 30 clips each."""
QUICK = ["trainer=cpu", "trainer.max_epochs=2", "trainer.precision=32-true"]
QUICK += ["features.sample_rate=16000", "input.frames=32"]


@dataclass(frozen=True)
class Said:
    """What a command left on the terminal."""

    stdout: str
    stderr: str


Command = Callable[..., Said]


@pytest.fixture(scope="session")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `corpus` and `cache`, filled once and read by all tests."""
    folder = tmp_path_factory.mktemp("workplace")
    synthetic.fetch(folder / "corpus", speakers=SPEAKERS, repetitions=1, seconds=0.3, rate=16000)
    return folder


@pytest.fixture(scope="session")
def command(workplace: Path) -> Command:
    """Run `python <script> <overrides>`, in this process for speed; fail if its exit status is not as expected.

    `place`: the folder that the script and its `conf` are in and that it is called from, if it is not this checkout.
    """

    def run(script: str, *overrides: str, fails: bool = False, place: Path | None = None) -> Said:
        out, err = io.StringIO(), io.StringIO()
        GlobalHydra.instance().clear()
        handlers = logging.root.handlers[:]
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            patch.chdir(place or workplace)
            patch.syspath_prepend(str(place or ROOT))
            patch.setenv("SER_CACHE_DIR", str(workplace / "cache"))
            patch.setenv("COLUMNS", "120")
            patch.setattr(sys, "argv", [str((place or ROOT) / script), *overrides])
            try:
                runpy.run_path(str((place or ROOT) / script), run_name="__main__")
                failed = False
            except SystemExit as end:
                failed = end.code not in (0, None)
                print(end.code if isinstance(end.code, str) else "", file=sys.stderr)
            finally:
                logging.root.handlers[:] = handlers
        said = Said(out.getvalue(), err.getvalue())
        assert failed == fails, said.stdout + said.stderr
        return said

    return run


@pytest.fixture(scope="module")
def without_pictures() -> Iterator[None]:
    """Draw nothing: it takes longer than all else."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ser.results.figures.save", lambda figure, path: [])
        yield


def small(workplace: Path) -> list[str]:
    """Overrides for a quick training of the CNN on the tiny corpus."""
    return [*QUICK, f"data.root={workplace / 'corpus'}"]
