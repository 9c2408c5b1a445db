"""Uploads only: what a component takes from a client is a file that was uploaded, never an address."""

from __future__ import annotations

from typing import NoReturn

from gradio import processing_utils


def take_uploads_only() -> None:
    """Have gradio refuse an address in place of a file: it would fetch it.

    Set where gradio looks its download up, not on the components: it makes new ones of them for every session.
    """
    processing_utils.async_ssrf_protected_download = _refuse_later
    processing_utils.ssrf_protected_download = processing_utils.save_url_to_cache = _refuse


def _refuse(url: str, cache_dir: str) -> NoReturn:
    raise ValueError("Addresses are not followed.")


async def _refuse_later(url: str, cache_dir: str) -> NoReturn:
    _refuse(url, cache_dir)
