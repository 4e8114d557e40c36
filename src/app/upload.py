"""A request's body into a file, within limits, by pieces."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from fastapi import Request
from python_multipart import MultipartParser
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import parse_options_header

from src.app.refusal import Refusal

FORM_OVERHEAD = 1 << 16  # bytes of a form that are not its file


@contextlib.asynccontextmanager
async def received(
    request: Request, folder: Path, max_bytes: int, stall_seconds: float
) -> AsyncIterator[Path]:
    """The recording that the request brings, in a file of our own naming, removed afterwards.

    It is the body itself, or the first file of a form. What the client calls it is not looked at.

    Raises:
        Refusal: too large (by what it announces or by what arrives), nothing for
            `stall_seconds`, a form that cannot be read or has no file.
        starlette.requests.ClientDisconnect: the client is gone.
    """
    announced = request.headers.get("content-length", "")
    too_large = Refusal(413, f"The upload is larger than {max_bytes / 1e6:g} MB.")
    if announced.isdecimal() and int(announced) > max_bytes + FORM_OVERHEAD:
        raise too_large
    with tempfile.NamedTemporaryFile(dir=folder, prefix="upload-") as file:
        size = 0

        def write(data: bytes) -> None:
            nonlocal size
            size += len(data)
            if size > max_bytes:
                raise too_large
            file.write(data)

        kind, options = parse_options_header(request.headers.get("content-type", ""))
        feed: Callable[[bytes], None] = write
        if kind == b"multipart/form-data":
            feed = _first_file(options.get(b"boundary", b""), write)
        stream = request.stream().__aiter__()
        try:
            while True:
                try:
                    feed(await asyncio.wait_for(stream.__anext__(), stall_seconds))
                except StopAsyncIteration:
                    break
        except asyncio.TimeoutError:
            raise Refusal(408, f"Nothing arrived for {stall_seconds:g} s.") from None
        except MultipartParseError:
            raise Refusal(
                400, "The form cannot be read; send the file itself as the body."
            ) from None
        if kind == b"multipart/form-data" and size == 0:
            raise Refusal(400, "The form has no file, or an empty one.")
        file.flush()
        yield Path(file.name)


def _first_file(boundary: bytes, write: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """Feeds a form to `write`, of which it gets what is in the first part with a file name."""
    if not boundary:
        raise Refusal(400, "The form names no boundary; send the file itself as the body.")
    field, value = bytearray(), bytearray()
    is_file, seen = False, False

    def begin() -> None:
        nonlocal is_file
        is_file = False

    def name(data: bytes, start: int, end: int) -> None:
        field.extend(data[start:end])

    def content(data: bytes, start: int, end: int) -> None:
        value.extend(data[start:end])

    def header_end() -> None:
        nonlocal is_file
        _, options = parse_options_header(bytes(value))
        is_file |= bytes(field).lower() == b"content-disposition" and b"filename" in options
        field.clear()
        value.clear()

    def data(chunk: bytes, start: int, end: int) -> None:
        if is_file and not seen:
            write(chunk[start:end])

    def finish() -> None:
        nonlocal seen
        seen |= is_file

    parser = MultipartParser(
        boundary,
        {
            "on_part_begin": begin,
            "on_header_field": name,
            "on_header_value": content,
            "on_header_end": header_end,
            "on_part_data": data,
            "on_part_end": finish,
        },
    )
    return lambda chunk: (parser.write(chunk), None)[1]
