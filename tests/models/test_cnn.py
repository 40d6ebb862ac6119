from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from ser.models.cnn import SeparableCNN, SharedInputConv


def equal_channels(batch: int, mel: int, frames: int) -> torch.Tensor:
    """Channels that share memory, as the data module makes them."""
    return torch.randn(batch, frames, mel, generator=torch.Generator().manual_seed(1)).mT[:, None].expand(-1, 3, -1, -1)


def test_the_parts_are_those_of_the_recipe() -> None:
    model = SeparableCNN((3, 64, 128), 8, dropout=0.5)
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


@pytest.mark.parametrize("frames", [32, 128, 131])
def test_any_length_becomes_logits(frames: int) -> None:
    model = SeparableCNN((3, 64, frames), 8, dropout=0.5).eval()
    assert model(equal_channels(2, 64, frames)).shape == (2, 8)


def test_shared_channels_give_what_real_ones_give() -> None:
    torch.manual_seed(0)
    conv = SharedInputConv(3, 8, 7, stride=2, padding=3, bias=False)
    shared = equal_channels(2, 20, 30)
    real = shared.clone(memory_format=torch.contiguous_format)
    results = [conv(shared), conv(real)]
    torch.testing.assert_close(*results)
    gradients = [torch.autograd.grad(result.square().sum(), conv.weight)[0] for result in results]
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-4)
    plain = F.conv2d(real, conv.weight, stride=2, padding=3)
    torch.testing.assert_close(results[0], plain)


def test_unequal_channels_are_not_mistaken_for_equal_ones() -> None:
    conv = SharedInputConv(3, 8, 7, padding=3, bias=False)
    x = torch.randn(2, 3, 20, 30)
    torch.testing.assert_close(conv(x), F.conv2d(x, conv.weight, padding=3))


def test_it_learns_a_handful_of_utterances_by_heart() -> None:
    torch.manual_seed(0)
    model = SeparableCNN((3, 64, 32), 8, dropout=0.0)
    x, y = equal_channels(16, 64, 32), torch.arange(16) % 8
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    for _ in range(15):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    assert loss < 0.2
