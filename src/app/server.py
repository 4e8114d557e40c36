"""The routes: a page, what is known of the model, recordings, and microphones.

GET  /                  the page
GET  /api/model         name, size, measured WER, decoders, limits, counts
POST /api/transcribe    a recording, the body or a form's file; ?decoder=...&alpha=...&beta=...
POST /api/decode        the same recording by another decoder; ?token=...&decoder=...
WS   /api/stream        see src/app/stream_route.py

    curl --data-binary @a.flac 'http://127.0.0.1:8000/api/transcribe?decoder=argmax'
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import tempfile
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from fastapi import FastAPI, Request, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from src.app.guard import Guard
from src.app.refusal import Cancelled, Refusal
from src.app.service import Service
from src.app.stream_route import stream
from src.app.upload import received

logger = logging.getLogger(__name__)

PAGE = Path(__file__).parent / "page"
LOOK = Path(__file__).parents[1] / "report"  # the report's, so that both look alike
ASSETS = {
    "": (PAGE / "index.html", "text/html"),
    "theme.css": (LOOK / "theme.css", "text/css"),
    "theme.js": (LOOK / "theme.js", "text/javascript"),
    "page.css": (PAGE / "page.css", "text/css"),
    "page.js": (PAGE / "page.js", "text/javascript"),
    "waveform.js": (PAGE / "waveform.js", "text/javascript"),
    "changes.js": (PAGE / "changes.js", "text/javascript"),
    "microphone.js": (PAGE / "microphone.js", "text/javascript"),
    "worklet.js": (PAGE / "worklet.js", "text/javascript"),
}
Answer = TypeVar("Answer")


def create_app(service: Service) -> FastAPI:
    """The server of `service`, which it closes when it ends."""
    settings = service.settings
    threads = ThreadPoolExecutor(settings.max_requests + settings.max_streams + 2, "request")
    folder = tempfile.TemporaryDirectory(prefix="uploads-", ignore_cleanup_errors=True)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        threads.shutdown(wait=False, cancel_futures=True)
        folder.cleanup()

    app = FastAPI(lifespan=lifespan, openapi_url=None)

    app.add_middleware(Guard)

    @app.exception_handler(Refusal)
    async def refused(request: Request, error: Refusal) -> Response:
        return _sentence(error.status, str(error))

    @app.exception_handler(RequestValidationError)
    async def misread(request: Request, error: RequestValidationError) -> Response:
        names = " and ".join(str(problem["loc"][-1]) for problem in error.errors())
        return _sentence(400, f"{names}: missing, or no such value.")

    @app.exception_handler(HTTPException)
    async def unknown(request: Request, error: HTTPException) -> Response:
        return _sentence(error.status_code, f"{error.detail}.")

    @app.exception_handler(ClientDisconnect)
    @app.exception_handler(Cancelled)
    async def gone(request: Request, error: Exception) -> Response:
        return Response(status_code=499)  # nobody reads it

    @app.exception_handler(Exception)
    async def defect(request: Request, error: Exception) -> Response:
        return _sentence(500, "Something went wrong on the server; its log has more.")

    async def page(request: Request) -> Response:
        file, kind = ASSETS[request.url.path.removeprefix("/")]
        return FileResponse(file, media_type=kind)

    for path in ASSETS:
        app.get(f"/{path}")(page)

    @app.get("/api/model")
    async def model() -> Any:
        return service.about()

    @app.post("/api/transcribe")
    async def transcribe(
        request: Request,
        decoder: str | None = None,
        alpha: float | None = None,
        beta: float | None = None,
    ) -> Any:
        choice = service.decoders.choice(decoder, alpha, beta)
        most, stall = int(settings.max_upload_mb * 1e6), settings.upload_stall_seconds
        with service.requests.one():
            async with received(request, Path(folder.name), most, stall) as path:
                return await _unless_gone(
                    request, threads, lambda gone: service.upload(path, choice, gone)
                )

    @app.post("/api/decode")
    async def decode(
        token: str,
        decoder: str | None = None,
        alpha: float | None = None,
        beta: float | None = None,
    ) -> Any:
        choice = service.decoders.choice(decoder, alpha, beta)
        with service.requests.one():
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(threads, service.again, token, choice)

    @app.websocket("/api/stream")
    async def microphone(socket: WebSocket) -> None:
        await stream(socket, service, threads)

    return app


async def _unless_gone(
    request: Request, threads: ThreadPoolExecutor, work: Callable[[threading.Event], Answer]
) -> Answer:
    """What `work` returns, in a thread; it is told when the client is gone."""
    gone = threading.Event()
    future = asyncio.get_running_loop().run_in_executor(threads, work, gone)
    try:
        while not (await asyncio.wait([future], timeout=0.5))[0]:
            if await request.is_disconnected():
                gone.set()
        return await future
    except asyncio.CancelledError:
        gone.set()
        raise


def _sentence(status: int, message: str) -> JSONResponse:
    headers = {"Retry-After": "2"} if status == 503 else None
    return JSONResponse({"error": message}, status, headers)
