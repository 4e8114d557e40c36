"""Interpolated modified Kneser-Ney language models, the same ones as KenLM's `lmplz` makes.

    model = estimate(read_corpus([Path("novels.txt.xz")]), order=3, prune=[0, 0, 1])
    write_arpa(model, Path("novels-3gram.arpa"))

Chen & Goodman 1998, in the form of Heafield et al. 2013, "Scalable Modified Kneser-Ney Language
Model Estimation". For an n-gram `h w` (history, word):

    a(h w)    adjusted count: how often it occurs at the highest order and where it begins with
              <s>; elsewhere how many different words it follows
    D(a)      discount of its order: 0, D1, D2, D3+ for a = 0, 1, 2, 3 and more
    b(h)      back-off: sum of D(a(h x)) over the x that are kept and of a(h x) over the x that
              are pruned, divided by the sum of a(h x) over all x
    p(w | h) = (a(h w) - D(a(h w))) / sum_x a(h x)  +  b(h) p(w | h without its first word)

and below the unigrams the uniform distribution over all words, <unk> and </s>.

Everything is held in memory: at order 4, 12.8 million words take 1.8 GiB.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from src.decoding.lm_text import BOS, EOS, SPECIAL_WORDS, Corpus
from src.utils.errors import UserError

DEFAULT_FALLBACK = (0.5, 1.0, 1.5)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class NGramCounts:
    """The different n-grams of one order n, sorted by (context, word)."""

    context: np.ndarray  # int32 [E], the first n-1 words: their row in the table of order n-1
    word: np.ndarray  # int32 [E], the last word
    suffix: np.ndarray  # int32 [E], the last n-1 words: their row in the table of order n-1
    count: np.ndarray  # int64 [E], how often it occurs


@dataclass(frozen=True)
class NGrams:
    """The n-grams of one order that the model keeps; `context` and `word` as in `NGramCounts`."""

    context: np.ndarray
    word: np.ndarray
    log10_prob: np.ndarray  # float64 [E]
    log10_backoff: np.ndarray  # float64 [E], 0 at the highest order


@dataclass(frozen=True)
class KneserNeyModel:
    words: list[str]  # id -> word
    orders: list[NGrams]
    discounts: list[np.ndarray]  # of each order: 0, D1, D2, D3+


def estimate(
    corpus: Corpus,
    order: int,
    prune: Sequence[int] = (0,),
    vocabulary: np.ndarray | None = None,
    fallback: Sequence[float] = DEFAULT_FALLBACK,
) -> KneserNeyModel:
    """A model of n-grams up to `order`.

    prune: n-grams that occur this often or less are left out, one threshold for each order from
        1 up, never falling; the last one holds for the orders that are not named.
    vocabulary: bool, for each word of the corpus whether it belongs to the model; n-grams with
        any other word are pruned (`lmplz --limit_vocab_file`). Default: all words.
    fallback: D1, D2, D3+ of the orders whose counts give no usable discounts, as in small texts.
    """
    thresholds = pruning_thresholds(prune, order)
    _check_fallback(fallback)
    tables = count_ngrams(corpus.tokens, len(corpus.words), order)
    kept = _kept(tables, thresholds, vocabulary)

    discounts = []
    probabilities, backoffs = [], []
    # the empty n-gram: uniform over all words but <s>, which is never predicted
    lower = np.array([1 / (np.count_nonzero(kept[0]) - 1)])
    for n, (table, adjusted, keep) in enumerate(zip(tables, adjusted_counts(tables), kept), 1):
        discount = estimate_discounts(adjusted)
        if discount is None:
            discount = np.array([0.0, *fallback])
            logger.warning(_FALLBACK_WARNING, n, *fallback)
        discounts.append(discount)

        discounted = discount[np.minimum(adjusted, 3)]
        freed = np.bincount(table.context, np.where(keep, discounted, adjusted), len(lower))
        total = np.bincount(table.context, adjusted, len(lower))
        # what no word follows (</s>, <unk>) hands everything on
        backoff = np.divide(freed, total, out=np.ones(len(lower)), where=total > 0)
        share = (adjusted - discounted) / total[table.context]
        lower = share + backoff[table.context] * lower[table.suffix]
        probabilities.append(lower)
        backoffs.append(backoff)
    # <s> is given, never predicted; ARPA files hold it with probability 1
    probabilities[0][BOS] = 1.0
    backoffs = [*backoffs[1:], np.ones(len(tables[-1].word))]

    orders = []
    new_row = np.zeros(1, np.int32)
    for table, keep, probability, backoff in zip(tables, kept, probabilities, backoffs):
        context, word = new_row[table.context[keep]], table.word[keep]
        orders.append(NGrams(context, word, np.log10(probability[keep]), np.log10(backoff[keep])))
        new_row = np.cumsum(keep, dtype=np.int32) - 1
    return KneserNeyModel(corpus.words, orders, discounts)


_FALLBACK_WARNING = (
    "no Kneser-Ney discounts for %d-grams: the text is too small or too regular, so that D1 D2 D3+"
    " are set to %g %g %g (--discount-fallback)"
)


def pruning_thresholds(prune: Sequence[int], order: int) -> list[int]:
    """One threshold for each order; see `estimate`."""
    if order < 1:
        raise UserError(f"order={order}: give the longest n-gram's number of words, 1 or more")
    if not 1 <= len(prune) <= order:
        raise UserError(f"{len(prune)} pruning thresholds for order {order}: give 1 to {order}")
    if min(prune) < 0 or list(prune) != sorted(prune):
        given = " ".join(map(str, prune))
        raise UserError(f"pruning thresholds {given}: none may be below 0 or the one before it")
    return [*prune, *[prune[-1]] * (order - len(prune))]


def _check_fallback(fallback: Sequence[float]) -> None:
    if len(fallback) != 3 or not all(0 < d <= j for j, d in enumerate(fallback, 1)):
        given = " ".join(f"{d:g}" for d in fallback)
        raise UserError(f"fallback discounts {given}: give 3 above 0, up to 1, 2 and 3")


def count_ngrams(tokens: np.ndarray, vocabulary_size: int, order: int) -> list[NGramCounts]:
    """Tables of order 1 to `order` of `Corpus.tokens`; the unigrams are all words, by id."""
    word = np.arange(vocabulary_size, dtype=np.int32)
    count = np.bincount(tokens, minlength=vocabulary_size)
    count[BOS] = 0  # it is a context only
    tables = [NGramCounts(np.zeros_like(word), word, np.zeros_like(word), count)]

    start = np.arange(len(tokens), dtype=np.int32)
    row_at = tokens  # of the n-gram that begins at a place in the text
    for n in range(2, order + 1):
        start = start[tokens[start + n - 2] != EOS]
        if len(start) == 0:
            raise UserError(f"no sentence is long enough for {n}-grams: give an order below {n}")
        # int64, since the row of a context times the size of the vocabulary passes 2**31
        key = row_at[start].astype(np.int64) * vocabulary_size + tokens[start + n - 1]
        key, row, count = np.unique(key, return_inverse=True, return_counts=True)
        suffix = np.empty(len(key), np.int32)
        suffix[row] = row_at[start + 1]
        context, word = np.divmod(key, vocabulary_size)
        tables.append(NGramCounts(context.astype(np.int32), word.astype(np.int32), suffix, count))
        row_at = np.zeros_like(tokens)
        row_at[start] = row
    return tables


def adjusted_counts(tables: Sequence[NGramCounts]) -> list[np.ndarray]:
    """int64 [E] for each order; see the head of this file."""
    adjusted = []
    begins_sentence = tables[0].word == BOS
    for table, higher in itertools.pairwise(tables):
        words_before = np.bincount(higher.suffix, minlength=len(table.word))
        adjusted.append(np.where(begins_sentence, table.count, words_before))
        begins_sentence = begins_sentence[higher.context]
    return [*adjusted, tables[-1].count]


def estimate_discounts(adjusted: np.ndarray) -> np.ndarray | None:
    """0, D1, D2, D3+ by Chen & Goodman's equation 26; None where the counts do not allow it."""
    n = np.bincount(adjusted[adjusted < 5], minlength=5).astype(float)
    if n[1:4].min() == 0:
        return None
    j = np.arange(1, 4)
    discount = j - (j + 1) * n[1] / (n[1] + 2 * n[2]) * n[2:] / n[1:4]
    # 0 is refused too: it would leave contexts from which nothing unseen can ever follow
    if np.any(discount <= 0):
        return None
    return np.array([0.0, *discount])


def _kept(
    tables: Sequence[NGramCounts], thresholds: Sequence[int], vocabulary: np.ndarray | None
) -> list[np.ndarray]:
    """bool [E] for each order: whether the model keeps the n-gram."""
    words = tables[0].count > thresholds[0]
    if vocabulary is not None:
        words &= vocabulary
    words[: len(SPECIAL_WORDS)] = True
    kept = [words]
    for table, threshold in zip(tables[1:], thresholds[1:]):
        kept.append((table.count > threshold) & kept[-1][table.context] & words[table.word])
    return kept
