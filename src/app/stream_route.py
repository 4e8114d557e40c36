"""A microphone: sound in, text out while it is still arriving.

client  {"sample_rate": 48000, "decoder": "argmax", "alpha": null, "beta": null}
client  16-bit little-endian samples, mono, in binary messages
server  {"type": "partial", "text": "so far", "heard": 1.5}           whenever there is more
client  {"end": true}
server  {"type": "final", ...}          the record that /api/transcribe gives of the whole
server  {"type": "error", "error": "One sentence."}                   and it closes
"""

from __future__ import annotations

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from fastapi import WebSocket, WebSocketDisconnect
from torch import Tensor

from src.app.decoders import Choice
from src.app.partial_text import PartialText
from src.app.push_resampler import PushResampler
from src.app.recording import Recording
from src.app.refusal import Cancelled, Refusal
from src.app.service import Service
from src.trainer.windows import window_frames
from src.utils.audio import SAMPLE_RATES

CLOSED_FOR = {503: 1013, 413: 1009}  # HTTP's status in WebSocket's words; else 1008
END = object()


async def stream(socket: WebSocket, service: Service, threads: ThreadPoolExecutor) -> None:
    """Talks with one client until its end, whatever that is."""
    await socket.accept()
    try:
        with service.streams.one():
            await _Microphone(socket, service, threads).run()
        await socket.close()
    except (WebSocketDisconnect, Cancelled):
        pass
    except Refusal as error:
        await _say(socket, str(error), CLOSED_FOR.get(error.status, 1008))
    except Exception:
        await _say(socket, "Something went wrong on the server; its log has more.", 1011)
        raise


async def _say(socket: WebSocket, error: str, code: int) -> None:
    try:
        await socket.send_json({"type": "error", "error": error})
        await socket.close(code)
    except (WebSocketDisconnect, RuntimeError):
        pass  # gone meanwhile


class _Microphone:
    def __init__(self, socket: WebSocket, service: Service, threads: ThreadPoolExecutor) -> None:
        self.socket, self.service, self.threads = socket, service, threads
        self.rate = service.listener.sample_rate

    async def run(self) -> None:
        choice = await self._settings()
        settings = self.service.settings
        partial = self._partial_text(choice)
        step_samples = settings.stream_step_seconds * self.rate
        most_waiting = settings.stream_window_seconds * self.rate  # then the client waits
        waiting: list[Tensor] = []
        step: asyncio.Future[str] | None = None
        ended = False
        with Recording(self.rate, settings.max_seconds) as recording:
            message = asyncio.ensure_future(self._message())
            try:
                while not ended or step:
                    have = sum(map(len, waiting))
                    if step is None and have >= step_samples and not ended:
                        step = self._in_thread(partial.step, torch.cat(waiting))
                        waiting = []
                    listening = not ended and not (step and have >= most_waiting)
                    tasks = {task for task in (message if listening else None, step) if task}
                    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                    if step and step.done():
                        report = {"text": step.result(), "heard": round(partial.seconds, 3)}
                        await self.socket.send_json({"type": "partial", **report})
                        step = None
                    if listening and message.done():
                        content = message.result()
                        ended = content is END
                        samples = self._samples(content)
                        recording.write(samples)
                        waiting.append(samples)
                        message = asyncio.ensure_future(self._message())
                await self._finish(recording, choice, message)
            finally:
                message.cancel()

    async def _finish(
        self, recording: Recording, choice: Choice, message: asyncio.Future[Any]
    ) -> None:
        """The whole once more, as a file would be heard; given up if the client goes."""
        gone = threading.Event()
        final = self._in_thread(self.service.transcribe, recording, choice, gone)
        await asyncio.wait({final, message}, return_when=asyncio.FIRST_COMPLETED)
        if not final.done():
            gone.set()
        await self.socket.send_json({"type": "final", **await final})

    async def _settings(self) -> Choice:
        wanted = await self._message()
        if not isinstance(wanted, dict):
            raise Refusal(400, 'The first message is JSON: {"sample_rate": 16000}.')
        rate = wanted.get("sample_rate", self.rate)
        low, high = SAMPLE_RATES
        if not isinstance(rate, (int, float)) or not low <= rate <= high:
            raise Refusal(400, f"sample_rate is a number of Hz from {low} to {high}.")
        self.resample = PushResampler(round(rate), self.rate)
        weights = [wanted.get(name) for name in ("alpha", "beta")]
        if not all(weight is None or isinstance(weight, (int, float)) for weight in weights):
            raise Refusal(400, "alpha and beta are numbers.")
        name = wanted.get("decoder")
        return self.service.decoders.choice(None if name is None else str(name), *weights)

    async def _message(self) -> Any:
        """The next: bytes, a dict, or `END`."""
        seconds = self.service.settings.upload_stall_seconds
        try:
            message = await asyncio.wait_for(self.socket.receive(), seconds)
        except asyncio.TimeoutError:
            raise Refusal(408, f"Nothing arrived for {seconds:g} s.") from None
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1006))
        if (content := message.get("bytes")) is not None:
            return content
        try:
            content = json.loads(message["text"])
        except ValueError:
            content = None
        if not isinstance(content, dict):
            raise Refusal(400, "Messages are samples, or JSON objects.")
        return END if content.get("end") else content

    def _samples(self, content: Any) -> Tensor:
        """At the model's rate, as many as are ready."""
        if content is END:
            return self.resample(torch.zeros(0), is_last=True)
        if not isinstance(content, bytes) or len(content) % 2:
            raise Refusal(400, "After the first message come 16-bit samples, then an end.")
        if not content:
            return torch.zeros(0)
        samples = torch.frombuffer(bytearray(content), dtype=torch.int16)
        return self.resample(samples.float() / 32768)

    def _partial_text(self, choice: Choice) -> PartialText:
        settings, frame = self.service.settings, self.service.pretrained.frame_seconds
        decode = self.service.decoders.decode(choice)

        def text(log_probs: Tensor) -> str:
            return decode(log_probs[None], torch.tensor([len(log_probs)]))[0][0].text

        return PartialText(
            self.service.listener,
            text,
            window_frames(settings.stream_window_seconds, frame),
            window_frames(settings.stream_overlap_seconds, frame),
        )

    def _in_thread(self, work: Any, *arguments: Any) -> asyncio.Future[Any]:
        return asyncio.get_running_loop().run_in_executor(self.threads, work, *arguments)
