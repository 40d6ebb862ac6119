"""Where configurations are read: from Hydra's to plain, checked values."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from ser.build import check, check_against, locate
from ser.errors import CheckpointError, ConfigError
from ser.training import trainer
from ser.training.monitor import Monitor

HERE = ("cache", "logger", "trust")
"""What belongs to a machine and its user, not to a run: no checkpoint records it."""

GROUPS = (
    "data",
    "protocol",
    "input",
    "augment",
    "enrol",
    "features",
    "model",
    "trainer",
    "callbacks",
    "logger",
    "cache",
    "monitor",
)
"""The keys that hold others."""

DATA = {"place": None, "root": None, "download": False, "labels": None, "on_problem": "refuse", "fetch": None}
"""What a corpus of one's own may leave out; it has a `name` and a `read`."""

KEPT = ("batch_size", "seed", "monitor", "features", "input", "augment", "enrol", "protocol", "model")
"""What a resumed run can't change: its weights, its best epoch or its optimiser would no longer fit."""


OF_NETWORKS = {"optimizer": "model.optimizer", "schedule": "model.scheduler"}
"""Groups that say how a network is trained, and where each puts its choice: an estimator is fitted without."""

OF_LENGTH = ("max_epochs", "max_steps", "limit_train_batches", "accumulate_grad_batches", "overfit_batches", "devices")
"""Keys of the trainer by which a schedule by the step would be another."""


@dataclass(frozen=True)
class Settings:
    """The keys of `conf/train.yaml` outside its groups, with their types."""

    seed: int
    batch_size: int
    resume: str | None
    trust: list[str]

    def __post_init__(self) -> None:
        """Refuse numbers out of range."""
        if not 0 <= self.seed < 1 << 32:
            raise ConfigError(f"there is no seed {self.seed}", where="seed", do="give 0 to 4294967295")
        if self.batch_size < 1:
            raise ConfigError(f"there is no batch of {self.batch_size}", where="batch_size", do="give 1 or more")


@dataclass(frozen=True)
class Cache:
    """The group `cache`."""

    dir: str


def plain(cfg: DictConfig) -> dict[str, Any]:
    """Plain values, interpolations resolved."""
    values = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(values, dict)
    return {str(name): value for name, value in values.items()}


def checked(cfg: DictConfig) -> dict[str, Any]:
    """Plain values, after a look at every key and type that is known before any work is done.

    Raises:
        ConfigError: naming the key.
    """
    values = plain(cfg)
    if isinstance(values.get("data"), dict):
        values["data"] = DATA | values["data"]
    known = [*Settings.__annotations__, *GROUPS, "debug"]
    for name in set(values) - set(known):
        close = difflib.get_close_matches(name, known, 1)
        close += [f"{group}.{name}" for group in GROUPS if name in (values.get(group) or ())]
        meant = f"; did you mean {close[0]!r}?" if close else ""
        raise ConfigError(f"there is no such key{meant}", where=name, do=f"the keys are {', '.join(known)}")
    if lacking := [name for name in GROUPS if not isinstance(values.get(name), dict)]:
        raise ConfigError(f"nothing is chosen for {', '.join(lacking)}", where=lacking[0], do="leave it as it is")
    own = {name: values[name] for name in Settings.__annotations__}
    check_against(own, Settings, "")
    Settings(**own)
    check_against(values["cache"], Cache, "cache")
    check_against(values["monitor"], Monitor, "monitor")
    trainer.check(values["trainer"])
    check(values, "")
    return values


def for_model(cfg: DictConfig, overrides: Sequence[str]) -> DictConfig:
    """The configuration without optimiser and schedule where the model's class takes none.

    Hydra can't let a choice of one group take away others, so they come with every model.

    Raises:
        ConfigError: if the command line chooses them for such a model.
    """
    target = OmegaConf.select(cfg, "model._target_")
    if target is None or "optimizer" in inspect.signature(locate(target, "model")).parameters:
        return cfg
    for override in overrides:
        key = override.lstrip("+~").split("=")[0]
        if any(key == group or f"{key}.".startswith(f"{place}.") for group, place in OF_NETWORKS.items()):
            do = "leave it out, or take a network, such as model=cnn"
            raise ConfigError(f"{cfg.model.name} is not trained by gradient descent", where=key, do=do)
    cfg = cfg.copy()
    with open_dict(cfg):
        for place in OF_NETWORKS.values():
            cfg.model.pop(place.removeprefix("model."), None)
    return cfg


def resumed(cfg: DictConfig, recorded: dict[str, Any], overrides: Sequence[str]) -> DictConfig:
    """The run's own configuration, changed only by what the command line names.

    Raises:
        CheckpointError: if a part of it is missing.
        ConfigError: if the command line changes what has to stay.
    """
    lacking = [str(name) for name in cfg if name not in (*HERE, *recorded)]
    if lacking:
        raise CheckpointError(
            f"the checkpoint's settings lack {', '.join(lacking)}", where=cfg.resume, do="train again, from the start"
        )
    own = {name: cfg[name] for name in HERE}
    changed, now = OmegaConf.create(recorded | own), OmegaConf.create(plain(cfg))
    for override in overrides:
        key = override.lstrip("+~").split("=")[0]
        key = OF_NETWORKS.get(key, key)
        new, whole = OmegaConf.select(now, key), key in ("debug", "experiment")
        if whole or (key.split(".")[0] in KEPT and key != "model.compile" and OmegaConf.select(changed, key) != new):
            raise ConfigError("a resumed run keeps this setting", where=key, do="leave it out, or start a new run")
        OmegaConf.update(changed, key, new, merge=False, force_add=True)
    scheduler, trained = recorded["model"].get("scheduler"), recorded["trainer"]
    if scheduler is not None and not scheduler.get("_partial_"):
        for key in OF_LENGTH:
            if trained.get(key) != changed.trainer.get(key):
                raise ConfigError(
                    f"the schedule was made for trainer.{key}={trained.get(key)}",
                    where=f"trainer.{key}",
                    do="leave it as it was, or start a new run",
                )
    return changed


def write(cfg: DictConfig, folder: Path, overrides: Sequence[str]) -> None:
    """`.hydra/`, which Hydra itself would have written before anyone could look whether the folder is free."""
    (folder / ".hydra").mkdir(exist_ok=True)
    OmegaConf.save(cfg, folder / ".hydra" / "config.yaml")
    OmegaConf.save(list(overrides), folder / ".hydra" / "overrides.yaml")
