"""A web page that writes down what is said: a microphone, or files dropped on it.

python app.py                                        # the run of `make demo`, or models/
python app.py from_pretrained=saved/RUN lm=LM.arpa
python app.py host=0.0.0.0 port=8080                 # for others in the network too

Ctrl-C ends it. What a client sends is in files without a name while it is worked on, and nothing
of it is kept but the log-probabilities of the last few recordings, in memory.
"""

from __future__ import annotations

import logging

import hydra
from omegaconf import DictConfig

from src.logger import setup_logging
from src.utils.config_errors import refuse_bad_overrides
from src.utils.entry_point import entry_point
from src.utils.errors import UserError

logger = logging.getLogger(__name__)


@refuse_bad_overrides
@hydra.main(version_base=None, config_path="configs", config_name="app")
@entry_point
def main(config: DictConfig) -> None:
    setup_logging()
    try:
        from src.app.serve import serve
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("src"):
            raise
        raise UserError(
            f"{error.name} is not installed, which the page needs: pip install -r requirements.txt"
        ) from None
    serve(config)


if __name__ == "__main__":
    main()
