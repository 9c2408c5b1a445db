"""Omni Desk: `python app.py` starts the desk and opens it in the browser."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.request import getproxies

from multimodal.data_dir import open_data_dir, sweep
from multimodal.errors import UserError
from multimodal.settings import LOCAL_NAMES, Settings, read_settings

log = logging.getLogger("omni-desk")

SWEEP_SECONDS = 3600


def main() -> int:
    """Arguments -> settings -> desk -> screen and routes -> launch."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S")
    for noisy in ("httpx", "httpcore"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        settings = read_settings(sys.argv[1:], env_file=Path(__file__).parent / ".env")
        prepare(settings)
        launch(settings)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def prepare(settings: Settings) -> None:
    """Open the data folder, and keep the libraries beneath from talking to anyone or writing elsewhere. Raises UserError."""
    os.environ["GRADIO_TEMP_DIR"] = str(open_data_dir(settings.data_dir))
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    # gradio asks its own address whether it is up: where there is a proxy, it must not be asked for that
    if proxies := getproxies():
        for scheme, proxy in proxies.items():
            if scheme != "no":
                os.environ.setdefault(f"{scheme}_proxy", proxy)  # the system's own are passed over once no_proxy is set
        direct = ",".join(filter(None, (proxies.get("no"), *sorted(LOCAL_NAMES), settings.host)))
        os.environ["no_proxy"] = os.environ["NO_PROXY"] = direct


def launch(settings: Settings) -> None:
    """Start everything and stay until it is ended. Raises UserError where the address cannot be listened at."""
    # imported here: they read the environment that `prepare` sets, and a wrong setting is told at once, not after seconds of imports
    from starlette.middleware import Middleware

    from multimodal.api.door import Door
    from multimodal.api.library_routes import make_library_router
    from multimodal.api.routes import make_router
    from multimodal.desk import Desk
    from multimodal.ui.chat_tab import EXAMPLES
    from multimodal.ui.screen import CSS, THEME, make_screen

    if settings.shared:
        also = "use the picture library" if settings.share_library else "see nothing else"
        log.warning("Whoever can reach this address can ask the model and %s; there is no password yet.", also)
    desk = Desk(settings)

    async def keep_swept() -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            await asyncio.to_thread(sweep, settings.data_dir)

    @asynccontextmanager
    async def lifespan(app):
        desk.open()
        app.include_router(make_router(desk))
        app.include_router(make_library_router(desk))
        sweeping = asyncio.create_task(keep_swept())
        yield
        sweeping.cancel()
        await asyncio.to_thread(desk.close)

    door = Middleware(Door, host=settings.host, share=settings.share, body_bytes=4 * desk.limits.file_bytes)
    screen = make_screen(desk)
    try:
        screen.launch(
            server_name=settings.address,
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
    except OSError as error:  # the port is taken, or the address is not this machine's
        raise UserError("cannot_listen", address=f"{settings.address}:{settings.port}", reason=str(error)) from error


if __name__ == "__main__":
    sys.exit(main())
