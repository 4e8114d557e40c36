# ruff: noqa: SIM905 (a page of quoted words is hard to read)
"""English sentences without end, from a grammar and a seed: the text of the synthetic corpus.

    >>> SentenceGrammar().sentence(random.Random(7), split="train")
    'i slowly watched her yellow ladders'

A sentence belongs to one split for ever, by its hash: what "test" draws, "train" never does.
"""

from __future__ import annotations

import hashlib
import random

SPLITS = ("train", "val", "test")
MIN_WORDS, MAX_WORDS = 4, 12


def _add_s(word: str) -> str:
    """Plural of a noun, third person of a verb: carry -> carries, watch -> watches."""
    if word.endswith("y") and word[-2] not in "aeiou":
        return word[:-1] + "ies"
    return word + ("es" if word.endswith(("s", "x", "ch", "sh")) else "s")


# No two words here may sound alike in any accent of the corpus: WER is to measure the recogniser,
# not its luck in guessing "to" or "two". The tests compare their sounds.
_PEOPLE = """teacher doctor farmer driver student singer painter writer captain soldier lawyer
    baker brother sister uncle cousin friend visitor nurse stranger manager officer""".split()
_ANIMALS = "dog cat horse bird rabbit monkey elephant turtle chicken spider dolphin tiger".split()
_THINGS = """book table chair letter window bottle basket box picture camera computer bicycle
    ticket blanket hammer ladder lamp clock jacket button candle carpet engine guitar helmet
    kettle magazine mirror notebook package pencil pillow umbrella wallet suitcase sandwich
    apple lemon cookie puzzle""".split()

# base, past
_TRANSITIVE = [
    pair.split()
    for pair in """find found, carry carried, watch watched, paint painted, clean cleaned,
    open opened, sell sold, drop dropped, push pushed, lift lifted, break broke, hold held,
    bring brought, borrow borrowed, repair repaired, wash washed, hide hid, lose lost,
    choose chose, collect collected, cover covered, deliver delivered, discover discovered,
    forget forgot, order ordered, prepare prepared, receive received, remember remembered,
    remove removed, touch touched""".split(",")
]
# base, past, present participle
_INTRANSITIVE = [
    triple.split()
    for triple in """walk walked walking, run ran running, travel traveled traveling,
    jump jumped jumping, dance danced dancing, wait waited waiting, sleep slept sleeping,
    laugh laughed laughing, work worked working, play played playing, swim swam swimming,
    shout shouted shouting, rest rested resting""".split(",")
]

# Upper case is expanded, lower case is a word; a production listed twice is twice as likely.
_GRAMMAR: dict[str, list[str]] = {
    "SENTENCE": [
        "SUBJECT DID", "SUBJECT DID", "SUBJECT DID PAST_TIME", "PAST_TIME SUBJECT DID",
        "SUBJECT DID and SUBJECT DID", "SUBJECT DID but SUBJECT DID",
        "SUBJECT DID because SUBJECT DID", "when SUBJECT DID SUBJECT DID",
        "ONE_SUBJECT DOES", "HABIT_TIME ONE_SUBJECT DOES",
        "MANY_SUBJECTS DO", "MANY_SUBJECTS DO HABIT_TIME",
        "SUBJECT didn't DO", "SUBJECT couldn't DO",
        "SUBJECT MODAL DO", "SUBJECT MODAL DO FUTURE_TIME", "FUTURE_TIME SUBJECT MODAL DO",
        "ONE_SUBJECT was DOING", "ONE_SUBJECT is DOING",
        "MANY_SUBJECTS were DOING", "MANY_SUBJECTS are DOING",
        "the THING WHERE is MADE", "the THINGS WHERE are MADE and MADE",
        "QUESTION SUBJECT DO", "QUESTION SUBJECT DO",
        "please DO_TO OBJECT", "please DO_TO OBJECT WHERE",
    ],
    "SUBJECT": ["ONE_SUBJECT", "ONE_SUBJECT", "MANY_SUBJECTS", "MANY_SUBJECTS", "i"],
    "ONE_SUBJECT": [
        "he", "she", "NAME", "NAME", "ONE PERSON", "ONE PERSON", "ONE LIVELY PERSON",
        "ONE ANIMAL", "ONE LIVELY ANIMAL",
    ],
    "MANY_SUBJECTS": [
        "they", "we", "you", "NAME and NAME", "MANY PEOPLE", "MANY LIVELY PEOPLE",
        "MANY ANIMALS", "NUMBER ANIMALS",
    ],
    "OBJECT": [
        "ONE THING", "ONE MADE THING", "MANY THINGS", "MANY MADE THINGS",
        "NUMBER THINGS", "NUMBER MADE THINGS",
    ],
    "QUESTION": ["did", "why did", "when did", "how did", "can", "will", "should"],
    "MODAL": ["will", "can", "must", "should", "might", "can't", "won't"],
    "DO": [
        "DO_TO OBJECT", "DO_TO OBJECT", "DO_TO OBJECT WHERE", "OFTEN DO_TO OBJECT",
        "DO_IT WHERE", "DO_IT MANNER", "DO_IT WITH",
    ],
    "DOES": [
        "DOES_TO OBJECT", "DOES_TO OBJECT", "DOES_TO OBJECT WHERE", "OFTEN DOES_TO OBJECT",
        "DOES_IT WHERE", "DOES_IT MANNER", "DOES_IT WITH",
    ],
    "DID": [
        "DID_TO OBJECT", "DID_TO OBJECT", "DID_TO OBJECT WHERE", "MANNER DID_TO OBJECT",
        "DID_IT WHERE", "DID_IT MANNER", "DID_IT WITH", "DID_IT together", "DID_IT again",
    ],
    "DOING": ["DOING_IT WHERE", "DOING_IT MANNER", "DOING_IT WITH", "DOING_IT WHERE WITH"],
    "DO_TO": [base for base, _ in _TRANSITIVE],
    "DOES_TO": [_add_s(base) for base, _ in _TRANSITIVE],
    "DID_TO": [past for _, past in _TRANSITIVE],
    "DO_IT": [base for base, _, _ in _INTRANSITIVE],
    "DOES_IT": [_add_s(base) for base, _, _ in _INTRANSITIVE],
    "DID_IT": [past for _, past, _ in _INTRANSITIVE],
    "DOING_IT": [participle for _, _, participle in _INTRANSITIVE],
    "WITH": ["with NAME", "with ONE PERSON", "with MANY ANIMALS", "without NAME"],
    "WHERE": ["PREPOSITION the PLACE", "PREPOSITION the PLACE", "PREPOSITION ONE WIDE PLACE"],
    "ONE": ["the", "the", "the", "a", "a", "my", "your", "his", "her", "this", "that"],
    "MANY": ["the", "the", "some", "my", "your", "his", "her", "these", "those", "many", "all the"],
    "NUMBER": ["UNIT", "UNIT", "TENS", "TENS UNIT"],
    "UNIT": "three five six seven nine".split(),
    "TENS": "twenty thirty fifty".split(),
    "PERSON": _PEOPLE,
    "PEOPLE": [_add_s(noun) for noun in _PEOPLE],
    "ANIMAL": _ANIMALS,
    "ANIMALS": [_add_s(noun) for noun in _ANIMALS],
    "THING": _THINGS,
    "THINGS": [_add_s(noun) for noun in _THINGS],
    "PLACE": """kitchen garden market village station library office museum hospital restaurant
        school park bridge forest island river mountain valley castle harbor hotel airport church
        city""".split(),
    "PREPOSITION": "in near behind beside inside outside under across around".split(),
    "NAME": """emma oliver jessica daniel victoria thomas elizabeth samuel rebecca george alice
        henry sophia jack zoe vincent margaret walter julia martin""".split(),
    "LIVELY": """happy hungry angry loud clever lazy famous friendly gentle young tall strange
        beautiful big small old""".split(),
    "MADE": """golden green yellow purple black white brown broken cheap expensive dirty empty
        wooden silver simple tiny wonderful heavy soft sharp thick strange beautiful big small
        old""".split(),
    "WIDE": """quiet dangerous modern narrow ancient cold famous empty dirty strange beautiful big
        small old""".split(),
    "MANNER": """slowly quickly carefully quietly suddenly happily loudly gently
        secretly""".split(),
    "OFTEN": "often never always usually sometimes".split(),
    "PAST_TIME": ["yesterday", "last LONG", "on DAY", "before MEAL", "after MEAL", "in MONTH"],
    "FUTURE_TIME": [
        "tomorrow", "next LONG", "on DAY", "after MEAL", "in NUMBER minutes", "in MONTH",
    ],
    "HABIT_TIME": ["every DAY", "every LONG", "every PART", "before MEAL", "at midnight"],
    "DAY": "monday tuesday wednesday thursday friday saturday sunday".split(),
    "MONTH": "january april july october december".split(),
    "LONG": "week month year summer winter spring".split(),
    "PART": "morning afternoon evening".split(),
    "MEAL": "breakfast lunch dinner".split(),
}  # fmt: skip


class SentenceGrammar:
    """Draws sentences of 4 to 12 words, in `a-z'` and spaces."""

    def __init__(self) -> None:
        self._productions = {
            symbol: [production.split() for production in productions]
            for symbol, productions in _GRAMMAR.items()
        }

    @property
    def vocabulary(self) -> list[str]:
        """Every word that a sentence can have, sorted."""
        tokens = {
            token
            for productions in self._productions.values()
            for production in productions
            for token in production
        }
        return sorted({token for token in tokens if not token.isupper()} | {"an"})

    def sentence(self, rng: random.Random, split: str | None = None) -> str:
        """The next sentence of `rng`; with `split`, the next that belongs to it."""
        while True:
            words = self._expand("SENTENCE", rng)
            sentence = " ".join(_agree(words))
            fits = MIN_WORDS <= len(words) <= MAX_WORDS
            if fits and split in (None, sentence_split(sentence)):
                return sentence

    def _expand(self, token: str, rng: random.Random) -> list[str]:
        if not token.isupper():
            return [token]
        production = rng.choice(self._productions[token])
        return [word for child in production for word in self._expand(child, rng)]


def sentence_split(sentence: str) -> str:
    """train (80% of all sentences), val or test (10% each); the same in any run and machine."""
    bucket = int(hashlib.sha1(sentence.encode()).hexdigest(), 16) % 10
    return {0: "val", 1: "test"}.get(bucket, "train")


def _agree(words: list[str]) -> list[str]:
    """a -> an before a vowel letter; the grammar has no word like hour or uniform."""
    return [
        "an" if word == "a" and following[0] in "aeiou" else word
        for word, following in zip(words, [*words[1:], "."])
    ]
