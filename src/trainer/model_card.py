"""The README.md of a recogniser on the Hub: what it is, what was measured, how to use it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from src.trainer.hub import SCHEME

LIBRISPEECH = "openslr/librispeech_asr"
TASK = "automatic-speech-recognition"
TEMPLATE = """\
# {name}

A Conformer trained with CTC for speech recognition: {parameters:,} parameters, audio of
{sample_rate} Hz in, {vocabulary} out.

## Measured

{table}

## Transcribing

In a checkout of the repository that trained it:

```bash
python inference.py inferencer.from_pretrained={address} datasets.test.audio_dir=DIR
```

or in Python

```python
from src.trainer import Transcriber
t = Transcriber.from_pretrained("{address}")
t("a.wav").text
```

The weights are safetensors and loading them executes nothing of this repository.

## Training

{training}

## Decoders

Settings of those that the training evaluated with; the whole recipe is `config.yaml`.

```yaml
{decoders}```
"""


def model_card(
    repo: str,
    license_name: str | None,
    config: dict[str, Any],
    summary: dict[str, Any],
    *,
    parameters: int,
    step: int | None,
    augmentations: Sequence[str],
    code: str | None,
    revision: str | None = None,
) -> str:
    """Markdown with the Hub's metadata at its top.

    Args:
        repo: `USER/REPO`.
        config: the run's, of which all is public.
        summary: as in `summary.json`, split -> decoder -> rates as fractions.
        step: optimizer steps behind the weights, if known.
        augmentations: names of those that training used.
        code: commit of the repository that trained it, if known.
        revision: the branch that the commands name; None for main.
    """
    facts = {
        "data": dataset_name(config, "train"),
        "began from the weights of": (config.get("trainer") or {}).get("init_from"),
        "checkpoint chosen on": dataset_name(config, "val"),
        "optimizer steps": step and f"{step:,}",
        "augmentations": ", ".join(augmentations),
        "code": code and f"commit {code}",
    }
    body = TEMPLATE.format(
        name=repo.rpartition("/")[2],
        address=f"{SCHEME}{repo}@{revision}" if revision else f"{SCHEME}{repo}",
        parameters=parameters,
        sample_rate=config["transforms"]["log_mel"].get("sample_rate", 16000),
        vocabulary=_vocabulary(config),
        table=_table(config, summary),
        training="\n".join(f"- {name}: {value}" for name, value in facts.items() if value),
        decoders=yaml.safe_dump(config.get("metrics") or {}, sort_keys=False),
    )
    return f"---\n{_metadata(repo, license_name, config, summary)}\n---\n\n{body}"


def dataset_name(config: dict[str, Any], split: str) -> str | None:
    """`LibriSpeech train-clean-100`, or the kind of data where the config says no more."""
    options = (config.get("datasets") or {}).get(split)
    if not options:
        return None
    kind = str(options.get("_target_", "")).rpartition(".")[2].removesuffix("Dataset")
    return f"{kind} {options['part']}" if "part" in options else kind


def _measured(summary: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Split, decoder and rates, where there were references."""
    for split, decoders in summary.items():
        for decoder, rates in decoders.items():
            if "wer" in rates:
                yield split, decoder, rates


def _percent(rate: float) -> str:
    return f"{100 * rate:.2f}"


def _table(config: dict[str, Any], summary: dict[str, Any]) -> str:
    lines = [
        "| split | data | decoder | WER % | 95% interval of WER | CER % | utterances |",
        "|---|---|---|--:|:-:|--:|--:|",
    ]
    for split, decoder, rates in _measured(summary):
        interval = " - ".join(map(_percent, rates["wer_interval"]))
        wer, cer = _percent(rates["wer"]), _percent(rates["cer"])
        data = dataset_name(config, split) or ""
        lines.append(
            f"| {split} | {data} | {decoder} | {wer} | {interval} | {cer} | {rates['utterances']} |"
        )
    if len(lines) == 2:
        return "Nothing yet."
    return "\n".join([*lines, "", "Intervals: bootstrap over utterances."])


def _vocabulary(config: dict[str, Any]) -> str:
    encoder = config.get("text_encoder") or {}
    if "vocab_size" in encoder:
        return f"{encoder['vocab_size']} SentencePiece units"
    if str(encoder.get("_target_")).endswith("PhonemeCTCTextEncoder"):
        return "phonemes"
    return "characters"


def _metadata(
    repo: str, license_name: str | None, config: dict[str, Any], summary: dict[str, Any]
) -> str:
    """The Hub's YAML, rates in per cent as its leaderboards have them."""
    from huggingface_hub import EvalResult, ModelCardData

    results = [
        EvalResult(
            task_type=TASK,
            task_name="Automatic Speech Recognition",
            **_dataset(config, split),
            metric_type=metric,
            metric_name=f"{metric.upper()} ({decoder})",
            metric_value=float(_percent(rates[metric])),
        )
        for split, decoder, rates in _measured(summary)
        for metric in ("wer", "cer")
    ]
    return ModelCardData(
        language="en",
        license=license_name,
        pipeline_tag=TASK,
        tags=[TASK, "ctc", "conformer", "speech"],
        datasets=LIBRISPEECH if _is_librispeech(dataset_name(config, "train")) else None,
        metrics=["wer", "cer"],
        model_name=repo.rpartition("/")[2],
        eval_results=results or None,
    ).to_yaml()


def _is_librispeech(name: str | None) -> bool:
    return bool(name and name.startswith("LibriSpeech "))


def _dataset(config: dict[str, Any], split: str) -> dict[str, Any]:
    """An `EvalResult`'s names of the data: the Hub's own of LibriSpeech's official parts."""
    name = dataset_name(config, split) or split
    part = name.removeprefix("LibriSpeech ")
    if _is_librispeech(name) and part in ("dev-clean", "dev-other", "test-clean", "test-other"):
        kind, _, speakers = part.partition("-")
        return {
            "dataset_type": LIBRISPEECH,
            "dataset_name": name,
            "dataset_config": speakers,
            "dataset_split": {"dev": "validation", "test": "test"}[kind],
        }
    return {"dataset_type": split, "dataset_name": name, "dataset_split": split}
