"""A word n-gram language model as flat arrays, made from an ARPA file.

    lm = NGramLM.from_arpa(Path("3-gram.arpa"))
    log_prob, state = lookup(lm.arrays, lm.start_state, lm.word_id("hello"))

The model is an automaton: a state is a context, its row the words seen after it. A word that is
not in the row costs the state's back-off weight and is looked for in the state of the next
shorter context, and so on; the empty context, state 0, has every word. All logarithms are natural.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

import numba
import numpy as np
from filelock import FileLock

from src.decoding.arpa import Arpa, ArpaSection, read_arpa
from src.utils.cache import user_cache
from src.utils.errors import UserError

logger = logging.getLogger(__name__)

UNKNOWN, BEGIN, END = "<unk>", "<s>", "</s>"
MISSING_UNKNOWN_LOG10 = -100.0  # what KenLM gives <unk> in a model without it
CACHE_FORMAT = 1


class LMArrays(NamedTuple):
    """S states, E n-grams. State 0 is the empty context and entry i of its row is word i.

    The keys `state * words + word` of the entries ascend.
    """

    row_start: np.ndarray  # int32 [S+1], the n-grams of state s: row_start[s] .. row_start[s+1]
    word: np.ndarray  # int32 [E], sorted inside each row
    log_prob: np.ndarray  # float32 [E], ln P(word | context of the row)
    next_state: np.ndarray  # int32 [E], the longest suffix of (context, word) that is a state
    backoff: np.ndarray  # float32 [S], ln; added when the row has no such word
    suffix: np.ndarray  # int32 [S], the state to go on in then; suffix[0] = 0


@numba.njit(cache=True, nogil=True)
def lookup(lm: LMArrays, state: int | np.int64, word: int) -> tuple[float, np.int64]:
    """ln P(word | state) and the state after it."""
    log_prob = 0.0
    while state != 0:
        low, end = lm.row_start[state], lm.row_start[state + 1]
        high = end
        while low < high:
            middle = (low + high) >> 1
            if lm.word[middle] < word:
                low = middle + 1
            else:
                high = middle
        if low < end and lm.word[low] == word:
            return log_prob + lm.log_prob[low], np.int64(lm.next_state[low])
        log_prob += lm.backoff[state]
        state = np.int64(lm.suffix[state])
    return log_prob + lm.log_prob[word], np.int64(lm.next_state[word])


class NGramLM:
    """The arrays with the words they are about.

    Attributes:
        order: words of the longest n-grams.
        words: word of each id; `<unk>`, `<s>` and `</s>` are always among them.
        start_state: the state after `<s>`.
    """

    def __init__(self, order: int, words: list[str], arrays: LMArrays) -> None:
        self.order = order
        self.words = words
        # Numba compiles once for arrays that may be written and once for those that may not,
        # such as memory maps: so none may.
        for array in arrays:
            array.flags.writeable = False
        self.arrays = arrays
        self._ids = {word: number for number, word in enumerate(words)}
        self.unk_id, self.bos_id, self.eos_id = (self._ids[w] for w in (UNKNOWN, BEGIN, END))
        self.start_state = int(arrays.next_state[self.bos_id])

    @classmethod
    def from_arpa(cls, path: Path | str, cache_dir: Path | None = None) -> NGramLM:
        """The model of an ARPA file, plain or gzipped.

        The arrays are kept as `.npy` files in a folder of `cache_dir` (by default the user's
        cache) named after the ARPA's path, and are mapped into memory from there as long as the
        size and the modification time of the ARPA stay what they were.

        Raises:
            UserError: the file is missing, cut short or malformed.
        """
        path = Path(path).expanduser().resolve()
        if not path.is_file():
            raise UserError(f"There is no language model at {path}.")
        folder = (cache_dir or user_cache("ngram_lm")) / _cache_name(path)
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(folder.with_suffix(".lock")):
                if not _is_current(folder, path):
                    stamp = _stamp(
                        path
                    )  # before reading: a file that changes meanwhile is read again
                    _save(build(read_arpa(path), path), folder, stamp)
                return _load(folder)
        except OSError as error:
            logger.warning("language model is not cached in %s: %s", folder, error)
            return build(read_arpa(path), path)

    def word_id(self, word: str) -> int:
        """Id of `word`, that of `<unk>` if the model has no such word."""
        return self._ids.get(word, self.unk_id)

    def __contains__(self, word: str) -> bool:
        return word in self._ids

    def score_sentence(self, words: list[str], bos: bool = True, eos: bool = True) -> list[float]:
        """ln P of each word, and of `</s>` if `eos`; without `bos` the context begins empty."""
        state = self.start_state if bos else 0
        scores = []
        for word in [*map(self.word_id, words), *[self.eos_id] * eos]:
            log_prob, state = lookup(self.arrays, state, word)
            scores.append(log_prob)
        return scores


def build(arpa: Arpa, source: Path) -> NGramLM:
    """Makes states and rows of n-grams.

    Args:
        source: the file, for messages.

    Raises:
        UserError: `<s>` or `</s>` is missing, an n-gram is there twice, or its context is not.
    """
    words = [UNKNOWN if word == "<UNK>" else word for word in arpa.words]
    sections = list(arpa.sections)
    if UNKNOWN not in words:
        words.append(UNKNOWN)
        sections[0] = _with_unknown(sections[0])
    for marker in (BEGIN, END):
        if marker not in words:
            raise UserError(f"{source} has no unigram {marker}: it is no model of sentences.")
    automaton = _Automaton(words, source)
    for section in sections:
        automaton.add(section)
    return NGramLM(len(sections), words, automaton.arrays())


class _Automaton:
    """Grows by one order at a time.

    The n-grams of an order become states, where they are needed as contexts, when those of the
    next order come: so `own_state` and `next_state` are set for all orders but the last.
    """

    def __init__(self, words: list[str], source: Path) -> None:
        self.words = words
        self.source = source
        self.key = np.empty(0, np.int64)  # row * words + word; ascends with the orders, too
        self.log_prob = np.empty(0, np.float32)
        self.own_state = np.empty(0, np.int32)  # -1: the n-gram is no state
        self.next_state = np.empty(0, np.int32)
        self.backoff = np.zeros(1, np.float32)
        self.suffix = np.zeros(1, np.int32)
        self.last_order = 0  # index of the first n-gram of the last order
        self.last_backoff = np.empty(0, np.float32)

    def add(self, section: ArpaSection) -> None:
        context = np.zeros(len(section.words), np.int32)
        if len(self.key):
            parent = self._find_ngrams(section.words[:, :-1])
            if (parent < 0).any():
                orphan = section.words[np.argmin(parent)]
                raise self._error(orphan, "lacks the n-gram of its context")
            self._make_states(parent)
            context = self.own_state[parent]
        key = self._key(context, section.words[:, -1])
        by_key = np.argsort(key)
        key = key[by_key]
        if (repeated := key[1:] == key[:-1]).any():
            raise self._error(section.words[by_key[np.argmax(repeated)]], "is there twice")
        self.last_order = len(self.key)
        self.last_backoff = _natural(section.log10_backoff[by_key])
        self.key = np.append(self.key, key)
        self.log_prob = np.append(self.log_prob, _natural(section.log10_prob[by_key]))

    def arrays(self) -> LMArrays:
        self._make_states(np.empty(0, np.int64))
        row, word = np.divmod(self.key, len(self.words))
        row_start = np.searchsorted(row, np.arange(len(self.backoff) + 1))
        return LMArrays(
            row_start.astype(np.int32),
            word.astype(np.int32),
            self.log_prob,
            self.next_state,
            self.backoff,
            self.suffix,
        )

    def _make_states(self, parents: np.ndarray) -> None:
        """States of the last order: what has children, or a weight to give to what it lacks."""
        is_state = self.last_backoff != 0
        is_state[parents - self.last_order] = True
        states = len(self.backoff) - 1 + np.cumsum(is_state, dtype=np.int32)
        own_state = np.where(is_state, states, np.int32(-1))
        shorter = self._shorter_state()
        self.own_state = np.append(self.own_state, own_state)
        self.next_state = np.append(self.next_state, np.where(is_state, own_state, shorter))
        self.backoff = np.append(self.backoff, self.last_backoff[is_state])
        self.suffix = np.append(self.suffix, shorter[is_state])

    def _shorter_state(self) -> np.ndarray:
        """Of each n-gram of the last order, the longest proper suffix that is a state."""
        context, word = np.divmod(self.key[self.last_order :], len(self.words))
        shorter = np.zeros(len(word), np.int32)
        pending = np.flatnonzero(context)
        while len(pending):
            context[pending] = self.suffix[context[pending]]
            entry = self._find(context[pending], word[pending])
            shorter[pending] = self.next_state[entry]
            pending = pending[entry < 0]
        return shorter

    def _find_ngrams(self, words: np.ndarray) -> np.ndarray:
        """Index of each n-gram, -1 where there is none: words [n, k] to [n]."""
        entry = self._find(np.zeros(len(words), np.int64), words[:, 0])
        for word in words[:, 1:].T:
            context = np.where(entry < 0, -1, self.own_state[entry])
            entry = self._find(context, word)
        return entry

    def _find(self, state: np.ndarray, word: np.ndarray) -> np.ndarray:
        """Index of the n-gram `word` in the row of `state`, -1 where there is none."""
        key = self._key(state, word)
        entry = np.minimum(np.searchsorted(self.key, key), len(self.key) - 1)
        return np.where(self.key[entry] == key, entry, -1)

    def _key(self, state: np.ndarray, word: np.ndarray) -> np.ndarray:
        return state.astype(np.int64) * len(self.words) + word

    def _error(self, ngram: np.ndarray, fault: str) -> UserError:
        text = " ".join(self.words[word] for word in ngram)
        return UserError(f"{self.source} is malformed: the n-gram {text!r} {fault}.")


def _natural(log10: np.ndarray) -> np.ndarray:
    return (log10 * math.log(10)).astype(np.float32)


def _with_unknown(unigrams: ArpaSection) -> ArpaSection:
    return ArpaSection(
        np.append(unigrams.words, np.array([[len(unigrams.words)]], np.int32), axis=0),
        np.append(unigrams.log10_prob, np.float32(MISSING_UNKNOWN_LOG10)),
        np.append(unigrams.log10_backoff, np.float32(0)),
    )


def _cache_name(path: Path) -> str:
    return f"{path.name}-{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"


def _stamp(path: Path) -> dict[str, int]:
    status = path.stat()
    return {"format": CACHE_FORMAT, "size": status.st_size, "mtime_ns": status.st_mtime_ns}


def _is_current(folder: Path, path: Path) -> bool:
    stamp = folder / "stamp.json"
    return stamp.exists() and json.loads(stamp.read_text())["source"] == _stamp(path)


def _save(lm: NGramLM, folder: Path, source: dict[str, int]) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        new = Path(temporary) / "lm"
        new.mkdir()
        for name, array in lm.arrays._asdict().items():
            np.save(new / f"{name}.npy", array)
        (new / "words.txt").write_text("\n".join(lm.words), encoding="utf-8")
        (new / "stamp.json").write_text(json.dumps({"order": lm.order, "source": source}))
        shutil.rmtree(folder, ignore_errors=True)
        new.rename(folder)


def _load(folder: Path) -> NGramLM:
    order = json.loads((folder / "stamp.json").read_text())["order"]
    words = (folder / "words.txt").read_text(encoding="utf-8").split("\n")
    arrays = (
        np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r")) for name in LMArrays._fields
    )
    return NGramLM(order, words, LMArrays(*arrays))
