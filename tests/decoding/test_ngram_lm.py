import logging
import math
import os
import random
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate, pairwise

import kenlm
import numpy as np
import pytest
import torch

from src.decoding.arpa import read_arpa
from src.decoding.ngram_lm import NGramLM, lookup
from src.decoding.ngram_lm_tensor import TorchLM
from src.utils.errors import UserError

LN10 = math.log(10)
GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
DEVICES = ["cpu", pytest.param("cuda", marks=[pytest.mark.gpu, GPU])]
HAND_MADE = """\\data\\
ngram 1=5
ngram 2=4
ngram 3=1

\\1-grams:
-3\t<unk>
-99\t<s>\t-0.5
-1\t</s>
-0.75\ta\t-0.25
-0.5\tb\t-0.125

\\2-grams:
-0.3\t<s> a\t-0.0625
-0.2\ta b\t-0.03125
-0.4\tb a
-0.6\tb </s>

\\3-grams:
-0.1\t<s> a b

\\end\\
"""


def write_arpa(path, sections):
    """sections[n - 1]: {n-gram: (log10 probability, log10 back-off or None)}"""
    lines = ["\\data\\", *(f"ngram {n}={len(section)}" for n, section in enumerate(sections, 1))]
    for n, section in enumerate(sections, 1):
        lines += ["", f"\\{n}-grams:"]
        for ngram, (log_prob, backoff) in section.items():
            weight = "" if backoff is None else f"\t{backoff:.6f}"
            lines.append(f"{log_prob:.6f}\t{' '.join(ngram)}{weight}")
    path.write_text("\n".join([*lines, "", "\\end\\", ""]))
    return path


def random_model(draw, order, n_words=40, unknown=True, without_suffix=50):
    """All contexts are there; of each order `without_suffix` n-grams may lack that of their
    suffix, as after pruning. Some that nothing follows have a back-off, some do not."""
    words = [f"w{i}" for i in range(n_words)]
    followers = [*words, "</s>", *["<unk>"] * unknown]

    def figures(n):
        backoff = draw.uniform(-1, 0.3) if n < order and draw.random() < 0.8 else None
        return -draw.expovariate(0.5), backoff

    unigrams = [(word,) for word in ["<s>", *followers]]
    draw.shuffle(unigrams)
    sections = [{ngram: figures(1) for ngram in unigrams}]
    for n in range(2, order + 1):
        contexts = [ngram for ngram in sections[-1] if ngram[-1] != "</s>"]
        candidates = [(*c, w) for c in contexts for w in followers]
        whole = [ngram for ngram in candidates if ngram[1:] in sections[-1]]
        ngrams = {
            *draw.sample(whole, min(300 * n, len(whole))),
            *draw.sample(candidates, without_suffix),
        }
        sections.append({ngram: figures(n) for ngram in draw.sample(sorted(ngrams), len(ngrams))})
    # What has a continuation must give its weight for KenLM to keep it apart from what has none.
    for lower, upper in pairwise(sections):
        for context in {ngram[:-1] for ngram in upper}:
            lower[context] = lower[context][0], lower[context][1] or -0.1
    return sections


def random_sentences(draw, sections, n):
    """Half of the words continue an n-gram of the model, so that all orders are met."""
    following = {}
    for section in sections[1:]:
        for *context, word in section:
            following.setdefault(tuple(context), []).append(word)
    words = [ngram[0] for ngram in sections[0] if ngram[0] not in ("<s>", "</s>")]
    for _ in range(n):
        sentence = ["<s>"]
        for _ in range(draw.randint(0, 12)):
            context = tuple(sentence[-draw.randint(1, len(sections)) :])
            known = [w for w in following.get(context, []) if w != "</s>"]
            chance = draw.random()
            if known and chance < 0.6:
                sentence.append(draw.choice(known))
            else:
                sentence.append("unheard" if chance > 0.95 else draw.choice(words))
        yield sentence[1:]


def by_the_definition(sections, sentence):
    """log10 P of each word and of `</s>`, by recursion over the n-grams as they are written."""

    def log10(context, word):
        ngram = (*context, word)
        if ngram in sections[len(context)]:
            return sections[len(context)][ngram][0]
        _, backoff = sections[len(context) - 1].get(context, (None, None))
        return (backoff or 0) + log10(context[1:], word)

    known = ["<s>", *(word if (word,) in sections[0] else "<unk>" for word in sentence), "</s>"]
    reach = len(sections) - 1
    return [log10(tuple(known[max(0, i - reach) : i]), known[i]) for i in range(1, len(known))]


@pytest.fixture
def load(tmp_path):
    return lambda path: NGramLM.from_arpa(path, tmp_path / "cache")


@pytest.fixture
def hand_made(tmp_path, load):
    (tmp_path / "hand.arpa").write_text(HAND_MADE)
    return load(tmp_path / "hand.arpa")


@pytest.mark.parametrize(
    ("sentence", "bos", "log10"),
    [
        ("a b", True, [-0.3, -0.1, -0.03125 - 0.6]),
        ("a a", True, [-0.3, -0.0625 - 0.25 - 0.75, -0.25 - 1]),
        ("b a b", True, [-0.5 - 0.5, -0.4, -0.2, -0.03125 - 0.6]),
        ("c b", True, [-0.5 - 3, -0.5, -0.6]),
        ("", True, [-0.5 - 1]),
        ("a b", False, [-0.75, -0.2, -0.03125 - 0.6]),
    ],
)
def test_a_model_made_by_hand(hand_made, sentence, bos, log10):
    scores = hand_made.score_sentence(sentence.split(), bos=bos)
    assert scores == pytest.approx([x * LN10 for x in log10], abs=1e-5)
    without_end = hand_made.score_sentence(sentence.split(), bos=bos, eos=False)
    assert without_end == scores[:-1]


def test_states_are_the_contexts_that_something_follows(hand_made):
    lm, arrays = hand_made, hand_made.arrays
    assert lm.order == 3
    assert lm.words == ["<unk>", "<s>", "</s>", "a", "b"]
    # empty, <s>, a, b, <s> a, a b; the last because of its weight, for nothing follows it
    assert len(arrays.suffix) == 6
    assert arrays.suffix.tolist() == [0, 0, 0, 0, 2, 3]
    assert arrays.row_start.tolist() == [0, 5, 6, 7, 9, 10, 10]
    assert arrays.word.tolist() == [0, 1, 2, 3, 4, 3, 4, 2, 3, 4]
    assert arrays.next_state.tolist() == [0, 1, 0, 2, 3, 4, 5, 0, 2, 5]
    assert arrays.backoff == pytest.approx(
        np.array([0, -0.5, -0.25, -0.125, -0.0625, -0.03125]) * LN10
    )
    assert lm.start_state == 1
    assert [str(array.dtype) for array in arrays] == [
        *("int32", "int32", "float32", "int32", "float32", "int32")
    ]


def test_words(hand_made):
    assert (hand_made.unk_id, hand_made.bos_id, hand_made.eos_id) == (0, 1, 2)
    assert hand_made.word_id("b") == 4
    assert hand_made.word_id("c") == hand_made.unk_id
    assert "b" in hand_made
    assert "c" not in hand_made


@pytest.mark.parametrize("unknown", [True, False])
@pytest.mark.parametrize("order", [2, 3, 4])
def test_ten_thousand_sentences_as_kenlm(tmp_path, load, order, unknown):
    draw = random.Random(order)
    sections = random_model(draw, order, unknown=unknown, without_suffix=0)
    path = write_arpa(tmp_path / "lm.arpa", sections)
    lm, reference = load(path), kenlm.Model(str(path))
    seen = set()
    for sentence in random_sentences(draw, sections, 10_000 // 6 + 1):
        expected = list(reference.full_scores(" ".join(sentence)))
        scores = np.array(lm.score_sentence(sentence)) / LN10
        np.testing.assert_allclose(scores, [x for x, _, _ in expected], atol=1e-4, rtol=0)
        seen |= {(length, unheard) for _, length, unheard in expected}
    assert seen >= {(n, False) for n in range(1, order + 1)} | {(1, True)}


@pytest.mark.parametrize("order", [2, 3, 4])
def test_sentences_as_by_the_definition(tmp_path, load, order):
    """With missing suffixes: KenLM fills these in, with an error of its own from order 4 on."""
    draw = random.Random(order)
    sections = random_model(draw, order)
    lm = load(write_arpa(tmp_path / "lm.arpa", sections))
    for sentence in random_sentences(draw, sections, 1000):
        scores = np.array(lm.score_sentence(sentence)) / LN10
        expected = by_the_definition(sections, sentence)
        np.testing.assert_allclose(scores, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_tensors_as_numba(tmp_path, load, order, device):
    lm = load(write_arpa(tmp_path / "lm.arpa", random_model(random.Random(order), order)))
    draw = np.random.default_rng(order)
    state = draw.integers(len(lm.arrays.suffix), size=(50, 40))
    word = draw.integers(len(lm.words), size=(50, 40))
    # half of them n-grams that exist, others than in the empty context included
    entry = draw.integers(len(lm.arrays.word), size=(25, 40))
    state[:25] = np.searchsorted(lm.arrays.row_start, entry, "right") - 1
    word[:25] = lm.arrays.word[entry]
    log_prob, next_state = TorchLM(lm).to(device)(
        torch.tensor(state, device=device), torch.tensor(word, device=device)
    )
    expected = [lookup(lm.arrays, s, w) for s, w in zip(state.ravel(), word.ravel())]
    assert next_state.ravel().tolist() == [after for _, after in expected]
    np.testing.assert_allclose(log_prob.cpu().ravel(), [x for x, _ in expected], atol=1e-5)


def test_tensors_of_any_shape(hand_made):
    lm = TorchLM(hand_made)
    state = torch.tensor(lm.start_state)
    sentence = [hand_made.word_id(word) for word in ["b", "a", "b", "</s>"]]
    scores = []
    for word in sentence:
        log_prob, state = lm(state, torch.tensor(word))
        scores.append(log_prob.item())
    assert scores == pytest.approx(hand_made.score_sentence(["b", "a", "b"]), abs=1e-5)
    empty = torch.empty(2, 0, dtype=torch.int64)
    assert [tensor.shape for tensor in lm(empty, empty)] == [(2, 0)] * 2


def test_more_states_times_words_than_32_bits_count(tmp_path, load):
    """Each word is followed by the next one only."""
    n = 60_000
    unigrams = {(word,): (-9.0, -1.0) for word in ["<unk>", "<s>", "</s>"]}
    unigrams |= {(f"w{i}",): (-(i % 7) - 1, -0.5) for i in range(n)}
    bigrams = {(f"w{i}", f"w{i + 1}"): (-(i % 5) / 10, None) for i in range(n - 1)}
    lm = load(write_arpa(tmp_path / "lm.arpa", [unigrams, bigrams]))
    words = range(n - 12, n)
    log10 = [-((n - 12) % 7) - 1 - 1, *(-(i % 5) / 10 for i in words[:-1]), -0.5 - 9]
    expected = pytest.approx([x * LN10 for x in log10], abs=1e-4)
    assert lm.score_sentence([f"w{i}" for i in words]) == expected
    tensors = TorchLM(lm)
    ids = [lm.word_id(f"w{i}") for i in words] + [lm.eos_id]
    states = list(accumulate(ids, lambda s, w: lookup(lm.arrays, s, w)[1], initial=lm.start_state))
    log_prob, _ = tensors(torch.tensor(states[:-1]), torch.tensor(ids))
    assert log_prob.tolist() == expected


def test_upper_case_unknown_word_is_the_unknown_word(tmp_path, load):
    path = tmp_path / "lm.arpa"
    path.write_text(HAND_MADE.replace("<unk>", "<UNK>"))
    assert load(path).score_sentence(["c"])[0] == pytest.approx(-3.5 * LN10)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("-0.3\t<s> a\t-0.0625", "-0.3\t<s> b", "the n-gram '<s> a b' lacks the n-gram of its con"),
        ("-0.4\tb a", "-0.4\tb </s>", "the n-gram 'b </s>' is there twice"),
    ],
)
def test_models_that_do_not_hold_together(tmp_path, load, old, new, message):
    path = tmp_path / "lm.arpa"
    path.write_text(HAND_MADE.replace(old, new))
    with pytest.raises(UserError, match=message):
        load(path)


@pytest.mark.parametrize("marker", ["<s>", "</s>"])
def test_a_model_without_sentences(tmp_path, load, marker):
    path = tmp_path / "lm.arpa"
    path.write_text(HAND_MADE.replace(marker, "c"))
    with pytest.raises(UserError, match=f"no unigram {marker}"):
        load(path)


def test_no_such_file(tmp_path, load):
    with pytest.raises(UserError, match=r"no language model at .*absent"):
        load(tmp_path / "absent.arpa")


def test_the_cache_is_used_and_is_that_of_the_file_as_it_is(tmp_path, load, monkeypatch):
    path = tmp_path / "lm.arpa"
    path.write_text(HAND_MADE)
    first = load(path)
    with monkeypatch.context() as patch:
        patch.setattr("src.decoding.ngram_lm.read_arpa", lambda path: pytest.fail("read again"))
        again = load(path)
    assert again.words == first.words
    assert again.order == first.order
    for one, other in zip(first.arrays, again.arrays):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype
    assert isinstance(again.arrays.log_prob.base, np.memmap)

    path.write_text(HAND_MADE.replace("-0.3\t", "-0.7\t"))  # of the same size
    os.utime(path, ns=(1, 1))
    assert load(path).score_sentence(["a"])[0] == pytest.approx(-0.7 * LN10)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "lm.arpa").write_text(HAND_MADE.replace("-0.3\t", "-0.8\t"))
    assert load(tmp_path / "other" / "lm.arpa").score_sentence(["a"])[0] == pytest.approx(
        -0.8 * LN10
    )
    assert first.score_sentence(["a"])[0] == pytest.approx(-0.3 * LN10)  # still mapped


def test_a_refused_file_leaves_nothing_in_the_cache(tmp_path, load):
    path = tmp_path / "lm.arpa"
    path.write_text(HAND_MADE.replace("-0.4\tb a", "-0.4\tb </s>"))
    with pytest.raises(UserError):
        load(path)
    assert {entry.suffix for entry in (tmp_path / "cache").iterdir()} <= {".lock"}


def test_without_a_place_for_the_cache_it_works_all_the_same(tmp_path, caplog):
    path = tmp_path / "lm.arpa"
    path.write_text(HAND_MADE)
    with caplog.at_level(logging.WARNING):
        lm = NGramLM.from_arpa(path, path / "no folder")
    assert "not cached" in caplog.text
    assert lm.score_sentence(["a"])[0] == pytest.approx(-0.3 * LN10)


def test_who_wants_the_same_model_at_the_same_time_builds_it_once(tmp_path, load, monkeypatch):
    path = write_arpa(tmp_path / "lm.arpa", random_model(random.Random(0), 3))
    reads = []

    def slow_read(path):
        reads.append(path)
        time.sleep(0.2)
        return read_arpa(path)

    monkeypatch.setattr("src.decoding.ngram_lm.read_arpa", slow_read)
    with ThreadPoolExecutor(3) as pool:
        models = list(pool.map(load, [path] * 3))
    assert reads == [path]
    assert len({tuple(model.score_sentence(["w1", "w2"])) for model in models}) == 1
