"""The one box that takes text, files and the microphone."""

from __future__ import annotations

import gradio as gr
from gradio_client.utils import is_http_url_like


class Textbox(gr.MultimodalTextbox):
    """A MultimodalTextbox that takes uploads only: gradio's own would fetch an address that a client sends in place of a file."""

    is_template = True  # drawn as its parent is

    async def async_move_resource_to_block_cache(self, url_or_file_path):
        if url_or_file_path is not None and is_http_url_like(str(url_or_file_path)):
            raise ValueError("Addresses are not followed.")
        return await super().async_move_resource_to_block_cache(url_or_file_path)
