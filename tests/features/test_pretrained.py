"""Where encoders are found, and what is refused before any network is built."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from ser.errors import ConfigError
from ser.features import known_encoders, pretrained, weights
from ser.features.encoder import Encoder
from ser.features.key import key

CONFIG = {"model_type": "wav2vec2", "hidden_size": 4, "num_hidden_layers": 2}


def placed(folder: Path, weights: bytes = b"weights", **config: object) -> Path:
    """What looks like an encoder, as long as nobody opens the weights."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(CONFIG | config))
    (folder / "preprocessor_config.json").write_text('{"do_normalize": true, "sampling_rate": 16000}')
    (folder / "model.safetensors").write_bytes(weights)
    return folder


@pytest.fixture(autouse=True)
def _nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("huggingface_hub")
    monkeypatch.delenv("SER_ENCODERS", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))


def test_a_moved_encoder_has_the_key_it_had(tmp_path: Path) -> None:
    first = key(Encoder(str(placed(tmp_path / "one"))), ["a"])
    moved = shutil.move(tmp_path / "one", tmp_path / "other")
    assert key(Encoder(str(moved)), ["a"]) == first


def test_other_weights_or_settings_at_the_same_place_have_another_key(tmp_path: Path) -> None:
    keys = {key(Encoder(str(placed(tmp_path / "it"))), ["a"])}
    keys.add(key(Encoder(str(placed(tmp_path / "it", b"other w"))), ["a"]))
    keys.add(key(Encoder(str(placed(tmp_path / "it", layer_norm_eps=0.1))), ["a"]))
    (tmp_path / "it" / "preprocessor_config.json").write_text('{"do_normalize": false}')
    keys.add(key(Encoder(str(tmp_path / "it")), ["a"]))
    assert len(keys) == 4


def test_all_layers_are_one_entry_of_the_cache_and_frames_one_for_each_layer(tmp_path: Path) -> None:
    folder = str(placed(tmp_path / "it"))
    whole = Encoder(folder)
    assert whole.part_of is None
    assert Encoder(folder, layer=[0, 1, 2]).part_of is None
    for layer, first in ((1, 8), ([1], 8), ([2, 0], 16)):
        kept, columns = Encoder(folder, layer=layer).part_of
        assert kept == whole
        assert columns[:8] == list(range(first, first + 8))
        assert [whole.names[column] for column in columns] == list(Encoder(folder, layer=layer).names)
    frames = [Encoder(folder, pool="none", layer=layer) for layer in (0, 1)]
    assert [feature.part_of for feature in frames] == [None, None]
    assert len({key(feature, ["a"]) for feature in (whole, *frames)}) == 3
    assert len(frames[0].names) == 4


def test_families_are_layers_or_what_one_layer_has(tmp_path: Path) -> None:
    folder = str(placed(tmp_path / "it"))
    assert dict.fromkeys(Encoder(folder).families) == dict.fromkeys(("layer0", "layer1", "layer2"))
    assert dict.fromkeys(Encoder(folder, layer=1).families) == dict.fromkeys(("mean", "sd"))


@pytest.mark.parametrize("layer", [3, -1, [0, 3], []])
def test_layers_that_are_not_there_are_refused(layer: object, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"(?s)no layer.*has 0 to 2"):
        _ = Encoder(str(placed(tmp_path / "it")), layer=layer).names  # type: ignore[arg-type]


@pytest.mark.parametrize("layer", ["all", [1, 2]])
def test_frames_of_several_layers_are_refused(layer: object) -> None:
    with pytest.raises(ConfigError, match="one layer"):
        Encoder("anywhere", pool="none", layer=layer)  # type: ignore[arg-type]


def test_it_is_looked_for_by_its_last_name_where_encoders_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = placed(tmp_path / "encoders" / "mine")
    monkeypatch.setenv("SER_ENCODERS", str(folder.parent))
    for model in ("mine", "somebody/mine", "/where/it/was/mine"):
        assert pretrained.find(model, None).folder == folder
    assert known_encoders.about(Encoder("mine"))["encoder"]["ravdess"] == "unknown"


@pytest.mark.parametrize("model", ["/no/such/folder", "./no", "no/such/folder", "nothing"])
def test_a_folder_that_is_not_there_is_named(model: str) -> None:
    with pytest.raises(ConfigError, match=f"(?s)no such encoder.*{model}.*SER_ENCODERS"):
        pretrained.find(model, None)


@pytest.mark.parametrize(("revision", "ends"), [(None, "openai/whisper-none;"), ("v1", "--revision v1;")])
def test_what_is_not_on_this_machine_says_how_it_is_fetched(revision: str | None, ends: str) -> None:
    with pytest.raises(ConfigError, match=f"not on this machine(?s:.*)hf download .*{ends}"):
        pretrained.find("openai/whisper-none", revision)


def test_what_was_fetched_from_the_hub_is_known_by_its_name(tmp_path: Path) -> None:
    place = tmp_path / "hub" / "models--facebook--wav2vec2-base"
    placed(place / "snapshots" / "0123")
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text("0123")
    encoder = Encoder("facebook/wav2vec2-base")
    said = known_encoders.about(encoder)["encoder"]
    assert (said["name"], said["licence"], said["ravdess"]) == ("facebook/wav2vec2-base", "Apache-2.0", "no")
    assert encoder.pinned() == {"digest": said["digest"]}


def test_what_was_trained_on_the_corpus_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    feature = Encoder(str(placed(tmp_path / "it")))
    name = "ehcalabres/wav2vec2-lg-xlsr-en-speech-emotion-recognition"
    monkeypatch.setitem(known_encoders.BY_DIGEST, feature.source.digest, name)
    assert known_encoders.about(feature)["encoder"]["emotion_labels"] == "RAVDESS"
    assert "are no scores" in caplog.text


def test_every_digest_is_of_a_known_name() -> None:
    assert set(known_encoders.BY_DIGEST.values()) <= set(known_encoders.BY_NAME)
    assert known_encoders.about(object()) == {}


def test_other_weights_than_those_of_the_training_are_refused(tmp_path: Path) -> None:
    folder = str(placed(tmp_path / "it"))
    digest = Encoder(folder).pinned()["digest"]
    assert Encoder(folder, digest=digest).names
    placed(tmp_path / "it", b"other w")
    with pytest.raises(ConfigError, match=f"(?s)other weights than those of the training.*{digest}.*SER_ENCODERS"):
        _ = Encoder(folder, digest=digest).names


def test_pickles_are_refused(tmp_path: Path) -> None:
    folder = placed(tmp_path / "it")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ConfigError, match=r"(?s)pickle.*safetensors"):
        pretrained.find(str(folder), None)


def test_shards_are_read_and_none_may_be_missing(tmp_path: Path) -> None:
    folder = placed(tmp_path / "it")
    (folder / "model.safetensors").rename(folder / "a.safetensors")
    index = {"weight_map": {"x": "a.safetensors", "y": "../b.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ConfigError, match=r"missing: b\.safetensors"):
        pretrained.find(str(folder), None)
    (folder / "b.safetensors").write_bytes(b"more")
    assert pretrained.find(str(folder), None).depth == 2


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"model_type": "bert"}, "no speech encoder that is known: bert"),
        ({"auto_map": {"AutoModel": "code.Mine"}, "model_type": "mine"}, "no speech encoder that is known: mine"),
        ({"hidden_size": None}, "does not say hidden_size"),
        ({"model_type": "whisper"}, "does not say d_model, encoder_layers"),
    ],
)
def test_what_is_no_known_encoder_is_refused(config: dict[str, object], says: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=says):
        pretrained.find(str(placed(tmp_path / "it", **config)), None)


@pytest.mark.parametrize("text", ["{", "[]", None])
def test_an_encoder_without_its_settings_is_refused(text: str | None, tmp_path: Path) -> None:
    path = placed(tmp_path / "it") / "preprocessor_config.json"
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(ConfigError, match=r"preprocessor_config\.json of the encoder can't be read"):
        pretrained.find(str(path.parent), None)


def test_another_rate_is_refused(tmp_path: Path) -> None:
    (placed(tmp_path / "it") / "preprocessor_config.json").write_text('{"sampling_rate": 8000}')
    with pytest.raises(ConfigError, match="an encoder of 8000 Hz"):
        pretrained.find(str(tmp_path / "it"), None)


@pytest.mark.parametrize("model", ["folder", "openai/whisper-none"])
def test_without_the_package_it_says_what_to_install(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = str(placed(tmp_path / model)) if model == "folder" else model
    monkeypatch.setitem(sys.modules, "transformers", None)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ConfigError, match=r'pip install "ser\[encoders\]"'):
        weights.load(pretrained.find(model, None))
