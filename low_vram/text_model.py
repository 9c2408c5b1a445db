"""The forward pass of a decoder that keeps only what is needed: in chunks, layer by layer, the last position's state alone."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn
from transformers.cache_utils import Cache
from transformers.modeling_outputs import BaseModelOutputWithPast

from low_vram.attention import use_it
from low_vram.quantize import unpacked


class Heard:
    """What the talker is told of the thinker: for each position the sum of its embedding and its last hidden state.

    Stock `generate` keeps every layer's states for this. Where `media` [positions] is true the embedding is left out, as the talker was
    trained to hear only the last state of pictures and sounds there. The sums are kept in host memory.
    """

    def __init__(self, media: torch.Tensor):
        self.media = media
        self._sums: list[torch.Tensor] = []

    def add(self, embeds: torch.Tensor, states: torch.Tensor) -> None:
        """`embeds` and `states` [1, positions, hidden], of the positions that follow those added before."""
        begin = sum(part.shape[1] for part in self._sums)
        media = self.media[begin : begin + embeds.shape[1]].to(embeds.device)
        if media.numel():
            embeds = embeds.clone()
            embeds[0, : media.numel()].masked_fill_(media[:, None], 0)
        self._sums.append((states + embeds).cpu())

    @property
    def sums(self) -> torch.Tensor:
        """[1, positions, hidden]."""
        return torch.cat(self._sums, dim=1)


class LeanForward:
    """Takes the place of the forward pass of `decoder`, the text model of a thinker or of a talker, for one sequence without padding.

    A prompt goes through it layer by layer, `chunk` positions at a time: what a layer needs beside its weights is bounded by the chunk, and
    a quantized layer on a CPU is unpacked once. Every position's result is the same as in one piece, as each sees those before it in
    the cache. Only the last position's state is returned, so that the head makes one row of logits.
    """

    def __init__(self, decoder: nn.Module, chunk: int):
        self.decoder, self.chunk = decoder, chunk
        self.heard: Heard | None = None
        self._stock = decoder.forward
        decoder.forward = self
        use_it(decoder)

    def __call__(
        self,
        inputs_embeds: torch.Tensor,
        position_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,  # all ones: there is no padding
        past_key_values: Cache | None = None,
        **keywords: object,
    ) -> BaseModelOutputWithPast:
        """`inputs_embeds` [1, positions, hidden]; `position_ids` [3 or 4, 1, positions], text positions first where there are four."""
        # `generate` keeps its own tensors where the model's first weight is, which may be a tower's in host memory
        position_ids = position_ids.to(inputs_embeds.device)
        if inputs_embeds.shape[1] == 1:
            output = self._stock(
                inputs_embeds=inputs_embeds,
                position_ids=position_ids,
                past_key_values=past_key_values,
                **keywords,
            )
            states = output.last_hidden_state
        else:
            states = self._prefill(inputs_embeds, position_ids[-3:], past_key_values)
        if self.heard is not None:
            self.heard.add(inputs_embeds, states)
        return BaseModelOutputWithPast(last_hidden_state=states[:, -1:], past_key_values=past_key_values)

    def _prefill(self, embeds: torch.Tensor, position_ids: torch.Tensor, cache: Cache) -> torch.Tensor:
        past, length = cache.get_seq_length(), embeds.shape[1]
        turns = self.decoder.rotary_emb(embeds, position_ids)
        states = embeds.clone()
        room: dict = {}  # layers unpack into the same memory, one after another
        for layer in self.decoder.layers:
            with self._ready(layer, room, length):
                for begin in range(0, length, self.chunk):
                    end = min(begin + self.chunk, length)
                    states[:, begin:end] = layer(
                        states[:, begin:end],
                        attention_mask=_sees(end - begin, past + end, embeds.device),
                        position_embeddings=tuple(turn[:, begin:end] for turn in turns),
                        past_key_values=cache,
                        use_cache=True,
                    )
        if self.heard is None:
            return self.decoder.norm(states[:, -1:])
        for begin in range(0, length, self.chunk):
            states[:, begin : begin + self.chunk] = self.decoder.norm(states[:, begin : begin + self.chunk])
        return states

    def _ready(self, layer: nn.Module, room: dict, length: int) -> AbstractContextManager:
        """A graphics card unpacks as it computes; a CPU is slow at it, so there a layer is unpacked for as long as it is used."""
        return unpacked(layer, room, length) if next(layer.parameters()).device.type == "cpu" else nullcontext()


def _sees(queries: int, keys: int, device: torch.device) -> torch.Tensor | None:
    """Which of the first `keys` positions each of the last `queries` may see [1, 1, queries, keys]; None where plain causality says it."""
    if queries == keys:
        return None
    return torch.ones(1, 1, queries, keys, dtype=torch.bool, device=device).tril(keys - queries)
