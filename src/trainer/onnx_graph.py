"""A recogniser as one ONNX graph, from audio to log-probabilities."""

from __future__ import annotations

import logging
import math
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from src.model import Conformer
from src.trainer.pretrained import Pretrained
from src.transforms import normalize_features
from src.transforms.convolutional_log_mel import ConvolutionalLogMel
from src.transforms.feature_statistics import FeatureStatistics
from src.utils.masking import length_mask

OPSET = 18  # LayerNormalization came with 17; ONNX Runtime reads it since 1.14
INPUTS = ("audio", "audio_length", "feature_mean", "feature_variance")
OUTPUTS = ("log_probs", "log_prob_length")


class AudioToLogProbs(nn.Module):
    """Features, their normalisation and the model, as one function of tensors."""

    def __init__(self, pretrained: Pretrained) -> None:
        super().__init__()
        self.log_mel = ConvolutionalLogMel(pretrained.transforms.log_mel)
        self.model: Conformer = pretrained.model

    def forward(
        self,
        audio: Tensor,
        audio_length: Tensor,
        feature_mean: Tensor,
        feature_variance: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """audio [B, S], audio_length [B] -> log_probs [B, T, V], lengths [B].

        feature_mean, feature_variance [M]: of the recording that the audio is a part of; NaN where
        it is a recording of its own.
        """
        audio = torch.where(length_mask(audio_length, audio.shape[1]), audio, 0.0)
        features, length = self.log_mel(audio, audio_length)
        own = normalize_features(features, length)
        given = FeatureStatistics(feature_mean, feature_variance).normalize(features, length)
        features = torch.where(feature_mean.isnan(), own, given)
        heard: dict[str, Any] = self.model(features, length)
        return heard["log_probs"], heard["log_prob_length"]


def write_graph(pretrained: Pretrained, path: Path, metadata: dict[str, str]) -> None:
    """Writes the graph: batch and time of any size, feature statistics optional.

    The recogniser's model must be on the CPU and in evaluation mode.
    """
    import onnx

    unknown = torch.full((pretrained.transforms.log_mel.n_mels,), math.nan)
    example = (torch.zeros(2, 8000), torch.tensor([8000, 4000]), unknown, unknown.clone())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the exporter is the older one, and its guesses
        torch.onnx.export(
            AudioToLogProbs(pretrained).eval(),
            example,
            path,
            input_names=INPUTS,
            output_names=OUTPUTS,
            dynamic_axes={
                "audio": {0: "batch", 1: "samples"},
                "audio_length": {0: "batch"},
                "log_probs": {0: "batch", 1: "frames"},
                "log_prob_length": {0: "batch"},
            },
            opset_version=OPSET,
            dynamo=False,  # the newer one takes 40 times as long (docs/decisions.md)
        )
    model = onnx.load(path)
    for name in INPUTS[2:]:  # an input that has a value already may be left out
        model.graph.initializer.append(onnx.numpy_helper.from_array(unknown.numpy(), name))
    onnx.helper.set_model_props(model, metadata)
    onnx.save(model, path)


def quantize(source: Path, target: Path) -> None:
    """The same graph with linear layers, and what enters them, in integers of 8 bits.

    Weights have a scale for each output and are rounded once; a layer's input is scaled when it
    comes, as a whole batch. Weights take 7 of the 8 bits: the processors that have no instruction
    for such sums (VNNI) add pairs of products in 16 bits, which 8 would overflow.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # recommends a preprocessing that serves static quantisation
    try:
        quantize_dynamic(
            source,
            target,
            op_types_to_quantize=["MatMul"],
            weight_type=QuantType.QInt8,
            per_channel=True,
            reduce_range=True,
        )
    finally:
        root.setLevel(level)
