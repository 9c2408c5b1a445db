"""Is the library sound: the store by itself, then words, files, vectors and index against it? What can be mended is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from multimodal.errors import UserError
from multimodal.retrieval.check_files import check_files
from multimodal.retrieval.check_vectors import check_indexes, check_vectors
from multimodal.retrieval.findings import Finding
from multimodal.retrieval.library import Library
from multimodal.retrieval.words import tokens

BLOCK = 500  # pictures looked at at once


@dataclass(frozen=True)
class Report:
    """How many pictures there are, and what was found."""

    pictures: int
    findings: tuple[Finding, ...]

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong, or nothing any more."""
        return all(finding.mended for finding in self.findings)


def check(
    library: Library, repair: bool = False, deep: bool = False, encoder: bool = True, wait: Callable[[Library], object] | None = None
) -> Report:
    """Look at everything; with `repair`, mend what can be mended. Nothing may be added meanwhile.

    `deep` reads the library's own copies and all vectors. `encoder`: load it, to see whether vectors are missing. `wait` is called while
    missing ones are made, and returns once they are. Raises UserError where the library is not open, or is to be repaired and cannot be
    written to.
    """
    store = library.store
    if repair and library.read_only:
        raise UserError("library_read_only")
    damage = [line for line in store.database.damage() if "fts5" not in line.lower()]  # the index of words is derived
    if damage:
        return Report(0, (Finding("store_damaged", {"reason": damage[0][:200]}),))
    findings = [
        *check_words(library, repair),
        *check_files(library, repair, deep),
        *check_vectors(library, repair, deep),
        *check_indexes(library, repair),
    ]
    if encoder:
        findings += check_missing(library, repair, wait or (lambda library: library.adding.wait()))
    return Report(store.count(), tuple(findings))


def check_words(library: Library, repair: bool) -> Iterator[Finding]:
    """Do the words that search goes by agree with names and captions?"""
    database, store = library.store.database, library.store
    broken = not library.read_only and _is_broken(library)
    wrong = _wrong_words(library)
    if not broken and not wrong:
        return
    if repair:
        with database.writing() as connection:
            if broken:
                connection.execute("INSERT INTO words(words) VALUES ('rebuild')")
            for id in wrong:
                picture = store.picture(id)
                if picture is None:
                    connection.execute("DELETE FROM words WHERE rowid = ?", (id,))
                else:
                    store.set_captions(id, [(caption.text, caption.origin) for caption in picture.captions])
    yield Finding("words_wrong", {"count": len(wrong) or store.count()}, repair)


def _is_broken(library: Library) -> bool:
    """By FTS5's own check."""
    try:
        with library.store.database.writing() as connection:
            connection.execute("INSERT INTO words(words) VALUES ('integrity-check')")
    except UserError as error:
        if error.code != "library_broken":
            raise
        return True
    return False


def _wrong_words(library: Library) -> list[int]:
    wrong, last = [], 0
    while True:
        with library.store.database.reading() as connection:
            names = dict(connection.execute("SELECT id, name FROM pictures WHERE id > ? ORDER BY id LIMIT ?", (last, BLOCK)).fetchall())
            if not names:
                strays = connection.execute("SELECT rowid FROM words WHERE rowid NOT IN (SELECT id FROM pictures)").fetchall()
                return wrong + [row[0] for row in strays]
            first, last = min(names), max(names)
            said: dict[int, list[str]] = {id: [] for id in names}
            for id, text in connection.execute(
                "SELECT picture, text FROM captions WHERE picture BETWEEN ? AND ? ORDER BY id", (first, last)
            ):
                said[id].append(text)
            found = {
                row[0]: row[1:]
                for row in connection.execute("SELECT rowid, name, captions FROM words WHERE rowid BETWEEN ? AND ?", (first, last))
            }
        wrong += [id for id, name in names.items() if found.get(id) != (tokens(name), tokens("\n".join(said[id])))]


def check_missing(library: Library, repair: bool, wait: Callable[[Library], object]) -> Iterator[Finding]:
    """Has every picture, and every caption, its vector of the present encoder?"""
    from multimodal.retrieval.encoder import load_encoder  # here, for it brings torch

    try:
        encoder = library.encoder or load_encoder(library.encoder_path, library.device)
    except UserError as error:
        yield Finding("vectors_unchecked", {"reason": (error.say("en").rstrip("."), error.say("zh").rstrip("。"))})
        return
    name, space = encoder.name, encoder.space
    if encoder is not library.encoder:
        encoder.close()
    missing = _missing(library, space)
    if not missing:
        return
    if repair:
        if library.encoder:
            library.adding.fill()
        else:
            library.switch_encoder(library.encoder_path)  # which goes on to make what it lacks
            library.wait_for_encoder()
        wait(library)
    left = _missing(library, space)
    if left < missing:
        yield Finding("vectors_missing", {"count": missing - left, "encoder": name}, True)
    if left:
        yield Finding("vectors_missing", {"count": left, "encoder": name})


def _missing(library: Library, space: str) -> int:
    return sum(len(library.store.missing(space, kind, -1)) for kind in ("picture", "caption"))
