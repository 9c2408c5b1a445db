"""Training lays conversations out as the processor does, learns, and goes on where it was stopped."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
import torch

from low_vram.budget import Machine
from low_vram.footprint import measure
from low_vram.plan import make_plan
from low_vram.request import Request
from low_vram.stages import Stages
from multimodal.chat.conversation import Conversation, Turn
from multimodal.chat.encoder import Encoder
from multimodal.chat.prompt import lay_out
from multimodal.demo import blank, train
from multimodal.demo.batches import LOOKING_STEPS, Lessons, collate, place, sight
from multimodal.demo.evaluate import as_medium
from multimodal.demo.eye import Eye
from multimodal.demo.lessons import Lesson, Recording
from multimodal.demo.recordings import with_features
from multimodal.demo.tutor import Tutor
from tests.demo.test_lessons import recordings


@pytest.fixture(scope="module")
def processor():
    return blank.make_processor()


@pytest.fixture(scope="module")
def pool(processor) -> list[Recording]:
    return with_features(recordings(), processor.feature_extractor)


def test_any_text_survives_the_tokenizer(processor):
    for text in ("What colour is it?", "红色的圆形。", "Ünïcödé 🙂 漢字\n\ttab", "1234567890"):
        assert processor.tokenizer.decode(processor.tokenizer(text).input_ids) == text


def test_the_model_has_the_parts_and_the_size_it_should(processor):
    model = blank.make_model(processor.tokenizer)
    assert not model.has_talker
    assert 3e6 < sum(p.numel() for p in model.parameters()) < 5e6


@pytest.mark.parametrize("kind", ["picture", "spoken", "sound", "film", "split", "talk"])
def test_a_lesson_is_laid_out_as_the_chat_lays_it_out(kind, processor, pool):
    tutor, random = Tutor(pool), Random(kind)
    lesson = {
        "picture": lambda: tutor.picture(random, 3, 0.0),
        "spoken": lambda: tutor.picture(random, 3, 1.0),
        "sound": lambda: tutor.sound(random, 3),
        "film": lambda: tutor.film(random, 3, 2.0),
        "split": lambda: tutor.split_film(random, 3),
        "talk": lambda: tutor.talk(random, 3),
    }[kind]()
    batch = collate([Lesson(tuple(lesson))], [""], processor, with_sound=True)
    model = blank.make_model(processor.tokenizer)
    turns = tuple(Turn(e.question, tuple(as_medium(thing) for thing in e.media), e.answer) for e in lesson)
    asked = Conversation((*turns[:-1], replace(turns[-1], answer="")))
    plan = make_plan(measure(model.config), Machine(None, 2**40), Request())
    prompt, _ = lay_out(asked, processor, Encoder(Stages(model, "cpu", plan.arrangement), processor), plan.limits)
    assert batch["input_ids"][0, : prompt.tokens].tolist() == prompt.ids[0].tolist()
    learned = batch["input_ids"][0][batch["labels"][0] != -100].tolist()
    assert processor.tokenizer.decode(learned) == "".join(f"{e.answer}<|im_end|>" for e in lesson)
    assert place(model, batch).shape == (3, *batch["input_ids"].shape)


@pytest.mark.parametrize("kind", ["typed", "spoken", "film"])
@torch.inference_mode()
def test_questions_asked_apart_are_answered_as_if_each_were_asked_alone(kind, processor, pool):
    tutor, random = Tutor(pool), Random(kind)
    lesson = {
        "typed": lambda: tutor.sheet(random, 3, 0.0),
        "spoken": lambda: tutor.sheet(random, 3, 1.0),
        "film": lambda: tutor.film(random, 3, 2.0),
    }[kind]()
    shared, model = lesson[0].media[:1], blank.make_model(processor.tokenizer).eval()

    def answers(batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """The model's logits [answer tokens, vocabulary] where an answer is to be given."""
        inputs = {key: batch[key] for key in batch if key not in ("labels", "parts", "attention_mask", "use_audio_in_video")}
        for key in ("image_things", "video_things", "video_moves"):
            inputs.pop(key, None)
        hidden = model.thinker.model(**inputs, attention_mask=sight(batch), position_ids=place(model, batch), use_cache=False)
        return model.thinker.lm_head(hidden.last_hidden_state[:, :-1][batch["labels"][:, 1:] != -100])

    together = answers(collate([Lesson(tuple(lesson), apart=True)], [""], processor, with_sound=True))
    alone = [
        answers(collate([Lesson((replace(exchange, media=media),))], [""], processor, with_sound=True))
        for exchange, media in zip(lesson, [lesson[0].media, *(shared + exchange.media for exchange in lesson[1:])], strict=True)
    ]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-4, rtol=1e-4)


def test_a_few_steps_learn_something(processor, pool):
    torch.manual_seed(0)
    model = blank.make_model(processor.tokenizer).train()
    batch = Lessons(Tutor(pool), processor, 0, 4, LOOKING_STEPS + 1)[LOOKING_STEPS]
    eye = Eye(192)
    optimizer = torch.optim.AdamW([*model.parameters(), *eye.parameters()], lr=3e-3)
    losses = []
    for _ in range(6):
        loss = train.loss_of(model, eye, batch)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 1


def test_an_interrupted_training_ends_at_the_same_weights(tmp_path, pool, monkeypatch):
    def run(folder: Path, *stops: int) -> dict[str, torch.Tensor]:
        folder.mkdir()
        torch.save(pool, folder / "recordings.pt")
        for stop in stops:
            monkeypatch.setattr(train, "Lessons", _ending(stop))
            with nullcontext() if stop == 4 else pytest.raises(IndexError):
                train.train(folder, steps=4, batch=2)
        return torch.load(folder / "state.pt", weights_only=True)["model"]

    monkeypatch.setattr(train, "SAVE_EVERY", 2)
    whole, halved = run(tmp_path / "whole", 4), run(tmp_path / "halved", 2, 4)
    assert all(torch.allclose(whole[name], halved[name], atol=1e-5) for name in whole)


def _ending(stop: int):
    """Lessons that end at step `stop`, as if the run had been ended there after its state was saved."""

    class Ending(Lessons):
        def __init__(self, tutor, processor, seed, batch, steps):
            super().__init__(tutor, processor, seed, batch, steps)
            self.stop = stop

        def __getitem__(self, step: int):
            if step >= self.stop:
                raise IndexError
            return super().__getitem__(step)

    return Ending
