"""What push_to_hub.py publishes, against a stand-in for the Hub and its real client."""

from __future__ import annotations

import hashlib
import json
import shutil

import pytest
import safetensors.torch
import torch
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from src.trainer.hub_staging import public_config
from src.trainer.log_probs import log_probs_of
from src.trainer.pretrained import load_pretrained
from src.utils.errors import UserError
from tests.scripts.conftest import ROOT

REPO = "someone/recogniser"
STAGED = {
    *("README.md", "config.yaml", "manifest.json", "model.safetensors", "summary.json"),
    "text_encoder/text_encoder.json",
}


def rates(wer, cer, low, high):
    edits = {"substitutions": 10, "deletions": 2, "insertions": 1}
    return {"wer": wer, "wer_interval": [low, high], "cer": cer, "utterances": 50, **edits}


SUMMARY = {
    "val": {"argmax": rates(0.12345, 0.04321, 0.1111, 0.1399)},
    "test_clean": {
        "argmax": rates(0.1, 0.03, 0.09, 0.11),
        "beam_search": rates(0.0876, 0.0291, 0.08, 0.095),
    },
    "unheard": {"argmax": {"utterances": 0, "decode_seconds": 1.0, "audio_seconds": 9.0}},
}


@pytest.fixture
def push(load_script, run_main):
    """push(RUN_DIR, ...) -> exit code, what was printed, what was complained of."""
    script = load_script("push_to_hub")
    return lambda *arguments: run_main(script, *arguments)


@pytest.fixture(scope="module")
def whole_config():
    """That of a run on a machine whose paths say whose it is."""
    overrides = [
        *("data_dir=/home/jane/corpora", "save_dir=/home/jane/runs", "writer=cometml"),
        *("datasets=librispeech_100", "transforms=spec", "augmentation=[background_noise]"),
        *("+noise_dir=/mnt/secret/noise", "trainer.resume_from=/home/jane/runs/a"),
        "+metrics.with_lm={lm: /mnt/secret/lm/3-gram.arpa, alpha: 0.5}",
        *("model.d_model=16", "model.n_layers=1", "model.n_heads=2"),
        "model.subsampling_channels=4",
    ]
    with initialize_config_dir(str(ROOT / "configs"), version_base=None):
        config = compose("onebatchtest", overrides)
    OmegaConf.resolve(config)
    return config


@pytest.fixture
def whole_run(run_dir, whole_config, tmp_path):
    """A run folder with all that training leaves."""
    run = shutil.copytree(run_dir, tmp_path / "run")
    OmegaConf.save(whole_config, run / "config.yaml")
    (run / "summary.json").write_text(json.dumps(SUMMARY))
    (run / "git.txt").write_text("commit 0123abcd\nbranch x\nchanged files:\n M /home/jane/x.py\n")
    (run / "git.patch").write_text("secret")
    (run / "log.txt").write_text("/home/jane")
    (run / "text_encoder" / "notes.py").write_text("raise SystemExit")
    return run


def staged(push, run, folder, *more):
    code, _, complaint = push(run, REPO, "--dry-run", folder, *more)
    assert code == 0, complaint
    return folder


def card_of(folder):
    """The card's metadata and its text."""
    _, metadata, body = (folder / "README.md").read_text().split("---\n", 2)
    return yaml.safe_load(metadata), body


def test_a_dry_run_stages_what_inference_needs_and_no_more(push, whole_run, hub_server, tmp_path):
    folder = staged(push, whole_run, tmp_path / "staged")
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert files == STAGED
    text = "".join((folder / name).read_text() for name in STAGED if "safetensors" not in name)
    for secret in ("jane", "/mnt", "secret", "comet", str(tmp_path)):
        assert secret not in text, secret
    manifest = json.loads((folder / "manifest.json").read_text())
    weights = (folder / "model.safetensors").read_bytes()
    assert manifest["sha256"] == {"model.safetensors": hashlib.sha256(weights).hexdigest()}
    assert not hub_server.asked


def test_the_staged_folder_is_the_run_with_its_settings(push, whole_run, tmp_path):
    folder = staged(push, whole_run, tmp_path / "staged")
    config = OmegaConf.load(folder / "config.yaml")
    assert config.datasets.train.root == "data/LibriSpeech"
    assert config.metrics.with_lm == {"lm": "3-gram.arpa", "alpha": 0.5}
    assert config.transforms.wave_augmentations.background_noise.folder == "noise"
    assert_same_weights(load_pretrained(folder).model, whole_run)


def assert_same_weights(model, run):
    expected = safetensors.torch.load_file(run / "checkpoints" / "best" / "model.safetensors")
    found = model.state_dict()
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(found[name], value), name


def test_the_cards_figures_are_those_of_the_summary(push, whole_run, tmp_path):
    metadata, body = card_of(staged(push, whole_run, tmp_path / "staged", "--license", "mit"))
    results = {
        (result["dataset"]["name"], metric["name"]): metric["value"]
        for result in metadata["model-index"][0]["results"]
        for metric in result["metrics"]
    }
    measured = [("val", "argmax"), ("test_clean", "argmax"), ("test_clean", "beam_search")]
    names = {"val": "LibriSpeech dev-clean", "test_clean": "LibriSpeech test-clean"}
    assert results == {
        (names[split], f"{metric.upper()} ({decoder})"): pytest.approx(
            100 * SUMMARY[split][decoder][metric], abs=0.005
        )
        for split, decoder in measured
        for metric in ("wer", "cer")
    }
    data = [result["dataset"] for result in metadata["model-index"][0]["results"]]
    assert [(of["type"], of["config"], of["split"]) for of in data] == [
        ("openslr/librispeech_asr", "clean", "validation"),
        ("openslr/librispeech_asr", "clean", "test"),
    ]
    assert metadata["license"] == "mit"
    assert metadata["pipeline_tag"] == "automatic-speech-recognition"
    assert {"ctc", "conformer"} <= set(metadata["tags"])
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in body.splitlines()
        if line.startswith("| ")
    ]
    assert rows[1:] == [
        [*("val", "LibriSpeech dev-clean", "argmax"), *("12.35", "11.11 - 13.99", "4.32", "50")],
        [
            *("test_clean", "LibriSpeech test-clean", "argmax"),
            *("10.00", "9.00 - 11.00", "3.00", "50"),
        ],
        [
            *("test_clean", "LibriSpeech test-clean", "beam_search"),
            *("8.76", "8.00 - 9.50", "2.91", "50"),
        ],
    ]


def test_the_card_says_what_it_is_and_how_to_use_it(push, whole_run, tmp_path):
    metadata, body = card_of(staged(push, whole_run, tmp_path / "staged"))
    assert "license" not in metadata, "nobody but its owner grants one"
    parameters = sum(p.numel() for p in load_pretrained(tmp_path / "staged").model.parameters())
    for text in (
        f"{parameters:,} parameters",
        "data: LibriSpeech train-clean-100",
        "code: commit 0123abcd with local changes",
        "augmentations: background_noise, spec_augment",
        f"inferencer.from_pretrained=hf://{REPO} datasets.test.audio_dir=DIR",
        f't = Transcriber.from_pretrained("hf://{REPO}")',
    ):
        assert text in body, text


def test_figures_of_an_inference_can_be_named(push, whole_run, tmp_path):
    other = tmp_path / "other.json"
    other.write_text(json.dumps({"test": {"argmax": rates(0.5, 0.25, 0.4, 0.6)}}))
    _, body = card_of(staged(push, whole_run, tmp_path / "staged", "--summary", other))
    assert "| argmax | 50.00 | 40.00 - 60.00 | 25.00 |" in body
    assert "12.35" not in body


def test_pushed_and_loaded_back(push, whole_run, hub_server):
    code, printed, complaint = push(whole_run, REPO, "--message", "first", "--private")
    assert code == 0, complaint
    repo = hub_server.repos[REPO]
    assert set(hub_server.files(REPO)) == STAGED
    assert repo.private
    assert repo.messages == ["first"], "one commit: nobody ever loads half of it"
    assert f"from_pretrained=hf://{REPO}" in printed
    assert "license" in printed
    assert_same_weights(load_pretrained(f"hf://{REPO}").model, whole_run)
    assert not hub_server.leaked, "the store beside the Hub is none of the token's business"


def test_a_second_push_may_go_to_a_branch(push, whole_run, hub_server):
    assert push(whole_run, REPO)[0] == 0
    first = hub_server.files(REPO)
    weights = whole_run / "checkpoints" / "best" / "model.safetensors"
    changed = {name: value + 1 for name, value in safetensors.torch.load_file(weights).items()}
    average = whole_run / "checkpoints" / "average"
    average.mkdir()
    safetensors.torch.save_file(changed, average / "model.safetensors")
    code, printed, complaint = push(average, REPO, "--revision", "averaged")
    assert code == 0, complaint
    assert f"hf://{REPO}@averaged" in printed
    assert hub_server.files(REPO) == first
    card = hub_server.files(REPO, "averaged")["README.md"].decode()
    assert f"from_pretrained=hf://{REPO}@averaged " in card, "its commands are of this branch"
    loaded = load_pretrained(f"hf://{REPO}@averaged").model.state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in changed.items())


def test_tuning_reads_the_hub_too(
    push, load_script, run_main, whole_run, hub_server, corpus, tmp_path, monkeypatch
):
    assert push(whole_run, REPO)[0] == 0
    monkeypatch.chdir(tmp_path)
    script, heard = load_script("tune_lm"), []
    monkeypatch.setattr(
        script, "word_error_rate", lambda args, *point: heard.append(point[3].log_probs) or 0.5
    )
    grid = ("--alpha", 0.5, "--beta", 1.0, "--data", corpus, "--lm", "LM.arpa")
    code, printed, _ = run_main(script, f"hf://{REPO}", *grid)
    assert code == 0
    assert "the grid is in tune_lm" in printed
    assert (tmp_path / "tune_lm" / "grid.csv").is_file(), "of no folder of the Hub's cache"
    expected = log_probs_of(whole_run, corpus, device="cpu")[0].log_probs
    assert all(torch.equal(found, value) for found, value in zip(heard[0], expected))


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("", "no token for the Hub; run hf auth login, or set HF_TOKEN"),
        ("hf_read_only", "the token does not allow it"),
    ],
)
def test_without_a_good_token(push, whole_run, hub_server, monkeypatch, setting, said):
    monkeypatch.setenv("HF_TOKEN", setting)
    code, _, complaint = push(whole_run, REPO)
    assert (code, complaint.count("\n")) == (2, 1)
    assert said in complaint
    assert not hub_server.repos


def test_without_a_network(push, whole_run, hub_server, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    code, _, complaint = push(whole_run, REPO)
    assert (code, complaint.count("\n")) == (2, 1)
    assert "http://127.0.0.1:9 cannot be reached" in complaint


def test_bad_runs_are_refused_before_anything_is_sent(push, whole_run, hub_server, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").touch()
    empty = tmp_path / "empty"
    empty.mkdir()
    damaged = shutil.copytree(whole_run, tmp_path / "damaged")
    (damaged / "checkpoints/best/model.safetensors").write_bytes(b"torn")
    for arguments, said in {
        (tmp_path / "nowhere", REPO): "no checkpoint in",
        (empty, REPO): "no checkpoint in",
        (damaged, REPO): "no checkpoint in",
        (damaged / "checkpoints/best", REPO): "is damaged",
        (whole_run, REPO, "--summary", tmp_path / "no.json"): "no.json cannot be read",
        (whole_run, REPO, "--dry-run", tmp_path / "full"): "not an empty folder",
    }.items():
        code, _, complaint = push(*arguments)
        assert code == 2, arguments
        assert said in complaint.splitlines()[-1]
        assert "Traceback" not in complaint
    assert not hub_server.asked
    assert push(whole_run, "no-owner")[0] == 2


def test_paths_of_this_machine_keep_their_last_part():
    config = {
        "data_dir": "/data",
        "save_dir": "saved",
        "datasets": {"a": "/data/x/y", "b": "/elsewhere/train.jsonl", "c": ["~/z", "../up"]},
        "trainer": {"monitor": "argmax/wer", "resume": "auto", "resume_from": "saved/a"},
        "writer": {"workspace": "team"},
    }
    assert public_config(config) == {
        "data_dir": "data",
        "save_dir": "saved",
        "datasets": {"a": "data/x/y", "b": "train.jsonl", "c": ["z", "up"]},
        "trainer": {"monitor": "argmax/wer", "resume": None, "resume_from": None},
    }


def test_what_does_not_load_is_not_published(push, whole_run, hub_server):
    config = OmegaConf.load(whole_run / "config.yaml")
    config.model.d_model = 32
    OmegaConf.save(config, whole_run / "config.yaml")
    code, _, complaint = push(whole_run, REPO)
    assert code == 2
    assert "another architecture" in complaint
    assert not hub_server.asked
    with pytest.raises(UserError, match="another architecture"):
        load_pretrained(whole_run)
