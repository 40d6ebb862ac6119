"""A frozen pretrained speech encoder: the hidden states of its layers over an utterance's own frames.

wav2vec 2.0, HuBERT, WavLM, data2vec and Whisper. No padding is seen by anything: an utterance goes through by itself,
in one thread, while other cores work on others. What is longer than 30 s goes through in pieces of 30 s, whose frames
are joined: attention over more is beyond what they were trained on, and beyond the memory.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from ser.errors import ConfigError
from ser.features import pretrained, weights, whisper
from ser.features.pretrained import RATE, Source
from ser.features.resample import resample

STATISTICS = ("mean", "sd")
SHORTEST = 400  # samples, 25 ms: of what is shorter, the convolutions of wav2vec 2.0 and its kin make no frame

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Encoder:
    """`model`: a folder, one in the folder that `SER_ENCODERS` names, or a name on the Hugging Face hub.

    `revision`: of the latter. `pool`: "mean_sd", one vector per utterance, mean and standard deviation over its frames;
    "none", the frames of one layer. `layer`: a hidden state, 0 being what goes into the first layer; several, on end;
    or "all". `digest`: of the encoder that has to be found; training records it.

    Raises:
        ConfigError: if no layer or, without pooling, several are asked for; when first used, if the encoder is not to
            be found or not the one of the digest, has no such layer, or transformers is not installed.
    """

    silence: ClassVar[float] = 0.0

    model: str
    revision: str | None = None
    pool: Literal["mean_sd", "none"] = "mean_sd"
    layer: int | Literal["all"] | Sequence[int] = "all"
    digest: str | None = None

    def __post_init__(self) -> None:
        """Refuse frames of several layers: they would be too many."""
        if self.pool == "none" and not isinstance(self.layer, int):
            do = "give one, such as features.layer=3, or features.pool=mean_sd"
            raise ConfigError("frames are those of one layer", where="features.layer", do=do)

    @cached_property
    def source(self) -> Source:
        """The encoder's files, found and, if there is a digest, compared with it."""
        found = pretrained.find(self.model, self.revision)
        if self.digest not in (None, found.digest):
            raise ConfigError(
                f"other weights than those of the training: their digest is {found.digest}, not {self.digest}",
                where=found.folder,
                do="name the folder in which the encoder of the training is: SER_ENCODERS=FOLDER",
            )
        log.info("encoder %s, digest %s", found.folder, found.digest)
        return found

    @property
    def layers(self) -> int:
        """How many there are in a row, one after the other, each as wide as the others."""
        return len(self._chosen)

    @property
    def names(self) -> tuple[str, ...]:
        """`layer<number>_<statistic>_<unit>`, or without the statistic if frames are not pooled."""
        units = range(self.source.width)
        if self.pool == "none":
            return tuple(f"layer{self.layer}_{unit}" for unit in units)
        return tuple(f"layer{layer}_{name}_{unit}" for layer in self._chosen for name in STATISTICS for unit in units)

    @property
    def families(self) -> tuple[str, ...]:
        """The layer of each dimension, or its statistic if there is only one layer."""
        part = 1 if self.layers == 1 and self.pool != "none" else 0
        return tuple(name.split("_")[part] for name in self.names)

    @property
    def part_of(self) -> tuple[Encoder, list[int]] | None:
        """What is kept in the cache, all layers, and its columns that these are: so the choice of layers is free."""
        if self.pool == "none" or self._chosen == (*range(self.source.depth + 1),):
            return None
        size = self.source.width * len(STATISTICS)
        columns = [size * layer + column for layer in self._chosen for column in range(size)]
        return replace(self, layer="all"), columns

    def identity(self) -> dict[str, Any]:
        """What the cache knows it by: content, not place."""
        return {"encoder": self.source.digest, "pool": self.pool, "layers": self._chosen}

    def pinned(self) -> dict[str, Any]:
        """What a run records beside the settings."""
        return {"digest": self.source.digest}

    @torch.inference_mode()
    def __call__(self, wave: Tensor, rate: int) -> Tensor:
        """Wave `(samples,)` at `rate` Hz to `(1, dim)`, or `(frame, dim)` if frames are not pooled."""
        pieces = self._pieces(resample(wave, rate, RATE))
        if self.pool == "none":
            return torch.cat([piece[0] for piece in pieces])
        count, total, squares = 0, torch.zeros(()), torch.zeros(())
        for piece in pieces:  # sums, so that a recording of hours fits the memory
            values = piece.double()
            count, total, squares = count + values.shape[1], total + values.sum(1), squares + values.square().sum(1)
        mean = total / count
        deviation = (squares / count - mean.square()).clamp(min=0).sqrt()
        return torch.stack((mean, deviation), dim=1).float().reshape(1, -1)

    def _pieces(self, wave: Tensor) -> Iterator[Tensor]:
        """The chosen hidden states, `(layer, frame, unit)`, of 30 s at a time."""
        model, source = weights.load(self.source), self.source
        wave = F.pad(wave, (0, max(0, SHORTEST - len(wave))))
        if source.scaled:
            variance, mean = torch.var_mean(wave, correction=0)
            wave = (wave - mean) / torch.sqrt(variance + 1e-7)
        for piece in torch.split(wave, whisper.LONGEST):
            if len(piece) < SHORTEST:  # the end of a long recording
                continue
            if source.kind == "whisper":
                states: Sequence[Tensor] = model(piece)
            else:
                states = [state[0] for state in model(piece[None], output_hidden_states=True).hidden_states]
            yield torch.stack([states[layer] for layer in self._chosen])

    @cached_property
    def _chosen(self) -> tuple[int, ...]:
        count = self.source.depth + 1
        if self.layer == "all":
            return tuple(range(count))
        chosen = (self.layer,) if isinstance(self.layer, int) else tuple(self.layer)
        if not chosen or not all(isinstance(layer, int) and 0 <= layer < count for layer in chosen):
            what = f"there is no layer {', '.join(map(str, chosen)) or 'to use'}"
            raise ConfigError(what, where="features.layer", do=f"{self.model} has 0 to {count - 1}; or use all")
        return chosen
