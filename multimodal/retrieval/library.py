"""The library as a whole: store, files, encoder, index and search in one, for whoever shows it to people."""

from __future__ import annotations

import gc
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from filelock import FileLock, Timeout
from PIL import Image

from multimodal.errors import UserError
from multimodal.media import Limits
from multimodal.retrieval import index_file
from multimodal.retrieval.adding import Adding, Taken
from multimodal.retrieval.bringing import OVERSIZE
from multimodal.retrieval.duplicates import Group
from multimodal.retrieval.grouping import groups_of
from multimodal.retrieval.keeper import Keeper
from multimodal.retrieval.labels import word_vectors
from multimodal.retrieval.places import still_holds
from multimodal.retrieval.query import LONGEST_TEXT, Query, Term
from multimodal.retrieval.reading import read_content, read_picture
from multimodal.retrieval.records import Filter, Picture
from multimodal.retrieval.search import CaptionHit, Found, Hit, Search
from multimodal.retrieval.second_look import SecondLook
from multimodal.retrieval.store import Store, open_store
from multimodal.retrieval.thumbnails import LONGER, Thumbnails
from multimodal.retrieval.watch import Watch
from multimodal.retrieval.whole_file import take_away

if TYPE_CHECKING:  # it brings torch, which takes seconds
    from multimodal.retrieval.encoder import Encoder

log = logging.getLogger(__name__)

FOLDER = "library"  # in the data folder
PATIENCE_SECONDS = 120.0  # for the encoder, which is loading
KEPT_SECONDS = 30 * 24 * 3600  # what was taken out can be brought back for so long
SAVE_SECONDS = 60.0  # between two looks whether the index wants saving
LOOK_SECONDS = 0.2  # between two looks whether the encoder has come: Ctrl-C is heeded then, on Windows too
LEAVING_SECONDS = 10.0  # that closing waits for an encoder that is being read; one that is still being downloaded takes longer
MOST_CAPTIONS = 100  # of a picture


class Library:
    """Everything may be called from any thread. One process writes; a second one on the same folder reads only.

    Whatever is called before `open`, or where that failed, raises the UserError that says why.
    """

    def __init__(self, folder: Path, encoder: str, device: str, limits: Limits, cross: str | None = None):
        """`folder` is the library's own; `encoder` a checkpoint's folder or hub name, which computes on `device`, as does `cross`, a
        cross-attention model's, without which nothing can be looked at twice."""
        self.folder, self.encoder_path, self.device, self.limits = folder, encoder, device, limits
        self.encoder: Encoder | None = None
        self.encoder_failure: UserError | None = None
        self.read_only: str | None = None  # or why: 'process', 'disk'
        self.failure: UserError | None = UserError("library_closed")
        self.thumbnails = Thumbnails(folder / "thumbnails")
        self.second_look = SecondLook(cross, device, self.image) if cross else None
        self._lock = FileLock(folder / "library.lock")
        self._store: Store | None = None
        self._adding: Adding | None = None
        self._watch: Watch | None = None
        self._search: Search | None = None
        self._settled = threading.Event()  # the encoder is there, or could not be loaded
        self._opening = threading.Lock()  # what is open, and the encoder, change within it
        self._loading: threading.Thread | None = None
        self._closed = threading.Event()

    def open(self, wait: bool = False, encoder: bool = True, watch: bool = True) -> None:
        """Open the store and begin to load the encoder, in the background or, with `wait`, at once. What fails is kept as `failure`.

        Without `encoder` none is loaded: nothing can be searched, and what is added gets its vectors another time. Without `watch` the
        folders are left alone. One that was closed meanwhile stays closed.
        """
        with self._opening:
            if not self._closed.is_set():
                self._open(encoder, watch)
        if wait and self._loading:
            self._loading.join()

    def _open(self, encoder: bool, watch: bool) -> None:
        try:
            self.read_only = self._claim()
            self._store = open_store(self.folder, read_only=self.read_only is not None)
        except UserError as error:
            self.failure = error
            self._settled.set()
            log.error("%s", error)
            return
        self.failure = None
        self._adding = Adding(self._store, self.folder, self.limits, lambda: self.encoder, self._committed)
        if not self.read_only:
            self._purge()
            self._watch = Watch(self._store, self._adding)
            if watch:
                self._watch.start()
        if not encoder:
            self._settled.set()
            return
        self._begin_loading()
        threading.Thread(target=self._keep_saved, name="index", daemon=True).start()

    def close(self) -> None:
        """End what is under way, save the index, let go of the folder."""
        self._closed.set()
        with self._opening:
            pass  # what has been begun by now is seen below
        for part in (self._watch, self._adding):
            if part:
                part.close()
        if self._loading:
            self._loading.join(LEAVING_SECONDS)  # one that takes longer finds that all is closed, and touches nothing
        self._let_go()
        if self.second_look:
            self.second_look.close()
        if self._store:
            self._store.database.close()
            self._store = None
        self.failure = UserError("library_closed")
        self._lock.release()

    @property
    def store(self) -> Store:
        """Raises UserError where the library could not be opened."""
        if self.failure:
            raise self.failure.anew()
        return self._store

    @property
    def adding(self) -> Adding:
        """What brings pictures in, and how far it has come. Raises UserError where the library could not be opened."""
        if self.failure:
            raise self.failure.anew()
        return self._adding

    # the encoder

    @property
    def encoder_status(self) -> str:
        """'loading', 'ready' or 'failed'."""
        return "loading" if not self._settled.is_set() else "ready" if self.encoder else "failed"

    def switch_encoder(self, path: str) -> None:
        """Another encoder in the place of the present one, in the background. The old one's vectors stay until all the new ones are there.

        Raises UserError where one is just being loaded.
        """
        with self._opening:
            _ = self.store
            if self._closed.is_set() or not self._settled.is_set():
                raise UserError("encoder_loading")
            self._let_go()
            self.encoder_path = path
            self._settled.clear()
            self._begin_loading()

    def wait_for_encoder(self) -> None:
        """Wait until the encoder is there, also where it has to be downloaded first. Raises UserError where it could not be loaded."""
        _ = self.store
        while not self._settled.wait(LOOK_SECONDS):
            pass
        self.search()

    @property
    def index_state(self) -> str:
        """'exact', 'ready' or 'building'; 'exact' also while there is no encoder."""
        search = self._search
        return search.pictures.state if search else "exact"

    # finding

    def find(self, query: Query) -> Found:
        """The pictures that `query` asks for; by its filters alone where it has no terms. Raises UserError."""
        if query.rerank and self.second_look is None:
            raise UserError("no_cross_model")
        if query.terms:
            find = self.search().find
            return self.second_look.find(query, find) if query.rerank else find(query)
        sort = "newest" if query.sort == "likeness" else query.sort
        pictures = self.store.pictures(self.store.ids(query.filter, sort, query.count))
        return Found(tuple(Hit(picture, None) for picture in pictures))

    def captions_of(self, picture: Image.Image | int, count: int) -> list[CaptionHit]:
        """The captions nearest to a picture. Raises UserError."""
        return self.search().captions_of(Term(picture), count)

    def page(self, wanted: Filter, sort: str = "newest", count: int = 60, offset: int = 0) -> list[Picture]:
        """A part of all pictures that `wanted` describes, sorted by 'newest', 'oldest', 'added' or 'name'."""
        return self.store.pictures(self.store.ids(wanted, sort, count, offset))

    def picture(self, id: int) -> Picture:
        """One picture of the library. Raises UserError where there is none of that id."""
        picture = self.store.picture(id) if -(2**63) <= id < 2**63 else None
        if picture is None or picture.removed:
            raise UserError("picture_gone", id=id)
        return picture

    def original(self, picture: Picture) -> Path:
        """A file that still holds the picture. Raises UserError where none does."""
        for place in picture.places:
            if still_holds(place, picture.hash):
                return Path(place.path)
        raise UserError("original_gone", name=picture.name)

    def thumbnail(self, picture: Picture) -> Path:
        """The picture made small, as a WebP. Raises UserError where it has to be made and the original is not there any more."""
        return self.thumbnails.of(picture.hash, lambda: self.original(picture), picture.name, self.limits)

    def image(self, picture: Picture, side: int) -> Image.Image:
        """The picture, RGB, with `side` pixels on its shorter side where it has them: its thumbnail if that does, or the original is gone.

        Raises UserError or OSError where neither can be had.
        """
        longer, shorter = max(picture.width, picture.height), min(picture.width, picture.height)
        if longer > LONGER and shorter * LONGER / longer < side:
            with suppress(UserError):
                content = read_content(self.original(picture), picture.name, self.limits)
                return read_picture(content, picture.name, self.limits, OVERSIZE * side, 0).image
        with Image.open(self.thumbnail(picture)) as image:
            return image.convert("RGB")

    def duplicates(self) -> list[Group]:
        """The near-duplicates, those with the best picture first. Raises UserError."""
        return groups_of(self.store, self.encoder.space if self.encoder else "")

    def label(self, ids: Sequence[int], words: Sequence[str]) -> tuple[list[Picture], np.ndarray]:
        """Those of the pictures `ids` that have a vector, and how probable each of `words` is for them: float32 [pictures, words].

        Raises UserError.
        """
        search = self.search()
        found, vectors = search.pictures.source.vectors(np.array(list(ids), np.int64))
        texts = word_vectors(words, search.encoder.encode_texts)
        row_of = {id: row for row, id in enumerate(found.tolist())}
        pictures = [picture for picture in self.store.pictures(id for id in ids if id in row_of) if not picture.removed]
        rows = vectors[[row_of[picture.id] for picture in pictures]].astype(np.float32)
        return pictures, search.encoder.probabilities(rows.reshape(len(pictures), -1), texts) if pictures else np.empty((0, len(words)))

    # changing

    def take(self, files: Sequence[tuple[Path, str]], captions: Sequence[Sequence[str]] = (), sample: bool = False) -> Taken:
        """Copy files, given with their names, into the library, at once; `captions` of each. What cannot be taken is in the result."""
        return self.adding.take(files, captions, sample)

    def remove(self, ids: Sequence[int]) -> int:
        """Take pictures out; returns the number by which `undo` brings them back. No file of a person's is touched. Raises UserError."""
        removal = self.store.remove(ids)
        self._committed()
        return removal

    def undo(self, removal: int) -> list[int]:
        """Bring the pictures of a removal back, and the folder that was dropped with them; returns their ids. Raises UserError."""
        ids = self.store.undo(removal)
        self._watch.renew()
        self._committed()
        if ids:
            self.adding.fill()  # the encoder may be another by now
        return ids

    def remove_samples(self) -> int:
        """Take out the pictures that came along; returns the removal's number."""
        return self.remove(self.store.sample_ids())

    def drop_folder(self, path: str) -> int:
        """Forget a folder, with the pictures that lie only in it; returns the removal's number."""
        removal = self.store.drop_folder(path)
        self._watch.renew()
        self._committed()
        return removal

    def watch_folder(self, path: str, watched: bool) -> None:
        """Look at a folder's changes from now on, or no longer."""
        self.store.add_folder(path, watched)
        self._watch.renew()

    def set_captions(self, id: int, texts: Sequence[str], origin: str = "person") -> None:
        """Put `texts` in the place of a picture's captions; one that stays keeps who wrote it. Raises UserError."""
        before = {caption.text: caption.origin for caption in self.picture(id).captions}
        kept = dict.fromkeys(text.strip() for text in texts if text.strip())
        if len(kept) > MOST_CAPTIONS:
            raise UserError("captions_too_many", count=len(kept), limit=MOST_CAPTIONS)
        longest = max(map(len, kept.keys() - before.keys()), default=0)
        if longest > LONGEST_TEXT:
            raise UserError("caption_too_long", count=longest, limit=LONGEST_TEXT)
        self.store.set_captions(id, [(text, before.get(text, origin)) for text in kept])
        self._committed()
        self.adding.fill()

    # beneath

    def _claim(self) -> str | None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(blocking=False)
        except Timeout:
            return "process"
        except OSError:
            return "disk"
        return None

    def _purge(self) -> None:
        try:
            hashes, copies = self._store.purge(time.time() - KEPT_SECONDS)
        except UserError as error:  # it is as well done another time
            log.error("%s", error)
            return
        for hash in hashes:
            self.thumbnails.drop(hash)
        for copy in copies:
            take_away(Path(copy))

    def _begin_loading(self) -> None:
        self._loading = threading.Thread(target=self._load, name="encoder", daemon=True)
        self._loading.start()

    def _load(self) -> None:
        from multimodal.retrieval.encoder import load_encoder

        began = time.monotonic()
        try:
            encoder = load_encoder(self.encoder_path, self.device)
            with self._opening:
                if self._closed.is_set():
                    encoder.close()
                    return
                self._search = self._make_search(encoder)
                self.encoder, self.encoder_failure = encoder, None
                log.info("The encoder %s is ready after %.1f s", encoder.name, time.monotonic() - began)
                if not self.read_only:
                    self._adding.fill()
        except UserError as error:
            self.encoder_failure = error
            log.error("%s", error)
        except Exception as error:  # the libraries have many ways to refuse a checkpoint; nobody else hears of this thread's end
            self.encoder_failure = UserError("encoder_broken", path=self.encoder_path, reason=type(error).__name__)
            log.exception("Loading the encoder %s failed", self.encoder_path)
        finally:
            self._settled.set()

    def _make_search(self, encoder: Encoder) -> Search:
        folder, keepers = self.folder / "index", []
        if not self.read_only:  # of those that were let go of once this encoder's vectors were there
            spaces = {name for kind in index_file.KINDS for name, _ in self._store.spaces(kind)}
            index_file.drop_others(folder, {encoder.space, *spaces})
        for kind in index_file.KINDS:
            source = self._store.vectors(encoder.space, kind, encoder.dimension)
            keepers.append(Keeper(source, folder, read_only=self.read_only is not None))
            keepers[-1].open()
        return Search(self._store, encoder, *keepers)

    def _let_go(self) -> None:
        search, self._search, self.encoder = self._search, None, None
        if search:
            for keeper in (search.pictures, search.captions):
                keeper.close()  # which saves
            search.encoder.close()
            gc.collect()

    def search(self) -> Search:
        """The search, once the encoder is there. Raises UserError."""
        _ = self.store
        if not self._settled.wait(PATIENCE_SECONDS):
            raise UserError("encoder_loading")
        search = self._search
        if search is None:
            raise self.encoder_failure.anew() if self.encoder_failure else UserError("encoder_loading")
        return search

    def _committed(self) -> None:
        search = self._search
        if search:
            search.pictures.catch_up()
            search.captions.catch_up()

    def _keep_saved(self) -> None:
        while not self._closed.wait(SAVE_SECONDS):
            search = self._search
            if search and self._adding.progress.state not in ("scanning", "running"):
                search.pictures.save()
                search.captions.save()


@contextmanager
def opened(library: Library, encoder: bool = True) -> Iterator[Library]:
    """`library`, open for the length of a block, with its encoder or without, and its folders left alone. Raises UserError."""
    library.open(wait=True, encoder=encoder, watch=False)
    try:
        _ = library.store
        yield library
    finally:
        library.close()
