from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import make_dataclass
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pytest

from ser.errors import ConfigError
from ser.features import key as keys
from ser.features.functionals import Functionals
from ser.features.mel import Mel
from ser.features.smile import Smile

FEATURE = """
from dataclasses import dataclass

from torch import nn

@dataclass(frozen=True)
class Mine:
    factor: float = 1.0

    def __call__(self, wave, rate):
        {imports}
        return scale(wave, self.factor)
"""
HELPER = "from ser.features.resample import resample\n\ndef scale(wave, factor):\n    return factor * wave\n"

Key = Callable[[str], str]


@pytest.fixture
def key_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Key]:
    """The key of `Mine` in this module of `tmp_path`, as a new process would find it."""

    def forget() -> None:
        for name in [name for name in sys.modules if name.startswith("my_")]:
            del sys.modules[name]
        importlib.invalidate_caches()
        keys.code.cache_clear()

    def find(module: str) -> str:
        forget()
        return keys.key(importlib.import_module(module).Mine(), ["a"])

    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield find
    forget()


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    ("module", "imports", "helper"),
    [
        ("my_feature", "from my_helper import scale", "my_helper.py"),
        ("my_package.feature", "from .helper import scale", "my_package/helper.py"),
        ("my_package.feature", "from .helper import (\n            scale,\n        )", "my_package/helper.py"),
        ("my_package.feature", "from my_package import helper; scale = helper.scale", "my_package/helper.py"),
        ("my_package.feature", "import my_package.helper as h; scale = h.scale", "my_package/helper.py"),
        ("my_package.feature", "from . import middle; scale = middle.scale", "my_package/helper.py"),
    ],
)
def test_an_edit_of_the_users_own_code_is_another_key(
    module: str, imports: str, helper: str, tmp_path: Path, key_of: Key
) -> None:
    own, used = tmp_path / f"{module.replace('.', '/')}.py", tmp_path / helper
    write(own, FEATURE.format(imports=imports))
    write(used, HELPER)
    write(tmp_path / "my_package" / "middle.py", "from .helper import scale\n")
    unrelated = own.with_name("unrelated.py")
    write(unrelated, "import os\n")
    first = key_of(module)
    write(unrelated, "import os\n# a comment\n")
    assert key_of(module) == first
    write(used, HELPER.replace("factor *", "2 * factor *"))
    second = key_of(module)
    assert second != first
    write(own, own.read_text().replace("self.factor)", "self.factor + 1)"))
    assert key_of(module) not in (first, second)


def test_classes_of_one_name_in_two_modules_do_not_share(tmp_path: Path, key_of: Key) -> None:
    for name in ("one", "other"):
        write(tmp_path / f"my_{name}.py", FEATURE.format(imports="from my_helper import scale"))
    write(tmp_path / "my_helper.py", HELPER)
    assert key_of("my_one") != key_of("my_other")


def names(module: str) -> set[str]:
    importlib.import_module(module)
    return {each.split()[0] for each in keys.code(module)}


def test_what_is_computed_with_is_in_the_key() -> None:
    always = {"libsndfile", "numpy", "soundfile", "xxhash", "torch", "torchaudio", "audio.py", "resample.py"}
    always |= {"chunks.py", "containers.py", "decoder.py"}
    assert names("ser.features.mel") == always | {"mel.py", "trim.py"}
    assert names("ser.features.functionals") == always | {"functionals.py", "pitch.py", "trim.py"}
    assert names("ser.features.smile") == always | {"smile.py", "opensmile"}
    own = {"encoder.py", "pretrained.py", "weights.py", "whisper.py", "transformers", "safetensors", "huggingface_hub"}
    assert names("ser.features.encoder") == always | own
    assert f"torch {metadata.version('torch')}" in keys.code("ser.features.mel")


def test_code_of_others_counts_where_the_user_builds_on_it(tmp_path: Path, key_of: Key) -> None:
    write(tmp_path / "my_feature.py", FEATURE.format(imports="from my_helper import scale"))
    write(tmp_path / "my_helper.py", HELPER + "import sklearn\n")
    key_of("my_feature")
    assert f"sklearn {metadata.version('scikit-learn')}" in keys.code("my_feature")
    assert names("my_feature") >= {"my_feature.py", "my_helper.py", "resample.py", "audio.py"}


def test_another_version_of_a_library_is_another_key(monkeypatch: pytest.MonkeyPatch) -> None:
    feature, version = Smile("eGeMAPSv02", 16000), metadata.version
    first = keys.key(feature, ["a"])
    monkeypatch.setattr(metadata, "version", lambda name: "99" if name == "torchaudio" else version(name))
    keys.code.cache_clear()
    other = keys.key(feature, ["a"])
    keys.code.cache_clear()
    assert other != first


def test_settings_and_recordings_are_in_the_key_and_their_order_is_not() -> None:
    mel = Mel(48000, n_fft=1024, hop_length=512, n_mels=64, f_min=0.0, f_max=None, floor_db=-100.0)
    narrow = Mel(48000, n_fft=1024, hop_length=512, n_mels=40, f_min=0.0, f_max=None, floor_db=-100.0)
    first = keys.key(mel, ["a", "b"])
    assert first == keys.key(mel, ["b", "a", "b"])
    assert first.startswith("mel-")
    assert len({first, keys.key(mel, ["a"]), keys.key(narrow, ["a", "b"])}) == 3
    assert keys.code("ser.features.mel") == keys.code(Mel.__module__) != keys.code(Functionals.__module__)


def test_what_has_no_file_or_no_settings_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "notebook_cell", ModuleType("notebook_cell"))
    loose = make_dataclass("Loose", [], namespace={"__module__": "notebook_cell"})
    with pytest.raises(ConfigError, match="the code of notebook_cell is not in a file"):
        keys.key(loose(), ["a"])
    with pytest.raises(ConfigError, match="object is not a dataclass"):
        keys.key(object(), ["a"])
