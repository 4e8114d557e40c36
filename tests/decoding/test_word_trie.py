import random
import time

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from src.decoding.word_trie import as_records, build_word_trie, step
from src.text_encoder.normalize import ALPHABET

WIDE = "".join(map(chr, range(0x430, 0x430 + 63)))  # the widest alphabet, of two-byte letters


def dictionary_trie(words, scores, alphabet):
    """{prefix: (children, word, best)} of every prefix, by going through all words for each."""
    spelt = {
        word: number
        for number, word in enumerate(words)
        if word and set(word) <= set(alphabet) and word not in ("<s>", "</s>", "<unk>")
    }
    prefixes = {""} | {word[:n] for word in spelt for n in range(1, len(word) + 1)}
    return {
        prefix: (
            {alphabet.index(p[-1]) for p in prefixes if p and p[:-1] == prefix},
            spelt.get(prefix, -1),
            max((scores[i] for w, i in spelt.items() if w.startswith(prefix)), default=-np.inf),
        )
        for prefix in prefixes
    }


def assert_is_trie_of(trie, words, scores, alphabet):
    expected = dictionary_trie(words, scores, alphabet)
    assert [array.dtype for array in trie] == [np.uint64, np.int32, np.int32, np.float32]
    assert {len(array) for array in trie} == {len(expected)}
    records = as_records(trie)
    nodes = {"": 0}
    for prefix in sorted(expected, key=len):
        children, word, best = expected[prefix]
        node = nodes[prefix]
        assert trie.word[node] == word
        assert trie.best[node] == np.float32(best)
        for c, char in enumerate(alphabet):
            child = step(records, node, c)
            assert (child >= 0) == (c in children)
            if child >= 0:
                nodes[prefix + char] = child
    assert sorted(nodes.values()) == list(range(len(expected)))


@given(
    st.lists(
        st.text("abc'", max_size=6) | st.sampled_from(["<s>", "</s>", "xa", "ab€"]), unique=True
    ),
    st.randoms(use_true_random=False),
)
@example([], random.Random(0))
@example(["<unk>", ""], random.Random(0))
@settings(max_examples=150, deadline=None)
def test_equals_a_trie_by_brute_force(words, draw):
    scores = [draw.uniform(-9, 9) for _ in words]
    trie, _ = build_word_trie(words, np.array(scores, np.float32), "ab'c")
    assert_is_trie_of(trie, words, scores, "ab'c")


@given(st.lists(st.text(WIDE, max_size=3), unique=True, max_size=40))
@settings(max_examples=30, deadline=None)
def test_sixty_three_characters(words):
    scores = np.arange(len(words), dtype=np.float32)
    assert_is_trie_of(build_word_trie(words, scores, WIDE)[0], words, scores, WIDE)


def test_special_words_stay_out_even_if_the_alphabet_spells_them():
    words = ["<s>", "</s>", "<unk>", "s"]
    trie, _ = build_word_trie(words, np.float32([5, 5, 5, 1]), "</>snuk")
    assert_is_trie_of(trie, words, [5, 5, 5, 1], "</>snuk")
    assert trie.best[0] == 1


def test_off_the_trie_stays_off():
    trie, _ = build_word_trie(["a"], np.float32([0]), "ab")
    assert step(as_records(trie), 0, 1) == -1
    assert step(as_records(trie), -1, 0) == -1


def test_too_wide_an_alphabet():
    with pytest.raises(ValueError, match="64"):
        build_word_trie([], np.float32([]), WIDE + "x")


def test_two_hundred_thousand_words_take_under_two_seconds():
    draw = random.Random(0)
    words = list(
        {"".join(draw.choices(ALPHABET[:27], k=draw.randint(1, 14))) for _ in range(200_000)}
    )
    start = time.process_time()
    trie, _ = build_word_trie(words, np.zeros(len(words), np.float32), ALPHABET)
    assert time.process_time() - start < 2
    assert sorted(trie.word[trie.word >= 0]) == list(range(len(words)))
