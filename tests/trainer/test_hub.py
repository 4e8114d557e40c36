"""hf:// addresses: what is fetched, what the cache answers, and what is refused."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import soundfile
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import OmegaConf

from src.text_encoder import CTCTextEncoder, SentencePieceCTCTextEncoder
from src.trainer.build import build_trainer
from src.trainer.checkpoint import save_checkpoint
from src.trainer.hub import local_run, run_path
from src.trainer.hub_staging import stage
from src.trainer.own_classes import refuse_foreign_targets
from src.trainer.pretrained import load_pretrained
from src.trainer.run_folder import open_run_folder
from src.utils.errors import UserError

ROOT = Path(__file__).parents[2]
REPO = "someone/recogniser"
URI = f"hf://{REPO}"
LOADED = {"config.yaml", "text_encoder/text_encoder.json", "model.safetensors", "manifest.json"}


def make_run(folder, text_encoder):
    sizes = {"d_model": 16, "n_layers": 1, "n_heads": 2, "subsampling_channels": 4}
    with initialize_config_dir(str(ROOT / "configs"), version_base=None):
        config = compose("onebatchtest", [f"model.{name}={size}" for name, size in sizes.items()])
    OmegaConf.resolve(config)
    torch.manual_seed(0)
    model = instantiate(config.model, vocab_size=len(text_encoder))
    save_checkpoint(folder / "checkpoints" / "best", model, {"step": 7})
    text_encoder.save(folder / "text_encoder")
    OmegaConf.save(config, folder / "config.yaml")
    return folder


@pytest.fixture(scope="module")
def staged(tmp_path_factory):
    """A small recogniser that has learnt nothing, as push_to_hub.py would publish it."""
    folder = tmp_path_factory.mktemp("hub")
    run = make_run(folder / "run", CTCTextEncoder())
    stage(run, folder / "staged", REPO)
    return folder / "staged"


@pytest.fixture
def repo(hub_server, staged):
    """It on the Hub: repo("model.safetensors", b"...") changes a file."""
    hub_server.create(REPO)
    hub_server.commit(REPO, contents(staged))

    def change(name: str, content: bytes, branch: str = "main") -> str:
        return hub_server.commit(REPO, {name: content}, branch)

    return change


def contents(folder):
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def weights(path):
    return load_pretrained(path).model.state_dict()


def same(some, others):
    return some.keys() == others.keys() and all(
        torch.equal(some[name], others[name]) for name in some
    )


class Planted:
    """Unpickling it leaves a trace."""

    def __init__(self, trace):
        self.trace = str(trace)

    def __reduce__(self):
        return (open, (self.trace, "w"))


def test_a_new_run_may_begin_from_the_hubs_weights(repo, staged, compose_tiny, tmp_path):
    config = compose_tiny(f"trainer.init_from={URI}", "model.dropout=0.0")
    trainer = build_trainer(config, open_run_folder(config))
    expected = safetensors.torch.load_file(staged / "model.safetensors")
    assert same(trainer.model.state_dict(), expected)


def test_only_what_inference_needs_is_fetched_and_nothing_runs(repo, hub_server, staged, tmp_path):
    trace = tmp_path / "trace"
    code = f"open({str(trace)!r}, 'w')".encode()
    planted = {
        **dict.fromkeys(("modeling.py", "text_encoder/evil.py", "src/model/__init__.py"), code),
        **dict.fromkeys(("text_encoder/x.pkl", "training_state.pt"), pickle.dumps(Planted(trace))),
        "checkpoints/best/model.safetensors": b"other weights",
    }
    hub_server.commit(REPO, planted)
    assert same(weights(URI), safetensors.torch.load_file(staged / "model.safetensors"))
    assert hub_server.fetched == LOADED
    cached = {path.name for path in (tmp_path / "hub").rglob("*")}
    assert not cached & {Path(name).name for name in planted} - {"model.safetensors", "__init__.py"}
    assert not trace.exists()
    assert not hub_server.leaked


def test_the_second_time_only_the_cache_is_asked(repo, hub_server):
    first = weights(URI)
    hub_server.fetched.clear()
    assert same(weights(URI), first)
    assert not hub_server.fetched


@pytest.mark.parametrize("how", ["no server", "HF_HUB_OFFLINE"])
def test_offline_the_cache_answers(repo, hub_server, monkeypatch, how):
    first = weights(URI)
    if how == "no server":
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    else:
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    hub_server.asked.clear()
    assert same(weights(URI), first)
    assert not hub_server.asked
    with pytest.raises(UserError, match=r"other cannot be downloaded: .* does not have it whole$"):
        local_run("hf://someone/other")


def test_a_revision_is_a_branch_or_a_commit(repo, hub_server, staged):
    first = hub_server.repos[REPO].branches["main"]
    values = safetensors.torch.load_file(staged / "model.safetensors")
    other = {name: value + 1 for name, value in values.items()}
    changed = {**contents(staged), "model.safetensors": safetensors.torch.save(other)}
    del changed["manifest.json"]
    hub_server.commit(REPO, changed, "better/one")
    assert same(weights(f"{URI}@better/one"), other)
    assert same(weights(URI), values)
    repo("model.safetensors", b"damaged since")
    assert same(weights(f"{URI}@{first}"), values)


def test_subwords_come_with_their_model(hub_server, tmp_path):
    encoder = SentencePieceCTCTextEncoder(30, cache_dir=str(tmp_path / "cache")).fit(
        ["the quick brown fox jumps over a lazy dog", "it was working in the end"] * 20
    )
    run = make_run(tmp_path / "run", encoder)
    stage(run, tmp_path / "staged", REPO)
    hub_server.create(REPO)
    hub_server.commit(REPO, contents(tmp_path / "staged"))
    loaded = load_pretrained(URI)
    assert loaded.text_encoder.encode("a quick dog") == encoder.encode("a quick dog")
    assert same(loaded.model.state_dict(), weights(run))


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("hf://nobody/nothing", "there is none at http://127.0.0.1:"),
        (f"{URI}@nowhere", f"{REPO} has no revision nowhere"),
        ("hf://recogniser", "write hf://USER/REPO"),
        ("hf://a/b/c", "write hf://USER/REPO"),
        ("hf://someone/../etc", "write hf://USER/REPO"),
        (f"{URI}@", "write hf://USER/REPO"),
        ("hf://-someone/x..y", "cannot be downloaded"),
    ],
)
def test_what_is_not_there_is_said_in_a_sentence(repo, address, said):
    with pytest.raises(UserError) as raised:
        load_pretrained(address)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_private_repository_wants_a_token(repo, hub_server, monkeypatch):
    hub_server.repos[REPO].private = True
    monkeypatch.setenv("HF_TOKEN", "")
    with pytest.raises(UserError, match=r"it is private and the token .*HF_TOKEN\) does not open"):
        load_pretrained(URI)


def test_a_private_repository_opens_to_its_token(repo, hub_server):
    hub_server.repos[REPO].private = True
    assert load_pretrained(URI)


def test_another_kind_of_repository_is_refused(hub_server):
    hub_server.create(REPO)
    hub_server.commit(REPO, {"pytorch_model.bin": b"x", "README.md": b"x"})
    with pytest.raises(UserError, match=r"has no config\.yaml and no model\.safetensors"):
        load_pretrained(URI)
    assert not hub_server.fetched


@pytest.mark.parametrize("how", ["truncated", "changed"])
def test_damaged_weights_are_refused_and_can_be_had_afresh(repo, staged, tmp_path, how):
    whole = (staged / "model.safetensors").read_bytes()
    repo("model.safetensors", whole[:-100] if how == "truncated" else whole[:-1] + b"x")
    with pytest.raises(UserError, match=r"is damaged \(model\.safetensors differs") as raised:
        load_pretrained(URI)
    repo("model.safetensors", whole)
    folder = str(raised.value).partition("remove ")[2].partition(" to download")[0]
    assert Path(folder).is_relative_to(tmp_path)
    shutil.rmtree(folder)
    assert load_pretrained(URI)


def test_damage_in_the_cache_is_mended_by_what_the_message_says(repo, tmp_path):
    cached = local_run(URI) / "model.safetensors"
    cached.resolve().write_bytes(b"torn")
    with pytest.raises(UserError, match="is damaged") as raised:
        load_pretrained(URI)
    shutil.rmtree(str(raised.value).partition("remove ")[2].partition(" to download")[0])
    assert load_pretrained(URI)


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "src.utils.git_snapshot.subprocess.run",  # reached through a module of ours
        "src.utils.atomic_file.write_text_atomically",  # ours, but writes files
        "src.logger.CSVWriter",
        "torch.nn.Linear",
        "src.nothing.Here",
    ],
)
def test_a_config_builds_only_modules_of_this_repository(repo, staged, target):
    config = OmegaConf.load(staged / "config.yaml")
    config.transforms.log_mel = {"_target_": target}
    repo("config.yaml", OmegaConf.to_yaml(config).encode())
    with pytest.raises(UserError) as raised:
        load_pretrained(URI)
    assert target in str(raised.value)


@pytest.mark.parametrize("evil", ["${later}", "src.${later}"])
def test_an_interpolation_cannot_bring_a_target_in_after_the_check(repo, staged, tmp_path, evil):
    trace = tmp_path / "trace"
    config = OmegaConf.load(staged / "config.yaml")
    call = {"_target_": "pathlib.Path.touch", "self": str(trace)}
    config.later = call if evil == "${later}" else "utils.git_snapshot.subprocess.run"
    config.transforms.log_mel = evil if evil == "${later}" else {"_target_": evil}
    repo("config.yaml", OmegaConf.to_yaml(config).encode())
    with pytest.raises(UserError, match=r"interpolation|not part of this repository"):
        load_pretrained(URI)
    assert not trace.exists()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.yaml", b"\x00"),
        ("config.yaml", b"- model"),
        ("config.yaml", b"model: 3\ntransforms: 4\n"),
        ("config.yaml", b"model: {_target_: src.model.Conformer, n: 1}\ntransforms: {a: 1}\n"),
        ("config.yaml", b"!!python/object/apply:os.system ['true']"),
        ("text_encoder/text_encoder.json", b"{"),
        ("text_encoder/text_encoder.json", b"[]"),
        ("text_encoder/text_encoder.json", b'{"type": ["characters"]}'),
        ("text_encoder/text_encoder.json", b'{"type": "characters", "alphabet": 3}'),
        ("text_encoder/text_encoder.json", b'{"type": "sentencepiece"}'),
        ("manifest.json", b"[]"),
    ],
)
def test_nonsense_in_a_repository_is_said_in_a_sentence(repo, name, content):
    repo(name, content)
    with pytest.raises(UserError) as raised:
        load_pretrained(URI)
    said = {"config.yaml": "config.yaml", "manifest.json": "is damaged"}
    assert said.get(name, "text encoder") in str(raised.value)


def test_a_subword_model_of_nonsense_is_refused(repo, hub_server):
    description = {"type": "sentencepiece", "vocab_size": 40, "model_type": "unigram"}
    repo("text_encoder/text_encoder.json", json.dumps(description).encode())
    repo("text_encoder/sentencepiece.model", b"nonsense")
    with pytest.raises(UserError, match="no readable text encoder"):
        load_pretrained(URI)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((500, ""), r"http\S+ answers 500, and \S+ does not have it whole$"),
        ((403, "GatedRepo"), rf"access to {REPO} must be asked for at http\S+/{REPO}$"),
    ],
)
def test_a_hub_that_refuses_is_said_in_a_sentence(repo, hub_server, answer, said):
    hub_server.answer = answer
    with pytest.raises(UserError, match=said):
        load_pretrained(URI)


def test_every_module_that_the_configs_name_is_ours():
    for path in sorted((ROOT / "configs").glob("*/*.yaml")):
        if path.parent.name in ("model", "augmentation", "transforms"):
            text = "\n".join(line for line in path.read_text().splitlines() if "${" not in line)
            refuse_foreign_targets(OmegaConf.to_container(OmegaConf.create(text)), path)


def test_an_address_stays_as_it_is_on_a_command_line():
    assert run_path("hf://a/b@c") == "hf://a/b@c"
    assert run_path("saved/demo") == Path("saved/demo")


def test_inference_py_in_a_real_process_reads_the_hub(repo, staged, tmp_path):
    audio = tmp_path / "audio"
    audio.mkdir()
    noise = np.random.default_rng(0).normal(0, 0.1, 16000)
    soundfile.write(audio / "a.wav", noise, 16000)
    command = [
        *(sys.executable, "inference.py", f"inferencer.from_pretrained={URI}@main"),
        *(f"datasets.test.audio_dir={audio}", f"save_dir={tmp_path}", "device=cpu"),
        "inferencer.num_workers=0",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    [line] = (tmp_path / "transcripts/test/transcripts.jsonl").read_text().splitlines()
    pretrained = load_pretrained(staged)
    batch = {
        "audio": torch.tensor(soundfile.read(audio / "a.wav", dtype="float32")[0])[None],
        "audio_length": torch.tensor([16000]),
    }
    with torch.inference_mode():
        best = pretrained.process_batch(batch)["log_probs"][0].argmax(-1)
    assert json.loads(line)["text"] == pretrained.text_encoder.ctc_decode(best.tolist())
