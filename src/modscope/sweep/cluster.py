"""Dask workers for a sweep: a cluster on this machine, or one that is running, found fit before any work is given out."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modscope.errors import SweepError
from modscope.sweep.storage import Storage
from modscope.sweep.unit import Made, made_by
from modscope.training.trainer import available_threads

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["absolute", "cluster", "refuse_unfit", "threads_of"]


@contextlib.contextmanager
def cluster(scheduler: str = "", *, workers: int = 0, timeout: float = 10.0) -> Iterator[Client]:
    """A Dask client of the scheduler at an address, or of a new cluster on this machine that ends with it.

    workers: how many processes of one thread each, on this machine; as many as there are threads if 0. Two
    networks on one thread each train faster than one after the other on two (docs/sweeps.md).
    timeout: seconds to wait for the scheduler, and for its first worker.
    """
    import dask
    from distributed import Client, LocalCluster

    # A worker that dies takes the unit that it had in hand along; the third time the unit is to blame.
    with dask.config.set({"distributed.scheduler.allowed-failures": 2}):
        if scheduler:
            with _connected(Client, scheduler, timeout) as client:
                yield client
            return
        with (
            LocalCluster(
                n_workers=workers or available_threads(),
                threads_per_worker=1,
                dashboard_address=":0",  # any port that is free
                silence_logs=50,
                preload=["modscope.sweep.deaf"],
            ) as local,
            Client(local) as client,
        ):
            yield client


@contextlib.contextmanager
def _connected(kind: type[Client], address: str, timeout: float) -> Iterator[Client]:
    tried = f"no scheduler answered at {address} within {timeout:g} s"
    try:
        client = kind(address, timeout=timeout, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise SweepError(
            f"{tried} ({error}): expected the address that `dask scheduler` prints, such as tcp://10.0.0.1:8786"
        ) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=timeout)
        except TimeoutError as error:
            raise SweepError(
                f"the scheduler at {address} has no worker after {timeout:g} s: start some with `dask worker {address}`"
            ) from error
        yield client


def threads_of(client: Client) -> int:
    """How many units the workers can have in hand at once."""
    return sum(worker["nthreads"] for worker in client.scheduler_info(n_workers=-1)["workers"].values())


def refuse_unfit(client: Client, storage: Storage) -> None:
    """Raise SweepError where a worker has no modscope or another one than this, or cannot see the storage."""
    token = f"seen-{uuid.uuid4().hex[:12]}"
    storage.replace(f"clients/{token}", b"")
    try:
        answers: dict[str, Any] = client.run(_stands, storage, token, on_error="return")
    finally:
        storage.remove(f"clients/{token}")
    own = made_by()
    for worker, answer in answers.items():
        if isinstance(answer, BaseException):
            raise SweepError(f"worker {worker} cannot do this work: {type(answer).__name__}: {answer}")
        made, seen = answer
        if made != own:
            raise SweepError(
                f"worker {worker} has modscope {made.modscope} {made.commit[:12]}, this is {own.modscope} "
                f"{own.commit[:12]}: install the same one everywhere, or numbers of two kinds end in one table"
            )
        if not seen:
            raise SweepError(
                f"worker {worker} does not see {storage.url}: give --out a folder that all workers share, or an "
                "address that fsspec opens, such as s3://bucket/sweep"
            )


def _stands(storage: Storage, token: str) -> tuple[Made, bool]:
    return made_by(), storage.exists(f"clients/{token}")


def absolute(out: str) -> str:
    """A folder as all processes of this machine find it; an address as it is."""
    return out if "://" in out else str(Path(out).resolve())
