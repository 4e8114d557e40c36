"""What one batch of speech recognition is."""

from __future__ import annotations

from src.logger import spectrogram_image
from src.loss import ConsistencyCTCLoss, CTCLoss
from src.trainer.base_trainer import BaseTrainer, Batch
from src.trainer.device import to_device
from src.trainer.two_views import two_views
from src.transforms import Transforms

EXAMPLES = 10


class Trainer(BaseTrainer):
    """CTC training: waveforms to features, features to log-probabilities, these to a loss."""

    transforms: Transforms
    criterion: CTCLoss | ConsistencyCTCLoss

    def process_batch(self, batch: Batch) -> Batch:
        batch = to_device(batch, self.device)
        if self.model.training and self.criterion.views == 2:
            batch = two_views(batch, self.transforms)
        else:
            batch.update(self.transforms(**batch))
        batch.update(self.network(**batch))
        batch.update(self.criterion(**batch))
        return batch

    def log_examples(self, batch: Batch) -> None:
        """References beside predictions, and one utterance to see and to hear."""
        decoder = next(iter(self.metrics.decoders))
        rows = [row for row in self.metrics.rows() if row["decoder"] == decoder][:EXAMPLES]
        columns = ["utterance_id", "reference", "prediction", "wer", "cer"]
        self.writer.add_table(
            "predictions", columns, [[row[column] for column in columns] for row in rows]
        )
        frames, samples = int(batch["feature_length"][0]), int(batch["audio_length"][0])
        features = batch["features"][0, :frames]
        title = f"{batch['utterance_id'][0]}: {batch['text'][0]}"
        self.writer.add_image("spectrogram", spectrogram_image(features, title))
        self.writer.add_audio(
            "audio", batch["audio"][0, :samples].cpu(), self.transforms.log_mel.sample_rate
        )
