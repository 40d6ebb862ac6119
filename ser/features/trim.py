"""What lies before the first and after the last loud part of a recording, cut off; pauses within stay."""

from __future__ import annotations

import torch
from torch import Tensor

from ser.errors import ConfigError

WINDOW = 0.01  # s


def check(trim_db: float | None) -> None:
    """Refuse what would cut the loudest window itself; a ConfigError."""
    if trim_db is not None and not trim_db > 0:
        raise ConfigError(f"{trim_db} is too small", where="features.trim_db", do="give such as 40, or null")


def trim(wave: Tensor, rate: int, trim_db: float | None) -> Tensor:
    """From the first to the last window of 10 ms that is within `trim_db` of the loudest; None leaves all.

    Windows lie side by side from the beginning; what is left over at the end counts as one.

    Args:
        wave: `(samples,)` at `rate` Hz; one of zeros is left as it is.
    """
    if trim_db is None or not len(wave):
        return wave
    size = max(1, round(WINDOW * rate))
    whole = len(wave) // size * size
    power = wave[:whole].view(-1, size).square().mean(1)
    if whole < len(wave):
        power = torch.cat((power, wave[whole:].square().mean()[None]))
    loud = (power >= power.max() * 10 ** (-trim_db / 10)).nonzero()[:, 0]
    return wave[int(loud[0]) * size : (int(loud[-1]) + 1) * size] if len(loud) else wave
