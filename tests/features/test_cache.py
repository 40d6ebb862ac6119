from __future__ import annotations

import hashlib
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
from typing import ClassVar

import numpy as np
import pytest
import soundfile
import torch
import xxhash
from torch import Tensor

from ser.features import audio, cache
from ser.features.cache import Bank, bank

RATE = 16000
LONG_AGO = 1_600_000_000


@dataclass(frozen=True)
class Loudness:
    """Mean and peak of the size of every `hop` samples."""

    hop: int = 160
    version: ClassVar[int] = 1

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

    def read(path: str) -> None:
        raise AssertionError(f"decoded {path}")

    monkeypatch.setattr(audio, "read", read)


def of(found: Bank, path: str) -> Tensor:
    file = found.files.loc[path]
    return found.rows[file["start"] : file["start"] + file["length"]]


def expected(path: str, feature: Loudness = LOUDNESS) -> Tensor:
    wave, facts = audio.read(path)
    return feature(torch.from_numpy(wave), facts.rate)


def entries(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir())


def same(one: Bank, other: Bank) -> bool:
    return torch.equal(one.rows, other.rows) and one.files.reset_index(drop=True).equals(
        other.files.reset_index(drop=True)
    )


def test_every_file_has_its_rows_and_the_last_row_is_silence(corpus: list[str], folder: Path) -> None:
    found = bank(corpus, LOUDNESS, folder)
    assert found.files.index.tolist() == corpus
    for path in corpus:
        assert torch.equal(of(found, path), expected(path))
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
    assert bank(corpus[::-1], LOUDNESS, folder).files.index.tolist() == corpus[::-1]


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


def test_a_cache_that_may_only_be_read_is_read(
    corpus: list[str], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = bank(corpus, LOUDNESS, folder)
    shutil.copytree(tmp_path / "corpus", tmp_path / "elsewhere")

    def refuse(path: Path, text: str) -> None:
        raise PermissionError(path)

    monkeypatch.setattr(cache, "write_text", refuse)
    assert same(bank([path.replace("corpus", "elsewhere") for path in corpus], LOUDNESS, folder), first)


def test_paths_from_another_working_folder(
    corpus: list[str], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank(corpus, LOUDNESS, folder)
    shutil.copytree(tmp_path / "corpus", tmp_path / "other" / "corpus")
    record(tmp_path / "other" / "corpus" / "0.wav", seed=99)
    for place in (tmp_path, tmp_path / "other"):
        monkeypatch.chdir(place)
        assert torch.equal(of(bank(["corpus/0.wav"], LOUDNESS, folder), "corpus/0.wav"), expected("corpus/0.wav"))


def test_a_changed_file_is_computed_anew(corpus: list[str], folder: Path) -> None:
    before = bank(corpus, LOUDNESS, folder)
    record(Path(corpus[1]), seed=77, seconds=0.13)  # as long as it was
    os.utime(corpus[1], (LONG_AGO, LONG_AGO + 1))
    after = bank(corpus, LOUDNESS, folder)
    assert torch.equal(of(after, corpus[1]), expected(corpus[1]))
    assert not torch.equal(of(after, corpus[1]), of(before, corpus[1]))
    assert torch.equal(of(after, corpus[0]), of(before, corpus[0]))


def test_a_file_changed_twice_within_one_tick_of_the_clock_is_noticed(corpus: list[str], folder: Path) -> None:
    Path(corpus[0]).touch()
    now = os.stat(corpus[0]).st_mtime_ns
    bank(corpus, LOUDNESS, folder)
    record(Path(corpus[0]), seed=77, seconds=0.1)
    os.utime(corpus[0], ns=(now, now))
    assert torch.equal(of(bank(corpus, LOUDNESS, folder), corpus[0]), expected(corpus[0]))


def test_equal_files_share_their_rows(corpus: list[str], folder: Path, tmp_path: Path) -> None:
    twin = str(shutil.copy(corpus[0], tmp_path / "twin.wav"))
    found = bank([*corpus, twin, corpus[0]], LOUDNESS, folder)
    assert found.files.index.tolist() == [*corpus, twin]
    assert found.files.loc[twin].to_dict() == found.files.loc[corpus[0]].to_dict()


def test_other_settings_are_another_entry(
    corpus: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    bank(corpus, LOUDNESS, folder)
    halved = bank(corpus, replace(LOUDNESS, hop=80), folder)
    assert torch.equal(of(halved, corpus[2]), expected(corpus[2], Loudness(80)))
    monkeypatch.setattr(Loudness, "version", 2)
    bank(corpus, LOUDNESS, folder)
    monkeypatch.undo()
    assert len(entries(folder)) == 3
    request.getfixturevalue("deaf")
    assert torch.equal(bank(corpus, replace(LOUDNESS, hop=80), folder).rows, halved.rows)


def test_the_key_is_content_and_settings_and_nothing_else(corpus: list[str], folder: Path) -> None:
    bank(corpus[::-1], LOUDNESS, folder)
    digests = sorted(xxhash.xxh3_128_hexdigest(Path(path).read_bytes()) for path in corpus)
    settings = json.dumps([cache.FORMAT, "Loudness", 1, {"hop": 160}, digests])
    assert [path.name for path in entries(folder)] == [f"loudness-{hashlib.sha256(settings.encode()).hexdigest()[:20]}"]


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut_short(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [flip_a_byte, cut_short, Path.unlink, empty])
@pytest.mark.parametrize("name", ["rows.f32", "index.csv", "sums.json"])
def test_a_damaged_entry_is_made_anew(
    name: str, damage: Callable[[Path], object], corpus: list[str], folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = bank(corpus, LOUDNESS, folder).rows.clone()
    (entry,) = entries(folder)
    damage(entry / name)
    caplog.clear()
    again = bank(corpus, LOUDNESS, folder)
    assert torch.equal(again.rows, rows)
    assert caplog.messages.count(f"a damaged cache entry is made anew: {entry}") == 1
    caplog.clear()
    bank(corpus, LOUDNESS, folder)
    assert not caplog.messages


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", '[["a"]]', "\x00"])
def test_a_damaged_memory_of_contents_is_forgotten(text: str, corpus: list[str], folder: Path) -> None:
    first = bank(corpus, LOUDNESS, folder)
    (folder / "contents.json").write_text(text)
    assert same(bank(corpus, LOUDNESS, folder), first)
    assert len(json.loads((folder / "contents.json").read_text())) == len(corpus)


def test_what_a_killed_run_left_is_removed(corpus: list[str], folder: Path) -> None:
    bank(corpus, LOUDNESS, folder)
    (entry,) = entries(folder)
    entry.rename(f"{entry}.part")
    cut_short(Path(f"{entry}.part") / "rows.f32")
    bank(corpus, LOUDNESS, folder)
    assert entries(folder) == [entry]


@dataclass(frozen=True)
class Stumbling(Loudness):
    """Fails at the first file."""

    def __call__(self, wave: Tensor, rate: int) -> Tensor:
        raise KeyboardInterrupt


def test_a_stopped_run_leaves_nothing(corpus: list[str], folder: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        bank(corpus, Stumbling(), folder)
    assert not entries(folder)


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
        assert problems[empty] == "empty"
        assert problems[text].startswith("unreadable")
        assert problems[silent] == "silent"
        assert problems[corpus[0]] == ""
        assert found.files["length"].drop(corpus[0]).tolist() == [0, 0, 0]
        assert torch.equal(of(found, corpus[0]), expected(corpus[0]))
    assert bank([empty], LOUDNESS, folder).rows.tolist() == [[-1.0, -1.0]]


def test_digests_stay_text(corpus: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_digest", lambda path: "0" * 63 + Path(path).stem)
    monkeypatch.setattr(audio, "read", lambda path: (np.ones(800, np.float32), audio.Facts(RATE, samples="12e4")))
    for _ in ("computed", "read again"):
        assert bank(corpus, LOUDNESS, folder).files["samples"].tolist() == ["12e4"] * 5


def test_it_shows_its_progress(
    corpus: list[str], folder: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        bank(corpus, LOUDNESS, folder)
    shown = capsys.readouterr().err
    assert "loudness features" in shown
    assert "5/5" in shown
    assert "5 files to features" in caplog.text
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
