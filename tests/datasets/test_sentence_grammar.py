# ruff: noqa: SIM905 (a page of quoted words is hard to read)
from __future__ import annotations

import random
import re
from collections import Counter, defaultdict

import pytest

from src.datasets.sentence_grammar import SentenceGrammar, sentence_split
from src.text_encoder.normalize import normalize_text
from src.utils.espeak import LANGUAGES, EspeakSynthesizer, Voice

# Well-known English homophones, some only in non-rhotic or merging accents.
HOMOPHONES = """ad/add ail/ale air/heir aisle/isle/i'll all/awl allowed/aloud alter/altar ant/aunt
    ate/eight bail/bale ball/bawl band/banned bare/bear base/bass be/bee beach/beech bean/been
    beat/beet berry/bury billed/build blew/blue board/bored boar/bore bold/bowled border/boarder
    bough/bow bought/bort boy/buoy brake/break bread/bred bridal/bridle buy/by/bye caught/court
    ceiling/sealing cell/sell cellar/seller cent/sent/scent cereal/serial cheap/cheep chews/choose
    chord/cord/cored cite/sight/site close/clothes coarse/course creak/creek crews/cruise
    days/daze dear/deer dew/due/do die/dye fair/fare farther/father fir/fur find/fined
    flea/flee flew/flu flour/flower for/four/fore formally/formerly forth/fourth foul/fowl
    gait/gate genes/jeans grate/great groan/grown guessed/guest hail/hale hair/hare hall/haul
    heal/heel hear/here heard/herd hi/high him/hymn hoarse/horse hole/whole hour/our/are i/eye
    in/inn it's/its key/quay knew/new/gnu knight/night knot/not know/no knows/nose lead/led
    lesson/lessen lone/loan made/maid mail/male main/mane meat/meet mind/mined minor/miner
    missed/mist morning/mourning muscle/mussel must/mussed none/nun oar/or one/won pail/pale
    pain/pane pair/pear passed/past patience/patients pause/paws/pours peace/piece peak/peek
    plain/plane poor/pour/paw pray/prey principal/principle profit/prophet rain/reign raise/rays
    rap/wrap read/red reed/read right/write road/rode/rowed role/roll root/route rose/rows
    sail/sale sauce/source saw/soar/sore sea/see seam/seem sew/so/sow shake/sheikh shore/sure
    side/sighed some/sum son/sun stair/stare stake/steak stalk/stork stationary/stationery
    steal/steel storey/story suite/sweet tail/tale than/then their/there/they're threw/through
    throne/thrown tide/tied time/thyme to/too/two toe/tow told/tolled tort/taught vain/vein
    waist/waste wait/weight war/wore warn/worn way/weigh weak/week wear/where weather/whether
    we/wee which/witch who's/whose wood/would yolk/yoke your/you're""".split()


@pytest.fixture(scope="module")
def grammar() -> SentenceGrammar:
    return SentenceGrammar()


@pytest.fixture(scope="module")
def sentences(grammar) -> list[str]:
    rng = random.Random(0)
    return [grammar.sentence(rng) for _ in range(30_000)]


def test_every_word_of_the_vocabulary_is_said_and_no_other(grammar, sentences):
    said = {word for sentence in sentences for word in sentence.split()}
    assert said == set(grammar.vocabulary)
    assert len(said) >= 400


def test_sentences_are_normal_text_of_four_to_twelve_words(sentences):
    assert all(normalize_text(sentence) == sentence for sentence in sentences[:5000])
    lengths = Counter(len(sentence.split()) for sentence in sentences)
    assert set(lengths) == set(range(4, 13))


def test_text_uses_the_whole_alphabet(sentences):
    assert set("".join(sentences)) == set("abcdefghijklmnopqrstuvwxyz' ")


def test_sentences_hardly_repeat(sentences):
    # By the birthday bound, 1% of repeats among 30,000 would mean some 1.5 million sentences.
    assert len(set(sentences)) > 0.99 * len(sentences)


@pytest.mark.parametrize(
    "disagreement",
    [
        r"\ba [aeiou]",
        r"\ban [^aeiou]",
        r"\b(i|he|she) are\b",
        r"\b(i|they|we|you) (is|was)\b",
        r"\b(this|that|a|an) \w+s (walk|run|jump|are|were)\b",
        r"\b(three|five|six|seven|nine|twenty|thirty|fifty|these|those|many) (dog|book|teacher)\b",
        r"\b(didn't|couldn't|will|can|must|should|might|can't|won't) (\w+ed|walking|walks)\b",
        r"^(he|she) (walk|carry|find|dance)\b",
    ],
)
def test_words_agree(sentences, disagreement):
    assert [sentence for sentence in sentences if re.search(disagreement, sentence)] == []


def test_known_homophones_do_not_meet(grammar):
    vocabulary = set(grammar.vocabulary)
    clashes = [pair for pair in HOMOPHONES if len(vocabulary & set(pair.split("/"))) > 1]
    assert clashes == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_two_words_sound_alike(grammar, language):
    espeak = EspeakSynthesizer()
    words_of_sound = defaultdict(list)
    for word in grammar.vocabulary:
        words_of_sound[espeak.synthesize(word, Voice(language, "m3")).tobytes()].append(word)
    assert [words for words in words_of_sound.values() if len(words) > 1] == []


def test_that_test_would_hear_a_homophone():
    espeak = EspeakSynthesizer()
    two, too, ten = (
        espeak.synthesize(word, Voice("en-us", "m3")) for word in ("two", "too", "ten")
    )
    assert two.tobytes() == too.tobytes() != ten.tobytes()


def test_same_seed_same_sentences(grammar, sentences):
    rng = random.Random(0)
    assert [grammar.sentence(rng) for _ in range(100)] == sentences[:100]
    assert SentenceGrammar().sentence(random.Random(1)) != sentences[0]


def test_splits_have_their_shares_and_share_no_sentence(grammar, sentences):
    shares = Counter(map(sentence_split, sentences))
    assert 0.78 < shares["train"] / len(sentences) < 0.82
    assert 0.09 < shares["val"] / len(sentences) < 0.11
    assert 0.09 < shares["test"] / len(sentences) < 0.11

    drawn = {}
    for split, seed in (("train", 1), ("val", 2), ("test", 3)):
        rng = random.Random(seed)
        drawn[split] = {grammar.sentence(rng, split) for _ in range(5000)}
    assert not drawn["train"] & drawn["val"]
    assert not drawn["train"] & drawn["test"]
    assert not drawn["val"] & drawn["test"]


def test_split_of_a_sentence_is_fixed_for_ever():
    # A changed hash would move sentences into the training data of models already published.
    numbers = {n: sentence_split(str(n)) for n in range(60)}
    assert [n for n, split in numbers.items() if split == "val"] == [4, 42, 52, 53]
    assert [n for n, split in numbers.items() if split == "test"] == [
        19,
        22,
        24,
        43,
        44,
        47,
        56,
        59,
    ]
