"""A training step of our Conformer beside torchaudio's and Transformers': time, memory, FLOPs.

    python scripts/benchmark_training.py --json OUT
    python scripts/benchmark_training.py --json OUT --sizes large --layers 17 --batch 2 --seconds 16
    python scripts/benchmark_training.py --json OUT --sizes tiny small medium large --rounds 1 \\
        --contenders ours ours_checkpointed
    python scripts/benchmark_training.py --json OUT --device cuda --sizes large --batch 64 \\
        --precisions bf16 --contenders ours ours_compiled torchaudio transformers

A step is forward, CTC, backward and fused AdamW on one padded batch of random features, the
shortest utterance four fifths of the longest, as bucketing leaves them. The peers stand behind our
subsampling and before a head like ours, with the same width, depth, heads, kernel and dropout:
`torchaudio.models.Conformer` as it is, and Transformers' `Wav2Vec2ConformerEncoder` with its
relative positions (skipped where transformers is not installed). The contenders take turns in every
round, and the median of the rounds counts.

OUT has `settings`, `skipped` and `results`: a row for each size, precision and contender.
    ms_per_step, first_step_s      the first step compiles where the contender is compiled
    audio_hours_per_second         without padding
    mfu                            model FLOPs, 6 x parameters x frames + 12 x layers x width x
                                   frames^2, without padding, as a share of settings.peak_tflops
    peak_gib                       weights, gradients, Adam's moments and the most that lives in a
                                   step beside them (counted by the allocator, on a CPU too)
    mib_per_second                 that most, for each second of padded audio
    speed_of                       how many times as fast it is as each peer
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torchaudio
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.loss import CTCLoss
from src.model.subsampling import ConvolutionSubsampling
from src.trainer.compilation import compile_model
from src.trainer.device import choose_device
from src.utils.entry_point import entry_point
from src.utils.masking import length_mask

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
VOCAB = 29
FRAMES_PER_SECOND = 100
TOKENS_PER_SECOND = 14  # characters of LibriSpeech
PEERS = ("torchaudio", "transformers")
PRECISIONS = {"float32": torch.float32, "bf16": torch.bfloat16}
# dense bf16 with float32 accumulation, from the makers' data sheets
PEAK_TFLOPS = {"H100": 989.4, "H200": 989.4, "A100": 312.0, "L40S": 362.0, "RTX 4090": 165.2}


class Peer(nn.Module):
    """Another library's encoder between our subsampling and a head like ours."""

    def __init__(self, config: DictConfig, encode: Callable[..., Tensor], encoder: nn.Module):
        super().__init__()
        self.subsampling = ConvolutionSubsampling(
            config.n_features, config.d_model, config.subsampling, config.subsampling_channels
        )
        self.encoder, self.encode = encoder, encode
        self.head = nn.Linear(config.d_model, VOCAB)

    def forward(
        self, features: Tensor, feature_length: Tensor, **batch: object
    ) -> dict[str, Tensor]:
        x, length = self.subsampling(features, feature_length)
        x = self.encode(self.encoder, x, length)
        return {"log_probs": self.head(x).float().log_softmax(-1), "log_prob_length": length}


def ours(config: DictConfig) -> nn.Module:
    return instantiate(config, vocab_size=VOCAB)


def ours_checkpointed(config: DictConfig) -> nn.Module:
    return instantiate(config, vocab_size=VOCAB, activation_checkpointing=True)


def ours_compiled(config: DictConfig) -> nn.Module:
    model = ours(config)
    compile_model(model, "inductor")
    return model


def torchaudio_conformer(config: DictConfig) -> nn.Module:
    encoder = torchaudio.models.Conformer(
        input_dim=config.d_model,
        num_heads=config.n_heads,
        ffn_dim=config.ff_expansion * config.d_model,
        num_layers=config.n_layers,
        depthwise_conv_kernel_size=config.kernel_size,
        dropout=config.dropout,
    )
    return Peer(config, lambda encoder, x, length: encoder(x, length)[0], encoder)


def transformers_conformer(config: DictConfig) -> nn.Module:
    from transformers import Wav2Vec2ConformerConfig
    from transformers.models.wav2vec2_conformer.modeling_wav2vec2_conformer import (
        Wav2Vec2ConformerEncoder,
    )

    rates = ("hidden_dropout", "activation_dropout", "attention_dropout", "conformer_conv_dropout")
    encoder = Wav2Vec2ConformerEncoder(
        Wav2Vec2ConformerConfig(
            hidden_size=config.d_model,
            num_hidden_layers=config.n_layers,
            num_attention_heads=config.n_heads,
            intermediate_size=config.ff_expansion * config.d_model,
            conv_depthwise_kernel_size=config.kernel_size,
            hidden_act="swish",
            layerdrop=0.0,
            **dict.fromkeys(rates, config.dropout),
        )
    )
    del encoder.pos_conv_embed  # built, but used nowhere

    def encode(encoder: nn.Module, x: Tensor, length: Tensor) -> Tensor:
        return encoder(x, length_mask(length, x.shape[1])).last_hidden_state

    return Peer(config, encode, encoder)


CONTENDERS: dict[str, Callable[[DictConfig], nn.Module]] = {
    "ours": ours,
    "ours_checkpointed": ours_checkpointed,
    "ours_compiled": ours_compiled,
    "torchaudio": torchaudio_conformer,
    "transformers": transformers_conformer,
}


class TrainingStep:
    """One contender's model and optimizer; calling it takes a step and returns its seconds."""

    def __init__(self, model: nn.Module, batch: dict[str, Tensor], precision: str) -> None:
        self.device = batch["features"].device
        self.model = model.to(self.device).train()
        self.batch, self.precision = batch, precision
        self.criterion = CTCLoss()
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
        self.parameters = sum(parameter.numel() for parameter in model.parameters())

    def __call__(self, keep_gradients: bool = False) -> float:
        self._wait()
        started = time.perf_counter()
        self.optimizer.zero_grad(set_to_none=not keep_gradients)
        enabled = self.precision != "float32"
        with torch.autocast(self.device.type, PRECISIONS[self.precision], enabled=enabled):
            out = self.criterion(**self.batch, **self.model(**self.batch))
        out["loss"].backward()
        self.optimizer.step()
        self._wait()
        return time.perf_counter() - started

    def peak_bytes(self) -> int:
        """The most that lives in a step beside weights, gradients and moments."""
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
            self(keep_gradients=True)
            return torch.cuda.max_memory_allocated() - before
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
            self(keep_gradients=True)
        events = [
            event
            for event in profiler.profiler.kineto_results.events()
            if event.name() == "[memory]"
        ]
        live = peak = 0
        for event in sorted(events, key=lambda event: event.start_ns()):
            live += event.nbytes()  # negative when freed
            peak = max(peak, live)
        return peak

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()


@entry_point
def main() -> None:
    args = parse_arguments()
    device = choose_device(args.device)
    if args.threads:
        torch.set_num_threads(args.threads)
    peaks = {precision: peak_tflops(device, precision) for precision in args.precisions}
    results, skipped = [], {}
    for size in args.sizes:
        config = model_config(size, args)
        for precision in args.precisions:
            batch = random_batch(config.n_features, args.batch, args.seconds, device)
            steps = {}
            for name in args.contenders:
                torch.manual_seed(0)
                try:
                    steps[name] = TrainingStep(CONTENDERS[name](config), batch, precision)
                except ImportError as error:
                    skipped[name] = str(error)
            results += [
                {"size": size, "precision": precision, **row}
                for row in measure(steps, config, batch, peaks[precision], args)
            ]
    settings = {key: value for key, value in vars(args).items() if key != "json"}
    settings |= {
        "device_name": device_name(device),
        "threads": torch.get_num_threads(),
        "peak_tflops": peaks,
        "torch": torch.__version__,
    }
    args.json.parent.mkdir(parents=True, exist_ok=True)
    written = {"settings": settings, "skipped": skipped, "results": results}
    args.json.write_text(json.dumps(written, indent=2, default=str) + "\n")
    for name, reason in skipped.items():
        print(f"{name} is left out: {reason}")
    print_table(results, settings)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    sizes = [path.stem.removeprefix("conformer_") for path in (CONFIGS / "model").glob("*")]
    default = ["ours", *PEERS]
    add("--json", metavar="OUT", type=Path, required=True, help="file to write")
    add("--sizes", nargs="+", choices=sorted(sizes), default=["small"], help="default: small")
    add("--contenders", nargs="+", choices=list(CONTENDERS), default=default)
    add("--precisions", nargs="+", choices=list(PRECISIONS), default=["float32"])
    add("--batch", type=int, default=4, help="utterances; default: 4")
    add("--seconds", type=float, default=12.0, help="of the longest utterance; default: 12")
    add("--layers", type=int, help="instead of the size's own number")
    add("--dropout", type=float, help="instead of the config's own")
    add("--rounds", type=int, default=5, help="median of so many; default: 5")
    add("--device", default="auto", help="default: the GPU, if there is one")
    add("--threads", type=int, help="CPU threads; default: PyTorch's own choice")
    return parser.parse_args()


def model_config(size: str, args: argparse.Namespace) -> DictConfig:
    """The config that `model=conformer_SIZE` names, with what the command line changes in it."""
    overrides = [f"model=conformer_{size}"]
    if args.layers:
        overrides.append(f"model.n_layers={args.layers}")
    if args.dropout is not None:
        overrides.append(f"model.dropout={args.dropout}")
    with initialize_config_dir(str(CONFIGS), version_base=None):
        return compose("baseline", overrides=overrides).model


def random_batch(
    n_features: int, size: int, seconds: float, device: torch.device
) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    durations = torch.linspace(seconds, 0.8 * seconds, size)
    feature_length = (FRAMES_PER_SECOND * durations).long()
    token_length = (TOKENS_PER_SECOND * durations).long()
    shape = (size, int(feature_length[0]), n_features)
    tokens = torch.randint(1, VOCAB, (size, int(token_length[0])), generator=generator)
    batch = {
        "features": torch.randn(shape, generator=generator),
        "feature_length": feature_length,
        "tokens": tokens * length_mask(token_length, tokens.shape[1]),
        "token_length": token_length,
    }
    return {key: value.to(device) for key, value in batch.items()}


def measure(
    steps: dict[str, TrainingStep],
    config: DictConfig,
    batch: dict[str, Tensor],
    peak: float,
    args: argparse.Namespace,
) -> list[dict[str, Any]]:
    first = {name: step() for name, step in steps.items()}
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(args.rounds):
        for name, step in steps.items():
            seconds[name].append(step())
    median = {name: statistics.median(values) for name, values in seconds.items()}

    feature_length = batch["feature_length"].double().cpu()
    audio_seconds = feature_length.sum().item() / FRAMES_PER_SECOND
    frames = feature_length / config.subsampling
    padded_seconds = args.batch * args.seconds
    rows = []
    for name, step in steps.items():
        attention = 12 * config.n_layers * config.d_model * frames.square().sum().item()
        tflop = (6 * step.parameters * frames.sum().item() + attention) / 1e12
        in_step = step.peak_bytes()
        rows.append(
            {
                "contender": name,
                "parameters": step.parameters,
                "ms_per_step": round(1000 * median[name], 2),
                "first_step_s": round(first[name], 2),
                "audio_hours_per_second": round(audio_seconds / 3600 / median[name], 6),
                "mfu": round(tflop / median[name] / peak, 4),
                "peak_gib": round((16 * step.parameters + in_step) / 2**30, 3),
                "mib_per_second": round(in_step / 2**20 / padded_seconds, 2),
                "speed_of": {
                    peer: round(median[peer] / median[name], 2)
                    for peer in PEERS
                    if peer in median and peer != name
                },
            }
        )
    return rows


def peak_tflops(device: torch.device, precision: str) -> float:
    """A known GPU's stated bf16 peak; otherwise the best of large matrix products, measured."""
    if device.type == "cuda" and precision == "bf16":
        for name, peak in PEAK_TFLOPS.items():
            if name in torch.cuda.get_device_name(device):
                return peak
    # larger until one takes its time: a CPU without bf16 instructions needs minutes for n = 2048
    n, took, rate = 256, 0.0, 0.0
    while took < 0.1 and n <= 8192:
        a, b = torch.randn(2, n, n, device=device, dtype=PRECISIONS[precision])
        for _ in range(5):
            started = time.perf_counter()
            (a @ b)[0, 0].item()  # waits for the device
            took = time.perf_counter() - started
            rate = max(rate, 2 * n**3 / took)
        n *= 2
    return round(rate / 1e12, 4)


def device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return platform.processor() or platform.machine()


def print_table(results: list[dict[str, Any]], settings: dict[str, Any]) -> None:
    print(f"{settings['device_name']}, peak {settings['peak_tflops']} TFLOP/s")
    print(
        f"{'size':7} {'precision':9} {'contender':18} {'params M':>8} {'ms/step':>9} "
        f"{'hours/s':>8} {'MFU %':>6} {'GiB':>6} {'MiB/s':>7}  times"
    )
    for row in results:
        times = ", ".join(f"{times:.2f}x {peer}" for peer, times in row["speed_of"].items())
        print(
            f"{row['size']:7} {row['precision']:9} {row['contender']:18} "
            f"{row['parameters'] / 1e6:8.2f} {row['ms_per_step']:9.1f} "
            f"{row['audio_hours_per_second']:8.4f} {100 * row['mfu']:6.1f} {row['peak_gib']:6.2f} "
            f"{row['mib_per_second']:7.1f}  {times}"
        )


if __name__ == "__main__":
    main()
