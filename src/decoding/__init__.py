"""Log-probabilities in, hypotheses out.

Every decoder is called as `decoder(log_probs [B, T, V], log_prob_length [B])` and gives, for
each utterance, its hypotheses, best first.
"""

from src.decoding.argmax import ArgmaxDecoder
from src.decoding.beam_search import BeamSearchDecoder
from src.decoding.hypothesis import Hypothesis, Word
from src.decoding.lm_files import find_lm
from src.decoding.ngram_lm import NGramLM

__all__ = ["ArgmaxDecoder", "BeamSearchDecoder", "Hypothesis", "NGramLM", "Word", "find_lm"]
