from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from ser.errors import ConfigError
from ser.models.cnn import SeparableCNN, SharedInputConv


def spectrograms(batch: int, mel: int, frames: int) -> torch.Tensor:
    """Inputs with the strides that gathered frames have."""
    return torch.randn(batch, frames, mel, generator=torch.Generator().manual_seed(1)).mT


def lengths(x: torch.Tensor) -> torch.Tensor:
    return torch.full((len(x),), x.shape[2])


def test_the_parts_are_those_of_the_recipe() -> None:
    model = SeparableCNN((64, 128), 8, dropout=0.5)
    shapes = {name: tuple(value.shape) for name, value in model.named_parameters() if value.dim() > 1}
    assert list(shapes.values()) == [
        (64, 3, 7, 7),
        *((64, 1, 3, 3), (128, 64, 1, 1)),
        *((128, 1, 3, 3), (256, 128, 1, 1)),
        *((256, 1, 3, 3), (512, 256, 1, 1)),
        *((256, 512), (8, 256)),
    ]
    assert [part.p for part in model.modules() if isinstance(part, torch.nn.Dropout)] == [0.5]
    assert sum(value.numel() for value in model.parameters()) == 320_776


@pytest.mark.parametrize("frames", [31, 128, 131])
def test_any_length_becomes_logits(frames: int) -> None:
    model, x = SeparableCNN((64, frames), 8, dropout=0.5).eval(), spectrograms(2, 64, frames)
    assert model(x, lengths(x)).shape == (2, 8)


def test_the_stem_is_a_convolution_of_three_equal_channels() -> None:
    torch.manual_seed(0)
    conv, x = SharedInputConv(3, 8, 7, stride=2, padding=3, bias=False), spectrograms(2, 20, 30)[:, None]
    results = [conv(x), F.conv2d(x.expand(-1, 3, -1, -1).contiguous(), conv.weight, stride=2, padding=3)]
    torch.testing.assert_close(*results)
    gradients = [torch.autograd.grad(result.square().sum(), conv.weight)[0] for result in results]
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-4)


def test_its_result_is_channels_last_as_the_weights_are() -> None:
    conv = SharedInputConv(3, 8, 7, padding=3, bias=False)
    assert conv(spectrograms(2, 20, 30)[:, None]).is_contiguous(memory_format=torch.channels_last)


def test_initial_weights_and_result_are_frozen() -> None:
    torch.manual_seed(0)
    model, x = SeparableCNN((64, 32), 8, dropout=0.5).eval(), spectrograms(2, 64, 32)
    assert sum(float(value.detach().double().sum()) for value in model.parameters()) == pytest.approx(986.12987045)
    expected = [0.038049, 0.02752, 0.032329, -0.053547, 0.026033, -0.058625, 0.013232, 0.036538]
    assert model(x, lengths(x))[0].tolist() == pytest.approx(expected, abs=2e-6)


def test_it_learns_a_handful_of_utterances_by_heart() -> None:
    torch.manual_seed(0)
    model = SeparableCNN((64, 32), 8, dropout=0.0)
    x, y = spectrograms(16, 64, 32), torch.arange(16) % 8
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    for _ in range(15):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x, lengths(x)), y)
        loss.backward()
        optimizer.step()
    assert loss < 0.2


@pytest.mark.parametrize("shape", [(88, 1), (64, 30), (20, 128)])
def test_what_is_no_spectrogram_or_too_small_is_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(ConfigError, match=rf"(?s)takes a spectrogram, .* not {shape[0]} x {shape[1]} .*features=mel"):
        SeparableCNN(shape, 8, dropout=0.5)
