"""Sums over items' lists against the product with a dense matrix."""

from __future__ import annotations

import torch
from torch import Tensor

from recbole_attnseq.nn.item_lists import AllBags, ItemLists
from tests.building import item_lists


def matrix(lists: ItemLists) -> Tensor:
    """Weights (N, C) of every row of the table in every list."""
    dense = torch.zeros(len(lists.offsets) - 1, lists.count, dtype=torch.float64)
    for item in range(len(dense)):
        for place in range(int(lists.offsets[item]), int(lists.offsets[item + 1])):
            dense[item, lists.values[place]] += lists.weights[place]
    return dense


def drawn(seed: int) -> ItemLists:
    """Lists of seven items over a table of five rows, some empty, some with a row several times."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(0, 5, (7,), generator=generator)
    total = int(lengths.sum())
    return ItemLists(
        offsets=torch.cat([lengths.new_zeros(1), lengths.cumsum(0)]),
        values=torch.randint(0, 5, (total,), generator=generator),
        weights=torch.rand(total, generator=generator),
        count=5,
    )


def parts(lists: ItemLists) -> tuple[Tensor, Tensor, Tensor]:
    return lists.values, lists.offsets, lists.weights.double()


def test_transposed_lists_are_the_transposed_matrix_and_back() -> None:
    for seed in range(20):
        lists = drawn(seed)
        back = lists.transposed()
        assert matrix(back).equal(matrix(lists).T)
        assert matrix(back.transposed()).equal(matrix(lists))


def test_sums_and_their_gradient_are_the_products() -> None:
    for seed in range(20):
        lists = drawn(seed)
        table = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
        arguments = (parts(lists), parts(lists.transposed()))
        torch.testing.assert_close(AllBags.apply(table, *arguments), matrix(lists) @ table)
        assert torch.autograd.gradcheck(lambda t, a=arguments: AllBags.apply(t, *a), (table,))


def test_the_gradient_takes_what_an_expanded_sum_gives() -> None:
    """The gradient of a plain sum is one number seen as a matrix."""
    lists = item_lists(12, "neighbours")
    assert lists is not None
    table = torch.randn(12, 4, dtype=torch.float64, requires_grad=True)
    AllBags.apply(table, parts(lists), parts(lists.transposed())).sum().backward()
    torch.testing.assert_close(table.grad, matrix(lists).sum(0)[:, None].expand(12, 4))
