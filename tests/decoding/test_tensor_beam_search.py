"""The tensor back end against the numba one, whose results are held against brute force."""

import random

import numpy as np
import pytest
import torch

from src.decoding.beam_search import BeamSearchDecoder
from src.decoding.ngram_lm import NGramLM
from src.decoding.tensor_beam_search import TensorBeamSearch
from src.text_encoder import CTCTextEncoder
from tests.decoding.random_arpa import write_random_arpa

LETTERS = "abcdefghijklmnopqrstuvwxyz'"
CHARACTERS = CTCTextEncoder(LETTERS + " ")


class RandomPieces(CTCTextEncoder):
    """127 pieces of up to five of few letters, so that a text has many spellings."""

    word_boundary = "▁"

    def __init__(self) -> None:
        draw = random.Random(0)
        pieces = {"▁", *LETTERS[:6]}
        while len(pieces) < 127:
            letters = "".join(draw.choices(LETTERS[:6], k=draw.randint(1, 5)))
            pieces.add(draw.choice(["▁", ""]) + letters)
        self.vocab = ["", *sorted(pieces)]


PIECES = RandomPieces()
ENCODERS = pytest.mark.parametrize("encoder", [CHARACTERS, PIECES], ids=["characters", "pieces"])
SETTINGS = {
    "no words": {},
    "open": {"alpha": 0.7, "beta": 1.0},
    "closed": {"alpha": 0.7, "beta": 1.0, "vocabulary": "closed"},
    "hotwords": {"hotwords": {"abcxyz": 3.0, "fed": 2.0}},
    "recombined": {"alpha": 0.7, "beta": 1.0, "recombine": True},
    "recombined without words": {"recombine": True},
    "all": {
        "recombine": True,
        "alpha": 0.7,
        "beta": 1.0,
        "unknown_word_score": -3.0,
        "hotwords": {"abcde": 3.0, "fed": 2.0},
        "token_min_logp": -5.0,
        "beam_prune_logp": -9.0,
        "blank_skip": 0.2,
    },
}
OPTIONS = pytest.mark.parametrize("name", SETTINGS)


@pytest.fixture(scope="session")
def lm(tmp_path_factory):
    draw = random.Random(1)
    words = {"".join(draw.choices(LETTERS[:6], k=draw.randint(1, 6))) for _ in range(50)}
    path = write_random_arpa(tmp_path_factory.mktemp("lm") / "random.arpa", sorted(words))
    return NGramLM.from_arpa(path)


def decoder_of(encoder, lm, name, **options):
    options = {**SETTINGS[name], **options}
    if encoder is PIECES and "hotwords" in options:
        options["hotwords"] = {"abcdef": 3.0, "fed": 2.0}
    return BeamSearchDecoder(encoder, lm=lm if "alpha" in options else None, **options)


def batch(tokens: int, sharpness: float = 2.0, frames: int = 100):
    """Random log-probs [4, T, V] and lengths."""
    generator = torch.Generator().manual_seed(tokens + frames)
    log_probs = (torch.randn(4, frames, tokens, generator=generator) * sharpness).log_softmax(-1)
    return log_probs, torch.tensor([frames, frames // 2, frames - 1, frames - 7])


def spelt(found):
    """{tokens: parts} of what a search returned."""
    parts, tokens, lengths, _ = found
    texts = np.split(tokens, lengths.cumsum()[:-1]) if len(lengths) else []
    return {tuple(text): part for text, part in zip(texts, parts)}


def assert_same_hypotheses(found, expected):
    found, expected = spelt(found), spelt(expected)
    assert found.keys() == expected.keys()
    for tokens, parts in expected.items():
        assert found[tokens] == pytest.approx(parts, abs=1e-4)


@ENCODERS
@OPTIONS
@pytest.mark.parametrize(("beam_size", "sharpness"), [(8, 3.0), (50, 1.0)])
def test_every_hypothesis_equals_the_numba_back_end(lm, encoder, name, beam_size, sharpness):
    log_probs, length = batch(len(encoder), sharpness)
    decoder = decoder_of(encoder, lm, name, beam_size=beam_size, n_best=beam_size)
    search = decoder._tensor_search(log_probs.device)
    for utterance, n, found in zip(log_probs, length, search(log_probs, length)):
        assert_same_hypotheses(found, decoder._numba_search(utterance[:n].numpy()))


def test_pruning_equals_the_numba_back_end():
    """Short and blurred, so that many prefixes are close to where they would be dropped."""
    generator = torch.Generator().manual_seed(0)
    log_probs = torch.randn(200, 4, len(CHARACTERS), generator=generator).log_softmax(-1)
    pruning = {"token_min_logp": -5.0, "beam_prune_logp": -1.0, "blank_skip": 0.05}
    decoder = BeamSearchDecoder(CHARACTERS, n_best=16, **pruning)
    search = decoder._tensor_search(log_probs.device)
    for utterance, found in zip(log_probs, search(log_probs, torch.full((200,), 4))):
        assert_same_hypotheses(found, decoder._numba_search(utterance.numpy()))


def test_any_impossible_candidates_may_fill_the_beam(lm, monkeypatch):
    """Which of equals `topk` takes differs between devices: here, those of the first slots."""

    def topk(scores, k):
        values, indices = scores.sort(descending=True, stable=True)
        return torch.return_types.topk((values[:, :k], indices[:, :k]))

    log_probs, length = batch(len(CHARACTERS), frames=8)
    decoder = decoder_of(CHARACTERS, lm, "closed", beam_size=300, n_best=300)
    monkeypatch.setattr(torch.Tensor, "topk", topk)
    found = decoder._tensor_search(log_probs.device)(log_probs, length)
    for utterance, n, of_tensors in zip(log_probs, length, found):
        assert len(spelt(of_tensors)) == len(of_tensors[2])
        assert_same_hypotheses(of_tensors, decoder._numba_search(utterance[:n].numpy()))


@ENCODERS
@OPTIONS
def test_a_batch_of_different_lengths_equals_one_by_one(lm, encoder, name):
    log_probs, _ = batch(len(encoder), frames=30)
    length = torch.tensor([30, 0, 1, 17])
    decoder = decoder_of(encoder, lm, name, n_best=4, backend="tensor")
    together = decoder(log_probs, length)
    log_probs[torch.arange(30) >= length[:, None]] = 3.0  # what lies beyond the end is not read
    for b, n in enumerate(length.tolist()):
        assert together[b] == decoder(log_probs[b : b + 1, :n], length[b : b + 1])[0]


@OPTIONS
def test_no_frame_waits_for_the_device(lm, name):
    """On the meta device, which holds no values, whatever reads one raises."""
    decoder = decoder_of(PIECES, lm, name)
    _, trie, words = decoder.scoring
    meta = torch.device("meta")
    settings = (PIECES.blank, 1, decoder.pruning, decoder.tokens, decoder.lm, trie, words)
    search = TensorBeamSearch(*settings, meta)
    beam = search._start(2)
    for frame in search._frames(torch.empty(2, 3, 128, device=meta), torch.ones(2, device=meta)):
        beam, choice = search._step(beam, frame)
    assert choice.shape == (2, decoder.pruning.beam_size)
    with pytest.raises((RuntimeError, NotImplementedError), match="meta"):
        choice.max().item()


@pytest.mark.gpu
@ENCODERS
@OPTIONS
def test_cuda_equals_cpu(lm, encoder, name):
    log_probs, length = batch(len(encoder))
    decoder = decoder_of(encoder, lm, name, beam_size=16, n_best=16)
    on_cpu = decoder._tensor_search(torch.device("cpu"))(log_probs, length)
    on_cuda = decoder._tensor_search(torch.device("cuda"))(log_probs.cuda(), length.cuda())
    for found, expected in zip(on_cuda, on_cpu):
        assert_same_hypotheses(found, expected)
