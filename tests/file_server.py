"""A web server on the loopback that breaks off, refuses and dawdles when asked to."""

from __future__ import annotations

import http.server
import time


class FileServer(http.server.ThreadingHTTPServer):
    """Serves `files` (URL path -> content).

    Attributes:
        starts: first byte of each request, in order.
        break_after: bytes after which each of the next answers breaks off.
        statuses: answers to give to the next requests in place of the file.
        ranges: whether `Range` is understood.
        pause: seconds between pieces of 64 KiB.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), FileHandler)
        self.files: dict[str, bytes] = {}
        self.starts: list[int] = []
        self.break_after: list[int] = []
        self.statuses: list[int] = []
        self.ranges = True
        self.pause = 0.0
        self.url = f"http://127.0.0.1:{self.server_port}"


class FileHandler(http.server.BaseHTTPRequestHandler):
    server: FileServer

    def do_GET(self) -> None:
        server = self.server
        asked = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-")
        start = int(asked) if server.ranges else 0
        server.starts.append(int(asked))
        content = server.files.get(self.path)
        if server.statuses or content is None:
            self.send_error(server.statuses.pop(0) if content is not None else 404)
            return
        if start >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        end = len(content)
        if server.break_after:
            end = min(end, start + server.break_after.pop(0))
        for piece in range(start, end, 1 << 16):
            self.wfile.write(content[piece : min(piece + (1 << 16), end)])
            time.sleep(server.pause)

    def log_message(self, *_: object) -> None:
        """Not on the test's terminal."""
