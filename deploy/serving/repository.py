"""The models of this process by name: loaded, replaced and unloaded while requests go on."""

from __future__ import annotations

import asyncio
import dataclasses
import enum
import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .config import Options, refused
from .errors import Conflict, LoadError, NotFound, Overloaded
from .histogram_spec import read_document
from .loading import Loaded, load
from .metrics import Metrics
from .served import ServedModel
from .threads import in_daemon

# What an entry of the models file may set for its model alone.
PER_MODEL: dict[str, tuple[type, ...]] = {
    "model": (str,), "model_version": (str,), "endpoint": (str,), "artifact": (str,), "digest": (str,),
    "histograms": (str,), "latency": (str,), "threads": (int,), "warmup": (int,), "max_batch": (int,),
    "batch_delay_ms": (int, float), "queue": (int,), "deadline_ms": (int, float), "max_rows": (int,),
    "allow_nan": (bool,), "execution": (str,), "provider": (str,), "response_cache": (int,),
    "io_binding": (str,), "histogram_rate": (int, float), "histogram_columns": (int,),
}  # fmt: skip


class ModelState(enum.Enum):
    """As in Triton's repository extension."""

    LOADING = "LOADING"
    READY = "READY"
    UNAVAILABLE = "UNAVAILABLE"


class Slot:
    """One model's place: what it should be, and what serves it now."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.metrics = Metrics(options.endpoint, options.model, options.model_version)
        self.served: ServedModel | None = None
        self.state = ModelState.LOADING
        self.reason = ""

    @property
    def model(self) -> ServedModel:
        """What answers now. Raises Overloaded while nothing is loaded, NotFound once it was unloaded."""
        if self.served is None:
            if self.state is ModelState.UNAVAILABLE:
                raise NotFound(f"the model {self.options.model!r} is not loaded")
            raise Overloaded("the model is not loaded yet")
        return self.served


class Repository:
    """All slots. Belongs to the event loop."""

    def __init__(self, options: Options) -> None:
        """Raises LoadError when the models file is not what it should be."""
        self._options = options
        self.changed: Callable[[], None] = lambda: None
        """Called whenever the paths of the slots may have changed."""
        self._turn = asyncio.Lock()
        self.slots = {item.model: Slot(item) for item in model_options(options)}

    @property
    def first(self) -> Slot:
        """The one that the plain paths without a name mean."""
        return next(iter(self.slots.values()))

    async def load_all(self) -> list[Loaded]:
        """Load what is listed, one after the other. Raises as `loading.load`."""
        return [await self._fill(slot, slot.options) for slot in list(self.slots.values())]

    async def load(self, name: str) -> Loaded:
        """Load or reload one model from what the options say now; the old one answers meanwhile.

        Raises:
            NotFound: no such model is listed; Conflict: it cannot be loaded, and what was there stays.
        """
        try:
            listed = {item.model: item for item in model_options(self._options)}
            if name not in listed:
                known = ", ".join(listed)
                raise NotFound(f"no model {name!r} is listed (there are: {known})")
            slot = self.slots.get(name)
            if slot is None:
                slot = self.slots[name] = Slot(listed[name])
            return await self._fill(slot, listed[name])
        except NotFound:
            raise
        except Exception as error:
            reason = str(error) if isinstance(error, LoadError) else f"{type(error).__name__}: {error}"
            raise Conflict(f"the model {name!r} cannot be loaded: {reason}") from error

    def unload(self, name: str) -> None:
        """Stop serving one model; requests that it has are answered. Raises NotFound."""
        slot = self.slots.get(name)
        if slot is None or slot.served is None:
            raise NotFound(f"no model {name!r} is loaded")
        slot.served.retire()
        slot.served, slot.state, slot.reason = None, ModelState.UNAVAILABLE, "unloaded"
        self.changed()

    def listed(self) -> str:
        """What there is, for whoever asked for something else."""
        return ", ".join(
            f"the model {name!r} in version {slot.options.model_version!r}"
            for name, slot in self.slots.items()
        )

    def index(self) -> list[dict[str, str]]:
        """Every model with its state, as Triton's repository extension lists them."""
        return [
            {"name": name, "version": slot.options.model_version, "state": slot.state.value,
             "reason": slot.reason}
            for name, slot in self.slots.items()
        ]  # fmt: skip

    def close(self) -> None:
        """Give up threads."""
        for slot in self.slots.values():
            if slot.served is not None:
                slot.served.close()

    async def _fill(self, slot: Slot, options: Options) -> Loaded:
        async with self._turn:
            if slot.served is None:
                slot.state = ModelState.LOADING
            try:
                loaded = await in_daemon(lambda: load(options), "load")
                # Counts of another load are another series' past; a reset is what Prometheus expects.
                first = slot.served is None and slot.options is options
                metrics = slot.metrics if first else Slot(options).metrics
                fresh = ServedModel(options, loaded, metrics)
            except Exception as error:
                slot.reason = str(error)
                if slot.served is None:
                    slot.state = ModelState.UNAVAILABLE
                raise
            old, slot.served, slot.options, slot.metrics = slot.served, fresh, options, metrics
            slot.state, slot.reason = ModelState.READY, ""
            self.changed()
            if old is not None:
                old.retire()
        # What is alive now stays alive for long: the collector need not walk it until the next load.
        gc.unfreeze()
        gc.collect()
        gc.freeze()
        return loaded


def model_options(options: Options) -> list[Options]:
    """Options of every model: the one of the flags, if they name one, and those of the models file.

    Raises:
        LoadError: with the path of what is wrong in the file.
    """
    found = [options] if options.artifact else []
    if options.models is not None:
        entries = read_document(options.models, "models").get("models")
        if not isinstance(entries, list) or not entries:
            raise LoadError(f"the models {options.models}: models must be a list with at least one entry")
        found += [_entry(entry, f"models[{index}]", options) for index, entry in enumerate(entries)]
    names = [item.model for item in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise LoadError(f"the models {options.models}: {twice!r} is there twice")
    return found


def _entry(entry: Any, path: str, options: Options) -> Options:
    if not isinstance(entry, dict):
        raise LoadError(f"{path} must be an object")
    for name, value in entry.items():
        if name not in PER_MODEL:
            raise LoadError(f"{path}.{name} is not an option of a model (there are: {', '.join(PER_MODEL)})")
        refusal = "it has another type" if type(value) not in PER_MODEL[name] else refused(name, value)
        if refusal:
            raise LoadError(f"{path}.{name} has a value it cannot have: {refusal}")
    for name in ("model", "artifact"):
        if not entry.get(name):
            raise LoadError(f"{path}.{name} is missing")
    # The identity and the files of the flags' model are not those of this one.
    own = {
        "digest": "",
        "histograms": None,
        "latency": None,
        "endpoint": entry["model"],
        "model_version": "1",
    }
    paths = {name: Path(entry[name]) for name in ("histograms", "latency") if name in entry}
    return dataclasses.replace(options, **{**own, **entry, **paths})
