"""What `configs/app.yaml` sets."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from src.trainer.windows import check_windows
from src.utils.errors import UserError
from src.utils.signatures import check_arguments

KEPT_MODEL = "models/librispeech_12h"
OF_THE_RUN = ("save_dir", "overwrite", "seed")  # configs/run.yaml, of no use here


@dataclass(frozen=True)
class Settings:
    """Each is explained in `configs/app.yaml`, which has null for some that are chosen here."""

    from_pretrained: str
    lm: str | None
    decoders: list[str] | None
    host: str
    port: int
    max_upload_mb: float
    max_seconds: float
    max_requests: int
    max_streams: int
    max_batch: int
    max_batch_seconds: float
    max_wait_ms: float
    upload_stall_seconds: float
    keep_mb: float
    keep_seconds: float
    window_seconds: float
    overlap_seconds: float
    stream_window_seconds: float
    stream_overlap_seconds: float
    stream_step_seconds: float
    data_dir: str = "data"
    device: str = "auto"

    @classmethod
    def of(cls, config: DictConfig) -> Settings:
        """Raises `UserError` for a misspelt name, a wrong type or an impossible value."""
        plain: Any = OmegaConf.to_container(config, resolve=True)
        values = {name: value for name, value in plain.items() if name not in OF_THE_RUN}
        values["from_pretrained"] = values["from_pretrained"] or _usual_run(Path(plain["save_dir"]))
        check_arguments(cls, values)
        settings = cls(**values)
        settings._check()
        return settings

    def _check(self) -> None:
        may_be_nothing = ("port", "max_wait_ms", "keep_mb", "keep_seconds", "max_streams")
        for field in fields(self):
            value = getattr(self, field.name)
            least = 0 if field.name in may_be_nothing else 1e-9
            if isinstance(value, (int, float)) and not value >= least:  # nor NaN
                raise UserError(
                    f"{field.name}={value}: use {'more than ' if least else ''}0"
                    f"{'' if least else ' or more'}"
                )
        if self.port > 65535:
            raise UserError(f"port={self.port}: use 0 to 65535")
        if self.decoders == []:
            raise UserError("decoders names none: use decoders=[argmax]")
        check_windows(self.window_seconds, self.overlap_seconds)
        check_windows(self.stream_window_seconds, self.stream_overlap_seconds)


def _usual_run(save_dir: Path) -> str:
    """The demo's, once there is one, or the recogniser that comes with the repository."""
    demo = save_dir / "demo"
    return str(demo) if demo.is_dir() else KEPT_MODEL
