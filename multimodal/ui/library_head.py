"""The head of the library tab: how many pictures, which encoder, what it understands, and what is amiss."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from multimodal.desk import DEMO_ENCODER
from multimodal.errors import UserError
from multimodal.retrieval.library import Library
from multimodal.ui.adding_box import BUSY, progress_text
from multimodal.ui.phrases import phrase


def encoder_name(library: Library, language: str) -> str:
    """What people call it."""
    if library.encoder_path == str(DEMO_ENCODER):
        return phrase("demo_encoder", language)
    encoder = library.encoder
    return encoder.name if encoder else library.encoder_path.replace("\\", "/").rstrip("/").split("/")[-1]


def library_head(library: Library, language: str) -> str:
    """In Markdown: one line, and a sentence for everything that is not as it should be."""
    try:
        count = library.store.count()
    except UserError as error:
        return f"⚠️ {error.say(language)}"
    if count == 1:
        pictures = phrase("library_picture", language)
    else:
        pictures = phrase("library_pictures", language, count=f"**{count:,}**") if count else phrase("library_no_pictures", language)
    lines = [f"{pictures}  ·  {encoder_line(library, language)}"]
    if library.encoder_path == str(DEMO_ENCODER) and library.encoder:
        lines.append(phrase("encoder_toy", language))
    if library.read_only:
        lines.append(f"⚠️ {phrase(f'read_only_{library.read_only}', language)}")
    if library.index_state == "building":
        with suppress(UserError):  # the encoder is being exchanged
            lines.append(phrase("index_building", language, share=f"{100 * library.search().pictures.progress:.0f}"))
    now = library.adding.progress
    if now.state in BUSY:
        lines.append(f"{phrase(f'adding_{now.state}', language)}: {progress_text(now, language)}")
    return "\n\n".join(lines)


def encoder_line(library: Library, language: str) -> str:
    """The encoder, and what it understands; or that it is loading, or why there is none."""
    name, encoder, failure = encoder_name(library, language), library.encoder, library.encoder_failure
    if library.encoder_status == "loading":
        return phrase("encoder_loading_now", language, encoder=name)
    if encoder is None:
        return f"⚠️ {failure.say(language)}" if failure else phrase("encoder_loading_now", language, encoder=name)
    return phrase("encoder_understands", language, encoder=name, languages=languages_text(encoder.languages, language))


def languages_text(languages: Iterable[str], language: str) -> str:
    """'en' and 'zh' by their names."""
    return phrase("and", language).join(phrase(f"language_{each}", language) for each in languages)
