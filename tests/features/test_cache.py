from __future__ import annotations

import json
import logging
import multiprocessing
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path

import filelock
import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from torch import Tensor

from ser.errors import ConfigError, DataError
from ser.features import audio, cache, unfinished
from ser.features.cache import Bank

RATE = 16000
LONG_AGO = 1_600_000_000
AS_USER = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")


@dataclass(frozen=True)
class Loudness:
    """Mean and peak of the size of every `hop` samples."""

    hop: int = 160

    @property
    def silence(self) -> float:
        return -1.0

    @property
    def names(self) -> tuple[str, ...]:
        return ("mean", "peak")

    def __call__(self, wave: Tensor, rate: int) -> Tensor:
        pieces = wave.abs().unfold(0, self.hop, self.hop)
        return torch.stack((pieces.mean(1), pieces.amax(1)), 1)


LOUDNESS = Loudness()


Segment = tuple[str, float, float]


def record(path: Path, seed: int, seconds: float = 0.1) -> str:
    """Write noise of this seed, as a file that has not changed for long."""
    wave = np.random.default_rng(seed).uniform(-0.5, 0.5, round(seconds * RATE))
    path.parent.mkdir(exist_ok=True)
    soundfile.write(path, wave, RATE, subtype="PCM_16")
    os.utime(path, (LONG_AGO, LONG_AGO))
    return str(path)


@pytest.fixture
def corpus(tmp_path: Path) -> list[str]:
    return [record(tmp_path / "corpus" / f"{seed}.wav", seed, 0.1 + 0.03 * seed) for seed in range(5)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def deaf(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on, whoever decodes a file fails."""

    def read(path: str, start: float, end: float) -> None:
        raise AssertionError(f"decoded {path}")

    monkeypatch.setattr(audio, "read", read)


def bank(recordings: list[str] | list[Segment], feature: cache.Feature, folder: Path) -> Bank:
    """Of whole files, or of segments."""
    segments = [(one, 0.0, np.inf) if isinstance(one, str) else one for one in recordings]
    return cache.bank(pd.DataFrame(segments, columns=["path", "start", "end"]), feature, folder)


def of(found: Bank, number: int) -> Tensor:
    """The rows of a recording, by its place among those that were asked for."""
    start, length = found.files.loc[number, ["start_row", "length"]]
    return found.rows[start : start + length]


def expected(path: str, start: float = 0.0, end: float = np.inf, feature: Loudness = LOUDNESS) -> Tensor:
    wave, facts = audio.read(path, start, end)
    return feature(torch.from_numpy(wave), facts.rate)


def entries(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir())


def same(one: Bank, other: Bank) -> bool:
    return torch.equal(one.rows, other.rows) and one.files.equals(other.files)


def test_every_file_has_its_rows_and_the_last_row_is_silence(corpus: list[str], folder: Path) -> None:
    found = bank(corpus, LOUDNESS, folder)
    assert found.files.index.equals(pd.RangeIndex(5))
    for number, path in enumerate(corpus):
        assert torch.equal(of(found, number), expected(path))
    assert found.rows.dtype == torch.float32
    assert found.rows[-1].tolist() == [-1.0, -1.0]
    assert len(found.rows) == found.files["length"].sum() + 1


def test_the_index_says_what_was_heard(corpus: list[str], folder: Path) -> None:
    for _ in ("computed", "read again"):
        files = bank(corpus, LOUDNESS, folder).files
        facts = [audio.read(path)[1] for path in corpus]
        for name in ("rate", "channels", "samples", "problem"):
            assert files[name].tolist() == [getattr(fact, name) for fact in facts]
        assert files["seconds"].tolist() == pytest.approx([fact.seconds for fact in facts])


def test_the_second_call_decodes_and_reads_no_file(
    corpus: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    first = bank(corpus, LOUDNESS, folder)
    request.getfixturevalue("deaf")
    monkeypatch.setattr(cache, "_digest", None)
    assert same(bank(corpus, LOUDNESS, folder), first)
    assert bank(corpus[::-1], LOUDNESS, folder).files.equals(first.files[::-1].reset_index(drop=True))


def test_segments_of_a_file_each_have_their_rows(corpus: list[str], folder: Path) -> None:
    long = corpus[4]
    segments = [(long, 0.1, 0.2), (corpus[0], 0.0, np.inf), (long, 0.0, 0.1), (long, 0.1, 0.2), (long, 0.1, 1 / 6)]
    for _ in ("computed", "read again"):
        found = bank(segments, LOUDNESS, folder)
        for number, segment in enumerate(segments):
            assert torch.equal(of(found, number), expected(*segment))
        assert len(found.rows) == found.files["length"].drop(3).sum() + 1
        assert found.files["seconds"].tolist() == pytest.approx([0.1, 0.1, 0.1, 0.1, 1 / 6 - 0.1], abs=1e-4)
    assert found.files.loc[0].equals(found.files.loc[3])


def test_segments_that_the_file_has_not_are_problems(corpus: list[str], folder: Path) -> None:
    path = corpus[0]
    found = bank([(path, 0.05, 0.4), (path, 0.4, np.inf), (path, 0.05, 0.1)], LOUDNESS, folder)
    assert found.files["problem"].tolist() == ["ends after the recording", "begins after the recording", ""]
    assert found.files["length"].tolist() == [0, 0, 5]


@pytest.mark.parametrize("put", [shutil.move, shutil.copytree])
def test_a_corpus_elsewhere_is_found_by_its_content(
    put: Callable[[Path, Path], object],
    corpus: list[str],
    folder: Path,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    first = bank(corpus, LOUDNESS, folder)
    put(tmp_path / "corpus", tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "0.wav").rename(tmp_path / "elsewhere" / "other name.wav")
    request.getfixturevalue("deaf")
    paths = [str(tmp_path / "elsewhere" / name) for name in ("other name.wav", *(f"{i}.wav" for i in range(1, 5)))]
    assert same(bank(paths, LOUDNESS, folder), first)


def test_a_cache_elsewhere_is_as_good(
    corpus: list[str], folder: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    first = bank(corpus, LOUDNESS, folder)
    shutil.move(folder, tmp_path / "shared")
    request.getfixturevalue("deaf")
    assert same(bank(corpus, LOUDNESS, tmp_path / "shared"), first)


@pytest.mark.parametrize("way", ["refused", pytest.param("permissions", marks=AS_USER)])
def test_a_cache_that_may_only_be_read_is_read(
    way: str, corpus: list[str], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = bank(corpus, LOUDNESS, folder)
    for path in folder.glob("*/*"):
        os.utime(path)
    shutil.copytree(tmp_path / "corpus", tmp_path / "elsewhere")
    elsewhere = [path.replace("corpus", "elsewhere") for path in corpus]

    def refuse(*arguments: object, **named: object) -> None:
        raise PermissionError(13, "Permission denied")

    if way == "permissions":
        for path in (folder, *entries(folder)):
            path.chmod(0o555)
    else:
        monkeypatch.setattr(cache, "write_text", refuse)
        monkeypatch.setattr(filelock.FileLock, "acquire", refuse)
    try:
        assert same(bank(elsewhere, LOUDNESS, folder), first)
        with pytest.raises(ConfigError, match=r"(?s)not in the cache.*can't be written: Permission denied.*cache\.dir"):
            bank(elsewhere[:2], LOUDNESS, folder)
    finally:
        for path in (folder, *entries(folder)):
            path.chmod(0o755)


def test_a_file_that_is_not_there_is_named(corpus: list[str], folder: Path) -> None:
    with pytest.raises(DataError, match=r"(?s)can't be read: No such file.*absent\.wav"):
        bank([*corpus, str(Path(corpus[0]).with_name("absent.wav"))], LOUDNESS, folder)


def test_paths_from_another_working_folder(
    corpus: list[str], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank(corpus, LOUDNESS, folder)
    shutil.copytree(tmp_path / "corpus", tmp_path / "other" / "corpus")
    record(tmp_path / "other" / "corpus" / "0.wav", seed=99)
    for place in (tmp_path, tmp_path / "other"):
        monkeypatch.chdir(place)
        assert torch.equal(of(bank(["corpus/0.wav"], LOUDNESS, folder), 0), expected("corpus/0.wav"))


def test_a_changed_file_is_computed_anew(corpus: list[str], folder: Path) -> None:
    before = bank(corpus, LOUDNESS, folder)
    record(Path(corpus[1]), seed=77, seconds=0.13)  # as long as it was
    os.utime(corpus[1], (LONG_AGO, LONG_AGO + 1))
    after = bank(corpus, LOUDNESS, folder)
    assert torch.equal(of(after, 1), expected(corpus[1]))
    assert not torch.equal(of(after, 1), of(before, 1))
    assert torch.equal(of(after, 0), of(before, 0))


def test_equal_files_share_their_rows(corpus: list[str], folder: Path, tmp_path: Path) -> None:
    twin = str(shutil.copy(corpus[0], tmp_path / "twin.wav"))
    found = bank([*corpus, twin, corpus[0]], LOUDNESS, folder)
    assert len(found.files) == 7
    assert found.files.loc[5].equals(found.files.loc[0])
    assert found.files.loc[6].equals(found.files.loc[0])
    assert len(found.rows) == found.files["length"][:5].sum() + 1


def test_other_settings_are_another_entry(corpus: list[str], folder: Path, request: pytest.FixtureRequest) -> None:
    bank(corpus, LOUDNESS, folder)
    halved = bank(corpus, replace(LOUDNESS, hop=80), folder)
    assert torch.equal(of(halved, 2), expected(corpus[2], feature=Loudness(80)))
    assert len(entries(folder)) == 2
    request.getfixturevalue("deaf")
    assert torch.equal(bank(corpus, replace(LOUDNESS, hop=80), folder).rows, halved.rows)


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, (LONG_AGO, LONG_AGO))  # a clock may be too coarse to tell it from the time when it was written


def other_json(path: Path) -> None:
    path.write_text('{"rows.f32": 3}')


def cut_short(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def without_channels(path: Path) -> None:
    pd.read_csv(path).drop(columns="channels").to_csv(path, index=False)


def of_others(path: Path) -> None:
    pd.read_csv(path).assign(recording="other").to_csv(path, index=False)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        *((name, damage) for name in (cache.ROWS, cache.INDEX) for damage in (flip_a_byte, cut_short)),
        *((name, damage) for name in (cache.ROWS, cache.INDEX, cache.SUMS) for damage in (Path.unlink, empty)),
        (cache.SUMS, cut_short),
        (cache.SUMS, other_json),
        (cache.INDEX, without_channels),
        (cache.INDEX, of_others),
    ],
)
def test_a_damaged_entry_is_made_anew(
    name: str, damage: Callable[[Path], object], corpus: list[str], folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = bank(corpus, LOUDNESS, folder).rows.clone()
    (place,) = entries(folder)
    damage(place / name)
    caplog.clear()
    again = bank(corpus, LOUDNESS, folder)
    assert torch.equal(again.rows, rows)
    assert caplog.messages.count(f"a damaged cache entry is made anew: {place}") == 1
    caplog.clear()
    bank(corpus, LOUDNESS, folder)
    assert not caplog.messages


def test_sums_are_taken_only_of_files_that_changed(
    corpus: list[str], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[str] = []
    take = cache._digest

    def counting(path: str) -> str:
        taken.append(os.path.basename(path))
        return take(path)

    first = bank(corpus, LOUDNESS, folder)
    monkeypatch.setattr(cache, "_digest", counting)
    bank(corpus, LOUDNESS, folder)
    assert not taken
    shutil.copytree(folder, tmp_path / "copy", copy_function=shutil.copyfile)
    for path in (tmp_path / "copy").glob("*/*"):
        os.utime(path, (LONG_AGO, LONG_AGO))
    for _ in range(3):
        assert same(bank(corpus, LOUDNESS, tmp_path / "copy"), first)
    assert taken == [cache.ROWS, cache.INDEX]


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", '[["a"]]', "\x00"])
def test_a_damaged_memory_of_contents_is_forgotten(text: str, corpus: list[str], folder: Path) -> None:
    first = bank(corpus, LOUDNESS, folder)
    (folder / "contents.json").write_text(text)
    assert same(bank(corpus, LOUDNESS, folder), first)
    assert len(json.loads((folder / "contents.json").read_text())) == len(corpus)


def test_what_a_killed_run_left_is_removed(corpus: list[str], folder: Path) -> None:
    bank(corpus, LOUDNESS, folder)
    (place,) = entries(folder)
    place.rename(f"{place}.part")
    cut_short(Path(f"{place}.part") / cache.ROWS)
    bank(corpus, LOUDNESS, folder)
    assert entries(folder) == [place]


@dataclass(frozen=True)
class Stumbling(Loudness):
    """Fails at the first file."""

    def __call__(self, wave: Tensor, rate: int) -> Tensor:
        raise KeyboardInterrupt


def test_a_stopped_run_leaves_nothing(corpus: list[str], folder: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        bank(corpus, Stumbling(), folder)
    assert not entries(folder)


@dataclass(frozen=True)
class Interrupted(Loudness):
    """Fails at the fourth file until `go_on` is there, and at the first from then on."""

    go_on: str = ""

    def __call__(self, wave: Tensor, rate: int) -> Tensor:
        if not Path(self.go_on).exists():
            if round(len(wave) / RATE, 2) == 0.19:
                raise KeyboardInterrupt
        elif round(len(wave) / RATE, 2) < 0.12:
            pytest.fail("computed twice")
        return super().__call__(wave, rate)


@pytest.mark.parametrize("tear", ["nothing", "journal", "rows"])
def test_a_stopped_run_goes_on_where_it_was(
    tear: str, corpus: list[str], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "AT_ONCE", 1)
    feature = Interrupted(go_on=str(tmp_path / "go"))
    with pytest.raises(KeyboardInterrupt):
        bank(corpus, feature, folder)
    (part,) = entries(folder)
    journal, rows = part / unfinished.JOURNAL, part / cache.ROWS
    assert len(journal.read_text().splitlines()) == 3
    if tear == "journal":
        journal.write_text(journal.read_text() + '{"recording": ')
        rows.write_bytes(rows.read_bytes() + b"torn")
    elif tear == "rows":
        cut_short(rows)
    Path(feature.go_on).touch()
    found = bank(corpus, feature, folder)
    assert same(found, bank(corpus, LOUDNESS, folder))
    assert not list(folder.glob("*.part"))


def test_what_a_run_with_other_recordings_left_is_not_taken(corpus: list[str], folder: Path) -> None:
    folder.mkdir()
    names = ["a", "b"]
    with (folder / unfinished.JOURNAL).open("w") as journal:
        unfinished.note(journal, [{"recording": name, "length": 1} for name in names])
    (folder / "rows").write_bytes(bytes(16))
    assert len(unfinished.take_up(folder, "rows", names, ["length"], 8)) == 2
    assert [line["recording"] for line in unfinished.take_up(folder, "rows", ["a", "c"], ["length"], 8)] == ["a"]
    assert (folder / "rows").stat().st_size == 8
    assert unfinished.take_up(folder, "rows", ["c", "a"], ["length"], 8) == []


@pytest.mark.parametrize(
    "line", ['{"recording": "a"}', '{"recording": "a", "length": -1}', '{"recording": "a", "length": "x"}', "\udcff"]
)
def test_a_damaged_journal_is_begun_anew(folder: Path, line: str) -> None:
    folder.mkdir()
    (folder / unfinished.JOURNAL).write_bytes(line.encode(errors="surrogateescape") + b"\n")
    (folder / "rows").write_bytes(bytes(16))
    assert unfinished.take_up(folder, "rows", ["a"], ["length"], 8) == []


def test_torch_has_its_threads_back(corpus: list[str], folder: Path) -> None:
    torch.set_num_threads(max(2, before := torch.get_num_threads()))
    bank(corpus, LOUDNESS, folder)
    with ThreadPoolExecutor(1) as later:
        assert later.submit(torch.get_num_threads).result() == max(2, before)
    torch.set_num_threads(before)


@dataclass(frozen=True)
class Misnamed(Loudness):
    """Says that it has three dimensions."""

    @property
    def names(self) -> tuple[str, ...]:
        return ("mean", "peak", "median")


def test_a_feature_of_other_dimensions_than_it_says_is_refused(corpus: list[str], folder: Path) -> None:
    with pytest.raises(RuntimeError, match="shape"):
        bank(corpus, Misnamed(), folder)
    assert not entries(folder)


def test_files_with_a_problem_are_kept_as_problems(corpus: list[str], folder: Path, tmp_path: Path) -> None:
    empty, text, silent = (str(tmp_path / name) for name in ("empty.wav", "text.wav", "silent.wav"))
    Path(empty).touch()
    Path(text).write_text('no, not "sound",\nat all')
    soundfile.write(silent, np.zeros(RATE // 10), RATE)
    for _ in ("computed", "read again"):
        found = bank([empty, corpus[0], text, silent], LOUDNESS, folder)
        problems = found.files["problem"]
        assert problems[[0, 1, 3]].tolist() == ["empty", "", "silent"]
        assert problems[2].startswith("unreadable")
        assert found.files["length"].drop(1).tolist() == [0, 0, 0]
        assert torch.equal(of(found, 1), expected(corpus[0]))
    assert bank([empty], LOUDNESS, folder).rows.tolist() == [[-1.0, -1.0]]


def test_digests_stay_text(corpus: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_digest", lambda path: "0" * 63 + Path(path).stem)
    monkeypatch.setattr(audio, "read", lambda *part: (np.ones(800, np.float32), audio.Facts(RATE, samples="12e4")))
    for _ in ("computed", "read again"):
        assert bank(corpus, LOUDNESS, folder).files["samples"].tolist() == ["12e4"] * 5


def test_it_shows_its_progress_on_a_terminal_alone(
    corpus: list[str],
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with caplog.at_level(logging.INFO):
        bank(corpus, LOUDNESS, folder)
    assert "computing features of 5 recordings" in caplog.text
    assert "5 recordings to features" in caplog.text
    assert not capsys.readouterr().err
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    bank(corpus[:4], LOUDNESS, folder)
    shown = capsys.readouterr().err
    assert "loudness features" in shown
    assert "4/4" in shown
    bank(corpus, LOUDNESS, folder)
    assert not capsys.readouterr().err


def test_what_is_done_to_the_rows_stays_out_of_the_cache(corpus: list[str], folder: Path) -> None:
    rows = bank(corpus, LOUDNESS, folder).rows
    before = rows.clone()
    rows.zero_()
    assert torch.equal(bank(corpus, LOUDNESS, folder).rows, before)


@dataclass(frozen=True)
class Witnessed(Loudness):
    """Leaves a line in a file whenever it is called."""

    witness: str = ""

    def __call__(self, wave: Tensor, rate: int) -> Tensor:
        with open(self.witness, "a") as file:
            file.write("called\n")
        return super().__call__(wave, rate)


def take_part(corpus: list[str], feature: Loudness, folder: Path, start: Barrier, seen: Queue[list[float]]) -> None:
    start.wait()
    seen.put(bank(corpus, feature, folder).rows.flatten().tolist())


@pytest.mark.slow
def test_several_processes_at_once_on_an_empty_cache(corpus: list[str], folder: Path, tmp_path: Path) -> None:
    feature = Witnessed(witness=str(tmp_path / "witness.txt"))
    spawn = multiprocessing.get_context("spawn")
    start, seen = spawn.Barrier(3, timeout=120), spawn.Queue()
    others = [spawn.Process(target=take_part, args=(corpus, feature, folder, start, seen)) for _ in range(2)]
    for other in others:
        other.start()
    take_part(corpus, feature, folder, start, seen)
    first, *rest = [seen.get(timeout=120) for _ in range(3)]
    for other in others:
        other.join()
    assert len(Path(feature.witness).read_text().split()) == len(corpus)
    assert rest == [first, first]
    assert len(entries(folder)) == 1
