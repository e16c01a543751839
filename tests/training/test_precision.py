"""What arithmetic is chosen, that the user's own setting survives, and that the accuracy does."""

from __future__ import annotations

import pytest
import torch

from recbole_attnseq.errors import UserError
from recbole_attnseq.nn.cross_entropy import linear_cross_entropy
from recbole_attnseq.training import precision
from recbole_attnseq.training.precision import choose, matmul_precision

CPU = torch.device("cpu")


def test_float32_never_computes_in_less(monkeypatch: pytest.MonkeyPatch) -> None:
    for amx in (True, False):
        monkeypatch.setattr(precision, "_flags", lambda amx=amx: {"avx2", "amx_bf16"} if amx else {"avx2"})
        chosen = choose("float32", CPU)
        assert chosen.logits == torch.float32
        assert not chosen.autocast
        # With a matrix unit, oneDNN's "medium" would round to bfloat16.
        assert chosen.matmul == chosen.ranking == ("highest" if amx else "medium")
    monkeypatch.setattr(precision, "_flags", set)  # ARM, Windows: nobody knows what "medium" does there
    assert choose("float32", CPU).ranking == "highest"


def test_auto_follows_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "has_bfloat16", lambda: True)
    assert choose("auto", CPU).logits == torch.bfloat16
    monkeypatch.setattr(precision, "has_bfloat16", lambda: False)
    assert choose("auto", CPU).logits == torch.float32


def test_rankings_are_full_float32_whatever_training_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "_flags", lambda: {"amx_bf16"})
    assert (choose("auto", CPU).matmul, choose("auto", CPU).ranking) == ("medium", "highest")
    cuda = torch.device("cuda")
    for hardware in (True, False):  # emulation is slower than float32, and has fewer digits
        monkeypatch.setattr(
            "torch.cuda.is_bf16_supported", lambda including_emulation=True, has=hardware: including_emulation or has
        )
        chosen = choose("auto", cuda)
        assert (chosen.matmul, chosen.ranking) == ("high" if hardware else "highest", "highest")
        assert chosen.autocast == hardware


def test_the_users_setting_comes_back() -> None:
    before = torch.get_float32_matmul_precision()

    def fail_inside() -> None:
        with matmul_precision("medium"):
            assert torch.get_float32_matmul_precision() == "medium"
            assert torch.backends.cudnn.allow_tf32
            with matmul_precision("highest"):
                assert not torch.backends.cudnn.allow_tf32  # recurrent layers are cuDNN's
            assert torch.backends.cudnn.allow_tf32
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_inside()
    assert torch.get_float32_matmul_precision() == before


@pytest.mark.skipif(precision.has_amx(), reason="with AMX 'medium' is allowed to round")
def test_medium_is_exact_float32_without_a_matrix_unit() -> None:
    torch.manual_seed(0)
    a, b = torch.randn(300, 200), torch.randn(200, 100)
    with matmul_precision("medium"):
        error = (a @ b - (a.double() @ b.double())).abs().max()
    assert error < 1e-4  # bfloat16 would be off by about 0.1


def test_low_precision_logits_cost_little_accuracy() -> None:
    torch.manual_seed(0)
    states = torch.nn.functional.normalize(torch.randn(200, 32), dim=1) * 14
    items = torch.nn.functional.normalize(torch.randn(500, 32), dim=1)
    targets = torch.randint(1, 500, (200,))
    exact = linear_cross_entropy(states, items, targets, budget=1 << 20)
    narrow = linear_cross_entropy(states, items, targets, budget=1 << 20, low_precision=torch.bfloat16)
    assert narrow == pytest.approx(float(exact), rel=5e-3)
    assert float(narrow) != float(exact)


def test_unknown_precision_is_refused() -> None:
    with pytest.raises(UserError, match="precision is 'half'"):
        choose("half", CPU)
