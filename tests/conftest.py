from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from tests.file_server import FileServer
from tests.hub_server import TOKEN, HubServer

Server = TypeVar("Server", bound=http.server.ThreadingHTTPServer)
SHARED_DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real data beside the checkout, where there is some."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no real speech in {SHARED_DATA}")
    return SHARED_DATA


@pytest.fixture
def file_server(monkeypatch) -> Iterator[FileServer]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with served(FileServer()) as server:
        yield server


@pytest.fixture
def hub_server(monkeypatch, tmp_path) -> Iterator[HubServer]:
    """A Hub of this test's own, to which its client, here and in child processes, goes.

    With a token that may write, and an empty cache in `tmp_path/hub`.
    """
    hub = pytest.importorskip("huggingface_hub")
    constants = pytest.importorskip("huggingface_hub.constants")
    with served(HubServer()) as server:
        settings = {
            "HF_ENDPOINT": server.url,
            "HF_HOME": str(tmp_path / "hf"),
            "HF_HUB_CACHE": str(tmp_path / "hub"),
            "HF_TOKEN": TOKEN,
            "HF_HUB_DISABLE_XET": "1",  # the stand-in has plain LFS only
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "no_proxy": "127.0.0.1,localhost",
        }
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        # what the client read from the environment when it was imported
        for name, value in {
            "ENDPOINT": server.url,
            "HUGGINGFACE_CO_URL_TEMPLATE": server.url + "/{repo_id}/resolve/{revision}/{filename}",
            "HF_HOME": settings["HF_HOME"],
            "HF_HUB_CACHE": settings["HF_HUB_CACHE"],
            "HF_TOKEN_PATH": str(tmp_path / "hf" / "token"),
            "HF_HUB_DISABLE_XET": True,
            "HF_HUB_OFFLINE": False,
        }.items():
            monkeypatch.setattr(constants, name, value)
        hub.close_session()
        yield server
        hub.close_session()


@contextmanager
def served(server: Server) -> Iterator[Server]:
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
