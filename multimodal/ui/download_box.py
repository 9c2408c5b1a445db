"""The one download of the desk, whoever looks at it: how it is begun, ended and shown."""

from __future__ import annotations

import threading

from multimodal.chat.download import Download, Plan
from multimodal.errors import UserError, size_text
from multimodal.ui.bars import note, progress
from multimodal.ui.phrases import phrase


class DownloadBox:
    """Holds the download, so that it outlives the page that began it."""

    def __init__(self) -> None:
        self.download: Download | None = None
        self._starting = threading.Lock()

    @property
    def running(self) -> bool:
        """Whether something is being fetched at this moment."""
        return self.state[1] == "running"

    @property
    def state(self) -> tuple[str, str]:
        """(name of the model, status of its download); empty before the first."""
        download = self.download
        return (download.plan.source.name, download.status) if download else ("", "")

    def start(self, plan: Plan) -> None:
        """Fetch what `plan` lists. Raises UserError where another is under way, and where the disk is too small."""
        with self._starting:
            if self.running:
                raise UserError("download_running", name=self.state[0])
            download = Download(plan)
            download.start()
            self.download = download

    def cancel(self) -> None:
        """End it; what has come is kept."""
        if self.download:
            self.download.cancel()

    def show(self, language: str) -> str:
        """In HTML: a bar while it runs, a sentence once it has ended."""
        download = self.download
        if download is None:
            return ""
        name, status = self.state
        now = download.progress
        if status == "running":
            return progress(phrase("downloading", language, model=name), now.done, now.total, now.seconds_left, language)
        if status == "failed":
            return note(f"⚠️ {download.failure.say(language)}")
        return note(phrase(f"download_{status}", language, model=name, done=size_text(now.done), total=size_text(now.total)))


def offer(plan: Plan, language: str) -> str:
    """What a download would take, before it is begun."""
    sizes = {"left": size_text(plan.left), "total": size_text(plan.total), "free": size_text(plan.free)}
    return note(phrase("download_offer", language, model=plan.source.name, **sizes))
