"""The network of a pretrained encoder: from plain tensors, never from code or a pickle that came with them.

Its class is chosen here by the `model_type` of `config.json`; what else a folder asks to be run or fetched is not
looked at.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ser.errors import ConfigError
from ser.features import pretrained, whisper
from ser.features.pretrained import Source

UNUSED = "masked_spec_embed"  # of training alone; published weights may lack it
RENAMED = {"weight_g": "parametrizations.weight.original0", "weight_v": "parametrizations.weight.original1"}
"""How torch called a weight normalised by its length before 2.0, and how it does now."""

_loading = threading.Lock()


def load(source: Source) -> Any:
    """The network, in single precision, for evaluation; loaded once.

    Raises:
        ConfigError: if transformers is not installed, or the weights are damaged, incomplete or those of another.
    """
    with _loading:  # threads that ask at once
        return _load(source)


@lru_cache(maxsize=2)
def _load(source: Source) -> Any:
    try:
        from safetensors import SafetensorError
    except ImportError:
        raise pretrained.without_transformers() from None
    try:
        with torch.device("meta"), torch.random.fork_rng(devices=[]):  # shapes alone, and torch's random state stays
            model, prefixes = _network(source)
        tensors = _tensors(pretrained.weights_of(source.folder))
        prefix = next((it for it in prefixes if any(name.startswith(it) for name in tensors)), "")
        # What is outside of the encoder in a whole model, a decoder or a head, is not used.
        state = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
        missing, unexpected = model.load_state_dict(state, strict=False, assign=True)
    except (SafetensorError, RuntimeError, ValueError, KeyError, TypeError, OSError) as error:
        problem = " ".join(line.strip() for line in str(error).splitlines()[:2])
        what = f"the encoder's weights can't be used: {problem}"
        raise ConfigError(what, where=source.folder, do="fetch it again, whole") from error
    empty = [name for name, value in (*model.named_parameters(), *model.named_buffers()) if value.is_meta]
    missing = sorted({*missing, *empty} - {UNUSED})
    if missing or unexpected:
        few = [f"{title} {', '.join(names[:4])}" for title, names in (("lacks", missing), ("has", unexpected)) if names]
        what = f"the weights are not those of this encoder: it {' and '.join(few)}, {len(missing + unexpected)} in all"
        raise ConfigError(what, where=source.folder, do="fetch it again, whole; nothing is made up in their place")
    return model.eval().requires_grad_(False)


def _network(source: Source) -> tuple[nn.Module, Sequence[str]]:
    """The network without values, and what its parameters' names begin with where it is part of a whole model."""
    config, kind = dict(pretrained.read_json(source.folder, "config.json")), pretrained.CLASSES[source.kind]
    if source.kind == "whisper":
        return whisper.Network(config), ("model.encoder.", "encoder.")
    try:
        import transformers  # noqa: F401 - so that its version counts
    except ImportError:
        raise pretrained.without_transformers() from None
    from pydoc import locate

    found: Any = locate(kind)
    return found(found.config_class.from_dict(config)), (f"{found.base_model_prefix}.",)


def _tensors(files: list[Path]) -> dict[str, Tensor]:
    from safetensors import safe_open

    found = {}
    for path in files:
        with safe_open(path, "pt") as file:
            for name in file.keys():  # noqa: SIM118 - no mapping
                first, dot, last = name.rpartition(".")
                found[f"{first}{dot}{RENAMED.get(last, last)}"] = file.get_tensor(name).float()
    return found
