from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ser.features import normalise

LENGTHS = torch.tensor([5, 1, 40, 0, 17])
STARTS = LENGTHS.cumsum(0) - LENGTHS
TRAIN = torch.tensor([0, 2, 3])


def rows(seed: int = 0, dim: int = 3) -> Tensor:
    """Values in dB, and a last row of silence."""
    values = np.random.default_rng(seed).normal([-40.0, -60.0, 2.0][:dim], [10.0, 1.0, 1e-3][:dim], (63, dim))
    return torch.from_numpy(np.concatenate([values, np.full((1, dim), -100.0)]).astype(np.float32))


def fit(values: Tensor, chosen: Tensor, per_dimension: bool) -> normalise.Normalisation:
    return normalise.fit(values, STARTS[chosen], LENGTHS[chosen], per_dimension)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32), st.sets(st.sampled_from([0, 1, 2, 4]), min_size=1), st.booleans())
def test_it_is_numpys_mean_and_deviation(seed: int, chosen: set[int], per_dimension: bool) -> None:
    values = rows(seed)
    spoken = [values[STARTS[one] : STARTS[one] + LENGTHS[one]].double().numpy() for one in sorted(chosen)]
    together = np.concatenate(spoken)
    axis = 0 if per_dimension else None
    found = fit(values, torch.tensor(sorted(chosen)), per_dimension)
    np.testing.assert_allclose(found.mean, np.atleast_1d(together.mean(axis)))
    if len(together) > 1:
        np.testing.assert_allclose(found.deviation, np.atleast_1d(together.std(axis)), rtol=1e-6)


@pytest.mark.parametrize("per_dimension", [True, False])
def test_nothing_but_the_training_rows_counts(per_dimension: bool) -> None:
    values = rows()
    before = fit(values, TRAIN, per_dimension)
    values[5] = torch.nan
    values[46:] = 1e9
    assert fit(values, TRAIN, per_dimension) == before


@pytest.mark.parametrize("per_dimension", [True, False])
def test_the_training_rows_come_out_standard(per_dimension: bool) -> None:
    values = rows()
    mean, deviation = fit(values, TRAIN, per_dimension).tensors(torch.device("cpu"))
    assert mean.shape == deviation.shape == ((3,) if per_dimension else (1,))
    assert mean.dtype == torch.float32
    spoken = (torch.cat((values[:5], values[6:46])) - mean) / deviation
    torch.testing.assert_close(spoken.mean(), torch.tensor(0.0), atol=1e-3, rtol=0)
    torch.testing.assert_close(spoken.std(correction=0), torch.tensor(1.0), atol=1e-3, rtol=0)


@pytest.mark.parametrize("constant", [0.0, 0.1, -3e5, 7e-6])
def test_a_dimension_that_never_varies_is_shifted_and_not_blown_up(constant: float) -> None:
    values = rows()
    values[:46, 1] = constant
    found = fit(values, TRAIN, per_dimension=True)
    assert found.mean[1] == pytest.approx(constant)
    assert found.deviation[1] == 1.0
    mean, deviation = found.tensors(torch.device("cpu"))
    assert ((values[:46] - mean) / deviation)[:, 1].abs().max() == 0


def test_the_order_of_utterances_hardly_matters() -> None:
    one, other = fit(rows(), TRAIN, True), fit(rows(), TRAIN.flip(0), True)
    np.testing.assert_allclose(one.deviation, other.deviation)


def test_none_leaves_values_as_they_are() -> None:
    mean, deviation = normalise.NONE.tensors(torch.device("cpu"))
    assert torch.equal((rows() - mean) / deviation, rows())
