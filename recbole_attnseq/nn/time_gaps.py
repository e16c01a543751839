"""How long after the step before each item was taken, as part of what a user encoder reads.

The order of a history says nothing of its pauses: three articles within a minute are one visit, three in three weeks
are a habit. After TiSASRec (Li et al., WSDM 2020), which tells attention the time between any two steps; here each step
says how long it waited, which costs one addition.
"""

from __future__ import annotations

from torch import Tensor, nn

from recbole_attnseq.flat import WAITS


class TimeGaps(nn.Module):
    """An embedding of every step's wait, to be added to that of its item.

    Args:
        width: D.
        scale: standard deviation of the initial embeddings.
    """

    def __init__(self, width: int, scale: float) -> None:
        super().__init__()
        self.table = nn.Embedding(WAITS, width)
        nn.init.normal_(self.table.weight, std=scale)

    def forward(self, waited: Tensor, starts: Tensor) -> Tensor:
        """Embeddings (T, D).

        Args:
            waited: (T,) of each step's wait, from :func:`~recbole_attnseq.flat.waits`.
            starts: (B,) first token of each history. One that was cut is read as if it began there, like RecBole's
                rows, so its first wait is not told even where it is known.
        """
        embedded: Tensor = self.table(waited.index_fill(0, starts, 0))
        return embedded
