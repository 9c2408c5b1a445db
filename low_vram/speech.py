"""Text into speech with a model's talker and token2wav, from what the thinker left for them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from transformers import Qwen2_5OmniForConditionalGeneration

SAMPLE_RATE = 24_000


@dataclass(frozen=True)
class Said:
    """What the thinker said: the prompt's `ids` [1, prompt], those of the `answer` [1, answer] (two at least), and `sums`
    [1, prompt + answer - 1, hidden], what the talker hears of both."""

    ids: torch.Tensor
    answer: torch.Tensor
    sums: torch.Tensor


def make_codes(
    model: Qwen2_5OmniForConditionalGeneration,
    said: Said,
    voice: dict,
    most: int,
    device: str,
    positions: dict[str, object],
) -> torch.Tensor:
    """Codec codes [1, codes] of `said` in `voice` (an entry of spk_dict.pt), at most `most`, as stock `generate` samples them.

    `positions` has what the places of media in the prompt are computed from (grids, seconds, lengths of sounds). The talker's first
    input is the prompt, then the voice's mark with the answer's first token; each step after it hears the next token, then the end of the
    text, then silence (Qwen2_5OmniForConditionalGeneration.generate of transformers, for one conversation).
    """
    talker, embed = model.talker, model.thinker.get_input_embeddings()

    def marked(token: int) -> torch.Tensor:
        return embed(torch.tensor([[token]], device=embed.weight.device)).to(device)

    prompt = said.ids.shape[1]
    sums = said.sums.to(device)
    first_word, reply = sums[:, prompt : prompt + 1], sums[:, prompt + 1 :]
    stops = model.thinker.generation_config.eos_token_id
    if stops is not None:
        reply = reply[:, : _words(said.answer, stops) - 1]
    ids, mask = said.ids.to(device), talker.codec_mask_token
    first = torch.tensor([[voice["bos_token"], int(said.answer[0, 0])]], device=device)
    result = talker.generate(
        input_ids=torch.cat([torch.full_like(ids, mask), ids.new_tensor([[talker.codec_pad_token, talker.codec_bos_token]])], dim=1),
        input_text_ids=torch.cat([ids, first], dim=1),
        inputs_embeds=torch.cat([sums[:, :prompt], marked(voice["bos_token"]), first_word], dim=1),
        thinker_reply_part=torch.cat([reply, marked(talker.text_eos_token), marked(talker.text_pad_token)], dim=1),
        attention_mask=torch.ones(1, prompt + 2, dtype=torch.long, device=device),
        suppress_tokens=[talker.codec_bos_token],
        max_new_tokens=most,
        do_sample=True,
        top_k=40,
        top_p=0.8,
        temperature=0.9,
        eos_token_id=[talker.codec_pad_token, talker.codec_eos_token],
        pad_token_id=talker.codec_pad_token,
        repetition_penalty=1.05,
        **{key: value.to(device) if isinstance(value, torch.Tensor) else value for key, value in positions.items()},
    )
    codes = result[:, prompt + 2 :]
    ended = torch.isin(codes[0], codes.new_tensor([talker.codec_pad_token, talker.codec_eos_token])).nonzero()
    return codes[:, : int(ended[0])] if len(ended) else codes


def _words(answer: torch.Tensor, stops: int | list[int]) -> int:
    """The tokens of the answer before its end mark, one at least."""
    ended = torch.isin(answer[0], torch.as_tensor(stops, device=answer.device)).nonzero()
    count = int(ended[0]) if len(ended) else answer.shape[1]
    return min(max(count, 1), answer.shape[1] - 1)


def keep_mask(talker: nn.Module) -> None:
    """Let `generate` hand the talker its attention mask.

    transformers 5 drops a mask without padding, but the talker computes its positions, and adds the marks its codes begin with, only
    where it has one: without it, it speaks out of another state than it was trained in.
    """
    stock = talker.prepare_inputs_for_generation

    def prepare(input_ids: torch.Tensor, inputs_embeds: torch.Tensor | None = None, **kwargs: object) -> dict[str, object]:
        inputs = stock(input_ids, inputs_embeds=inputs_embeds, **kwargs)
        given = inputs["inputs_embeds"] if inputs["input_ids"] is None else inputs["input_ids"]
        length = inputs["past_key_values"].get_seq_length() + given.shape[1]
        return inputs | {"attention_mask": torch.ones(1, length, dtype=torch.long, device=given.device)}

    talker.prepare_inputs_for_generation = prepare


def slim(token2wav: nn.Module) -> None:
    """Let the transformer of `token2wav` make one mask for all heads and both halves of its batch, with the same result.

    Its own are [2, heads, mel frames, mel frames] in 64 bits and several copies: 1.15 GB each for a minute of sound.
    """
    transformer = token2wav.code2wav_dit_model

    def block_differences(states: torch.Tensor) -> torch.Tensor:
        blocks = torch.arange(states.shape[1], device=states.device, dtype=torch.int32) // transformer.block_size
        return (blocks[None, :] - blocks[:, None]).to(torch.int16)[None, None]

    transformer._create_block_diff = block_differences


def make_sound(model: Qwen2_5OmniForConditionalGeneration, codes: torch.Tensor, voice: dict, device: str) -> torch.Tensor:
    """Samples [n] in float32 on the host, mono at SAMPLE_RATE, of `codes` [1, codes]."""
    return model.token2wav(
        codes.to(device),
        conditioning=voice["cond"].to(device).float().expand(1, -1),
        reference_mel=voice["ref_mel"].to(device).float().expand(1, -1, -1),
    ).reshape(-1)
