"""Recognisers on the Hugging Face Hub: `hf://user/repo`, `hf://user/repo@branch-tag-or-commit`.

A repository is a run folder laid flat, as `scripts/push_to_hub.py` writes it: `config.yaml`,
`text_encoder/`, `model.safetensors` and `manifest.json`, its checksum. These files alone are
fetched, into the Hub's ordinary cache; nothing that could be run or unpickled is among them.
"""

from __future__ import annotations

import re
from pathlib import Path

from src.text_encoder import FILES
from src.trainer.checkpoint import MANIFEST, WEIGHTS, damage
from src.trainer.run_folder import CONFIG
from src.utils.errors import UserError

SCHEME = "hf://"
ENCODER_FILES = tuple(f"text_encoder/{name}" for name in FILES)
NEEDED = (CONFIG, WEIGHTS, MANIFEST, *ENCODER_FILES)  # by name: a pattern would let others in

REPO = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)


def run_path(path: str) -> str | Path:
    """A command's argument: `hf://...` as it is (a Path would join its slashes), else a path."""
    return path if path.startswith(SCHEME) else Path(path)


def local_run(path: str | Path) -> Path:
    """The folder that `path` names; one of the Hub is downloaded, or taken from its cache.

    Without a network, or with `HF_HUB_OFFLINE=1`, the cache answers alone.

    Raises:
        UserError: no such repository or revision, no access to it, nothing in the cache while
            offline, not a repository of this project, or weights that arrived damaged.
    """
    if not str(path).startswith(SCHEME):
        return Path(path)
    repo, _, revision = str(path).removeprefix(SCHEME).partition("@")
    if not REPO.fullmatch(repo) or str(path).endswith("@"):
        raise UserError(f"{path} is no address on the Hub; write hf://USER/REPO[@REVISION]")
    folder = _download(repo, revision or None, str(path))
    if missing := [name for name in (CONFIG, WEIGHTS) if not (folder / name).is_file()]:
        raise UserError(
            f"{path} has no {' and no '.join(missing)}: it is not a recogniser that "
            "scripts/push_to_hub.py wrote"
        )
    if reason := damage(folder, WEIGHTS):
        raise UserError(
            f"{path} is damaged ({reason}); remove {folder.parents[1]} to download it afresh, and "
            "if that does not help, tell its owner"
        )
    return folder


def _download(repo: str, revision: str | None, uri: str) -> Path:
    try:
        import huggingface_hub as hub  # lazily: half a second that a local run does not need
        from huggingface_hub import constants, errors
    except ImportError:
        raise UserError(f"{uri} needs huggingface-hub: pip install huggingface-hub") from None
    try:
        return Path(hub.snapshot_download(repo, revision=revision, allow_patterns=list(NEEDED)))
    except errors.RevisionNotFoundError:
        reason = f"{repo} has no revision {revision or 'main'}; name a branch, a tag or a commit"
    except errors.GatedRepoError:
        reason = f"access to {repo} must be asked for at {constants.ENDPOINT}/{repo}"
    except errors.RepositoryNotFoundError:
        reason = (
            f"there is none at {constants.ENDPOINT}, or it is private and the token (hf auth "
            "login, or HF_TOKEN) does not open it"
        )
    except errors.HFValidationError as error:
        reason = first_line(error)
    except errors.LocalEntryNotFoundError as error:
        cause = error.__cause__
        if constants.is_offline_mode():
            reason = "HF_HUB_OFFLINE is set"
        elif isinstance(cause, errors.HfHubHTTPError):
            reason = f"{constants.ENDPOINT} answers {cause.response.status_code}"
        elif isinstance(cause, errors.HTTPError):
            reason = f"{constants.ENDPOINT} cannot be reached"
        else:
            reason = first_line(cause or error)
        reason += f", and {constants.HF_HUB_CACHE} does not have it whole"
    except (errors.HfHubHTTPError, errors.HTTPError, OSError) as error:
        reason = first_line(error)
    raise UserError(f"{uri} cannot be downloaded: {reason}")


def first_line(error: BaseException) -> str:
    """What an error of the Hub's client says, without its advice of several lines."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
