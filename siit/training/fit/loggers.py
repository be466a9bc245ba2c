"""Keeps a run's metrics: in one CSV file, in TensorBoard's format, in Weights & Biases, or nowhere."""

from __future__ import annotations

import csv
import io
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import hydra
from pytorch_lightning.loggers import Logger, TensorBoardLogger, WandbLogger

from siit._files import write_whole
from siit.certificate import Certificate
from siit.certificate.certificate import SHARES
from siit.graph.circuit import Circuit
from siit.training.configuration.settings import ConfigError

METRICS, WANDB_ID = "metrics.csv", "wandb-id"


class MetricsFile(Logger):
    """Writes `metrics.csv` into the run's folder: one row for each logged step, one file over all resumptions.

    Args:
        save_dir: the run's folder.
        from_step: the step that training goes on from; what an earlier process wrote after it is dropped, for it is
            trained and logged again.
    """

    def __init__(self, save_dir: str | Path, from_step: int = 0) -> None:
        super().__init__()
        self.path = Path(save_dir) / METRICS
        rows = _read(self.path) if self.path.exists() else []
        self._rows = [row for row in rows if int(row["step"]) <= from_step] if from_step else []
        self._columns = list(dict.fromkeys(["step", *(name for row in self._rows for name in row)]))
        self._rewrite()

    @property
    def name(self) -> str:
        """What Lightning calls this logger."""
        return "csv"

    @property
    def version(self) -> str:
        """Empty: a run has one file."""
        return ""

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Adds to the step's row, or a row to the file."""
        row = {"step": str(step), **{name: repr(value) for name, value in metrics.items()}}
        new = [name for name in row if name not in self._columns]
        same = bool(self._rows) and self._rows[-1]["step"] == row["step"]
        if same:
            self._rows[-1] |= row
        else:
            self._rows.append(row)
        if new or same:
            self._columns += new
            self._rewrite()
        else:
            with self.path.open("a", newline="") as file:
                csv.DictWriter(file, self._columns).writerow(row)

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Notes nothing: the configuration is beside it, in `train.yaml`."""

    def _rewrite(self) -> None:
        table = io.StringIO(newline="")
        writer = csv.DictWriter(table, self._columns)
        writer.writeheader()
        writer.writerows(self._rows)
        write_whole(self.path, table.getvalue())


def _read(path: Path) -> list[dict[str, str]]:
    """The file's rows, without empty fields and without a last line that a kill has cut."""
    with path.open(newline="") as file:
        lines = [line for line in file if line.endswith("\n")]
    rows = [{name: value for name, value in row.items() if value} for row in csv.DictReader(lines)]
    return [row for row in rows if row.get("step", "").isdigit()]


def wandb_logger(save_dir: str, from_step: int = 0, **options: Any) -> WandbLogger:
    """Makes a logger whose run in Weights & Biases stays one over all resumptions: its id is in the run's folder.

    Args:
        save_dir: the run's folder.
        from_step: not needed; rows are logged against their step.
        options: of `WandbLogger` and `wandb.init`.
    """
    path = Path(save_dir) / WANDB_ID
    if not path.exists():
        # Named after the model's folder, <case>/seed-<seed>; the rest tells runs of other places and times apart.
        case, seed = path.parent.parent.name, path.parent.name
        path.write_text(f"{case}-{seed}-{secrets.token_hex(4)}\n")
    return WandbLogger(save_dir=save_dir, id=path.read_text().strip(), **options)


class EventFiles(TensorBoardLogger):
    """Logs in TensorBoard's format, and stays open beyond the end of training, for the certificate.

    A writer that is closed and opened again within a second would begin the same file anew.
    """

    def finalize(self, status: str) -> None:
        """Brings to disk what was logged; `run_loggers` closes."""
        self.experiment.flush()


def tensorboard_logger(save_dir: str, from_step: int = 0, **options: Any) -> EventFiles:
    """Makes a logger in TensorBoard's format; what an earlier process wrote after `from_step` is not shown.

    Args:
        save_dir: the run's folder.
        from_step: the step that training goes on from.
        options: of `TensorBoardLogger`.
    """
    return EventFiles(
        save_dir, name="tensorboard", version="", default_hp_metric=False, purge_step=from_step + 1, **options
    )


@contextmanager
def run_loggers(
    chosen: Mapping[str, Any], folder: Path, from_step: int, configuration: Mapping[str, Any]
) -> Iterator[list[Logger]]:
    """Opens the logger that the settings name, tells it the configuration, and closes it at the end of the run.

    Args:
        chosen: `_target_` and its options; `_target_: null` for none.
        folder: the run's.
        from_step: the step that training goes on from.
        configuration: all of it, resolved.

    Raises:
        ConfigError: a logger that cannot be made.
    """
    loggers: list[Logger] = []
    if chosen.get("_target_") is not None:
        ours = str(chosen["_target_"]).startswith("siit.")
        try:
            further = {"from_step": from_step} if ours else {}
            loggers.append(hydra.utils.instantiate({**chosen, "save_dir": str(folder), **further}))
            loggers[0].log_hyperparams(dict(configuration))
        except Exception as error:  # a logger may fail in any way of its own: no account, no network, a wrong option
            reason = (str(error.__cause__ or error).splitlines() or [""])[0]
            raise ConfigError(f"logger: {type(error).__name__}: {reason}") from error
    try:
        yield loggers
    except BaseException:
        _close(loggers, "failed")
        raise
    _close(loggers, "success")


def _close(loggers: Sequence[Logger], status: str) -> None:
    for logger in loggers:
        logger.finalize(status)
        if isinstance(logger, EventFiles):
            logger.experiment.close()
        if isinstance(logger, WandbLogger):
            # Otherwise the next job of a sweep would go on in this run.
            logger.experiment.finish(exit_code=0 if status == "success" else 1)


def log_certificate(loggers: Sequence[Logger], certificate: Certificate, circuit: Circuit, title: str) -> None:
    """Logs the final certificate and, where matplotlib is installed, the circuit's picture.

    Args:
        loggers: those of the run.
        certificate: of the test pairs.
        circuit: the labels.
        title: of the picture.
    """
    values = {f"certificate/{name}": value for name in SHARES if (value := getattr(certificate, name)) is not None}
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            logger.experiment.summary.update({"certificate/certified": certificate.certified, **values})
            logger.experiment.summary["certificate/failed"] = list(certificate.failed)
            if picture := _picture(circuit, title):
                logger.log_image("circuit", [picture])
        elif isinstance(logger, EventFiles):
            for name, value in values.items():
                logger.experiment.add_scalar(name, value)
            if picture := _picture(circuit, title):
                import numpy

                logger.experiment.add_image("circuit", numpy.asarray(picture.convert("RGB")), dataformats="HWC")


def _picture(circuit: Circuit, title: str) -> Any:
    """The circuit as PIL's image; None where matplotlib, which brings PIL, is not installed."""
    try:
        from PIL import Image

        from siit.show.circuit_picture import circuit_picture
    except ImportError:
        return None
    return Image.open(BytesIO(circuit_picture(circuit, title)))
