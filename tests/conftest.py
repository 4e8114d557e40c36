from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tests.file_server import FileServer


@pytest.fixture
def file_server(monkeypatch) -> Iterator[FileServer]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = FileServer()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()
