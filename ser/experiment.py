"""The two stories, from top to bottom: `train(cfg)` and `evaluate(cfg)`."""

from __future__ import annotations

import gc
import logging
from pathlib import Path
from typing import Any

import lightning as L
import pandas as pd
import torch
from hydra.core.hydra_config import HydraConfig
from lightning.pytorch.utilities import rank_zero_only
from omegaconf import DictConfig, OmegaConf

from ser import memory
from ser.atomic import write_text
from ser.corpora.audit import audit
from ser.errors import CheckpointError, ConfigError
from ser.features import cache
from ser.features.cache import Bank
from ser.protocols.split import Split
from ser.results import figures, importance, predictions, tables
from ser.trained import record, trust
from ser.training import config, run
from ser.training import trainer as trainers
from ser.training.config import instantiate, without
from ser.training.data import EmotionDataModule, InputSettings
from ser.training.history import History
from ser.training.module import EmotionClassifier
from ser.utterances import EMOTIONS

log = logging.getLogger(__name__)


def train(cfg: DictConfig) -> float:
    """Train, validate, leave a run folder that says everything; return the best `val/loss`.

    Args:
        cfg: what `conf/train.yaml` composes.
    """
    memory.keep_freed()
    folder = Path(HydraConfig.get().runtime.output_dir)
    before = record.read(cfg.resume)["ser"] if cfg.resume else None
    if before is not None:
        trust.check(before["config"], cfg.resume, cfg.trust)
        cfg = config.resumed(cfg, before["config"])
    leader = rank_zero_only.rank == 0  # type: ignore[attr-defined]
    if leader:
        run.claim(folder, cfg.resume)
        config.write(cfg, folder)
        write_text(folder / "environment.txt", run.environment())
    by_gradient = "optimizer" in cfg.model
    precision = cfg.trainer.precision or (before and before["about"]["precision"])
    precision = precision or (trainers.fastest_precision(cfg.trainer.accelerator) if by_gradient else "32-true")
    history = History(folder / "metrics.csv")
    trainer = trainers.for_training(config.plain(cfg.trainer), precision, folder, history)
    if trainer.world_size > 1 and not by_gradient:  # here, because Lightning kills all if one process stops later
        raise ConfigError(
            f"{cfg.model.name} is fitted on all training utterances at once: in one process, not {trainer.world_size}",
            where="trainer.devices, trainer.num_nodes",
            do="use trainer.devices=1 trainer.num_nodes=1",
        )
    table, bank = corpus(cfg)
    split: Split = instantiate(without(cfg.protocol, "name")).split(table, cfg.seed)
    about = {
        "model": cfg.model.name,
        "features": cfg.features.name,
        "seed": cfg.seed,
        **protocol_facts(cfg, table, split),
    }
    if before is not None and before["about"]["split_fingerprint"] != about["split_fingerprint"]:
        raise CheckpointError("the corpus or the protocol is no longer that of the run to resume", where=cfg.resume)
    if leader:
        split.part_of(table).to_csv(folder / "split.csv", index=False)
    data = EmotionDataModule(table, bank, split, InputSettings(**cfg.features.input), cfg.batch_size, cfg.seed)
    L.seed_everything(cfg.seed, verbose=False)
    net = instantiate(cfg.model.net, _convert_="all", shape=data.shape, classes=len(EMOTIONS))
    log.info("precision %s, %d to train on, %d to validate on", precision, len(split.train), len(split.val))
    about["precision"] = precision
    kept = record.make(config.plain(cfg), table, split, data.normalisation, about)
    model = instantiate(without(cfg.model, "name", "net"), _partial_=True, _convert_="all")(net, cfg.seed, kept)
    gc.freeze()  # or the collector would go through all imported modules several times an epoch
    try:
        trainer.fit(model, data, ckpt_path=cfg.resume, weights_only=True)
    except SystemExit:  # how Lightning passes a Ctrl-C on
        run.say_how_to_go_on(folder)
        raise
    finally:
        gc.unfreeze()
    return run.finish(folder, about, history.rows) if leader else run.best_of(history.rows)["val/loss"]


def evaluate(cfg: DictConfig) -> dict[str, Any]:
    """Score a checkpoint on the part `cfg.split` of its protocol; write tables and figures; return the metrics.

    Args:
        cfg: what `conf/evaluate.yaml` composes.
    """
    loaded = record.read(cfg.ckpt)
    kept = loaded["ser"]
    trust.check(kept["config"], cfg.ckpt, cfg.trust)
    trained = OmegaConf.create(kept["config"])
    trained.cache.dir = cfg.cache.dir
    trained.data.root = cfg.data.root or trained.data.root
    trained.data.on_problem = cfg.data.on_problem or trained.data.on_problem
    table, bank = corpus(trained)
    rows = record.rows_to_score(kept, table, cfg.split, cfg.test_speakers)
    split = Split(train=(), val=(), test=rows, test_speakers=())
    settings = InputSettings(**trained.features.input)
    data = EmotionDataModule(table, bank, split, settings, trained.batch_size, trained.seed, record.normalisation(kept))
    net = instantiate(trained.model.net, _convert_="all", shape=data.shape, classes=len(EMOTIONS))
    model = EmotionClassifier(net, trained.seed, kept)
    model.load_state_dict(loaded["state_dict"])
    trainer = trainers.for_scoring(config.plain(cfg.trainer), kept["about"]["precision"])
    _, probabilities = zip(*trainer.predict(model, data) or [], strict=True)
    scored = predictions.build(table.iloc[list(rows)], torch.cat(probabilities).double().numpy())
    folder = Path(cfg.out) if cfg.out else run.of_checkpoint(cfg.ckpt) / "evaluation"
    predictions.write(scored, folder / "test_results.csv")
    metrics = tables.write_all(scored, folder, record.facts(kept, table.iloc[list(rows)], cfg.split))
    figures.draw_all(scored, folder)
    if len(data.shape) == 1:
        _write_importance(model, data, kept, table, folder)
    tables.show_metrics(metrics, title=str(folder))
    return metrics


def _write_importance(
    model: EmotionClassifier, data: EmotionDataModule, kept: dict[str, Any], table: pd.DataFrame, folder: Path
) -> None:
    """What the model listens to, on the utterances that it was chosen by."""
    rows = torch.tensor(table["utterance"].isin(kept["val"]).to_numpy().nonzero()[0])
    if not len(rows):
        log.info("no feature importance: the utterances of validation are not in this corpus")
        return
    feature = instantiate(without(OmegaConf.create(kept["config"]["features"]), "name", "input"))
    sources = data.sources(rows, torch.full((len(rows),), 0.5))
    inputs, truth, _ = data.on_after_batch_transfer((rows, sources, torch.zeros(len(rows))), 0)
    with torch.inference_mode():
        found = importance.permutation(model.net.eval(), inputs, truth, feature.families, model.seed)
    importance.write(found, folder)


def corpus(cfg: DictConfig) -> tuple[pd.DataFrame, Bank]:
    """The table of usable utterances and the features of all files, from the cache or computed into it."""
    if cfg.data.download and not Path(cfg.data.root).exists():
        from ser.corpora.download import download

        download(Path(cfg.data.root))
    listing = instantiate(cfg.data.read)
    feature = instantiate(without(cfg.features, "name", "input"))
    bank = cache.bank(list(listing.table["path"]), feature, Path(cfg.cache.dir))
    return audit(listing, bank.files, cfg.data.on_problem), bank


def protocol_facts(cfg: DictConfig, table: pd.DataFrame, split: Split) -> dict[str, Any]:
    """What has to stand beside every score: the protocol, the split's sizes and fingerprint, what its parts share."""
    overlap = split.overlap(table)
    absent = sorted(set(split.test_speakers) - set(table["speaker"]))
    if absent:
        rest = "training and validation only" if not split.test else "the test is on the others"
        log.info("test speakers %s absent: %s", ", ".join(map(str, absent)), rest)
    return {
        "protocol": cfg.protocol.name,
        "protocol_settings": config.plain(without(cfg.protocol, "name", "_target_")),
        "split_fingerprint": split.fingerprint(table),
        "overlap": overlap,
        "validation": "seen speakers" if overlap["train_val"]["speakers"] else "unseen speakers",
        "n_train": len(split.train),
        "n_val": len(split.val),
    }
