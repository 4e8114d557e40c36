"""A real server: what it answers, to whom, and what it does with bad input."""

from __future__ import annotations

import io
import json
import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import connect

from src.trainer import Transcriber
from tests.app.conftest import noise, serving
from tests.app.inotify import OpenWatch

MiB = 2**20


@pytest.fixture(scope="module")
def transcriber(run):
    return Transcriber.from_pretrained(run, device="cpu")


def same(answer, transcript):
    """The record of /api/transcribe is the one that `Transcriber` gives."""
    expected = transcript.record()
    assert answer["text"] == expected["text"]
    assert [word["text"] for word in answer["words"]] == [w["text"] for w in expected["words"]]
    for found, word in zip(answer["words"], expected["words"]):
        assert (found["start"], found["end"]) == (word["start"], word["end"])
        assert found["confidence"] == pytest.approx(word["confidence"], abs=1e-3)
    assert answer["duration"] == expected["duration"]
    assert answer["score"] == pytest.approx(expected["score"], abs=0.02)


def wav(samples, rate=16000, format_="WAV") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=format_)
    return file.getvalue()


# ---- what it answers ------------------------------------------------------------------------


def test_says_what_it_serves(server, lm):
    about = server.about()
    assert about["name"] == "made_up"
    assert about["parameters"] > 1000
    measured = [(row["split"], row["decoder"], row["wer"]) for row in about["measured"]]
    assert measured == [
        *(("test", "argmax", 0.123), ("test", "beam_search_lm", 0.0987), ("val", "argmax", 0.5))
    ]
    assert [decoder["name"] for decoder in about["decoders"]] == [
        *("argmax", "beam_search", "beam_search_lm")
    ]
    assert about["decoders"][2] == {"name": "beam_search_lm", "alpha": 0.5, "beta": 1.5}
    assert about["lm"] == lm.name
    assert about["limits"] == {"mb": 30, "seconds": 120}


@pytest.mark.parametrize("form", [False, True])
def test_is_the_transcriber(server, transcriber, recording, form):
    query = {"decoder": "argmax"}
    if form:
        files = {"note": (None, "not a file"), "file": ("any name", recording.read_bytes())}
        response = server.client.post("/api/transcribe", files=files, params=query)
    else:
        response = server.transcribe(recording.read_bytes(), **query)
    assert response.status_code == 200, response.text
    answer = response.json()
    same(answer, transcriber(recording))
    assert len(answer["text"]) > 20
    assert len(answer["peaks"]) == 150
    assert answer["warning"] is None


def test_a_long_recording_is_heard_in_the_same_windows(server, transcriber, tmp_path):
    path = tmp_path / "long.flac"
    soundfile.write(path, np.stack([noise(70, rate=44100), noise(70, 1, 44100)], axis=1), 44100)
    answer = server.transcribe(path.read_bytes(), decoder="argmax").json()
    same(answer, transcriber(path))
    assert answer["duration"] == pytest.approx(70)


def test_another_decoder_and_weight_without_sending_again(server, run, lm, recording):
    first = server.transcribe(recording.read_bytes(), decoder="argmax").json()
    texts = {first["text"]}
    for query, options in [
        ({"decoder": "beam_search"}, {"decoder": "beam_search"}),
        ({"decoder": "beam_search_lm"}, {"decoder": "beam_search_lm", "lm": lm}),
        (
            {"decoder": "beam_search_lm", "alpha": 3, "beta": -4},
            {"decoder": "beam_search_lm", "lm": lm, "alpha": 3.0, "beta": -4.0},
        ),
    ]:
        query["token"] = first["token"]
        again = server.client.post("/api/decode", params=query).json()
        same(again, Transcriber.from_pretrained(run, device="cpu", **options)(recording))
        assert again["token"] == first["token"]
        texts.add(again["text"])
    assert len(texts) > 1


@pytest.mark.parametrize(
    ("path", "query", "status", "words"),
    [
        ("/api/decode", {"token": "x" * 24}, 410, "no longer kept"),
        ("/api/decode", {}, 400, "token: missing"),
        ("/api/transcribe", {"decoder": "whisper"}, 400, "There is no decoder whisper"),
        ("/api/transcribe", {"decoder": "beam_search_lm", "alpha": "nan"}, 400, "alpha is a"),
        ("/api/transcribe", {"decoder": "beam_search_lm", "alpha": -1}, 400, "0 or more"),
        ("/api/transcribe", {"alpha": "much"}, 400, "alpha: missing, or no such value"),
        ("/api/nothing", {}, 404, "Not Found"),
    ],
)
def test_a_wrong_question_is_answered_by_a_sentence(server, path, query, status, words):
    response = server.client.post(path, params=query, content=b"")
    assert response.status_code == status
    assert words in response.json()["error"]


def test_the_page_is_whole_and_sealed(server):
    response = server.client.get("/")
    assert response.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in response.headers["content-security-policy"]
    linked = re.findall(r'(?:href|src)="(?!data:)([^"]+)"', response.text)
    scripts = server.client.get("/page.js").text
    linked += [*re.findall(r'from "\./([^"]+)"', scripts), "worklet.js"]
    assert len(linked) == 8
    for name in linked:
        answer = server.client.get(f"/{name}")
        assert answer.status_code == 200, name
        assert not re.search(r"https?://(?!www\.w3\.org)", answer.text), name


def test_pages_of_other_servers_are_refused(server, recording):
    foreign = {"Origin": "http://elsewhere.example"}
    response = server.client.post(
        "/api/transcribe", content=recording.read_bytes(), headers=foreign
    )
    assert (response.status_code, "another server's" in response.text) == (403, True)
    with pytest.raises(Exception, match="403"):
        connect(stream_url(server), origin=foreign["Origin"], proxy=None)


# ---- microphones ----------------------------------------------------------------------------


def stream_url(server) -> str:
    return server.url.replace("http", "ws") + "/api/stream"


def spoken_to(server, samples, rate, chunk=0.1, **settings):
    """Partial texts, and the final record."""
    pcm = np.round(np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
    size = 2 * int(chunk * rate)
    with connect(stream_url(server), proxy=None, max_size=None) as socket_:
        socket_.send(json.dumps({"sample_rate": rate, **settings}))
        for start in range(0, len(pcm), size):
            socket_.send(pcm[start : start + size])
        socket_.send(json.dumps({"end": True}))
        messages = [json.loads(message) for message in socket_]
    return messages[:-1], messages[-1]


@pytest.mark.parametrize("rate", [16000, 48000])
def test_a_stream_ends_as_its_file_would(server, transcriber, tmp_path, rate):
    samples = noise(20.0, rate=rate)
    soundfile.write(tmp_path / "whole.wav", np.clip(samples, -1, 1), rate)
    partial, final = spoken_to(server, samples, rate, decoder="argmax")
    expected = transcriber(tmp_path / "whole.wav")
    assert final["type"] == "final"
    assert final["duration"] == pytest.approx(20.0, abs=1e-3)
    words = [word["text"] for word in final["words"]]
    said = expected.text.split()
    alike = sum(a == b for a, b in zip(words, said))
    assert alike >= 0.9 * len(said)  # rounding to 16 bits may move a frame
    assert all(message["type"] == "partial" for message in partial)
    heard = [message["heard"] for message in partial]
    assert heard == sorted(heard) and heard[-1] > 0
    assert partial[-1]["text"]


def test_settings_of_a_stream_are_those_of_a_file(server, recording):
    samples, rate = soundfile.read(recording)
    settings = {"decoder": "beam_search_lm", "alpha": 2.0, "beta": 0.0}
    _, final = spoken_to(server, samples, rate, **settings)
    by_file = server.transcribe(recording.read_bytes(), **settings).json()
    assert final["text"] == by_file["text"]
    assert {name: final[name] for name in settings} == settings
    again = server.client.post("/api/decode", params={"token": final["token"], **settings})
    assert again.json()["text"] == final["text"]


def test_silence_and_nothing_are_answered(server):
    _, final = spoken_to(server, np.zeros(0), 16000)
    assert (final["type"], final["text"], final["words"]) == ("final", "", [])
    _, final = spoken_to(server, np.zeros(100), 16000)
    assert final["type"] == "final"


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        (["hello"], "JSON objects"),
        (['{"sample_rate": 0}'], "sample_rate is a number of Hz"),
        (['{"sample_rate": "high"}'], "sample_rate is a number of Hz"),
        (['{"decoder": "whisper"}'], "There is no decoder whisper"),
        (['{"alpha": "much"}'], "alpha and beta are numbers"),
        ([b"\0\0"], "The first message is JSON"),
        (["{}", b"\0\0\0"], "16-bit samples"),
        (["{}", "{}"], "16-bit samples"),
        (["{}"], "Nothing arrived for 8 s"),
        (["{}", *[bytes(960_000)] * 5], "longer than 2 minutes"),
    ],
)
def test_a_wrong_message_ends_a_stream_with_a_sentence(server, messages, words):
    with connect(stream_url(server), proxy=None) as socket_:
        for message in messages:
            socket_.send(message)
        answers = []
        with pytest.raises(ConnectionClosedError):
            while True:
                answers.append(json.loads(socket_.recv()))
    assert answers[-1]["type"] == "error"
    assert words in answers[-1]["error"]
    server.wait_until_idle()


def test_one_microphone_too_many_is_told_so(server):
    with connect(stream_url(server), proxy=None) as one, connect(stream_url(server), proxy=None):
        one.send("{}")
        deadline = time.monotonic() + 20
        while server.about()["served"]["streams"] < 2:
            assert time.monotonic() < deadline
        with connect(stream_url(server), proxy=None) as third:
            assert json.loads(third.recv())["error"].startswith("2 microphones are under way")
    server.wait_until_idle()


# ---- bad input, and many at once ------------------------------------------------------------

VIDEO = b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41" + b"\0\0\x40\x08mdat"
BAD = {
    "video": (VIDEO + np.random.default_rng(0).bytes(100_000), 415, "This is an MP4 file"),
    "random bytes": (np.random.default_rng(1).bytes(100_000), 415, "not a recording"),
    "zeros": (bytes(1_000_000), 415, "not a recording"),
    "nothing": (b"", 422, "The file is empty"),
    "a path": (b"/etc/passwd", 415, "not a recording"),
    "too long": (wav(np.zeros(8000 * 130), 8000, "FLAC"), 413, "longer than 2 minutes"),
    "half a flac": (wav(noise(9), format_="FLAC")[:150_000], 422, "ends early"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_answered_by_a_sentence(server, kind):
    content, status, words = BAD[kind]
    response = server.transcribe(content)
    assert response.status_code == status
    assert words in response.json()["error"]
    assert str(server.folder) not in response.text
    server.wait_until_idle()


def test_half_a_wav_gives_half_the_text(server):
    response = server.transcribe(wav(noise(9))[:150_000])
    assert response.status_code == 200
    assert response.json()["warning"].startswith("The file ends early")


def test_a_form_without_a_file_or_torn_is_refused(server):
    for content, kind, words in [
        (b"--b\r\n\r\n", "multipart/form-data; boundary=b", "no file"),
        (b"", "multipart/form-data", "no boundary"),
        (b"what?", "multipart/form-data; boundary=b", "cannot be read"),
    ]:
        headers = {"Content-Type": kind}
        response = server.client.post("/api/transcribe", content=content, headers=headers)
        assert response.status_code == 400, words
        assert words in response.json()["error"]


def test_no_path_of_a_client_is_opened(server, tmp_path):
    secret = tmp_path / "secret.wav"
    soundfile.write(secret, noise(3.0), 16000)
    name = str(secret)
    up = "../" * 40 + name.lstrip("/")
    with OpenWatch(secret) as watch:
        for path in (name, up, f"file://{name}"):
            for response in (
                server.transcribe(path.encode()),
                server.transcribe(path.encode(), decoder=path),
                server.transcribe(b"", path=path, file=path),
                server.client.post("/api/transcribe", files={"file": (path, b"RIFF")}),
                server.client.post("/api/decode", params={"token": path}),
                server.client.get("/" + path.replace("../", "%2e%2e/")),
            ):
                assert 400 <= response.status_code < 500
                assert "root:" not in response.text
        with connect(stream_url(server), proxy=None) as socket_:
            socket_.send(json.dumps({"decoder": name, "path": name}))
            assert "There is no decoder" in json.loads(socket_.recv())["error"]
        assert not watch.opened()
        secret.read_bytes()
        assert watch.opened()  # it would have been seen


def test_twenty_clients_at_once_share_batches(server):
    clips = [wav(noise(2.0 + 0.1 * n, seed=n)) for n in range(20)]
    alone = [server.transcribe(clip, decoder="argmax").json()["text"] for clip in clips]
    before = server.about()["served"]
    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(lambda clip: server.transcribe(clip, decoder="argmax"), clips))
    assert [answer.status_code for answer in answers] == [200] * 20
    assert [answer.json()["text"] for answer in answers] == alone
    after = server.about()["served"]
    assert after["windows"] - before["windows"] == 20
    assert after["batches"] - before["batches"] <= 10
    assert after["largest_batch"] >= 4
    assert after["answered"] - before["answered"] == 20


def test_more_than_there_is_room_for_are_told_to_come_again(server, recording):
    held = [half_sent(server, under_way=0) for _ in range(23)]
    held.append(half_sent(server, under_way=24))
    response = server.transcribe(recording.read_bytes())
    assert response.status_code == 503
    assert response.headers["retry-after"] == "2"
    assert response.json()["error"] == "24 recordings are under way: try again soon."
    for connection in held:
        connection.close()
    server.wait_until_idle()
    assert server.transcribe(recording.read_bytes()).status_code == 200


def half_sent(server, announced=1_000_000, sent=200_000, under_way=1) -> socket.socket:
    host, port = server.url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), timeout=30)
    request = f"POST /api/transcribe HTTP/1.1\r\nHost: {host}:{port}\r\n"
    connection.sendall(f"{request}Content-Length: {announced}\r\n\r\n".encode() + bytes(sent))
    deadline = time.monotonic() + 20
    while server.about()["served"]["under_way"] < under_way:
        assert time.monotonic() < deadline
    return connection


def test_a_client_that_goes_in_the_middle_leaves_nothing(server, recording):
    half_sent(server).close()  # of its upload
    server.wait_until_idle()
    content = wav(noise(110))
    gone = half_sent(server, announced=len(content), sent=0)  # of the hearing of it
    gone.sendall(content)
    gone.close()
    server.wait_until_idle()
    with connect(stream_url(server), proxy=None) as socket_:  # of what it says
        socket_.send("{}")
        socket_.send(bytes(64_000))
        socket_.recv()
        socket_.socket.close()
    server.wait_until_idle()
    assert server.transcribe(recording.read_bytes()).status_code == 200


def test_a_client_that_falls_silent_is_given_up(server):
    connection = half_sent(server)
    answer = connection.recv(4096)
    assert b" 408 " in answer.splitlines()[0]
    assert b"Nothing arrived for 8 s" in answer + connection.recv(4096)
    connection.close()
    server.wait_until_idle()


def zeros(megabytes: int):
    block = bytes(1_000_000)
    return (block for _ in range(megabytes))


@pytest.mark.parametrize("announced", [True, False])
def test_500_mb_of_zeros_are_refused_and_not_held(server, announced):
    headers = {"Content-Length": "500000000"} if announced else {}
    before = server.memory()
    response = server.client.post("/api/transcribe", content=zeros(500), headers=headers)
    assert response.status_code == 413
    assert response.json()["error"] == "The upload is larger than 30 MB."
    server.wait_until_idle()
    assert server.memory() < before + 50


def test_after_all_that_it_is_alive_and_small(server, transcriber, recording):
    """The last of this file."""
    served = server.about()["served"]
    assert served["answered"] > 50
    assert served["kept_bytes"] <= 1_000_000
    same(server.transcribe(recording.read_bytes(), decoder="argmax").json(), transcriber(recording))
    assert server.memory("VmHWM") < 1200, "MiB; PyTorch alone takes 400"


@pytest.mark.slow
def test_three_hours_are_heard_in_little_memory(run, tmp_path):
    path = tmp_path / "long.flac"
    with soundfile.SoundFile(path, "w", 8000, 1) as file:
        for _ in range(180):
            file.write(np.zeros(60 * 8000))
    limits = ["max_seconds=11000", "decoders=[argmax]"]
    with serving(run, tmp_path / "tmp", *limits) as server:
        server.client.timeout = 900
        before = server.memory("VmHWM")
        answer = server.transcribe(path.read_bytes()).json()
        assert answer["duration"] == 3 * 3600
        assert len(answer["peaks"]) == 3 * 3600 * 50
        assert server.memory("VmHWM") < before + 400
        server.wait_until_idle()
