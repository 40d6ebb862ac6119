"""The `ser` command: what is neither training nor evaluating. Nothing heavy is imported before a subcommand runs."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Container, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ser.errors import SerError

if TYPE_CHECKING:
    from rich.table import Table

    from ser.trained.recogniser import Recognised

OTHER_SUFFIXES = {".aif", ".aifc", ".mp2", ".oga", ".opus", ".snd", ".wave"}
"""Under which soundfile's formats go besides their own names."""

NO_SUFFIXES = {".mat4", ".mat5", ".raw", ".wavex"}
"""Names of soundfile's formats that are no suffixes of recordings, or of files that do not say what is in them."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand; return the exit status: 0, 1 if some file failed, 2 if nothing could be done."""
    arguments = _parser().parse_args(argv)
    try:
        status: int = arguments.run(arguments)
    except SerError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130  # as a shell has it
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ser", description="Speech emotion recognition with a trained model; train.py and evaluate.py come first."
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    predict = commands.add_parser(
        "predict",
        help="the emotion in recordings, by a checkpoint",
        description="The emotion in recordings and its scores in percent. Of a recording longer than what the model "
        "takes, its middle is heard. Exit status: 0, 1 if some file can't be used, 2 if the checkpoint can't.",
    )
    predict.add_argument("paths", nargs="+", metavar="FILE_OR_FOLDER", help="folders are searched at any depth")
    predict.add_argument("--ckpt", required=True, help="<run folder>/checkpoints/best.ckpt")
    predict.add_argument(
        "--out", type=Path, metavar="CSV", help="write path, predicted emotion and scores to this file"
    )
    predict.add_argument(
        "--trust", action="append", default=[], metavar="PACKAGE", help="of your own, that the checkpoint may name"
    )
    predict.set_defaults(run=_predict)
    figures = commands.add_parser(
        "figures",
        help="the pictures of an evaluation, drawn again",
        description="Draw the pictures of an evaluation again from its test_results.csv alone.",
    )
    figures.add_argument("csv", type=Path, metavar="CSV", help="<run folder>/evaluation/test_results.csv")
    figures.add_argument("--out", type=Path, metavar="FOLDER", help="where to draw; without it, beside the CSV")
    figures.set_defaults(run=_figures)
    return parser


def _predict(arguments: argparse.Namespace) -> int:
    from hydra.utils import instantiate
    from rich.console import Console
    from tqdm import tqdm

    from ser import memory
    from ser.trained import recogniser

    memory.keep_freed()
    model = recogniser.load(arguments.ckpt, instantiate, arguments.trust)
    paths, empty = _recordings(arguments.paths)
    recognised = recogniser.recognise(model, paths)
    found = list(tqdm(recognised, total=len(paths), unit="file", leave=False, disable=None))
    good = [result for result in found if not result.problem]
    bad = [(result.path, result.problem) for result in found if result.problem]
    bad += [(folder, "a folder without a recording") for folder in empty]
    if good:
        # A pipe has no width: there, nothing is folded, so that a line is a recording.
        width = None if sys.stdout.isatty() else 80 + max(len(result.path) for result in good)
        Console(highlight=False, width=width).print(_table(good))
    if arguments.out:
        _write(good, arguments.out)
    for path, problem in bad:
        print(f"{_printable(path)}: {problem}", file=sys.stderr)
    return 1 if bad else 0


def _figures(arguments: argparse.Namespace) -> int:
    from ser.results import figures

    for path in figures.redraw(arguments.csv, arguments.out or arguments.csv.parent):
        print(path)
    return 0


def _recordings(paths: Iterable[str]) -> tuple[list[str], list[str]]:
    """The files to read, each once, those of a folder by name; and the folders without any."""
    import soundfile

    suffixes = ({f".{name.lower()}" for name in soundfile.available_formats()} | OTHER_SUFFIXES) - NO_SUFFIXES
    found: dict[str, None] = {}  # a set that keeps its order
    empty = []
    for path in paths:
        inside = list(_inside(path, suffixes)) if os.path.isdir(path) else [path]
        found.update(dict.fromkeys(inside))
        empty += [] if inside else [path]
    return list(found), empty


def _inside(root: str, suffixes: Container[str]) -> Iterator[str]:
    """The recordings below a folder, but for what is hidden, such as the file that macOS leaves beside each."""
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in suffixes:
                yield os.path.join(folder, name)


def _table(results: Iterable[Recognised]) -> Table:
    """A row a recording, scores in percent. They share a cell, because rich takes its time for each."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from ser.utterances import EMOTIONS

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("recording", overflow="fold")
    table.add_column("emotion", no_wrap=True)
    table.add_column(" ".join(f"{emotion[:4]:>4}" for emotion in EMOTIONS) + " %", no_wrap=True)
    for result in results:
        scores = Text(" ".join(f"{100 * score:4.0f}" for score in result.scores))
        best = 5 * EMOTIONS.index(result.emotion)
        scores.stylize("bold", best, best + 4)
        table.add_row(Text(_printable(result.path)), Text(result.emotion), scores)
    return table


def _write(results: Sequence[Recognised], path: Path) -> None:
    """A row a recording, whole or not at all; reading gives the same bits back.

    Raises:
        SerError: if the file can't be written.
    """
    import pandas as pd

    from ser.atomic import write_text
    from ser.utterances import EMOTIONS

    rows = [(_printable(result.path), result.emotion, *result.scores) for result in results]
    columns = ["path", "predicted", *(f"score_{emotion}" for emotion in EMOTIONS)]
    try:
        write_text(path, pd.DataFrame(rows, columns=columns).to_csv(index=False, lineterminator="\n"))
    except OSError as error:
        raise SerError(f"the table can't be written: {error.strerror}", where=path, do="give another --out") from error


def _printable(path: str) -> str:
    """The path; bytes in it that are no text are spelt out."""
    return os.fsencode(path).decode(errors="backslashreplace")
