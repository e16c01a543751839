"""User encoders: the embedded history (T, D) to a state after every step (T, D)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbole_attnseq.nn.banded_attention import banded_attention
from recbole_attnseq.nn.dropout import Dropout
from recbole_attnseq.nn.packing import SMALLEST_BLOCK, Packing
from recbole_attnseq.nn.prefix_average import window_average
from recbole_attnseq.registry import Registry

USER_ENCODERS: Registry[type[UserEncoder]] = Registry("user encoder")


class UserEncoder(nn.Module):
    """What every user encoder promises.

    ``forward(inputs, packing)`` maps (T, D) to (T, D). Sequences never see each other. ``causal`` encoders never
    let a later step change an earlier state, so all positions can be trained at once; ``banded`` ones moreover
    see no more than the packing's window per layer, or per readout behind the layers, so whole histories can be fed
    to them. ``widest`` is the most elements that any one temporary holds for a token, so that a caller of many
    histories knows how many to encode at a time; an encoder that does not say so is taken for a wide one.

    Made with ``width``, ``hidden``, ``layers``, ``dropout`` and ``activation``, as :class:`GRU` takes them; a subclass
    of :class:`Transformer` with what that one takes.
    """

    causal: ClassVar[bool] = True
    banded: ClassVar[bool] = False
    widest: int = 4096

    def forward(self, inputs: Tensor, packing: Packing) -> Tensor:
        """States (T, D) after each step of ``inputs`` (T, D)."""
        raise NotImplementedError


class _Recurrent(UserEncoder):
    """Recurrent layers, dropout, a dense layer back to width D and, for the reference, a ReLU.

    Args:
        width: D.
        hidden: width of the recurrent state, per direction.
        layers: recurrent layers.
        dropout: on the recurrent output, and between the layers.
        activation: ``"relu"`` or ``"none"``, after the dense layer.
    """

    cell: ClassVar[Callable[..., nn.RNNBase]]
    directions: ClassVar[int] = 1

    def __init__(self, *, width: int, hidden: int, layers: int, dropout: float, activation: str) -> None:
        super().__init__()
        self.widest = max(width, 4 * hidden * self.directions)  # the gates
        self.rnn = self._layers(width, hidden, layers, dropout)
        self.dropout = Dropout(dropout)
        self.dense = nn.Linear(hidden * self.directions, width)
        self.activation = nn.ReLU() if activation == "relu" else nn.Identity()

    def forward(self, inputs: Tensor, packing: Packing) -> Tensor:
        # Recurrent layers stay wide under autocast. On a CPU without AVX-512 oneDNN has no narrow LSTM and raises; on
        # CUDA autocast takes float16 for cuDNN's recurrent layers whatever it was told, and nothing scales the loss.
        device = inputs.device.type
        if torch.is_autocast_enabled(device):
            with torch.autocast(device, enabled=False):
                output = self._states(inputs.float(), packing)
        else:
            output = self._states(inputs, packing)
        hidden: Tensor = self.activation(self.dense(self.dropout(output)))
        return hidden

    def _layers(self, width: int, hidden: int, layers: int, dropout: float) -> nn.Module:
        return self.cell(width, hidden, num_layers=layers, batch_first=True, dropout=dropout if layers > 1 else 0.0)

    def _states(self, inputs: Tensor, packing: Packing) -> Tensor:
        """(T, directions * hidden): the recurrent layers' output."""
        return _run(self.rnn, inputs, packing)


def _run(rnn: nn.Module, inputs: Tensor, packing: Packing) -> Tensor:
    """States (T, hidden) of inputs (T, D). Padding lies behind the end of each sequence, where none is looked at."""
    return packing.unpad(rnn(packing.pad(inputs))[0])


@USER_ENCODERS.register("gru")
class GRU(_Recurrent):
    """Gated recurrent units, as in GRU4Rec (Hidasi et al., ICLR 2016)."""

    cell = nn.GRU


@USER_ENCODERS.register("lstm")
class LSTM(_Recurrent):
    """Long short-term memory, one direction."""

    cell = nn.LSTM


@USER_ENCODERS.register("bilstm")
class BiLSTM(_Recurrent):
    """The reference architecture's encoder: both directions, so a state knows the whole prefix; not causal."""

    directions = 2
    causal = False

    def _layers(self, width: int, hidden: int, layers: int, dropout: float) -> nn.Module:
        # A module a direction: the way back is the way there over turned sequences. PyTorch's own bidirectional layer
        # takes unequal lengths only packed, step by step, and its gradient then costs the square of the steps.
        self.between = Dropout(dropout)
        return nn.ModuleList(
            nn.ModuleList(nn.LSTM(2 * hidden if layer else width, hidden, batch_first=True) for _ in range(2))
            for layer in range(layers)
        )

    def _states(self, inputs: Tensor, packing: Packing) -> Tensor:
        turned = packing.turned
        there: nn.Module
        back: nn.Module
        for number, (there, back) in enumerate(self.rnn):  # type: ignore[arg-type]
            inputs = self.between(inputs) if number else inputs
            inputs = torch.cat([_run(there, inputs, packing), _run(back, inputs[turned], packing)[turned]], dim=-1)
        return inputs


class _Scale(nn.Module):
    """Each channel times a learned factor, from 0.1 on."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.factors = nn.Parameter(torch.full((width,), 0.1))

    def forward(self, states: Tensor) -> Tensor:
        return states * self.factors


class _Block(nn.Module):
    """Pre-norm attention with a learned bias by distance, and a feed-forward layer."""

    def __init__(
        self,
        width: int,
        heads: int,
        inner: int,
        window: int,
        dropout: float,
        attention_dropout: float,
        eps: float,
        projected: bool,
    ) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width, eps=eps)
        self.project = nn.Linear(width, (3 if projected else 2) * width)
        self.output = nn.Linear(width, width) if projected else _Scale(width)
        self.distance_bias = nn.Parameter(torch.zeros(heads, window))
        self.feed_forward_norm = nn.LayerNorm(width, eps=eps)
        self.up = nn.Linear(width, inner)
        self.down = nn.Linear(inner, width)
        self.dropout = Dropout(dropout)
        self.attention_dropout = Dropout(attention_dropout)

    def forward(self, states: Tensor, packing: Packing) -> Tensor:
        states = states + self.dropout(self.output(self.attend(self.attention_norm(states), packing)))
        hidden = F.gelu(self.up(self.feed_forward_norm(states)))
        result: Tensor = states + self.dropout(self.down(hidden))
        return result

    def attend(self, states: Tensor, packing: Packing) -> Tensor:
        """Banded causal attention of (T, D) over itself."""
        width = states.shape[-1]
        query, key, *values = self.project(states).split(width, dim=-1)
        (value,) = values or (states,)  # not projected, the states themselves are what is mixed
        query, key, value = (x.unflatten(-1, (self.heads, -1)) for x in (query, key, value))
        query = query * query.shape[-1] ** -0.5
        # Relative positions as in T5: one bias per head and distance.
        mixed = banded_attention(query, key, value, self.distance_bias, packing, self.attention_dropout)
        return mixed.flatten(1)


@USER_ENCODERS.register("transformer")
class Transformer(UserEncoder):
    """Causal self-attention over the last W steps, relative positions, pre-norm; after SASRec (ICDM 2018).

    Args:
        width: D, divisible by ``heads``.
        layers: number of blocks.
        heads: H, attention heads.
        inner: width of the feed-forward layer.
        window: W, the most steps back that the relative positions know.
        dropout: on what each block adds to the stream.
        attention_dropout: on the attention weights.
        eps: of the layer normalisations.
    """

    banded = True
    projected: ClassVar[bool] = True  # a linear layer makes the values, and another takes their mixture

    def __init__(
        self,
        *,
        width: int,
        layers: int,
        heads: int,
        inner: int,
        window: int,
        dropout: float,
        attention_dropout: float,
        eps: float,
    ) -> None:
        super().__init__()
        self.widest = max(inner, 3 * width, 2 * max(SMALLEST_BLOCK, window) * heads)
        self.blocks = nn.ModuleList(
            _Block(width, heads, inner, window, dropout, attention_dropout, eps, self.projected) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width, eps=eps)

    def forward(self, inputs: Tensor, packing: Packing) -> Tensor:
        states = inputs
        for block in self.blocks:
            states = block(states, packing)
        result: Tensor = self.norm(states)
        return result


@USER_ENCODERS.register("transformer_unprojected")
class TransformerUnprojected(Transformer):
    """The transformer whose attention mixes the normalised states themselves, times a learned factor a channel.

    So the history's items reach the state as they are, and half of attention's projections fall away: the simplified
    attention of He & Hofmann, "Simplifying Transformer Blocks" (ICLR 2024). Made as the transformer is.
    """

    projected = False


@USER_ENCODERS.register("transformer_mean")
class TransformerMean(Transformer):
    """The transformer's state, and through a gate that starts shut a weighted mean of the window's inputs.

    The weights are a softmax over the window of one logit a step, read from the transformer's states: what CORE (Hou et
    al., SIGIR 2022) has in place of a state. A logit belongs to its step alone, so every window's mean is a ratio of
    running sums, and all positions are trained at once. Ahead on ml-100k; docs/DEVELOPING.md says where it is not.

    Args:
        width: D, divisible by ``heads``.
        mean_dropout: of whole steps: as with attention's weights, what is left counts for more and the sum of weights
            stays, so that a mean of few steps can come to nothing.
        options: the transformer's.
    """

    def __init__(self, *, width: int, mean_dropout: float, **options: Any) -> None:
        super().__init__(width=width, **options)
        self.weigh = nn.Linear(width, 1, bias=False)
        self.gate = nn.Parameter(torch.zeros(()))
        self.step_dropout = Dropout(mean_dropout)

    def forward(self, inputs: Tensor, packing: Packing) -> Tensor:
        states = super().forward(inputs, packing)
        if self.training and self.step_dropout.probability:
            inputs = inputs * self.step_dropout(inputs.new_ones(len(inputs), 1))
        return states + self.gate * window_average(self.weigh(states), inputs, packing)
