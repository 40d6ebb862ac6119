from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, product
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import pytest
from example_predictions import LABELS, chosen, made_up
from matplotlib.axis import Tick
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from PIL import Image

from ser.results import figures, predictions

pytestmark = pytest.mark.slow

OF_PREDICTIONS = (figures.confusion_matrix, figures.per_emotion, figures.per_speaker)
NAMES = [f"{draw.__name__}.{kind}" for draw in OF_PREDICTIONS for kind in ("png", "pdf")]


@pytest.fixture(scope="module")
def scored() -> pd.DataFrame:
    return made_up(range(20, 25))


@pytest.fixture(scope="module")
def drawn(scored: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluation")
    predictions.write(scored, folder / "test_results.csv")
    figures.draw_all(scored, folder)
    return folder


def curves(epochs: int, best: int = 0, **columns: list[float]) -> Figure:
    return figures.learning_curves(history(epochs, **columns), best)


def history(epochs: int, **columns: list[float]) -> pd.DataFrame:
    """A run whose validation loss is lowest at two thirds of its epochs."""
    epoch = np.arange(epochs)
    score = 0.9 - 0.75 * np.exp(-epoch / 10)
    made = {"epoch": epoch, "train/loss": 2 * np.exp(-epoch / 12), "val/loss": 0.7 + abs(epoch - 2 * epochs // 3) / 50}
    made |= {"val/accuracy": score, "val/uar": score - 0.02, "val/macro_f1": score - 0.04}
    return pd.DataFrame(made | columns)


def all_happy() -> pd.DataFrame:
    return chosen(LABELS, ["happy"] * 8, ["01"] * 8)


def many_speakers() -> pd.DataFrame:
    return chosen(["sad"] * 300, ["sad", "calm"] * 150, [f"{number:04d}" for number in range(300)])


def named(count: int, length: int) -> pd.DataFrame:
    """Every pair of so many labels, with names of so many letters; the speakers' are as long."""
    labels = [f"{chr(97 + number)}".ljust(length, "m") for number in range(count)]
    truth, predicted = zip(*product(labels, labels), strict=True)
    return chosen(truth, predicted, [labels[number % 5 % count] for number in range(count**2)], labels)


def words(figure: Figure) -> list[str]:
    """All that is written on a figure, in the order of drawing."""
    FigureCanvasAgg(figure).draw()
    return [text.get_text() for text in written(figure)]


def written(figure: Figure) -> list[Text]:
    ticks = [tick for axes in figure.axes for axis in (axes.xaxis, axes.yaxis) for tick in axis.get_major_ticks()]
    beyond = [tick.label1 for tick in ticks if not within_view(tick)]  # kept by the axis, but not drawn
    texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    return [text for text in texts if text not in beyond]


def within_view(tick: Tick) -> bool:
    low, high = sorted(tick.get_view_interval())
    return low <= tick.get_loc() <= high


# Files


def test_every_figure_is_written_as_png_and_pdf(drawn: Path) -> None:
    assert sorted(file.name for file in drawn.iterdir()) == sorted([*NAMES, "test_results.csv"])
    for png in drawn.glob("*.png"):
        with Image.open(png) as image:
            assert (image.format, image.width) == ("PNG", round(3.4 * 300)), "a column at 300 dpi"
    for pdf in drawn.glob("*.pdf"):
        assert pdf.read_bytes().startswith(b"%PDF-")
        assert b"/Subtype /Type3" not in pdf.read_bytes(), "publishers refuse Type 3 fonts"


def test_csv_alone_draws_the_same_bytes_again(drawn: Path, tmp_path: Path) -> None:
    again = figures.redraw(drawn / "test_results.csv", tmp_path / "again")
    assert again == [tmp_path / "again" / name for name in NAMES]
    for file in again:
        assert file.read_bytes() == (drawn / file.name).read_bytes()


def test_equal_histories_give_equal_bytes(tmp_path: Path) -> None:
    history(5).to_csv(tmp_path / "metrics.csv", index=False)
    one = figures.save(figures.learning_curves(history(5), 3), tmp_path / "one")
    other = figures.save(figures.learning_curves(pd.read_csv(tmp_path / "metrics.csv"), 3), tmp_path / "other")
    assert [file.read_bytes() for file in one] == [file.read_bytes() for file in other]


def test_a_dot_in_the_name_is_kept(tmp_path: Path) -> None:
    assert figures.save(Figure(), tmp_path / "lr=0.001") == [tmp_path / "lr=0.001.png", tmp_path / "lr=0.001.pdf"]


def test_failed_drawing_leaves_the_old_picture(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"old")
    broken = Figure()
    broken.text(0, 0, "$\\nonsense{$")
    with pytest.raises(ValueError, match="nonsense"):
        figures.save(broken, tmp_path / "a")
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("a.png", b"old")]


def test_nothing_stays_behind_in_pyplot(tmp_path: Path) -> None:
    from matplotlib import pyplot

    before = dict(matplotlib.rcParams)
    figures.confusion_matrix(all_happy())
    figures.save(Figure(), tmp_path / "a")
    assert pyplot.get_fignums() == []
    assert dict(matplotlib.rcParams) == before


# What they show


def test_confusion_matrix_shows_shares_and_counts(scored: pd.DataFrame) -> None:
    figure = figures.confusion_matrix(scored)
    said = words(figure)
    assert {"predicted emotion", "true emotion", "share of the true emotion, utterances beneath"} <= set(said)
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == list(LABELS)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == list(LABELS)
    cells = pd.crosstab(scored["emotion"], scored["predicted"])
    numbers = [int(word) for word in said if word.isdigit()]
    assert sorted(numbers) == sorted(cells.to_numpy()[cells > 0])
    assert sum(numbers) == 300
    assert sum(word.endswith("%") for word in said) == len(numbers)


def test_cells_are_at_their_truth_and_prediction() -> None:
    figure = figures.confusion_matrix(chosen(["neutral"] * 8, ["neutral", *["calm"] * 7], ["01"] * 8))
    shares = {text.get_text(): text.get_position() for text in figure.axes[0].texts}
    assert shares["13%"] == (0.5, 0.5), "an eighth, half a percent rounded up"
    assert shares["88%"] == (1.5, 0.5)
    assert set(shares) == {"13%", "1", "88%", "7"}


def test_emotions_that_never_come_up_are_left_out() -> None:
    rows = chosen(["sad", "sad", "angry"], ["sad", "happy", "angry"], ["01"] * 3)
    said = words(figures.confusion_matrix(rows))
    assert {"happy", "sad", "angry"} == set(said) & set(LABELS)
    assert not any(word.startswith("calm") for word in words(figures.per_emotion(rows)))


def test_row_without_utterances_is_grey() -> None:
    figure = figures.confusion_matrix(chosen(["sad"], ["happy"], ["01"]))
    colours = figure.axes[0].collections[0].to_rgba(figure.axes[0].collections[0].get_array()).reshape(2, 2, 4)
    assert (colours[0, :, 3] == 0).all(), "happy never occurs: the ground shows through"
    assert (colours[1, :, 3] == 1).all()
    assert matplotlib.colors.to_hex(figure.axes[0].get_facecolor()) == "#dddddd"


def test_emotions_are_drawn_with_their_scores_and_support(scored: pd.DataFrame) -> None:
    figure = figures.per_emotion(scored)
    said = words(figure)
    assert {"neutral (20)", "calm (40)", "recall", "precision", "F1", "score (%)", "emotion (utterances)"} <= set(said)
    recall = scored[scored["emotion"] == "neutral"]["correct"].mean()
    assert figure.axes[0].containers[0][0].get_width() == pytest.approx(100 * recall)


def test_score_that_is_not_defined_is_no_zero() -> None:
    assert words(figures.per_emotion(all_happy())).count("n/a") == 7, "the precision of what was never predicted"


def test_speakers_are_drawn_best_first_with_sex_mean_and_chance() -> None:
    truth, speakers = ["sad", "calm"] * 3, ["01", "01", "02", "02", "03", "03"]
    rows = chosen(truth, ["sad", "angry", "sad", "calm", "angry", "angry"], speakers)
    figure = figures.per_speaker(rows)
    said = words(figure)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["02", "01", "03"]
    assert {"female (mean 100.0%)", "male (mean 25.0%)", "mean 50.0%", "chance 50.0%"} <= set(said), "two labels occur"
    assert {"speaker", "accuracy (%)"} <= set(said)
    female, male, mean, _ = figure.axes[0].lines
    assert (list(female.get_xdata()), list(male.get_xdata())) == ([100], [50, 0])
    assert female.get_marker() != male.get_marker(), "sex is not told by colour alone"
    assert list(mean.get_xdata()) == [50, 50]


def test_speakers_of_unknown_sex_are_drawn_as_such() -> None:
    figure = figures.per_speaker(chosen(["sad", "calm"], ["sad", "sad"], ["S 1", "$a$b"]))
    assert "unknown (mean 50.0%)" in words(figure)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["S 1", "$a$b"], "no formula"
    speakers, _, _ = figure.axes[0].lines
    assert list(speakers.get_xdata()) == [100, 0]


def test_hundreds_of_speakers_fit_on_a_page() -> None:
    figure = figures.per_speaker(many_speakers())
    assert figure.get_figheight() < 10
    assert "0000" not in words(figure)


@pytest.mark.parametrize("share", np.linspace(0, 1, 101))
def test_text_contrasts_with_its_cell(share: float) -> None:
    """At least 4.5:1, what WCAG asks of small text."""

    def luminance(colour: Any) -> float:
        channels = np.array(matplotlib.colors.to_rgb(colour))
        linear = np.where(channels <= 0.03928, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        return float(linear @ (0.2126, 0.7152, 0.0722))

    ground = matplotlib.colormaps["Blues"](share)
    dark, light = sorted((luminance(figures.ink(share)), luminance(ground)))
    assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_curves_mark_the_best_epoch() -> None:
    said = words(curves(70, best=46))
    assert {"training", "validation", "accuracy", "UAR", "macro-F1", "best epoch 46"} <= set(said)
    assert {"epoch", "cross-entropy", "validation score (%)"} <= set(said)


def test_single_epoch_can_be_seen() -> None:
    figure = curves(1)
    assert "best epoch 0" in words(figure)
    lines = [line for axes in figure.axes for line in axes.lines if line.get_label() in ("training", "validation")]
    assert [line.get_marker() for line in lines] == ["o", "o"]
    assert not any(line.get_clip_on() for line in lines), "the whole marker is seen"


def test_curves_without_training_loss_are_drawn() -> None:
    said = words(figures.learning_curves(history(1).drop(columns=["train/loss", "val/macro_f1"]), 0))
    assert "training" not in said
    assert "macro-F1" not in said
    assert "validation" in said


def test_curves_of_training_alone_have_no_scores() -> None:
    for missing in ({}, dict.fromkeys(("val/loss", "val/accuracy", "val/uar", "val/macro_f1"), [np.nan] * 5)):
        alone = history(5)[["epoch", "train/loss"]].assign(**missing)
        figure = figures.learning_curves(alone, 4)
        assert len(figure.axes) == 1
        assert {"training", "epoch", "loss"} <= set(words(figure))
        assert "best epoch 4" not in words(figure)


def test_diverged_epochs_are_passed_over() -> None:
    figure = curves(4, best=1, **{"val/loss": [2.0, 1.5, np.inf, np.nan]})
    assert "best epoch 1" in words(figure)
    assert figure.axes[0].get_ylim()[1] < 3


def test_run_that_diverged_at_once_is_drawn() -> None:
    never = {"val/loss": [np.nan, np.inf], "train/loss": [np.inf, np.nan]}
    assert "accuracy" in words(curves(2, **never))


# How they look

LOOKS: dict[str, Callable[[], Figure]] = {
    **{f"{draw.__name__} of 5": lambda draw=draw: draw(made_up(range(20, 25))) for draw in OF_PREDICTIONS},
    **{f"{draw.__name__} of 1": lambda draw=draw: draw(all_happy()) for draw in OF_PREDICTIONS},
    "per_speaker of 24": lambda: figures.per_speaker(made_up(range(1, 25))),
    "per_speaker of 300": lambda: figures.per_speaker(many_speakers()),
    **{
        f"{draw.__name__} of {count} labels, {length} letters": lambda draw=draw, count=count, length=length: draw(
            named(count, length)
        )
        for draw in OF_PREDICTIONS
        for count in (2, 12)
        for length in (9,)
    },
    "confusion_matrix of thousands": lambda: figures.confusion_matrix(pd.concat([all_happy()] * 1440)),
    **{f"{draw.__name__} of one": lambda draw=draw: draw(chosen(["sad"], ["sad"], ["01"])) for draw in OF_PREDICTIONS},
    "70 epochs": lambda: curves(70, best=46),
    "1 epoch": lambda: curves(1),
}


@pytest.mark.parametrize("draw", LOOKS.values(), ids=LOOKS)
def test_text_is_readable_whole_and_apart(draw: Callable[[], Figure]) -> None:
    figure = draw()
    FigureCanvasAgg(figure).draw()
    texts = written(figure)
    page, boxes = figure.bbox, [text.get_window_extent() for text in texts]
    for text, box in zip(texts, boxes, strict=True):
        assert text.get_fontsize() >= 6
        assert page.x0 <= box.x0 < box.x1 <= page.x1, f"{text.get_text()} is cut off"
        assert page.y0 <= box.y0 < box.y1 <= page.y1, f"{text.get_text()} is cut off"
    upright = [box for text, box in zip(texts, boxes, strict=True) if text.get_rotation() in (0, 90)]
    for one, other in combinations(upright, 2):
        shared = Bbox.intersection(one, other)
        assert shared is None or min(shared.width, shared.height) < 1, "a pixel at 100 dpi"
