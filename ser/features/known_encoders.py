"""What the weights of known encoders have seen, said beside every score that rests on them.

Apart from `encoder.py`, so that a new line here does not compute anything anew. An encoder is known by its name on the
hub, if it was found by that, or by its digest: what a folder is called proves nothing. What is not known is said to be
unknown.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from ser.features.encoder import Encoder

UNKNOWN = "unknown"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Seen:
    """An encoder's licence, what it was trained on, with which labels of emotion, and whether RAVDESS was in it."""

    licence: str = UNKNOWN
    trained_on: str = UNKNOWN
    emotion_labels: str = UNKNOWN
    ravdess: str = UNKNOWN


LIBRISPEECH = "LibriSpeech, 960 h, unlabelled"
MANY_HOURS = "Libri-Light, GigaSpeech and VoxPopuli, 94,000 h, unlabelled"
WHISPER = Seen("MIT", "680,000 h of undisclosed audio from the web, with transcripts", "none", UNKNOWN)

BY_NAME = {
    **{f"openai/whisper-{size}": WHISPER for size in ("tiny", "base", "small", "medium")},
    **{f"openai/whisper-{size}.en": WHISPER for size in ("tiny", "base", "small", "medium")},
    "facebook/wav2vec2-base": Seen("Apache-2.0", LIBRISPEECH, "none", "no"),
    "facebook/wav2vec2-base-960h": Seen("Apache-2.0", "LibriSpeech, 960 h, with transcripts", "none", "no"),
    "facebook/hubert-base-ls960": Seen("Apache-2.0", LIBRISPEECH, "none", "no"),
    "facebook/hubert-large-ll60k": Seen("Apache-2.0", "Libri-Light, 60,000 h, unlabelled", "none", "no"),
    "facebook/data2vec-audio-base": Seen("Apache-2.0", LIBRISPEECH, "none", "no"),
    "microsoft/wavlm-base": Seen("MIT, by its authors", LIBRISPEECH, "none", "no"),
    "microsoft/wavlm-base-plus": Seen("MIT, by its authors", MANY_HOURS, "none", UNKNOWN),
    "microsoft/wavlm-large": Seen("MIT, by its authors", MANY_HOURS, "none", UNKNOWN),
    "superb/wav2vec2-base-superb-er": Seen("Apache-2.0", f"{LIBRISPEECH}; then IEMOCAP", "IEMOCAP", "no"),
    "audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim": Seen(
        "CC BY-NC-SA 4.0", "several corpora, unlabelled; then MSP-Podcast", "MSP-Podcast", UNKNOWN
    ),
    "ehcalabres/wav2vec2-lg-xlsr-en-speech-emotion-recognition": Seen(
        UNKNOWN, "several corpora; then RAVDESS", "RAVDESS", "yes"
    ),
}

BY_DIGEST = {
    "3f7e120de1d90516756731cb3546bad7": "openai/whisper-base",  # the encoder alone, in half precision
    "5aad28bbdb04d67af4e6b5512958fa0e": "openai/whisper-tiny.en",  # likewise
}
"""Copies of these whose values were compared with the original's."""


def about(feature: object) -> dict[str, Any]:
    """`encoder`: what is to be said of it beside every score; nothing if the feature is not an encoder's."""
    if not isinstance(feature, Encoder):
        return {}
    source = feature.source
    name = source.name or BY_DIGEST.get(source.digest)
    seen = BY_NAME.get(name or "", Seen())
    if seen.ravdess == "yes":
        log.warning("%s was trained on RAVDESS with its labels: its scores there are no scores", name)
    said = {"name": name or UNKNOWN, "revision": feature.revision, "digest": source.digest, "kind": source.kind}
    return {"encoder": said | vars(seen)}
