"""The beam search against the definition: every alignment of every string, enumerated."""

import itertools
import random
from collections import defaultdict
from functools import partial
from math import inf, isinf, log

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from src.datasets.sentence_grammar import SentenceGrammar
from src.decoding import ArgmaxDecoder
from src.decoding.beam_search import BeamSearchDecoder
from src.decoding.ngram_lm import NGramLM
from src.decoding.simulate import simulate
from src.text_encoder import CTCTextEncoder
from src.utils.errors import UserError
from tests.decoding.random_arpa import write_random_arpa

kenlm = pytest.importorskip("kenlm")

ENCODER = CTCTextEncoder("ab ")
WORDS = ["a", "b", "ab", "ba", "aab", "bb"]
UNLIMITED = 1100  # strings of up to six of three tokens: 1093


class PieceEncoder(CTCTextEncoder):
    """Three pieces as SentencePiece writes them."""

    word_boundary = "▁"

    def __init__(self) -> None:
        self.vocab = ["", "▁a", "b", "▁"]


@pytest.fixture(scope="module", params=["numba", "tensor"])
def beam_search(request):
    return partial(BeamSearchDecoder, backend=request.param)


@pytest.fixture(scope="session")
def arpa(tmp_path_factory):
    return str(write_random_arpa(tmp_path_factory.mktemp("lm") / "random.arpa", WORDS))


def random_log_probs(seed: int, frames: int, tokens: int = 4, sharpness: float = 2.0):
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(frames, tokens, generator=generator) * sharpness).log_softmax(-1)


def every_string(log_probs: torch.Tensor) -> dict[tuple[int, ...], float]:
    """ln P of each token string: the sum over all V ** T alignments."""
    probability = defaultdict(float)
    values = log_probs.double().exp().tolist()
    for path in itertools.product(range(log_probs.shape[1]), repeat=len(log_probs)):
        collapsed = tuple(token for token, _ in itertools.groupby(path) if token)
        probability[collapsed] += float(np.prod([values[t][token] for t, token in enumerate(path)]))
    return {string: log(p) for string, p in probability.items() if p > 0}


def lm_and_bonus(model, text: str, alpha, beta, unknown, hotwords):
    words = text.split()
    scored = list(model.full_scores(text))
    lm = sum(log10 for log10, _, _ in scored) * log(10)
    lm += unknown * sum(is_unknown for _, _, is_unknown in scored)
    return alpha * lm, beta * len(words) + sum(hotwords.get(word, 0.0) for word in words)


def decode(decoder, log_probs):
    (n_best,) = decoder(log_probs[None], torch.tensor([len(log_probs)]))
    return n_best


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), frames=st.integers(1, 6), sharpness=st.floats(0.1, 6))
def test_unlimited_beam_gives_every_string_its_probability(beam_search, seed, frames, sharpness):
    log_probs = random_log_probs(seed, frames, sharpness=sharpness)
    decoder = beam_search(ENCODER, beam_size=UNLIMITED, n_best=UNLIMITED)
    found = {tuple(h.tokens): h.score for h in decode(decoder, log_probs)}
    assert found == pytest.approx(every_string(log_probs), abs=1e-6)


@pytest.mark.parametrize("encoder", [ENCODER, PieceEncoder()], ids=["characters", "pieces"])
@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    frames=st.integers(1, 6),
    alpha=st.floats(0, 2),
    beta=st.floats(-2, 3),
    unknown=st.floats(-10, 1),
    weight=st.floats(0, 4),
)
def test_unlimited_beam_with_lm_gives_every_string_its_score(
    beam_search, arpa, encoder, seed, frames, alpha, beta, unknown, weight
):
    log_probs = random_log_probs(seed, frames)
    hotwords = {"ab": weight, "bba": weight}
    decoder = beam_search(
        encoder,
        beam_size=UNLIMITED,
        n_best=UNLIMITED,
        lm=arpa,
        alpha=alpha,
        beta=beta,
        unknown_word_score=unknown,
        hotwords=hotwords,
    )
    model = kenlm.Model(arpa)
    found = decode(decoder, log_probs)
    expected = every_string(log_probs)
    assert len(found) == len(expected)
    for h in found:
        lm, bonus = lm_and_bonus(model, h.text, alpha, beta, unknown, hotwords)
        assert h.acoustic_score == pytest.approx(expected[tuple(h.tokens)], abs=1e-6)
        assert h.lm_score == pytest.approx(lm, abs=1e-3)
        assert h.word_bonus == pytest.approx(bonus, abs=1e-6)
        assert h.score == pytest.approx(h.acoustic_score + h.lm_score + h.word_bonus)
    scores = [h.score for h in found]
    assert scores == sorted(scores, reverse=True)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), frames=st.integers(1, 6))
def test_closed_vocabulary_gives_exactly_the_strings_of_its_words(beam_search, arpa, seed, frames):
    log_probs = random_log_probs(seed, frames)
    decoder = beam_search(
        ENCODER,
        beam_size=UNLIMITED,
        n_best=UNLIMITED,
        lm=arpa,
        alpha=0.7,
        beta=1.0,
        vocabulary="closed",
    )
    known = {
        tokens: p
        for tokens, p in every_string(log_probs).items()
        if set(ENCODER.decode(tokens).split()) <= set(WORDS)
    }
    found = {tuple(h.tokens): h.acoustic_score for h in decode(decoder, log_probs)}
    assert found == pytest.approx(known, abs=1e-6)


def test_closed_vocabulary_without_a_whole_word_counts_it_as_unknown(beam_search, arpa):
    """Only `aa` is possible, the start of `aab`."""
    log_probs = torch.full((3, 4), -inf)
    log_probs[0, 1] = log_probs[1, 0] = log_probs[2, 1] = 0.0
    decoder = beam_search(
        ENCODER, lm=arpa, alpha=1.0, beta=0.5, vocabulary="closed", unknown_word_score=-3.0
    )
    (best,) = decode(decoder, log_probs)
    lm, bonus = lm_and_bonus(kenlm.Model(arpa), "aa", 1.0, 0.5, -3.0, {})
    assert (best.text, best.lm_score) == ("aa", pytest.approx(lm, abs=1e-4))
    assert best.word_bonus == pytest.approx(bonus)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), beam_size=st.integers(1, 8))
def test_a_narrow_beam_never_claims_more_than_there_is(beam_search, arpa, seed, beam_size):
    """Merging sums parts of a string's alignments: less than all of them, never more."""
    log_probs = random_log_probs(seed, 6)
    expected = every_string(log_probs)
    for lm in ({}, {"lm": arpa, "alpha": 1.0, "beta": 0.5}):
        decoder = beam_search(ENCODER, beam_size=beam_size, n_best=beam_size, **lm)
        n_best = decode(decoder, log_probs)
        assert len({tuple(h.tokens) for h in n_best}) == len(n_best) <= beam_size
        for h in n_best:
            assert h.acoustic_score <= expected[tuple(h.tokens)] + 1e-9


def from_parent(beam, prefix):
    """What one more frame of its last token would bring a prefix from the prefix before that."""
    blank, token = beam.get(prefix[:-1], (-inf, -inf)) if prefix else (-inf, -inf)
    return blank if prefix[-2:-1] == prefix[-1:] else np.logaddexp(blank, token)


def plain_prefix_search(log_probs, beam_size, recombine=False):
    """Textbook prefix beam search on dictionaries of strings: the same beams, step by step."""
    beam = {(): (0.0, -inf)}
    for row in log_probs.double().tolist():
        grown = defaultdict(lambda: (-inf, -inf))
        for prefix, (blank, token) in beam.items():
            both = np.logaddexp(blank, token)
            b, n = grown[prefix]
            stay = token + row[prefix[-1]] if prefix else -inf
            grown[prefix] = (np.logaddexp(b, both + row[0]), np.logaddexp(n, stay))
            for v in range(1, len(row)):
                p = (blank if prefix[-1:] == (v,) else both) + row[v]
                b, n = grown[(*prefix, v)]
                grown[(*prefix, v)] = (b, np.logaddexp(n, p))
        possible = [item for item in grown.items() if max(item[1]) > -inf]
        ranked = sorted(possible, key=lambda item: -np.logaddexp(*item[1]))
        beam = dict(ranked[:beam_size])
        if recombine:  # without words the last token decides what may come
            flows = {prefix: (*p, from_parent(beam, prefix)) for prefix, p in beam.items()}
            beam = {
                prefix: p
                for prefix, p in beam.items()
                if not any(
                    prefix != rival
                    and prefix[-1:] == rival[-1:]
                    and all(theirs >= mine for theirs, mine in zip(flows[rival], flows[prefix]))
                    for rival in beam
                )
            }
    return {prefix: float(np.logaddexp(*p)) for prefix, p in beam.items()}


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    beam_size=st.integers(1, 12),
    tokens=st.sampled_from([4, 29, 90]),
    sharpness=st.floats(0.3, 4),
)
def test_each_beam_equals_the_textbook_search(beam_search, seed, beam_size, tokens, sharpness):
    """Early stopping and the tree of prefixes change nothing that the plain search would find."""
    alphabet = "".join(chr(0x100 + i) for i in range(tokens - 1))
    log_probs = random_log_probs(seed, 25, tokens, sharpness)
    decoder = beam_search(CTCTextEncoder(alphabet), beam_size=beam_size, n_best=beam_size)
    found = {tuple(h.tokens): h.score for h in decode(decoder, log_probs)}
    assert found == pytest.approx(plain_prefix_search(log_probs, beam_size), abs=1e-6)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), beam_size=st.integers(2, 12), sharpness=st.floats(0.3, 4))
def test_recombined_beams_equal_the_textbook_search(beam_search, seed, beam_size, sharpness):
    log_probs = random_log_probs(seed, 25, 4, sharpness)
    decoder = beam_search(ENCODER, beam_size=beam_size, n_best=beam_size, recombine=True)
    found = {tuple(h.tokens): h.score for h in decode(decoder, log_probs)}
    assert found == pytest.approx(plain_prefix_search(log_probs, beam_size, True), abs=1e-6)


def test_recombination_finds_better_hypotheses_in_a_beam_of_the_same_size(beam_search):
    grammar, draw = SentenceGrammar(), random.Random(0)
    sentences = [grammar.sentence(draw, split="test") for _ in range(20)]
    speech = simulate(sentences, CTCTextEncoder(), posteriors="flat")
    log_probs, length, _ = next(speech.batches(20))
    plain, recombined, default = (
        np.array([best.score for (best,) in decoder(log_probs, length)])
        for recombine in (False, True, None)
        for decoder in [beam_search(CTCTextEncoder(), beam_size=8, recombine=recombine)]
    )
    assert default.tolist() == recombined.tolist()
    assert (recombined > plain - 1e-6).all()
    assert (recombined > plain + 0.01).mean() > 0.5


def test_recombination_hardly_ever_drops_the_best_text(beam_search, arpa):
    """The beam holds every string, so that nothing else is dropped."""
    log_probs = torch.stack([random_log_probs(seed, 5, sharpness=1.0) for seed in range(100)])
    length = torch.full((100,), 5)
    fusion = {"lm": arpa, "alpha": 0.7, "beta": 1.0, "beam_size": 400}
    exact = beam_search(ENCODER, recombine=False, **fusion)(log_probs, length)
    found = beam_search(ENCODER, recombine=True, **fusion)(log_probs, length)
    same = sum(a[0].text == b[0].text for a, b in zip(exact, found))
    assert same >= 95
    assert all(b[0].score <= a[0].score + 1e-9 for a, b in zip(exact, found))


def test_a_batch_equals_one_by_one(beam_search, arpa):
    log_probs = torch.stack([random_log_probs(seed, 30) for seed in range(6)])
    length = torch.tensor([30, 1, 0, 17, 29, 8])
    decoder = beam_search(ENCODER, lm=arpa, alpha=0.5, beta=1.0, n_best=3)
    together = decoder(log_probs, length)
    log_probs[torch.arange(30) >= length[:, None]] = 5.0  # what lies beyond the end is not read
    for b, n in enumerate(length.tolist()):
        assert together[b] == decode(decoder, log_probs[b, :n])


@pytest.mark.parametrize("with_lm", [False, True])
def test_inputs_without_speech_have_defined_results(beam_search, arpa, with_lm):
    lm = {"lm": arpa, "alpha": 1.0, "beta": 0.5} if with_lm else {}
    decoder = beam_search(ENCODER, **lm)
    all_blank = torch.full((1, 5, 4), -inf)
    all_blank[..., 0] = 0.0
    impossible = torch.full((1, 5, 4), -inf)
    nan = torch.full((1, 5, 4), float("nan"))
    end = lm_and_bonus(kenlm.Model(arpa), "", 1.0, 0.5, 0.0, {})[0] if with_lm else 0.0
    for log_probs, frames, score in [
        (all_blank, 5, end),
        (all_blank, 0, end),
        (impossible, 5, -inf),
        (nan, 5, -inf),
    ]:
        ((best,),) = decoder(log_probs, torch.tensor([frames]))
        assert (best.text, best.tokens, best.words) == ("", [], [])
        assert best.score == pytest.approx(score, abs=1e-4)
    assert decoder(torch.empty(0, 5, 4), torch.empty(0, dtype=torch.long)) == []


def test_nan_counts_as_impossible(beam_search):
    log_probs = random_log_probs(0, 6)
    broken, silenced = log_probs.clone(), log_probs.clone()
    broken[2, 1], silenced[2, 1] = float("nan"), -inf
    decoder = beam_search(ENCODER, beam_size=8, n_best=8)
    assert decode(decoder, broken) == decode(decoder, silenced)
    assert not any(isinf(h.score) for h in decode(decoder, broken))


def test_times_and_confidences_equal_argmax_where_frames_are_certain(beam_search):
    """One path has nearly all probability: both decoders read it, at the same frames."""
    path = [0, 1, 1, 0, 2, 3, 3, 1, 0, 0, 2, 0]
    log_probs = torch.full((len(path), 4), -12.0)
    log_probs[torch.arange(len(path)), torch.tensor(path)] = -0.01
    beam, argmax = beam_search(ENCODER), ArgmaxDecoder(ENCODER)
    (found,), (expected,) = decode(beam, log_probs), decode(argmax, log_probs)
    assert found.text == expected.text == "ab ab"
    assert found.frames[3:] == expected.frames[3:]
    assert [word.confidence for word in found.words] == pytest.approx(
        [word.confidence for word in expected.words]
    )


def test_pruning_loses_only_what_is_unlikely(beam_search):
    log_probs = random_log_probs(3, 40, sharpness=4.0)
    full = decode(beam_search(ENCODER, beam_size=50), log_probs)[0]
    pruned = beam_search(
        ENCODER, beam_size=50, token_min_logp=-8, beam_prune_logp=-15, blank_skip=0.9999
    )
    assert decode(pruned, log_probs)[0].tokens == full.tokens
    greedy = beam_search(ENCODER, beam_size=50, beam_prune_logp=-1e-9, n_best=50)
    assert len(decode(greedy, log_probs)) == 1


def test_hotwords_turn_a_doubtful_word(beam_search):
    """`ab` and `ba` are nearly equally likely; naming one decides."""
    log_probs = torch.full((2, 4), -9.0)
    log_probs[0, 1], log_probs[0, 2] = log(0.5), log(0.45)
    log_probs[1, 2], log_probs[1, 1] = log(0.5), log(0.45)
    assert decode(beam_search(ENCODER), log_probs)[0].text == "ab"
    hot = beam_search(ENCODER, hotwords={"ba": 1.0})
    best = decode(hot, log_probs)[0]
    assert (best.text, best.word_bonus) == ("ba", 1.0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"beam_size": 0}, "beam_size"),
        ({"alpha": 0.5}, "lm is not given"),
        ({"vocabulary": "closed"}, "language model"),
        ({"vocabulary": "shut"}, "neither open nor closed"),
        ({"hotwords": {"x!": 2.0}}, "x!"),
        ({"beam_prune_logp": 3.0}, "beam_prune_logp"),
        ({"backend": "cuda"}, "numba"),
    ],
)
def test_what_makes_no_sense_is_refused(options, words):
    with pytest.raises(UserError, match=words):
        BeamSearchDecoder(ENCODER, **options)


def test_log_probs_of_another_vocabulary_are_refused(beam_search):
    with pytest.raises(UserError, match="5 tokens"):
        decode(beam_search(ENCODER), torch.zeros(3, 5))


def test_one_lm_serves_many_decoders(beam_search, arpa):
    lm = NGramLM.from_arpa(arpa)
    log_probs = random_log_probs(1, 20)
    by_path = beam_search(ENCODER, lm=arpa, alpha=1.0, beta=0.0)
    by_object = beam_search(ENCODER, lm=lm, alpha=1.0, beta=0.0)
    assert decode(by_path, log_probs) == decode(by_object, log_probs)
