"""The `ser` command: what is neither training nor evaluating. Nothing heavy is imported before a subcommand runs."""

from __future__ import annotations

import argparse
import csv
import io
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import ser
from ser.errors import SerError

if TYPE_CHECKING:
    from ser.trained.recogniser import Recognised


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand; return the exit status: 0, 1 if some file failed, 2 if nothing could be done."""
    arguments = _parser().parse_args(argv)
    try:
        said, status = arguments.run(arguments)
    except SerError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130  # as a shell has it
    try:
        print(said, end="", flush=True)
    except BrokenPipeError:  # whoever reads the output may stop at any time, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter's own flush would fail
    return int(status)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ser", description="Speech emotion recognition with a trained model; train.py and evaluate.py come first."
    )
    parser.add_argument("--version", action="version", version=f"ser {ser.__version__}")
    commands = parser.add_subparsers(required=True, metavar="command")
    model = argparse.ArgumentParser(add_help=False)
    model.add_argument(
        "--trust", action="append", default=[], metavar="PACKAGE", help="of your own, that the checkpoint may name"
    )
    ckpt = "a checkpoint, or the folder of a run for its best one"

    about = "The emotion in recordings, with scores in percent. Exit status: 1 if some file can't be used."
    predict = commands.add_parser("predict", help="the emotion in recordings", description=about, parents=[model])
    predict.add_argument("paths", nargs="+", metavar="FILE_OR_FOLDER", help="folders are searched at any depth")
    predict.add_argument("--ckpt", required=True, help=ckpt)
    predict.add_argument("--out", type=Path, metavar="CSV", help="write path, predicted emotion and scores to it")
    predict.set_defaults(run=_predict)

    about = "The UAR that is lost when a family of features is exchanged between validation utterances."
    importance = commands.add_parser("importance", help="what a model hears", description=about, parents=[model])
    importance.add_argument("ckpt", help=ckpt)
    importance.add_argument("--root", help="of the corpus, if it is not where it was at training")
    importance.add_argument("--out", metavar="FOLDER", help="where to write, instead of the run folder")
    importance.set_defaults(run=_importance)

    about = "The pictures of an evaluation, drawn again from its table of predictions."
    figures = commands.add_parser("figures", help="the pictures of an evaluation, drawn again", description=about)
    figures.add_argument("csv", type=Path, metavar="CSV", help="<run folder>/evaluation/<evaluation>/..._results.csv")
    figures.add_argument("--out", type=Path, metavar="FOLDER", help="where to draw; without it, beside the CSV")
    figures.set_defaults(run=_figures)
    return parser


def _predict(arguments: argparse.Namespace) -> tuple[str, int]:
    from tqdm import tqdm

    from ser import memory
    from ser.trained import recordings

    out: Path | None = arguments.out
    on_stdout = out is not None and out.exists() and os.path.samestat(out.stat(), os.fstat(1))
    with nullcontext() if out is None or on_stdout else _opened(out) as file:
        memory.keep_freed()
        model = ser.load(arguments.ckpt, arguments.trust)
        paths = recordings.find(arguments.paths)
        found = list(tqdm(model.recognise(paths), total=len(paths), unit="file", leave=False, disable=None))
        good = [result for result in found if not result.problem]
        text = _csv(good, model.labels)
        if file:
            file.write(text)
    for result in found:
        if result.problem:
            print(f"{result.path}: {result.problem}", file=sys.stderr)
    return text if on_stdout else _table(good, model.labels), 1 if len(good) < len(found) else 0


def _importance(arguments: argparse.Namespace) -> tuple[str, int]:
    from ser import evaluation

    settings = {
        "ckpt": arguments.ckpt,
        "data": {"root": arguments.root},
        "trust": arguments.trust,
        "out": arguments.out,
        "device": "auto",
        "cache": {"dir": os.environ.get("SER_CACHE_DIR", "outputs/cache")},
    }
    return f"{evaluation.write_importance(settings)}\n", 0


def _figures(arguments: argparse.Namespace) -> tuple[str, int]:
    from ser.results import figures

    drawn = figures.redraw(arguments.csv, arguments.out or arguments.csv.parent)
    return "".join(f"{path}\n" for path in drawn), 0


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    """The file, opened before the work; a plain one is replaced when all is written, a pipe or device written into."""
    from ser.atomic import replacing

    special = path.exists() and not path.is_file()
    try:
        scratch = nullcontext(path) if special else replacing(path.resolve())
        with scratch as place, place.open("w", encoding="utf-8", newline="\n") as file:
            yield file
    except OSError as error:
        raise SerError(f"the table can't be written: {error.strerror}", where=path, do="give another --out") from error


def _csv(results: Sequence[Recognised], labels: Sequence[str]) -> str:
    """A row per recording; reading gives the same bits back."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["path", "predicted", *(f"score_{label}" for label in labels)])
    rows.writerows([result.path, result.label, *result.scores.values()] for result in results)
    return text.getvalue()


def _table(results: Sequence[Recognised], labels: Sequence[str]) -> str:
    """A line per recording, scores in percent under the first letters of their labels: as many as tell them apart."""
    if not results:
        return ""
    size = next(size for size in count(4) if len({label[:size] for label in labels}) == len(labels))
    rows = [("recording", "emotion", [f"{label[:size]:>{size}}" for label in labels])]
    rows += [(it.path, it.label, [f"{100 * score:{size}.0f}" for score in it.scores.values()]) for it in results]
    path, label = (max(len(row[column]) for row in rows) for column in (0, 1))
    return "".join(f"{row[0]:{path}}  {row[1]:{label}}  {' '.join(row[2])}\n" for row in rows)
