"""Where a pretrained speech encoder is, and what it is: its kind, its size, the digest of what decides its values.

The layout is Hugging Face's: `config.json`, `model.safetensors` and, except for Whisper, `preprocessor_config.json`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from ser.errors import ConfigError

RATE = 16000
"""Hz, of the waves that all these encoders take."""

CLASSES = {
    "data2vec-audio": "transformers.models.data2vec.modeling_data2vec_audio.Data2VecAudioModel",
    "hubert": "transformers.models.hubert.modeling_hubert.HubertModel",
    "wav2vec2": "transformers.models.wav2vec2.modeling_wav2vec2.Wav2Vec2Model",
    "wavlm": "transformers.models.wavlm.modeling_wavlm.WavLMModel",
    "whisper": "ser.features.whisper.Network",
}
"""By the `model_type` of `config.json`."""


@dataclass(frozen=True)
class Source:
    """An encoder's files.

    `name`: on the hub, if they were found by it; `digest`: of all that decides its values; `kind`: `model_type`;
    `width`: units of a layer; `depth`: layers; `scaled`: whether it takes waves of mean 0 and variance 1.
    """

    folder: Path
    name: str | None
    digest: str
    kind: str
    width: int
    depth: int
    scaled: bool


def find(model: str, revision: str | None) -> Source:
    """The encoder's files on this machine; nothing is fetched.

    Args:
        model: a folder; or one in the folder that `SER_ENCODERS` names, by its last part; or a name on the hub.
        revision: of what is on the hub.

    Raises:
        ConfigError: if it is not there, lacks a file, or is of a kind that is not known.
    """
    folder, name = _folder(model, revision)
    config = read_json(folder, "config.json")
    kind = str(config.get("model_type"))
    if kind not in CLASSES:
        raise ConfigError(f"no speech encoder that is known: {kind}", where=folder, do=f"take {', '.join(CLASSES)}")
    whisper = kind == "whisper"
    width, depth = ("d_model", "encoder_layers") if whisper else ("hidden_size", "num_hidden_layers")
    absent = [key for key in (width, depth) if not isinstance(config.get(key), int)]
    if absent:
        raise ConfigError(f"config.json does not say {', '.join(absent)}", where=folder, do="fetch it again")
    extractor = {} if whisper else read_json(folder, "preprocessor_config.json")
    if extractor.get("sampling_rate", RATE) != RATE:
        raise ConfigError(f"an encoder of {extractor['sampling_rate']} Hz", where=folder, do=f"take one of {RATE} Hz")
    said = ["config.json"] if whisper else ["config.json", "preprocessor_config.json"]
    files = [*(folder / name for name in said), *weights_of(folder)]
    digest = _digest(tuple((file, file.stat().st_size, file.stat().st_mtime_ns) for file in files))
    scaled = not whisper and bool(extractor.get("do_normalize", True))
    return Source(folder, name, digest, kind, config[width], config[depth], scaled)


def _folder(model: str, revision: str | None) -> tuple[Path, str | None]:
    """Where it is, and its name on the hub if it was found by that."""
    home = os.environ.get("SER_ENCODERS")
    for place in (Path(model), *([Path(home, Path(model).name)] if home else [])):
        if place.is_dir():
            return place, None
    where = f"features.model={model}" + (f", SER_ENCODERS={home}" if home else "")
    keep = f"or name the folder in which {Path(model).name} is: SER_ENCODERS=FOLDER"
    if model.startswith((".", "/", "~")) or model.count("/") != 1:  # no name on the hub
        raise ConfigError("there is no such encoder", where=where, do=f"give a folder: features.model=FOLDER; {keep}")
    try:
        from huggingface_hub import snapshot_download

        return Path(snapshot_download(model, revision=revision, local_files_only=True)), model
    except ImportError:
        raise without_transformers() from None
    except (OSError, ValueError) as error:  # what there is for "not here" and for "no such name"
        fetch = f"hf download {model}" + (f" --revision {revision}" if revision else "")
        what = "this encoder is not on this machine"
        raise ConfigError(what, where=where, do=f"fetch it where there is a network: {fetch}; {keep}") from error


def without_transformers() -> ConfigError:
    """What is said where the package is missing."""
    what = "an encoder needs the package transformers, which is not installed"
    return ConfigError(what, where="features", do='pip install "ser[encoders]", or use features=functionals')


def read_json(folder: Path, name: str) -> Mapping[str, Any]:
    """One of the encoder's files of settings; a ConfigError if it can't be read."""
    try:
        found = json.loads((folder / name).read_text(encoding="utf-8"))
        if isinstance(found, dict):
            return found
        problem = "no settings are in it"
    except (OSError, ValueError) as error:
        problem = getattr(error, "strerror", None) or str(error)
    raise ConfigError(f"{name} of the encoder can't be read: {problem}", where=folder, do="fetch it again, whole")


def weights_of(folder: Path) -> list[Path]:
    """The files of tensors, in order; a ConfigError if one is missing, or they are pickles."""
    if (folder / "model.safetensors").is_file():
        return [folder / "model.safetensors"]
    if (folder / "model.safetensors.index.json").is_file():
        listed = read_json(folder, "model.safetensors.index.json").get("weight_map")
        if not isinstance(listed, dict) or not listed:
            what = "model.safetensors.index.json names no weights"
            raise ConfigError(what, where=folder, do="fetch it again, whole")
        names = {Path(str(name)).name for name in listed.values()}
        absent = sorted(name for name in names if not (folder / name).is_file())
        if not absent:
            return [folder / name for name in sorted(names)]
        raise ConfigError(f"weights are missing: {', '.join(absent)}", where=folder, do="fetch it again, whole")
    if any(any(folder.glob(f"*.{suffix}")) for suffix in ("bin", "pt", "pth", "ckpt")):
        raise ConfigError(
            "the weights are a pickle, which may run code when it is read",
            where=folder,
            do="take a revision with model.safetensors (features.revision=...; on the hub, refs/pr/NUMBER of the pull "
            "request that converts it), or convert them where you trust them: AutoModel.from_pretrained(NAME)"
            ".save_pretrained(FOLDER), with its preprocessor_config.json beside it",
        )
    raise ConfigError("there is no model.safetensors", where=folder, do="fetch it again, whole")


@lru_cache
def _digest(files: tuple[tuple[Path, int, int], ...]) -> str:
    """Of the content of files, told apart by size and time."""
    import xxhash

    digest = xxhash.xxh3_128()
    for path, size, _ in files:
        digest.update(f"{path.name} {size} ".encode())
        with path.open("rb") as file:
            while piece := file.read(1 << 22):
                digest.update(piece)
    return digest.hexdigest()
