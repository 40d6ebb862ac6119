"""What the two stories ask of Hydra and its configurations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hydra.utils
from hydra.core.hydra_config import HydraConfig
from hydra.errors import InstantiationException
from omegaconf import DictConfig, OmegaConf

from ser.errors import SerError


def instantiate(*args: Any, **kwargs: Any) -> Any:
    """Hydra's, with the errors of users as they are: it wraps them in one of its own."""
    try:
        return hydra.utils.instantiate(*args, **kwargs)
    except InstantiationException as error:
        if isinstance(error.__cause__, SerError):
            raise error.__cause__ from None
        raise


def without(cfg: DictConfig, *names: str) -> DictConfig:
    """A copy that lacks these keys."""
    return OmegaConf.masked_copy(cfg, [str(name) for name in cfg if name not in names])


def plain(cfg: DictConfig) -> dict[str, Any]:
    """Plain values, interpolations resolved."""
    values = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(values, dict)
    return {str(name): value for name, value in values.items()}


def resumed(cfg: DictConfig, recorded: dict[str, Any]) -> DictConfig:
    """The run's own configuration, changed only by what the command line names."""
    changed = OmegaConf.create(recorded)
    for override in HydraConfig.get().overrides.task:
        key = override.lstrip("+~").split("=")[0]
        OmegaConf.update(changed, key, OmegaConf.select(cfg, key), merge=False, force_add=True)
    return changed


def write(cfg: DictConfig, folder: Path) -> None:
    """`.hydra/`, as Hydra itself would have written it before anyone could look whether the folder is free."""
    (folder / ".hydra").mkdir(exist_ok=True)
    OmegaConf.save(cfg, folder / ".hydra" / "config.yaml")
    OmegaConf.save(OmegaConf.create({"hydra": HydraConfig.get()}), folder / ".hydra" / "hydra.yaml")
    OmegaConf.save(HydraConfig.get().overrides.task, folder / ".hydra" / "overrides.yaml")
