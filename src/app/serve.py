"""From a config to a server that listens."""

from __future__ import annotations

import socket
from pathlib import Path

import uvicorn
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from src.app.server import create_app
from src.app.service import Service
from src.app.settings import Settings
from src.utils.errors import UserError

MAX_MESSAGE = 1 << 20  # bytes of a WebSocket's message
GRACE_SECONDS = 5  # for what is under way when the server is told to end


def serve(config: DictConfig) -> None:
    """Returns when it is told to end.

    Raises:
        UserError: a bad setting, no such run, an address that cannot be listened on.
    """
    settings = Settings.of(config)
    _check_run(settings.from_pretrained)
    GlobalHydra.instance().clear()  # it composes the decoders' configs, but not within its own main
    with listening_socket(settings.host, settings.port) as listening:
        service = Service.of(settings)
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        port = listening.getsockname()[1]
        listening.listen()  # who comes from now on is let in, if after a moment
        print(f"{service.about()['name']} is served on http://{host}:{port}", flush=True)
        server = uvicorn.Server(
            uvicorn.Config(
                create_app(service),
                log_level="warning",
                access_log=False,
                ws_max_size=MAX_MESSAGE,
                ws_max_queue=4,
                timeout_graceful_shutdown=GRACE_SECONDS,
                server_header=False,
            )
        )
        server.run(sockets=[listening])


def _check_run(path: str) -> None:
    if not path.startswith("hf://") and not Path(path).exists():
        raise UserError(
            f"there is no {path}: name a run folder by from_pretrained=saved/RUN, or run "
            "`make demo` and leave it out"
        )


def listening_socket(host: str, port: int) -> socket.socket:
    """Bound, before a model is loaded in vain; raises `UserError` where it cannot be."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        )[0]
        listening = socket.socket(family, kind, protocol)
    except OSError as error:
        raise UserError(f"host={host} is no address of this machine ({error.strerror})") from None
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(address)
    except OSError as error:
        listening.close()
        raise UserError(
            f"{host}:{port} cannot be listened on ({error.strerror}); use another port=..., or "
            "port=0 for any that is free"
        ) from None
    return listening
