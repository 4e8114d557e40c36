"""ONNX Runtime says what PyTorch says, in every shape, and `inference.py` works with it."""

from __future__ import annotations

import json
import runpy
import shutil
import sys
from collections import Counter
from pathlib import Path

import pytest
import soundfile
import torch
from omegaconf import OmegaConf
from safetensors.torch import save_file

from src.model import Conformer
from src.text_encoder import CTCTextEncoder, SentencePieceCTCTextEncoder
from src.trainer import Transcriber
from src.trainer.backends import load_recognizer
from src.trainer.checkpoint import contiguous_weights
from src.trainer.onnx_export import export_onnx
from src.trainer.onnx_graph import AudioToLogProbs
from src.trainer.onnx_pretrained import load_onnx
from src.trainer.pretrained import load_pretrained
from src.transforms.feature_statistics import FeatureStatistics
from src.utils.errors import UserError

onnx = pytest.importorskip("onnx", reason="needs onnx: pip install onnx onnxruntime")
pytest.importorskip("onnxruntime", reason="needs onnxruntime: pip install onnx onnxruntime")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

ROOT = Path(__file__).parents[2]
TINY = {"d_model": 16, "n_heads": 2, "kernel_size": 3, "subsampling_channels": 4}
VARIANTS = {
    "sinusoidal": {"n_layers": 2},
    "rotary": {
        "n_layers": 3,
        "positions": "rotary",
        "subsampling": 8,
        "intermediate_layers": [1, 2],
        "self_conditioning": True,
    },
}


def save_run(folder: Path, text_encoder=None, seed: int = 0, **sizes) -> Path:
    """A run folder of a tiny model that has learnt nothing, and is sure of itself."""
    text_encoder = text_encoder or CTCTextEncoder()
    torch.manual_seed(seed)
    model = Conformer(vocab_size=len(text_encoder), **TINY, **sizes)
    with torch.no_grad():
        model.head.weight *= 30
    (folder / "checkpoints/best").mkdir(parents=True)
    save_file(contiguous_weights(model), folder / "checkpoints/best/model.safetensors")
    text_encoder.save(folder / "text_encoder")
    log_mel = {"_target_": "src.transforms.LogMel", "sample_rate": 16000}
    config = {
        "model": {"_target_": "src.model.Conformer", **TINY, **sizes},
        "transforms": {"_target_": "src.transforms.Transforms", "seed": 0, "log_mel": log_mel},
        "data_dir": "/home/jane/data",
    }
    OmegaConf.save(OmegaConf.create(config), folder / "config.yaml")
    return folder


@pytest.fixture(scope="module", params=VARIANTS)
def run(request, tmp_path_factory):
    """A run folder with its export, and what the export said of itself."""
    folder = save_run(tmp_path_factory.mktemp(request.param) / "run", **VARIANTS[request.param])
    return folder, export_onnx(folder, int8=True)[1]


def noise(*seconds, loudness=0.1):
    generator = torch.Generator().manual_seed(len(seconds))
    lengths = [max(1, round(16000 * s)) for s in seconds]
    audio = torch.zeros(len(lengths), max(lengths))
    for row, length in zip(audio, lengths):
        row[:length] = loudness * torch.randn(length, generator=generator)
    return {"audio": audio.clamp(-1, 1), "audio_length": torch.tensor(lengths)}


@pytest.mark.parametrize(
    "seconds",
    [(0,), (0.01,), (0.0101, 0.01), (0.5,), (2.2, 0, 0.01, 1.7), (30.0,), (7.9, 30.0, 11.1)],
    ids=str,
)
@torch.inference_mode()
def test_log_probs_are_pytorchs(run, seconds):
    """The first argument is a length in seconds; 0 is one sample."""
    torch_model, onnx_model = load_pretrained(run[0]), load_onnx(run[0])
    for loudness in (0.0, 1e-4, 0.3):
        batch = noise(*seconds, loudness=loudness)
        given = FeatureStatistics(torch.linspace(-9, -2, 80), torch.linspace(1, 9, 80))
        for statistics in (None, given):
            expected = torch_model.process_batch(batch, statistics)
            found = onnx_model.process_batch(batch, statistics)
            assert torch.equal(found["log_prob_length"], expected["log_prob_length"])
            for a, b, length in zip(
                found["log_probs"], expected["log_probs"], expected["log_prob_length"].tolist()
            ):
                torch.testing.assert_close(a[:length], b[:length], atol=1e-3, rtol=0)


def test_padding_is_no_matter_whatever_is_in_it(run):
    recognizer = load_onnx(run[0])
    together = noise(0.01, 3.3, 1.0)
    together["audio"][0, 160:] = 1.0
    together["audio"][2, 16000:] = float("nan")
    batched = recognizer.process_batch(together)
    for position, length in enumerate(together["audio_length"].tolist()):
        audio = together["audio"][position : position + 1, :length]
        alone = recognizer.process_batch({"audio": audio, "audio_length": torch.tensor([length])})
        frames = int(batched["log_prob_length"][position])
        assert alone["log_probs"].shape[1] == frames
        torch.testing.assert_close(
            batched["log_probs"][position, :frames], alone["log_probs"][0], atol=1e-3, rtol=0
        )


def test_what_the_export_says_of_itself(run):
    folder, found = run
    assert 0 < found["onnx"] < 1e-3 < found["onnx_int8"] < 15
    manifest = json.loads((folder / "onnx/manifest.json").read_text())
    assert manifest["largest_difference"] == found
    kinds = Counter(node.op_type for node in onnx.load(folder / "onnx/model.int8.onnx").graph.node)
    linear = [m for m in load_pretrained(folder).model.modules() if isinstance(m, torch.nn.Linear)]
    assert kinds["MatMulInteger"] == len(linear)
    assert "ConvInteger" not in kinds
    for path in (folder / "onnx").rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            for secret in (str(ROOT), str(folder), "jane", ".py"):
                assert secret.encode() not in content, (path, secret)


def test_the_file_tells_another_program_all_it_needs(run):
    """Read by the runtime alone: names, sizes, metadata, and the text of the likeliest tokens."""
    import onnxruntime

    session = onnxruntime.InferenceSession(run[0] / "onnx/model.onnx")
    assert [(i.name, i.type, i.shape) for i in session.get_inputs()] == [
        ("audio", "tensor(float)", ["batch", "samples"]),
        ("audio_length", "tensor(int64)", ["batch"]),
    ]
    assert [(i.name, i.type, i.shape[:2]) for i in session.get_outputs()] == [
        ("log_probs", "tensor(float)", ["batch", "frames"]),
        ("log_prob_length", "tensor(int64)", ["batch"]),
    ]
    said = session.get_modelmeta().custom_metadata_map
    pretrained = load_pretrained(run[0])
    assert float(said["frame_seconds"]) == pretrained.frame_seconds
    assert int(said["sample_rate"]) == 16000
    assert int(said["frame_samples"]) == pretrained.frame_seconds * 16000
    batch = noise(2.0)
    feeds = {name: value.numpy() for name, value in batch.items()}
    [tokens] = session.run(["log_probs"], feeds)[0].argmax(-1)
    vocabulary = json.loads(said["vocabulary"])
    kept = [t for t, before in zip(tokens, [-1, *tokens]) if t != before and t]
    text = " ".join("".join(vocabulary[token] for token in kept).split())
    assert text == pretrained.text_encoder.ctc_decode(tokens)
    assert text


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recordings")
    for number, seconds in enumerate([0.01, 1.0, 9.0, 2.5]):
        batch = noise(seconds, loudness=0.2)
        soundfile.write(folder / f"u{number}.wav", batch["audio"][0].numpy(), 16000)
    (folder / "u1.txt").write_text("a b c")
    return folder


@pytest.fixture
def infer(run, recordings, tmp_path, monkeypatch, capfd):
    """infer(backend, ...) runs `inference.py` here: its exit code, complaint and transcripts."""

    def infer(backend, *overrides, path=None):
        monkeypatch.chdir(ROOT)
        command = [
            *("inference.py", f"datasets.test.audio_dir={recordings}"),
            f"datasets.test.transcription_dir={recordings}",
            *(f"inferencer.from_pretrained={path or run[0]}", f"inferencer.backend={backend}"),
            *(f"inferencer.save_dir={tmp_path / backend}", "inferencer.num_workers=0"),
            *("inferencer.window_seconds=4", "inferencer.overlap_seconds=1.6", *overrides),
        ]
        monkeypatch.setattr("sys.argv", command)
        capfd.readouterr()
        code = 0
        try:
            runpy.run_path("inference.py", run_name="__main__")
        except SystemExit as stop:
            code = stop.code
        written = tmp_path / backend / "test/transcripts.jsonl"
        lines = written.read_text().splitlines() if written.exists() else []
        return code, capfd.readouterr().err, list(map(json.loads, lines))

    return infer


def test_inference_writes_the_same_text(infer, run, tmp_path):
    """Whole and in windows, with two decoders, report and figures."""
    _, _, expected = infer("torch", "+decoder@metrics.beam=beam_search")
    code, complaint, found = infer("onnx", "+decoder@metrics.beam=beam_search")
    assert code == 0, complaint
    assert len(found) == 4 and all(record["text"] for record in found)
    for record, other in zip(found, expected, strict=True):
        assert record["text"] == other["text"]
        assert [w["start"] for w in record["words"]] == [w["start"] for w in other["words"]]
        assert record["score"] == pytest.approx(other["score"], abs=0.02)
        assert record["others"]["beam"]["text"] == other["others"]["beam"]["text"]
    assert (tmp_path / "onnx/test/report.html").is_file()
    code, complaint, found = infer("onnx_int8", path=run[0] / "onnx")
    assert code == 0, complaint
    assert len(found) == 4


def test_the_transcriber_takes_a_backend(run, recordings):
    said = [
        Transcriber.from_pretrained(run[0], backend=backend)(recordings / "u2.wav").text
        for backend in ("torch", "onnx")
    ]
    assert said[0] == said[1] != ""


def test_another_backend_is_another_recogniser(run):
    """So that a second call of inference.py does not mix the transcripts of two."""
    names = [load_recognizer(run[0], backend).fingerprint for backend in ("onnx", "onnx_int8")]
    names.append(load_recognizer(run[0]).fingerprint)
    assert len(set(names)) == 3
    assert load_onnx(run[0] / "onnx").fingerprint == names[0]


def test_sentencepiece_goes_along(tmp_path):
    encoder = SentencePieceCTCTextEncoder(vocab_size=30).fit(["a quick brown fox"] * 9)
    export_onnx(save_run(tmp_path / "run", encoder, n_layers=1), tmp_path / "elsewhere/fox")
    shutil.move(tmp_path / "run", tmp_path / "gone")
    found = load_onnx(tmp_path / "elsewhere/fox")
    assert found.text_encoder.vocab == encoder.vocab
    assert {path.name for path in (tmp_path / "elsewhere").iterdir()} == {"fox"}


@pytest.fixture
def small(tmp_path):
    folder = save_run(tmp_path / "small", n_layers=1)
    export_onnx(folder, int8=True)
    return folder


def test_what_cannot_be_read_is_one_sentence(small, tmp_path, monkeypatch):
    onnx_folder = small / "onnx"
    for backend, device, words in (
        ("onx", "cpu", "there is no backend=onx; did you mean onnx"),
        ("onnx", "cuda", "runs on the CPU: device=cuda needs backend=torch"),
    ):
        with pytest.raises(UserError, match=words):
            load_recognizer(small, backend, device)
    with pytest.raises(UserError, match="is an ONNX export: choose backend=onnx"):
        load_recognizer(onnx_folder)

    content = (onnx_folder / "model.onnx").read_bytes()
    middle = len(content) // 2
    (onnx_folder / "model.onnx").write_bytes(content[:middle] + b"x" + content[middle + 1 :])
    with pytest.raises(UserError, match=r"model.onnx is damaged .* write it anew with python"):
        load_onnx(small)
    (onnx_folder / "manifest.json").unlink()
    (onnx_folder / "model.onnx").write_bytes(content[:middle])
    with pytest.raises(UserError, match=r"model.onnx cannot be read \(.*write it anew"):
        load_onnx(onnx_folder)
    x, y = (onnx.helper.make_tensor_value_info(name, 1, [1]) for name in "xy")
    identity = onnx.helper.make_node("Identity", ["x"], ["y"])
    graph = onnx.helper.make_graph([identity], "g", [x], [y])
    opset = [onnx.helper.make_opsetid("", 18)]
    model = onnx.helper.make_model(graph, ir_version=8, opset_imports=opset)
    onnx.save(model, onnx_folder / "model.onnx")
    with pytest.raises(UserError, match="is not an export of this repository"):
        load_onnx(onnx_folder)
    (onnx_folder / "model.int8.onnx").unlink()
    with pytest.raises(UserError, match=r"has no model.int8.onnx; write it with .* --int8"):
        load_onnx(onnx_folder, "onnx_int8")
    shutil.rmtree(onnx_folder)
    with pytest.raises(UserError, match=r"onnx/model.int8.onnx does not exist; write it .*--int8"):
        load_onnx(small, "onnx_int8")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match="backend=onnx needs onnxruntime: pip install onnxruntime"):
        load_onnx(small)
    with pytest.raises(UserError, match="onnxruntime is missing: pip install onnx onnxruntime"):
        export_onnx(small)


def test_an_export_of_other_weights_is_not_taken_for_the_runs(small, tmp_path):
    newer = save_run(tmp_path / "newer", seed=1, n_layers=1) / "checkpoints/best"
    shutil.copy(newer / "model.safetensors", small / "checkpoints/best/model.safetensors")
    with pytest.raises(UserError, match="was exported from other weights than those of"):
        load_onnx(small)
    load_onnx(small / "onnx")
    export_onnx(small)
    load_onnx(small)
    with pytest.raises(UserError, match=r"model.int8.onnx does not exist"):
        load_onnx(small, "onnx_int8")  # the old one, of the old weights, is gone


def test_what_differs_is_not_written(tmp_path, monkeypatch):
    folder = save_run(tmp_path / "run", n_layers=1)
    forward = AudioToLogProbs.forward
    monkeypatch.setattr(
        AudioToLogProbs, "forward", lambda self, audio, *args: forward(self, 1.01 * audio, *args)
    )
    with pytest.raises(UserError, match=r"differs from PyTorch by .* and was not written"):
        export_onnx(folder)
    assert not (folder / "onnx").exists()


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    folder = save_run(tmp_path / "run", n_layers=1)
    with pytest.raises(UserError, match="is there already and not an export"):
        export_onnx(folder, folder)
    with pytest.raises(UserError, match="say by -o where"):
        export_onnx("hf://someone/something")
