"""flashlight-text's lexicon beam search in C++ (+ KenLM), the engine of torchaudio's `ctc_decoder`.

decoder = FlashlightDecoder(text_encoder=encoder, frame_seconds=0.04, lm="3-gram.arpa")
hypotheses = decoder(log_probs, log_prob_length)

Kahn et al., "Flashlight: Enabling Innovation in Tools for Machine Learning", ICML 2022. Used
without torchaudio's wrapper, which hides the parts of the score and the path of tokens.
"""

from __future__ import annotations

import functools
import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor
from torch.nn.functional import pad

from src.decoding.arpa_words import arpa_words, unreadable_lm
from src.decoding.checks import check_beam_size, check_spells_with_letters, check_vocabulary
from src.decoding.hypothesis import Hypothesis
from src.decoding.word_times import words_of_tokens
from src.text_encoder import CTCTextEncoder
from src.utils.errors import UserError

LN_10 = math.log(10)
IMPOSSIBLE = -1e4  # a log-probability; flashlight's sums do not take -inf


class FlashlightDecoder:
    """A closed vocabulary: hypotheses are made of the LM's words. Natural logarithms.

    Args:
        lm: an ARPA file; the words that the encoder can spell are the lexicon.
        beam_size: hypotheses kept after each frame.
        alpha, beta: weight of the LM (flashlight's own scores are log10, so its weight is
            alpha * ln 10) and bonus of each word.
        beam_threshold: hypotheses this much below the best are dropped.
        beam_size_token: the most probable tokens that are tried in a frame; None for all.
        log_add: sum the alignments of a hypothesis that meet; otherwise the best one counts.
        n_best: hypotheses for each utterance.

    flashlight lets no token last longer than one frame at a word's end, except the one it calls
    silence. With characters that is the space, which closes every word, and one frame is added
    in which it is certain. With subwords each word has a second spelling: its last piece goes on
    as a copy of itself, which takes the last frame.
    """

    def __init__(
        self,
        *,
        text_encoder: CTCTextEncoder,
        frame_seconds: float,
        lm: str,
        beam_size: int = 50,
        alpha: float = 0.5,
        beta: float = 1.5,
        beam_threshold: float = 50.0,
        beam_size_token: int | None = None,
        log_add: bool = False,
        n_best: int = 1,
    ) -> None:
        check_beam_size(beam_size)
        check_spells_with_letters(text_encoder, "flashlight_lm")
        flashlight = _flashlight()
        self.text_encoder = text_encoder
        self.frame_seconds = frame_seconds
        self.alpha = alpha
        self.beta = beta
        self.n_best = n_best
        self._lexicon = lexicon = _lexicon(str(lm), text_encoder)
        options = flashlight.LexiconDecoderOptions(
            beam_size=beam_size,
            beam_size_token=beam_size_token or lexicon.tokens,
            beam_threshold=beam_threshold,
            lm_weight=alpha * LN_10,
            word_score=beta,
            unk_score=-math.inf,
            sil_score=0.0,
            log_add=log_add,
            criterion_type=flashlight.CriterionType.CTC,
        )
        self._decoder = flashlight.LexiconDecoder(
            options,
            lexicon.trie,
            lexicon.lm,
            lexicon.silence,
            text_encoder.blank,
            lexicon.unknown_word,
            [],  # transitions, which CTC has not
            False,  # the LM is of words
        )

    def __call__(self, log_probs: Tensor, log_prob_length: Tensor) -> list[list[Hypothesis]]:
        """log_probs [B, T, V] and lengths [B] -> the `n_best` hypotheses of each, best first.

        NaN counts as probability zero.
        """
        check_vocabulary(log_probs, self.text_encoder)
        values = log_probs.detach().float().cpu().nan_to_num(nan=IMPOSSIBLE, neginf=IMPOSSIBLE)
        return [
            self._decode(value[:length]) for value, length in zip(values, log_prob_length.tolist())
        ]

    def _decode(self, log_probs: Tensor) -> list[Hypothesis]:
        """log_probs [T, V] of one utterance."""
        emissions = self._emissions(log_probs)
        results = self._decoder.decode(emissions.data_ptr(), *emissions.shape)
        return [self._hypothesis(result, log_probs) for result in results[: self.n_best]]

    def _emissions(self, log_probs: Tensor) -> Tensor:
        """[T, V] -> contiguous, with the frame or the tokens that flashlight needs beside them."""
        if _closed_by_space(self.text_encoder):
            emissions = pad(log_probs, (0, 0, 0, 1), value=IMPOSSIBLE)
            emissions[-1, self._lexicon.silence] = 0.0
            return emissions
        # the silence is never heard: between words there are blanks
        return pad(log_probs.repeat(1, 2), (0, 1), value=IMPOSSIBLE)

    def _hypothesis(self, result: Any, log_probs: Tensor) -> Hypothesis:
        blank, V = self.text_encoder.blank, log_probs.shape[1]
        tokens: list[int] = []
        frames: list[int] = []
        peaks: list[float] = []
        before = blank
        # flashlight begins and ends each path with a silence of its own
        for frame, token in enumerate(result.tokens[1 : 1 + len(log_probs)]):
            if token not in (blank, 2 * V):
                log_prob = float(log_probs[frame, token % V])
                if token < V and token != before:
                    tokens.append(token)
                    frames.append(frame)
                    peaks.append(log_prob)
                elif log_prob > peaks[-1]:
                    frames[-1], peaks[-1] = frame, log_prob
            before = token
        lm_score = self.alpha * LN_10 * result.lmScore
        word_bonus = self.beta * sum(word >= 0 for word in result.words)
        return Hypothesis(
            text=self.text_encoder.decode(tokens),
            score=result.score,
            acoustic_score=result.score - lm_score - word_bonus,
            lm_score=lm_score,
            word_bonus=word_bonus,
            tokens=tokens,
            frames=frames,
            words=words_of_tokens(tokens, frames, peaks, self.text_encoder, self.frame_seconds),
        )


class _Lexicon(NamedTuple):
    """The LM's words spelt in `tokens` tokens, the last V + 1 of which only subwords have."""

    trie: Any
    lm: Any
    tokens: int
    silence: int
    unknown_word: int


@functools.lru_cache(maxsize=1)  # large, and the same for every alpha, beta and beam
def _lexicon(path: str, text_encoder: CTCTextEncoder) -> _Lexicon:
    flashlight = _flashlight()
    from flashlight.lib.text.dictionary import Dictionary

    V = len(text_encoder)
    with_space = _closed_by_space(text_encoder)
    tokens, silence = (V, text_encoder.vocab.index(" ")) if with_space else (2 * V + 1, 2 * V)
    spellings = {}
    for word, spelling in _spelt(arpa_words(path), text_encoder):
        last = [silence] if with_space else [spelling[-1] + V]
        spellings[word] = [[*spelling, *last]] if with_space else [spelling, [*spelling, *last]]
    if not spellings:
        raise UserError(
            f"no word of {path} can be spelt with the text encoder's tokens; use a language model "
            "of text that is normalised alike (lower case)"
        )
    try:
        with _quiet_stderr():
            lm = flashlight.kenlm.KenLM(path, Dictionary([*spellings, "<unk>"]))
    except RuntimeError as error:
        raise unreadable_lm(path, error) from None
    trie = flashlight.Trie(tokens, silence)
    start = lm.start(False)
    for index, ways in enumerate(spellings.values()):
        _, look_ahead = lm.score(start, index)
        for spelling in ways:
            trie.insert(spelling, index, look_ahead)
    trie.smear(flashlight.SmearingMode.MAX)
    return _Lexicon(trie, lm, tokens, silence, len(spellings))


def _closed_by_space(text_encoder: CTCTextEncoder) -> bool:
    """Otherwise a piece's mark opens words."""
    return text_encoder.word_boundary == " "


def _spelt(words: list[str], text_encoder: CTCTextEncoder) -> Iterator[tuple[str, list[int]]]:
    """The words that the encoder can spell, as it spells them."""
    letters = set("".join(text_encoder.vocab))
    for word in words:
        if letters.issuperset(word):
            spelling = text_encoder.encode(word)
            if text_encoder.decode(spelling) == word:  # normalisation leaves it as it is
                yield word, spelling


def _flashlight() -> Any:
    try:
        from flashlight.lib.text import decoder
        from flashlight.lib.text.decoder import kenlm  # noqa: F401 (an attribute of decoder then)
    except ImportError as error:
        raise UserError(
            f"decoder=flashlight_lm needs flashlight-text, which is not installed ({error}); pip "
            "install flashlight-text, or use decoder=beam_search_lm where it has no wheel"
        ) from None
    return decoder


@contextmanager
def _quiet_stderr() -> Iterator[None]:
    """KenLM draws its progress with C++, past Python's `sys.stderr`."""
    sys.stderr.flush()
    kept = os.dup(2)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
