"""A staged folder (hub_staging.py) becomes one commit on the Hub."""

from __future__ import annotations

from pathlib import Path

from src.trainer.hub import first_line
from src.utils.errors import UserError


def check_token() -> None:
    """Raises a UserError where the Hub's client finds no token."""
    import huggingface_hub as hub

    if not hub.get_token():
        raise UserError("no token for the Hub; run hf auth login, or set HF_TOKEN")


def upload(
    folder: Path, repo: str, revision: str | None = None, message: str = "", private: bool = False
) -> str:
    """Commits every file of `folder` at once, so that nobody ever loads half of it.

    Args:
        repo: `USER/REPO`, made if there is none.
        revision: a branch, made from main if there is none; None for main.
        private: of a repository that is made.

    Returns:
        The commit's page.

    Raises:
        UserError: the Hub refuses or cannot be reached.
    """
    import huggingface_hub as hub
    from huggingface_hub import constants, errors

    api = hub.HfApi()
    operations = [
        hub.CommitOperationAdd(str(path.relative_to(folder)), str(path))
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]
    try:
        # None leaves the choice to the organisation's own default
        api.create_repo(repo, private=private or None, exist_ok=True)
        if revision:
            api.create_branch(repo, branch=revision, exist_ok=True)
        commit = api.create_commit(
            repo, operations, commit_message=message or "Upload", revision=revision
        )
    except errors.HfHubHTTPError as error:
        if error.response.status_code in (401, 403):
            reason = "the token does not allow it; it must be one that may write there"
        else:
            reason = first_line(error)
    except errors.OfflineModeIsEnabled:
        reason = "HF_HUB_OFFLINE is set"
    except errors.HTTPError as error:
        reason = f"{constants.ENDPOINT} cannot be reached ({first_line(error)})"
    except (RuntimeError, ValueError) as error:  # a file's upload, names and metadata
        reason = first_line(error)
    else:
        return commit.commit_url
    raise UserError(f"{repo} cannot be uploaded: {reason}")
