from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from conftest import ROOT, small


@pytest.mark.slow
def test_the_bar_fits_a_terminal_and_tells_all_epochs(workplace: Path, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    line = [sys.executable, str(ROOT / "train.py"), *small(workplace), f"hydra.run.dir={tmp_path}/run"]
    line += ["trainer.max_epochs=12"]
    variables = {**os.environ, "SER_CACHE_DIR": str(workplace / "cache")}
    subprocess.run(line, cwd=workplace, env=variables, stdout=subprocess.PIPE, stderr=theirs, check=True)
    os.close(theirs)
    shown = b""
    while True:
        try:
            shown += os.read(ours, 65536)
        except OSError:  # how the end of a terminal reads
            break
    os.close(ours)
    bars = [bar for bar in re.split(r"[\r\n]", shown.decode()) if "epoch" in bar]
    assert "epoch 12/12 100%" in bars[-1]
    assert re.search(r"loss \d\.\d{3}, val loss \d\.\d{3}, accuracy \d+\.\d%", bars[-1])
    assert max(map(len, bars)) <= 80
