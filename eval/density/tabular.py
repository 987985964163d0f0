"""The tabular data sets of the density literature, prepared and split as in MAF.

G. Papamakarios, T. Pavlakou, I. Murray, "Masked Autoregressive Flow for Density Estimation", NeurIPS 2017, whose
archive of the raw files is at https://zenodo.org/record/1161203.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import h5py
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from autonomy.checks import choice
from autonomy.types import UserError
from eval.density.data import DensityData, plain_rows

Array = NDArray[np.float64]
Parts = tuple[Array, Array, Array]
CORRELATED = 0.98
REPEATED = 5


class Tabular(abc.ABC):
    """One of the sets, from the folder or file `path`. Raises `UserError` for a missing, damaged or foreign file."""

    name: ClassVar[str]
    files: ClassVar[tuple[str, ...]]

    def __init__(self, path: str | None) -> None:
        if not path:
            raise UserError(f"data=tabular data.name={self.name} needs data.path=FOLDER; {self._advice()}")
        self._path = Path(path).expanduser()

    def load(self) -> DensityData:
        """Standardised rows, in the published split."""
        try:
            parts = self.parts()
        except UserError:
            raise
        except Exception as error:  # whatever a reader of a damaged file raises
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            raise UserError(f"{self._path} holds no readable {self.name} data ({reason}); {self._advice()}") from error
        if any(len(part) == 0 or not np.isfinite(part).all() for part in parts):
            raise UserError(f"{self._path} holds too few rows or numbers that are not finite; {self._advice()}")
        train, validation, test = (plain_rows(torch.tensor(part)) for part in parts)
        return DensityData(self.name.upper(), train, validation, test)

    @abc.abstractmethod
    def parts(self) -> Parts:
        """Training, validation and test rows."""

    def _file(self, name: str) -> Path:
        """`name` in the folder, or the path itself when it is a file of that kind."""
        file = self._path if self._path.suffix == Path(name).suffix and self._path.is_file() else self._path / name
        if not file.is_file():
            raise UserError(f"{file} is not there; {self._advice()}")
        return file

    def _advice(self) -> str:
        return (
            f"{self.name} is {' and '.join(self.files)} in data.tar.gz of https://zenodo.org/record/1161203;"
            " unpack it and give data.path=FOLDER, the folder that holds the file"
        )


class Power(Tabular):
    """Household power consumption, 6 dimensions: two columns dropped, uniform noise of the rounding's size added."""

    name, files = "power", ("power/data.npy",)

    def parts(self) -> Parts:
        rng = np.random.RandomState(42)
        data = np.load(self._file("data.npy")).astype(np.float64)
        rng.shuffle(data)
        rows = len(data)
        data = np.delete(data, [1, 3], axis=1)
        voltage, power, meters = 0.01 * rng.rand(rows, 1), 0.001 * rng.rand(rows, 1), rng.rand(rows, 3)
        return _standardised(*_tenths(data + np.hstack([power, voltage, meters, np.zeros((rows, 1))])))


class Gas(Tabular):
    """Gas sensors, 8 dimensions: columns that correlate above 0.98 with another are dropped one by one.

    From the archive's pickle or from UCI's ethylene_CO.txt. A pickle can run code: load only one that you trust.
    """

    name, files = "gas", ("gas/ethylene_CO.pickle",)

    def parts(self) -> Parts:
        data = self._sensors().astype(np.float64)
        while (crowded := (data.corr() > CORRELATED).sum(axis=1).to_numpy() > 1).any():
            data = data.drop(columns=data.columns[int(crowded.argmax())])
        return _tenths(((data - data.mean()) / data.std()).to_numpy())

    def _sensors(self) -> pd.DataFrame:
        text = self._path if self._path.suffix == ".txt" else self._path / "ethylene_CO.txt"
        if text.is_file():
            return pd.read_csv(text, sep=r"\s+", skiprows=1, header=None).iloc[:, 3:]
        return pd.read_pickle(self._file("ethylene_CO.pickle")).drop(columns=["Meth", "Eth", "Time"])


class Hepmass(Tabular):
    """Particle collisions, 21 dimensions: the signal's rows; columns whose smallest value comes often are dropped."""

    name, files = "hepmass", ("hepmass/1000_train.csv", "hepmass/1000_test.csv")

    def parts(self) -> Parts:
        train, test = (
            _signal(pd.read_csv(self._file(name), index_col=False)) for name in ("1000_train.csv", "1000_test.csv")
        )
        test = test.iloc[:, : train.shape[1]]  # the file has a stray last column
        mean, scale = train.mean().to_numpy(), train.std().to_numpy()
        data, held_out = ((part.to_numpy() - mean) / scale for part in (train, test))
        keep = (data == data.min(axis=0)).sum(axis=0) <= REPEATED
        first, validation = _cut(data[:, keep])
        return first, validation, held_out[:, keep]


def _signal(table: pd.DataFrame) -> pd.DataFrame:
    return table[table.iloc[:, 0] == 1].iloc[:, 1:].astype(np.float64)


class Miniboone(Tabular):
    """Neutrino events, 43 dimensions."""

    name, files = "miniboone", ("miniboone/data.npy",)

    def parts(self) -> Parts:
        return _standardised(*_tenths(np.load(self._file("data.npy")).astype(np.float64)))


class BSDS300(Tabular):
    """Patches of natural images without their mean and last pixel, 63 dimensions."""

    name, files = "bsds300", ("BSDS300/BSDS300.hdf5",)

    def parts(self) -> Parts:
        with h5py.File(self._file("BSDS300.hdf5"), "r") as content:
            read: Callable[[str], Any] = lambda key: np.asarray(content[key], dtype=np.float64)  # noqa: E731
            return read("train"), read("validation"), read("test")


def tabular(name: str, path: str | None) -> Tabular:
    """Return the set called `name`, such as power, from the folder or file `path`. Raises `UserError`."""
    sets = {one.name: one for one in (Power, Gas, Hepmass, Miniboone, BSDS300)}
    return sets[choice("data.name", name, tuple(sets))](path)


def _cut(data: Array) -> tuple[Array, Array]:
    """All but the last tenth, and that tenth."""
    rows = int(0.1 * len(data))
    return data[: len(data) - rows], data[len(data) - rows :]


def _tenths(data: Array) -> Parts:
    rest, test = _cut(data)
    return *_cut(rest), test


def _standardised(train: Array, validation: Array, test: Array) -> Parts:
    """By mean and deviation of the first two."""
    seen = np.vstack([train, validation])
    mean, scale = seen.mean(axis=0), seen.std(axis=0)
    return (train - mean) / scale, (validation - mean) / scale, (test - mean) / scale
