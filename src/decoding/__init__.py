"""Log-probabilities in, hypotheses out.

Every decoder is called as `decoder(log_probs [B, T, V], log_prob_length [B])` and gives, for
each utterance, its hypotheses, best first. The beam search (`beam_search.BeamSearchDecoder`)
and the libraries are imported where they are used: numba alone takes half a second.
"""

from src.decoding.argmax import ArgmaxDecoder
from src.decoding.hypothesis import Hypothesis, Word

__all__ = ["ArgmaxDecoder", "Hypothesis", "Word"]
