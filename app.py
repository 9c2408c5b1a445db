"""Omni Desk: `python app.py` starts the desk and opens it in the browser."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import asynccontextmanager
from pathlib import Path

from multimodal.errors import UserError
from multimodal.settings import Settings, read_settings

log = logging.getLogger("omni-desk")


def main() -> int:
    """Arguments -> settings -> desk -> screen and routes -> launch."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S")
    for noisy in ("httpx", "httpcore"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        settings = read_settings(sys.argv[1:], env_file=Path(__file__).parent / ".env")
        prepare(settings)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    try:
        launch(settings)
    except OSError as error:  # the port is taken, or the address is not this machine's
        print(f"The desk cannot listen at {settings.address}:{settings.port} ({error}): choose another --port or --host.", file=sys.stderr)
        return 2
    return 0


def prepare(settings: Settings) -> None:
    """Make the data folder, and keep the libraries beneath from talking to anyone or writing elsewhere. Raises UserError."""
    uploads = settings.data_dir / "uploads"
    try:
        uploads.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError("bad_value", key="DATA_DIR", value=str(settings.data_dir), wanted="a folder that can be written to") from error
    os.environ["GRADIO_TEMP_DIR"] = str(uploads)
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")


def launch(settings: Settings) -> None:
    """Start everything and stay until it is ended. Raises OSError where the address cannot be listened at."""
    # imported here: they read the environment that `prepare` sets, and a wrong setting is told at once, not after seconds of imports
    from starlette.middleware import Middleware

    from multimodal.api.door import LOCAL_NAMES, Door
    from multimodal.api.routes import make_router
    from multimodal.desk import Desk
    from multimodal.ui.chat_tab import EXAMPLES
    from multimodal.ui.screen import CSS, THEME, make_screen

    if settings.share or settings.host not in LOCAL_NAMES:
        log.warning("Whoever can reach this address can ask the model and see nothing else; there is no password yet.")
    desk = Desk(settings)
    desk.open()

    @asynccontextmanager
    async def lifespan(app):
        app.include_router(make_router(desk))
        yield

    door = Middleware(Door, host=settings.host, share=settings.share, body_bytes=4 * desk.limits.file_bytes)
    make_screen(desk).launch(
        server_name=settings.host,
        server_port=settings.port or None,
        share=settings.share,
        inbrowser=settings.browser,
        max_file_size=desk.limits.file_bytes,
        app_kwargs={"lifespan": lifespan, "middleware": [door]},
        theme=THEME,
        css=CSS,
        allowed_paths=[str(EXAMPLES)],
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        enable_monitoring=False,
    )


if __name__ == "__main__":
    sys.exit(main())
