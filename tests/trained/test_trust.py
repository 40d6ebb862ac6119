from __future__ import annotations

from typing import Any

import pytest
from conftest import ROOT
from omegaconf import OmegaConf

from ser.errors import CheckpointError
from ser.trained import trust

CHOICES = sorted((ROOT / "conf").glob("*/*.yaml"))


@pytest.mark.parametrize("path", CHOICES, ids=lambda path: f"{path.parent.name}={path.stem}")
def test_what_the_package_offers_is_trusted(path: Any) -> None:
    trust.check(OmegaConf.to_container(OmegaConf.load(path), resolve=False), "best.ckpt")


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "joblib.load",
        "pandas.read_pickle",
        "torch.load",
        "torch.hub.load",
        "ser.training.run.shutil.rmtree",
        "ser.atomic.os.replace",
        "ser.atomic.write_text",
        "sklearn.datasets.fetch_openml",
        "serious.Model",
        "ser.no.such.Thing",
    ],
)
def test_other_code_is_refused_however_deep_it_stands(target: str) -> None:
    config = {"model": {"net": {"estimator": {"_args_": [{"_target_": target}]}}}}
    with pytest.raises(CheckpointError, match=rf"(?s)not trusted: {target}.*best\.ckpt.*trust="):
        trust.check(config, "best.ckpt")


def test_a_package_of_ones_own_is_trusted_when_named() -> None:
    config = {"net": {"_target_": "mine.Mine"}}
    with pytest.raises(CheckpointError):
        trust.check(config, "best.ckpt")
    trust.check(config, "best.ckpt", ["mine"])
