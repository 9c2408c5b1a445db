"""Claims about scenes in words: many wordings in English and Chinese, as captions and as people search; and texts that no scene fits."""

from __future__ import annotations

from binascii import crc32
from random import Random

from multimodal.demo import caption_words as words
from multimodal.demo.caption_words import NOUNS, ODD_COLOURS, ODD_SCENES, ODD_SHAPES, REQUESTS, WAYS
from multimodal.demo.claims import SEVERAL, Claim, Part, whole
from multimodal.demo.lessons import LANGUAGES, outside_sentence
from multimodal.demo.words import sentence, thing_name
from multimodal.demo.world import Scene

HELD_OUT_OF = 10  # one in so many texts is never trained
DIGITS = 0.15  # how often a number is written in digits


def caption(scene: Scene, language: str) -> str:
    """The scene in one plain sentence: 'A blue star to the left of a green square.'"""
    claim = whole(scene)
    names = [thing_name(language, part.shape, part.colour, part.number) for part in claim.parts]
    return sentence(WAYS[language][claim.relation][0].format(*names), language)


def say(random: Random, claim: Claim, language: str, requests: tuple[str, ...] | None = None) -> str:
    """The claim in one of many wordings. `requests`: what it is put into (default: the trained ones, and mostly none)."""
    noun_phrase = english if language == "en" else chinese
    alone = len(claim.parts) == 1 and claim.relation is None
    text = random.choice(WAYS[language][claim.relation]).format(*(noun_phrase(random, part, alone) for part in claim.parts))
    if claim.tone:
        text = random.choice(words.TONES[language][claim.tone]).format(text)
    if requests is not None or random.random() < 0.3:
        text = random.choice(requests or REQUESTS[language]).format(text)
    dressed = random.random()
    if dressed < 0.1 and not text.endswith(("?", "？")):
        return sentence(text, language)
    return text[0].upper() + text[1:] if dressed < 0.2 else text


def english(random: Random, part: Part, alone: bool) -> str:
    """The part as a noun phrase. `alone`: it is all that is said."""
    colour = random.choice(words.COLOURS["en"][part.colour]) if part.colour else ""
    noun = random.choice(words.SHAPES["en"][part.shape]) if part.shape else random.choice(("shape", "thing", "object", "figure"))
    plural = noun + ("es" if noun.endswith("x") else "s")
    if part.shape is None and part.colour and part.number in (None, 1) and random.random() < 0.6:
        ways = ("something {}", "something {}", "anything {}", "{}") if alone and part.number is None else ("something {}",)
        return random.choice(ways).format(colour)
    if part.number in (None, 1):
        named = f"{colour} {noun}".strip()
        if part.number is None:
            if not alone:
                return random.choice(("the {}", "the {}", "{}")).format(named)
            ways = ("{0}", "{0}", "{0}", "any {0}", "{1}, {2}", "{1} in {2}", "{2} {1} shape") if colour and part.shape else ("{0}",)
            return random.choice(ways).format(named, noun, colour)
        article = "an" if named[0] in "aeiou" else "a"
        ways = ["{article} {named}"] * 6 + ["one {named}", "a single {named}"]
        if random.random() < DIGITS:
            ways = ["1 {named}"]
        if colour and part.shape:
            ways += ["a {noun} that is {colour}", "a {noun} in {colour}", "a {colour}-coloured {noun}", "a {colour}-colored {noun}"]
        return random.choice(ways).format(article=article, named=named, noun=noun, colour=colour)
    named = f"{colour} {plural}".strip()
    if part.number == SEVERAL:
        ways = ["{named}", "{named}", "some {named}", "several {named}", "a few {named}"] + (["{plural} in {colour}"] if colour else [])
        return random.choice(ways).format(named=named, plural=plural, colour=colour)
    counts = [str(part.number)] if random.random() < DIGITS else words.COUNTS["en"][part.number]
    ways = ["{count} {named}"] * 5 + ["exactly {count} {named}"]
    if colour and part.shape:
        ways += ["{count} {plural} that are {colour}", "{count} {plural}, all {colour}", "{count} {plural} in {colour}"]
    return random.choice(ways).format(count=random.choice(counts), named=named, plural=plural, colour=colour)


def chinese(random: Random, part: Part, alone: bool) -> str:
    """The part as a noun phrase. `alone`: it is all that is said."""
    colour = random.choice(words.COLOURS["zh"][part.colour]) if part.colour else ""
    noun = random.choice(words.SHAPES["zh"][part.shape]) if part.shape else random.choice(("图形", "东西", "形状", "物体"))
    if colour and len(colour) == 1:
        named = colour + ("的" if part.shape is None or random.random() < 0.3 else "") + noun
    else:
        named = colour + ("的" if colour and random.random() < 0.7 else "") + noun
    if part.number is None:
        ways = ["{0}"] * 4
        if alone and colour:
            ways += ["{1}，{2}"] if part.shape else ["{2}", "{2}的"]
        return random.choice(ways).format(named, noun, colour)
    if part.number == SEVERAL:
        return random.choice(("几个{}", "一些{}", "好几个{}", "多个{}")).format(named)
    measure = "颗" if part.shape == "star" and noun != "星形" and random.random() < 0.4 else "个"
    count = str(part.number) if random.random() < DIGITS else words.COUNTS["zh"][part.number]
    ways = [f"{count}{measure}{named}"] * 5
    if part.number == 1:
        ways.append(f"单个{named}")
        ways += [] if alone else [named] * 2
    elif colour and part.shape:
        ways.append(f"{count}{measure}{noun}，都是{colour}{'的' if len(colour) == 1 else ''}")
    return random.choice(ways)


def draw_outside(random: Random, language: str) -> str:
    """A text that no scene fits: everyday things and sentences, words that do not exist, colours, shapes and numbers that are not there."""
    kind = random.choice(("sentence", "scene", "scene", "scene", "noun", "odd thing", "odd thing", "odd thing"))
    if kind == "sentence":
        return outside_sentence(random, language)
    if kind == "noun":
        return " ".join(_noun(random, language) for _ in range(random.randint(1, 3)))
    if kind == "scene":
        text = random.choice(ODD_SCENES[language]).format(*(_noun(random, language) for _ in range(2)))
        return random.choice(REQUESTS[language]).format(text) if random.random() < 0.2 else text
    shape, colour = random.choice(words.ALL_SHAPES[language]), random.choice(words.ALL_COLOURS[language])
    odd = random.choice(("colour", "shape", "shape", "number"))
    if odd == "colour":
        colour = random.choice((*ODD_COLOURS[language], _noun(random, language)))
    elif odd == "shape":
        shape = random.choice((*ODD_SHAPES[language], random.choice(NOUNS[language].split()), _noun(random, language)))
    low = 5 if odd == "number" else 1
    number = random.choice(words.MANY[language][low - 1 :])
    text = random.choice(words.ODD_THINGS[language]).format(number=number, colour=colour, shape=shape)
    if odd == "number":
        text = f"{number} {colour} {shape}s" if language == "en" else f"{number}个{colour}{shape}"
    return random.choice(REQUESTS[language]).format(text) if random.random() < 0.2 else text


def _noun(random: Random, language: str) -> str:
    """An everyday word, or at times one that does not exist."""
    if random.random() < 0.6:
        return random.choice(NOUNS[language].split())
    if language == "zh":
        return "".join(chr(random.randint(0x4E00, 0x9000)) for _ in range(random.randint(1, 3)))
    return "".join(
        random.choice("bcdfghjklmnprstvwz") + random.choice(("a", "e", "i", "o", "u", "ea", "ou", "er", "in"))
        for _ in range(random.randint(1, 3))
    )


def is_held_out_text(text: str) -> bool:
    """Whether training never meets this text, in capitals or not, as a sentence or not."""
    return crc32(text.lower().strip(" .?。？").encode()) % HELD_OUT_OF == 0


def corpus(random: Random, claims: list[Claim]) -> list[str]:
    """The claims in words, and as many texts from outside a quarter: what the tokenizer's merges are learned from."""
    said = [say(random, claim, language) for claim in claims for language in LANGUAGES]
    return said + [draw_outside(random, random.choice(LANGUAGES)) for _ in range(len(said) // 4)]
