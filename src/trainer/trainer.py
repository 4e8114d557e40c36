"""What one batch of speech recognition is."""

from __future__ import annotations

import torch
from torch import nn

from src.logger import spectrogram_image
from src.loss import ConsistencyCTCLoss, CTCLoss
from src.trainer.base_trainer import BaseTrainer, Batch
from src.trainer.device import to_device
from src.trainer.two_views import two_views
from src.transforms import Transforms

EXAMPLES = 10


def process_batch(
    batch: Batch,
    transforms: Transforms,
    model: nn.Module,
    criterion: CTCLoss | ConsistencyCTCLoss,
    device: torch.device,
) -> Batch:
    """A batch as the loader gave it, with all that comes of it up to the loss; on `device`."""
    batch = to_device(batch, device)
    if transforms.training and criterion.views == 2:
        batch = two_views(batch, transforms)
    else:
        batch.update(transforms(**batch))
    batch.update(model(**batch))
    batch.update(criterion(**batch))
    return batch


class Trainer(BaseTrainer):
    """CTC training: waveforms to features, features to log-probabilities, these to a loss."""

    transforms: Transforms
    criterion: CTCLoss | ConsistencyCTCLoss

    def process_batch(self, batch: Batch) -> Batch:
        return process_batch(batch, self.transforms, self.network, self.criterion, self.device)

    def log_examples(self, batch: Batch) -> None:
        """References beside predictions, and one utterance to see and to hear."""
        decoder = next(iter(self.metrics.decoders))
        rows = [row for row in self.metrics.rows() if row["decoder"] == decoder][:EXAMPLES]
        columns = ["utterance_id", "reference", "prediction", "wer", "cer"]
        self.writer.add_table(
            "predictions", columns, [[row[column] for column in columns] for row in rows]
        )
        self._show("spectrogram", "audio", batch)

    def log_training_example(self, batch: Batch) -> None:
        """The batch's first utterance as it was augmented, which can be drawn again."""
        if self.transforms.augments:
            first = {
                name: batch[name][:1] for name in ("audio", "audio_length", "utterance_id", "text")
            }
            first = to_device({**first, "epoch": batch["epoch"]}, self.device)
            first.update(self.transforms(**first))
            self._show("augmented", "augmented_audio", first)

    def _show(self, image: str, audio: str, batch: Batch) -> None:
        """One utterance to see and to hear, logged by these names."""
        frames, samples = int(batch["feature_length"][0]), int(batch["audio_length"][0])
        title = f"{batch['utterance_id'][0]}: {batch['text'][0]}"
        picture = spectrogram_image(batch["features"][0, :frames], title)
        self.writer.add_image(image, picture)
        self.writer.add_audio(
            audio, batch[audio][0, :samples].cpu(), self.transforms.log_mel.sample_rate
        )
