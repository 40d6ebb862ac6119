from __future__ import annotations

import pytest
from tqdm import tqdm

from ser.training import progress


@pytest.mark.parametrize("epoch", ["epoch 1/70", "epoch 100/100"])
def test_the_bar_fits_80_columns(epoch: str) -> None:
    scores = "".join(f", {score}" for score in SCORES)
    line = tqdm.format_meter(30, 100, 40.0, 80, epoch, bar_format=progress.BAR, postfix=scores[2:])
    assert len(line) == 80
    assert line.startswith(f"{epoch}  30%|")
    assert line.endswith(f"00:40<01:33{scores}")


SCORES = progress._scores({"train/loss": 1.23456, "val/loss": 12.3456, "val/accuracy": 0.5678, "val/uar": 0.5})


def test_what_is_worth_a_place_on_the_line() -> None:
    assert SCORES == ["loss 1.235", "val loss 12.346", "accuracy 56.8%"]
    assert progress._scores({"train/loss": 1.0}) == ["loss 1.000"]
