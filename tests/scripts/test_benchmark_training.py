import json

import pytest
import torch

from src.model import Conformer


@pytest.fixture(scope="module")
def script(load_script):
    return load_script("benchmark_training")


def test_a_row_for_each_contender(script, run_main, tmp_path, monkeypatch):
    monkeypatch.setitem(script.CONTENDERS, "transformers", raise_import_error)
    out = tmp_path / "new" / "out.json"
    code, printed, complaint = run_main(
        script,
        *("--json", out, "--sizes", "tiny", "--layers", 2, "--batch", 2, "--seconds", 3),
        *("--rounds", 1, "--device", "cpu", "--precisions", "float32", "bf16"),
        *("--contenders", "ours", "ours_checkpointed", "torchaudio", "transformers"),
    )
    assert code == 0, complaint
    assert "transformers is left out: No module named 'transformers'" in printed
    written = json.loads(out.read_text())
    rows = {(row["precision"], row["contender"]): row for row in written["results"]}
    contenders = ("ours", "ours_checkpointed", "torchaudio")
    assert rows.keys() == {(p, name) for p in ("float32", "bf16") for name in contenders}
    ours, checkpointed, peer = (rows["float32", name] for name in contenders)
    assert ours["parameters"] == pytest.approx(peer["parameters"], rel=0.01)
    assert ours["speed_of"]["torchaudio"] == pytest.approx(
        peer["ms_per_step"] / ours["ms_per_step"], abs=0.01
    )
    assert checkpointed["mib_per_second"] < ours["mib_per_second"]
    # 3 + 2.4 s of audio; MFU from the FLOPs of its 75 + 60 frames of 40 ms
    seconds = ours["ms_per_step"] / 1000
    assert ours["audio_hours_per_second"] * seconds == pytest.approx(5.4 / 3600, rel=0.01)
    flop = 6 * ours["parameters"] * 135 + 12 * 2 * 144 * (75**2 + 60**2)
    peak = 1e12 * written["settings"]["peak_tflops"]["float32"]
    assert ours["mfu"] == pytest.approx(flop / seconds / peak, abs=1e-4, rel=0.02)


def raise_import_error(config):
    raise ImportError("No module named 'transformers'")


def test_peak_memory_is_what_a_step_allocates(script):
    """A linear layer's step, by hand: its output and the gradient of that, each 4 MiB."""

    class Linear(torch.nn.Linear):
        def forward(self, features, **batch):
            return {"log_probs": super().forward(features)}

    batch = {"features": torch.ones(1024, 8)}
    step = script.TrainingStep(Linear(8, 1024, bias=False), batch, "float32")
    step.criterion = lambda log_probs, **batch: {"loss": (log_probs * 2).mean()}
    step()
    four_mib = 2**22
    assert 2 * four_mib <= step.peak_bytes() < 2.5 * four_mib


def test_the_model_flops_are_those_of_the_counter(script):
    """6 x parameters x frames + attention, against PyTorch's own count of the blocks' products."""
    from torch.utils.flop_counter import FlopCounterMode

    D, layers, T = 64, 2, 100
    model = Conformer(29, d_model=D, n_layers=layers, n_heads=2, kernel_size=15, dropout=0.0)
    x, mask = torch.randn(1, T, D), torch.ones(1, T, dtype=torch.bool)
    with FlopCounterMode(display=False) as counter:
        for block in model.blocks:
            x = block(x, mask)
        x.sum().backward()
    parameters = sum(parameter.numel() for parameter in model.blocks.parameters())
    expected = 6 * parameters * T + 12 * layers * D * T**2
    assert counter.get_total_flops() == pytest.approx(expected, rel=0.06)
