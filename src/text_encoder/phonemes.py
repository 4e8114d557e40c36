"""The sounds of American English, and how eSpeak NG's are written with them.

>>> simplified("w_ˈɔː_ɾ_ɚ")     # water
('w', 'ɔ', 't', 'ɚ')

The 40 are those of CMUdict and the schwa, in IPA. eSpeak tells more apart than a few hours of
speech can teach: stress, length, flaps, syllabic consonants and vowels that colour an r.
"""

from __future__ import annotations

PHONEMES = (
    *("i", "ɪ", "ɛ", "æ", "ɑ", "ɔ", "ʌ", "ə", "ɚ", "ʊ", "u"),
    *("eɪ", "aɪ", "ɔɪ", "aʊ", "oʊ"),
    *("p", "b", "t", "d", "k", "ɡ", "tʃ", "dʒ"),
    *("f", "v", "θ", "ð", "s", "z", "ʃ", "ʒ", "h"),
    *("m", "n", "ŋ", "l", "ɹ", "w", "j"),
)

_UNHEARD = str.maketrans("", "", "ˈˌː\u200d")  # stress, length, joiners
_WRITTEN_AS = {
    "ᵻ": "ɪ",
    "ɐ": "ə",
    "ɜ": "ɚ",
    "ɾ": "t",
    "ʔ": "t",
    "əl": "ə l",
    "n̩": "ə n",
    "ɑɹ": "ɑ ɹ",
    "ɔɹ": "ɔ ɹ",
    "oɹ": "ɔ ɹ",
    "ɪɹ": "ɪ ɹ",
    "ɛɹ": "ɛ ɹ",
    "ʊɹ": "ʊ ɹ",
    "iə": "i ə",
    "aɪɚ": "aɪ ɚ",
    "aɪə": "aɪ ə",
    "r": "ɹ",
    "e": "eɪ",
    "o": "oʊ",
    "a": "æ",
    "ææ": "æ",
    "x": "k",
    "ç": "k",
    "ɬ": "l",
    "ɡʲ": "ɡ",
    "ɑ̃": "ɑ n",
    "ɔ̃": "ɔ n",
    "æ̃": "æ n",
}


def simplified(ipa: str) -> tuple[str, ...]:
    """The phonemes of what eSpeak writes, its sounds parted by `_` or spaces; those that English
    lacks (a few foreign names have them) are left out."""
    sounds = ipa.translate(_UNHEARD).replace("_", " ").split()
    written = " ".join(_WRITTEN_AS.get(sound, sound) for sound in sounds).split()
    return tuple(phoneme for phoneme in written if phoneme in PHONEMES)
