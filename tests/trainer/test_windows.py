from __future__ import annotations

import pytest
import torch

from src.decoding import ArgmaxDecoder
from src.model import Conformer
from src.text_encoder import CTCTextEncoder
from src.trainer.pretrained import Pretrained
from src.trainer.recognizer import Recognizer
from src.trainer.windows import check_windows, seam_frame, stitch, windowed_log_probs
from src.transforms import LogMel, Transforms
from src.transforms.feature_statistics import FeatureStatistics
from src.utils.audio_stream import Waveform
from src.utils.errors import UserError


@pytest.fixture(params=[4, 8])
def nearsighted(request):
    """A Conformer without attention: what it says of a frame depends on the frames around it."""
    torch.manual_seed(0)
    model = Conformer(
        vocab_size=28, d_model=16, n_layers=2, n_heads=2, kernel_size=3,
        subsampling=request.param, subsampling_channels=4, positions="rotary",
    )  # fmt: skip
    for block in model.blocks:
        torch.nn.init.zeros_(block.attention.out.weight)
    return Pretrained(model.eval(), Transforms(LogMel()).eval(), CTCTextEncoder(), None, None)


def heard_whole(pretrained, audio):
    batch = {"audio": audio[None], "audio_length": torch.tensor([len(audio)])}
    return pretrained.process_batch(batch)["log_probs"][0]


@pytest.mark.parametrize("seconds", [3.0, 7.9, 8.0, 10.0, 23.4567])
@pytest.mark.parametrize("batch_size", [1, 3])
@torch.inference_mode()
def test_windows_stitched_are_the_recording_heard_whole(nearsighted, seconds, batch_size):
    """Exactly, where attention is no matter: frames, statistics and seams are the same."""
    audio = torch.randn(int(seconds * 16000), generator=torch.Generator().manual_seed(1)) / 5
    audio *= torch.linspace(0.05, 1, len(audio))  # a window's own statistics would be others
    audio = audio.clamp(-1, 1)
    frame_seconds = nearsighted.frame_seconds
    log_mel = nearsighted.transforms.log_mel
    statistics, _ = FeatureStatistics.of(audio.split(30000), log_mel, torch.device("cpu"))
    pieces = windowed_log_probs(
        nearsighted, audio.split(30000), statistics,
        round(8 / frame_seconds), round(3.2 / frame_seconds), batch_size,
    )  # fmt: skip
    torch.testing.assert_close(
        torch.cat(list(pieces)), heard_whole(nearsighted, audio), atol=2e-3, rtol=1e-3
    )


def test_a_long_recording_is_decoded_as_if_heard_whole(nearsighted):
    audio = torch.randn(30 * 16000, generator=torch.Generator().manual_seed(2)).clamp(-1, 1)
    decoder = ArgmaxDecoder(nearsighted.text_encoder, nearsighted.frame_seconds)
    recognizer = Recognizer(nearsighted, lambda *args: {"argmax": decoder(*args)}, 8.0, 3.2)
    best, duration = recognizer.recording(Waveform(audio, 16000))
    with torch.inference_mode():
        log_probs = heard_whole(nearsighted, audio)
    [[whole]] = decoder(log_probs[None], torch.tensor([len(log_probs)]))
    assert duration == 30.0
    assert best["argmax"].text == whole.text
    assert best["argmax"].frames == whole.frames


def log_probs_of(tokens):
    return torch.nn.functional.one_hot(torch.tensor(tokens), 4).float().mul(20).log_softmax(-1)


def test_a_token_that_two_windows_place_apart_is_neither_doubled_nor_lost():
    """Every way in which the second window may be a frame early or late."""
    spoken = [0] * 200
    for frame in range(3, 200, 9):
        spoken[frame] = 1 + frame % 3
    size, overlap = 60, 32
    for shift in (-1, 0, 1):
        windows, start = [], 0
        while True:
            moved = shift * (len(windows) % 2)
            told = spoken[max(0, start - moved) : start - moved + size]
            told = [0] * (min(size, 200 - start) - len(told)) + told
            windows.append((log_probs_of(told[: 200 - start]), start + size >= 200))
            if windows[-1][1]:
                break
            start += size - overlap
        stitched = torch.cat(list(stitch(iter(windows), size, overlap)))
        found = [token for token in stitched.argmax(-1).tolist() if token]
        assert len(stitched) == 200
        assert found == [token for token in spoken if token], shift


def test_a_seam_is_where_both_are_sure_of_silence_and_else_in_the_middle():
    blank = torch.full((40,), -5.0)
    assert seam_frame(blank, blank) == 20
    left, right = blank.clone(), blank.clone()
    left[10:18], right[13:30] = 0.0, 0.0
    assert 15 <= seam_frame(left, right) <= 16
    left[0:6], right[0:6] = 0.0, 0.0  # too near the edge
    assert 15 <= seam_frame(left, right) <= 16
    assert seam_frame(torch.zeros(40), torch.zeros(40)) == 20
    assert 0 <= seam_frame(blank, blank[:3]) < 3


@pytest.mark.parametrize("window, overlap", [(0.5, 0.2), (30, 16), (30, 0.1)])
def test_windows_that_cannot_be_stitched_are_refused(window, overlap):
    with pytest.raises(UserError, match="_seconds="):
        check_windows(window, overlap)
