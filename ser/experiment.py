"""A training from its configuration to its run folder, in four stages: prepare, build, fit, finish."""

from __future__ import annotations

import gc
import logging
import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import lightning as L
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import WeightAveraging
from omegaconf import DictConfig

from ser import dataset, memory
from ser.atomic import write_text
from ser.augment.augmentation import Augmentation
from ser.build import build as build_by_config
from ser.dataset import Dataset
from ser.errors import CheckpointError, ConfigError
from ser.features import enrol, known_encoders
from ser.features.cache import Feature
from ser.features.enrol import Enrolment
from ser.features.inputs import Input
from ser.models.shape import given
from ser.protocols.split import Split
from ser.trained import record, trust
from ser.training import config, run_folder, summary
from ser.training import trainer as trainers
from ser.training.data import EmotionDataModule
from ser.training.history import History
from ser.training.module import EmotionClassifier
from ser.training.monitor import Monitor

BUILT = ("protocol", "features", "input", "augment", "enrol")
"""Groups of the settings, each of which names one object of a plan."""

log = logging.getLogger(__name__)


def train(cfg: DictConfig, folder: Path, overrides: Sequence[str] = ()) -> float:
    """Train, validate, leave a run folder that says everything; return the best value of the monitored score.

    Args:
        cfg: what `conf/train.yaml` composes.
        folder: of the run.
        overrides: the command line's; a resumed run takes nothing else from `cfg`.
    """
    memory.keep_freed()
    with ExitStack() as until_end:
        plan = prepare(cfg, folder, overrides, until_end)
        job = build(plan)
        fit(plan, job)
        return finish(plan, job)


@dataclass(frozen=True)
class Plan:
    """What is known before a recording is read: `make` builds what a part of the settings names."""

    settings: dict[str, Any]
    folder: Path
    before: dict[str, Any] | None
    make: Callable[..., Any]
    monitor: Monitor
    history: History
    trainer: L.Trainer
    protocol: Any
    features: Feature
    input: Input
    augment: Augmentation
    enrol: Enrolment


@dataclass(frozen=True)
class Job:
    """What is trained on what, and what is known about it."""

    data: EmotionDataModule
    model: EmotionClassifier
    about: dict[str, Any]


def prepare(cfg: DictConfig, folder: Path, overrides: Sequence[str], until_end: ExitStack) -> Plan:
    """Check the settings, make the trainer, claim the folder until the end."""
    before, make = None, build_by_config
    if cfg.resume:
        cfg = cfg.copy()
        cfg.resume = str(run_folder.last(cfg.resume))
        checkpoint = record.read(cfg.resume)
        before = checkpoint["ser"]
        trust.check(before["config"], cfg.resume, list(cfg.trust))
        make = partial(trust.build, checkpoint=cfg.resume, packages=list(cfg.trust))
        cfg = config.resumed(cfg, before["config"], overrides)
    cfg = config.for_model(cfg, overrides)
    settings = config.checked(cfg)
    if before is not None and 0 <= (settings["trainer"].get("max_epochs") or -1) <= checkpoint["epoch"]:
        what = f"the run to resume has {checkpoint['epoch'] + 1} epochs already"
        raise ConfigError(what, where="trainer.max_epochs", do=f"give more than {checkpoint['epoch'] + 1}")
    if "protocol=original" in overrides:
        log.warning("protocol=original is called protocol=reference now")
    parts = {group: make(settings[group], where=group) for group in BUILT}
    monitor, history = Monitor(**settings["monitor"]), History(folder / "metrics.csv")
    by_gradient = "optimizer" in settings["model"]
    precision = settings["trainer"].get("precision") or (before and before["about"]["precision"])
    if not precision:
        precision = (
            trainers.fastest_precision(settings["trainer"].get("accelerator", "auto")) if by_gradient else "32-true"
        )
    callbacks = [
        callback for callback in make(settings["callbacks"], where="callbacks").values() if callback is not None
    ]
    if wrong := [callback for callback in callbacks if not isinstance(callback, L.Callback)]:
        raise ConfigError(f"{wrong[0]!r} is no callback", where="callbacks", do="name a class of them by _target_")
    if not by_gradient and any(isinstance(callback, WeightAveraging) for callback in callbacks):
        raise ConfigError(
            f"{settings['model']['name']} has no weights to average", where="callbacks", do="use callbacks=none"
        )
    trainer = trainers.for_training(
        settings["trainer"],
        precision,
        folder,
        history,
        monitor,
        callbacks,
        trainers.logger(settings["logger"], folder),
    )
    if trainer.world_size > 1 and not by_gradient:  # here, because Lightning kills all if one process stops later
        raise ConfigError(
            f"{settings['model']['name']} is fitted on all training utterances at once: in one process, not "
            f"{trainer.world_size}",
            where="trainer.devices, trainer.num_nodes",
            do="use trainer.devices=1 trainer.num_nodes=1",
        )
    if trainer.is_global_zero:
        until_end.enter_context(run_folder.claimed(folder, settings["resume"]))
        config.write(cfg, folder, overrides)
        write_text(folder / "environment.txt", run_folder.environment())
    return Plan(settings, folder, before, make, monitor, history, trainer, **parts)


def build(plan: Plan) -> Job:
    """Read the corpus, split it, make the network."""
    settings, make = plan.settings, plan.make
    found = corpus(plan)
    if plan.input.frames > 1 and len(found.lengths) and int(found.lengths.max()) == 1:
        what = f"features={settings['features']['name']} are one vector per utterance, and this model takes frames"
        do = "features=mel; or a model of vectors, such as model=mlp_torch or model=random_forest"
        raise ConfigError(what, where="model, features", do=do)
    split: Split = plan.protocol.split(found.table, settings["seed"])
    if not split.val:
        _refuse_to_wait_for_validation(settings)
    average = None
    if plan.enrol:
        train, speakers = list(split.train), found.table["speaker"].iloc[list(split.train)].tolist()
        average = enrol.average_speaker(found.rows, found.starts[train], found.lengths[train], speakers)
        found = found.enrolled([*split.train, *split.val], average, plan.enrol.prior)
    heard: Literal["one", "all"] = "one" if "optimizer" in settings["model"] else "all"  # an estimator has one epoch
    data = EmotionDataModule(found, split, plan.input, settings["batch_size"], settings["seed"], heard)
    L.seed_everything(settings["seed"], verbose=False)
    classes = len(found.table["emotion"].cat.categories)
    net_settings = settings["model"]["net"]
    net = make(net_settings, where="model.net", **given(net_settings, plan.features, plan.input.frames, classes))
    about = (
        summary.about(settings, found, split, plan.enrol)
        | known_encoders.about(plan.features)
        | {
            "precision": plan.trainer.precision,
            "parameters": sum(value.numel() for value in net.parameters()),
        }
    )
    same = ("split_fingerprint", "corpus_fingerprint")
    if plan.before is not None and any(plan.before["about"].get(name) != about[name] for name in same):
        raise CheckpointError(
            "the corpus or the protocol is no longer that of the run to resume", where=settings["resume"]
        )
    if plan.trainer.is_global_zero:
        write_text(plan.folder / "split.csv", split.part_of().to_csv(index=False, lineterminator="\n"))
    log.info(
        "precision %s, %d to train on, %d to validate on", plan.trainer.precision, len(split.train), len(split.val)
    )
    kept = {name: value for name, value in settings.items() if name not in config.HERE}
    kept["data"] = {name: value for name, value in settings["data"].items() if name != "fetch"}
    kept["features"] = settings["features"] | getattr(plan.features, "pinned", dict)()
    recipe = {key: value for key, value in settings["model"].items() if key != "net"}
    classifier = make(recipe | {"_partial_": True}, where="model")
    kept = record.make(kept, split, found.recordings, data.normalisation, about, average)
    return Job(data, classifier(net, settings["seed"], plan.monitor, plan.augment, kept), about)


def fit(plan: Plan, job: Job) -> None:
    """Train; when interrupted, say how to go on."""
    gc.freeze()  # or the collector would go through all imported modules several times an epoch
    if plan.trainer.is_global_zero:
        run_folder.take_best(plan.folder, plan.settings["resume"])
    try:
        plan.trainer.fit(job.model, job.data, ckpt_path=plan.settings["resume"], weights_only=True)
    except MisconfigurationException as error:
        raise ConfigError(f"Lightning can't train so: {error}", where="trainer, callbacks, logger, monitor") from error
    except (SystemExit, OSError):  # a signal, which in a notebook Lightning passes on so; or a full disk
        run_folder.say_how_to_go_on(plan.folder)
        raise
    finally:
        gc.unfreeze()


def finish(plan: Plan, job: Job) -> float:
    """Write the summary; the best value of the monitored score, not a number where nobody validates."""
    best = plan.monitor.best(plan.history.rows, validated=bool(job.data.split.val))
    if plan.trainer.is_global_zero:
        summary.write(plan.folder, job.about, plan.history.rows, best)
    return float(best.get(plan.monitor.name, math.nan))


def _refuse_to_wait_for_validation(settings: dict[str, Any]) -> None:
    """Nobody validates: refuse a schedule or a callback that follows a score of validation."""
    if settings["model"].get("scheduler", {}).get("_partial_") and settings["monitor"]["name"].startswith("val/"):
        do = "use schedule=steps, cosine, one_cycle or constant"
        raise ConfigError("nobody validates, so the schedule has no score to follow", where="schedule", do=do)
    for name, callback in settings["callbacks"].items():
        if str(callback.get("monitor")).startswith("val/"):
            what = f"nobody validates, so {name} has no {callback['monitor']} to follow"
            raise ConfigError(what, where=f"callbacks.{name}", do="use callbacks=none, ema or swa")


def corpus(plan: Plan) -> Dataset:
    """The corpus of a run, fetched if it is allowed to be, with its features."""
    data, root = plan.settings["data"], plan.settings["data"]["root"]
    wanted = data["download"] or (data["download"] is None and root == data["place"])
    if (
        data.get("fetch") and wanted and plan.before is None
    ):  # a checkpoint from elsewhere does not decide what is written
        build_by_config(data["fetch"], where="data.fetch", root=root)
    listing = plan.make(data["read"], where="data.read", **dataset.reader_arguments(data))
    folder = Path(plan.settings["cache"]["dir"])
    return dataset.prepare(data, listing, plan.features, folder, plan.augment.versions())
