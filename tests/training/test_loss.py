from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight

from ser.errors import ConfigError
from ser.training.loss import CrossEntropy

LOGITS = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 0.0]])
TRUTH = torch.tensor([0, 2])


def test_without_settings_it_is_cross_entropy_to_the_bit() -> None:
    loss = CrossEntropy()
    assert loss.weights(TRUTH, 3) is None
    assert torch.equal(loss(LOGITS, TRUTH, None), F.cross_entropy(LOGITS, TRUTH))


def test_smoothed_labels_share_out_some_of_the_truth() -> None:
    target = 0.9 * F.one_hot(TRUTH, 3) + 0.1 / 3
    expected = -(target * LOGITS.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(CrossEntropy(label_smoothing=0.1)(LOGITS, TRUTH, None), expected)


@settings(deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=30))
def test_balanced_weights_are_those_of_scikit_learn(truth: list[int]) -> None:
    weights = CrossEntropy(class_weights="balanced").weights(torch.tensor(truth), 4)
    assert weights is not None
    present = sorted(set(truth))
    expected = compute_class_weight("balanced", classes=np.array(present), y=truth) * len(present) / 4
    np.testing.assert_allclose(weights[present].numpy(), expected, rtol=1e-6)
    assert weights.sum() == pytest.approx(float(weights[present].sum()))


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_labels_are_not_smoothed_away(share: float) -> None:
    with pytest.raises(ConfigError, match=r"model\.loss\.label_smoothing"):
        CrossEntropy(label_smoothing=share)
