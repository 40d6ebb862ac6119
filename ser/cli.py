"""The `ser` command: what is neither training nor evaluating. Nothing heavy is imported before a subcommand runs."""

from __future__ import annotations

import argparse
import csv
import io
import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import ser
from ser import command
from ser.errors import SerError, printable

if TYPE_CHECKING:
    from ser.trained.recogniser import Recognised


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand; return the exit status: 0, 1 if some file failed, 2 if nothing could be done."""
    command.begin()
    arguments, status = _parser().parse_args(argv), 0
    try:
        said, status = arguments.run(arguments)
        print(said, end="", flush=True)
    except BrokenPipeError:  # whoever reads the output may stop at any time, as `head` does
        _hush()
    except Exception as error:
        explained = command.message(error)
        if explained is None:
            raise
        print(f"error: {explained}", file=sys.stderr)
        if isinstance(error, OSError):
            _hush()
        return 2
    return int(status)


def _hush() -> None:
    """Let the interpreter's own flush, at its end, not fail where a print has failed."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
    predict.add_argument(
        "--enrol",
        action="append",
        default=[],
        metavar="FILE_OR_FOLDER",
        help="other recordings of the speaker, whatever their emotions, for a model trained with enrolment",
    )
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
    on_stdout = out is not None and out.exists() and _is_stdout(out)
    with nullcontext() if out is None or on_stdout else _opened(out) as file:
        memory.keep_freed()
        model = ser.load(arguments.ckpt, arguments.trust)
        if arguments.enrol:
            model = model.enrol(recordings.find(arguments.enrol)[0])
        paths, left_out = recordings.find(arguments.paths)
        found = list(tqdm(model.recognise(paths), total=len(paths), unit="file", leave=False, disable=None))
        good = [result for result in found if not result.problem]
        text = _csv(good, model.labels)
        if file:
            file.write(text)
    for result in found:
        if said := result.problem or (result.note and f"used in spite of flaws: {result.note}"):
            print(printable(f"{result.path}: {said}"), file=sys.stderr)
    if left_out:
        kinds = ", ".join(f"{count} {kind}" for kind, count in Counter(map(_suffix, left_out)).items())
        print(f"left out: {kinds} files, such as {printable(', '.join(left_out[:5]))}", file=sys.stderr)
        print("  convert them first, such as: ffmpeg -i a.m4a a.wav", file=sys.stderr)
    return text if on_stdout else _table(good, model.labels), 1 if left_out or len(good) < len(found) else 0


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
        with scratch as place, place.open("w", encoding="utf-8", errors="surrogateescape", newline="\n") as file:
            yield file
    except OSError as error:
        raise SerError(f"the table can't be written: {error.strerror}", where=path, do="give another --out") from error


def _is_stdout(path: Path) -> bool:
    with suppress(OSError):  # it may be closed
        return os.path.samestat(path.stat(), os.fstat(1))
    return False


def _suffix(path: str) -> str:
    return os.path.splitext(path)[1].lower()


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
    rows += [
        (printable(it.path), printable(it.label), [f"{100 * score:{size}.0f}" for score in it.scores.values()])
        for it in results
    ]
    path, label = (max(len(row[column]) for row in rows) for column in (0, 1))
    if sys.stdout.isatty():  # of a path that is too long for the line, the end tells more
        path = min(path, max(12, shutil.get_terminal_size().columns - label - len(labels) * (size + 1) - 4))
    return "".join(f"{_end(row[0], path):{path}}  {row[1]:{label}}  {' '.join(row[2])}\n" for row in rows)


def _end(path: str, width: int) -> str:
    return path if len(path) <= width else f"…{path[1 - width :]}"
