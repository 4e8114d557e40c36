"""A command that cannot be obeyed is one sentence and exit code 2."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest
from hydra import compose, initialize_config_dir

from src.app.settings import Settings
from src.utils.errors import UserError
from tests.app.conftest import ROOT


def app(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "app.py", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=240,
    )


def test_without_a_run_it_says_how_to_get_one():
    done = app("from_pretrained=nowhere")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: there is no nowhere: name a run folder by from_pretrained=saved/RUN, or run "
        "`make demo` and leave it out\n"
    )


def test_a_port_in_use_is_said_before_a_model_is_loaded(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = app(f"from_pretrained={tmp_path}", f"port={port}")
    assert done.returncode == 2
    assert done.stderr == (
        f"error: 127.0.0.1:{port} cannot be listened on (Address already in use); use another "
        "port=..., or port=0 for any that is free\n"
    )


def test_without_fastapi_it_says_how_to_get_it(tmp_path):
    (tmp_path / "fastapi.py").write_text("raise ModuleNotFoundError('no', name='fastapi')")
    done = app(PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: fastapi is not installed, which the page needs: pip install -r requirements.txt\n"
    )


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("port=70000", "port=70000: use 0 to 65535"),
        ("port=high", "port=high is not a whole number"),
        ("max_seconds=0", "max_seconds=0: use more than 0"),
        ("max_wait_ms=-1", "max_wait_ms=-1: use 0 or more"),
        ("max_batch=.nan", "max_batch=.nan is not a whole number"),
        ("decoders=[]", "decoders names none"),
        ("window_seconds=0.5", "window_seconds=0.5: use 1 or more"),
        ("stream_overlap_seconds=9", "overlap_seconds=9: use 0.4 to half"),
        ("+max_secnods=3", "there is no setting max_secnods; did you mean max_seconds?"),
    ],
)
def test_impossible_settings_are_refused(override, words):
    with initialize_config_dir(str(ROOT / "configs"), version_base=None):
        config = compose("app", [override])
    with pytest.raises(UserError) as error:
        Settings.of(config)
    assert words in str(error.value)
