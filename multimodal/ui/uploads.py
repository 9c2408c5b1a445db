"""Uploads only: what a component takes from a client is a file that was uploaded, never an address."""

from __future__ import annotations

from gradio.components import Component
from gradio_client.utils import is_http_url_like


def take_uploads_only(component: Component) -> None:
    """Have `component` refuse an address in place of a file: gradio's own would fetch it.

    Set on the instance: gradio writes a stub file beside every subclass of a component.
    """
    move = component.async_move_resource_to_block_cache

    async def refuse_addresses(path: str | None) -> str | None:
        if path is not None and is_http_url_like(str(path)):
            raise ValueError("Addresses are not followed.")
        return await move(path)

    component.async_move_resource_to_block_cache = refuse_addresses
