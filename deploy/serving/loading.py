"""From options to a model that may answer: verify, load, warm up."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from .artifact import Artifact, check_digest_form, read_artifact
from .config import Options
from .cpu import cpu_limit
from .errors import DigestMismatch, LoadError
from .folders import is_list, model_of
from .histogram_spec import HistogramSpec, parse_histograms, read_document
from .metrics import resident_bytes
from .model import Model, load_model
from .sources import is_remote, open_source
from .store import ArtifactCache
from .tuning import DEFAULT_BATCH, Tuning, parse_latency, tune
from .warmup import Profile, warm_up

# The longest run of a small model takes less than this; it may happen inside the event loop.
INLINE_SECONDS = 0.001
# With a single CPU a thread computes nothing sooner; it only costs hand-overs. The loop may stand still
# for as long as the kernel would let another process have the CPU anyway.
INLINE_SECONDS_OF_ONE_CPU = 0.005
# And one this short may happen while requests are still being read: looking for others costs as much.
EAGER_SECONDS = 0.00025


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model ready for traffic.

    `seconds` is what verifying, loading and warm-up took, `memory` by how many bytes the process grew.
    """

    model: Model
    digest: str
    histograms: HistogramSpec
    profile: Profile
    inline: bool
    eager: bool
    tuning: Tuning
    seconds: float
    memory: int


def load(options: Options) -> Loaded:
    """Do everything that must happen before the first request; blocking, for a worker thread.

    Raises:
        LoadError: the artifact, its digest or the histograms can never be served.
        SourceUnavailable: the artifact cannot be fetched at present.
    """
    started, before = perf_counter(), resident_bytes()
    document = read_document(options.histograms, "histograms") if options.histograms else {}
    spec = parse_histograms(document)
    artifact = obtain_model(options.artifact, options.digest, options.cache)
    profiled = read_document(options.latency, "latency profile") if options.latency else document
    latency = parse_latency(profiled)
    digest = artifact.digest
    model = load_model(
        artifact, options.threads or cpu_limit(), document, options.provider,
        io_binding=options.io_binding, cache=options.cache,
    )  # fmt: skip
    del artifact  # the session has its own copy
    profile = warm_up(model, options.warmup, options.max_batch or DEFAULT_BATCH)
    tuning = tune(options.max_batch, options.batch_delay_ms, options.deadline_ms, latency, profile)
    return Loaded(
        model=model,
        digest=digest,
        histograms=spec,
        profile=profile,
        inline=runs_inline(options.execution, profile, cpu_limit()),
        eager=longest_run(profile) < EAGER_SECONDS,
        tuning=tuning,
        seconds=perf_counter() - started,
        memory=max(0, resident_bytes() - before),
    )


def obtain_model(location: str, digest: str, cache: Path | None) -> Artifact:
    """The artifact as `obtain`, or of a folder its model with the folder's other files.

    Raises:
        LoadError, SourceUnavailable: as `load`.
    """
    artifact = obtain(location, digest, cache)
    return model_of(artifact, location, cache) if is_list(artifact.content) else artifact


def obtain(location: str, digest: str, cache: Path | None) -> Artifact:
    """The verified artifact at a path, or behind a URL by way of the cache.

    Raises:
        LoadError, SourceUnavailable: as `load`.
    """
    if not is_remote(location):
        return read_artifact(Path(location), digest)
    check_digest_form(digest)
    if not digest or cache is None:
        raise LoadError("an artifact behind a URL needs --digest and --cache")
    store = ArtifactCache(cache)
    try:
        return read_artifact(store.fetch(digest, lambda: open_source(location)), digest)
    except DigestMismatch:
        # The cached file was damaged since it was verified; a fresh copy replaces it.
        store.discard(digest)
        return read_artifact(store.fetch(digest, lambda: open_source(location)), digest)


def runs_inline(execution: str, profile: Profile, cpus: int) -> bool:
    """Whether runs belong in the event loop, given `cpus` CPUs; without measurements they do not."""
    if execution != "auto":
        return execution == "inline"
    return longest_run(profile) < (INLINE_SECONDS if cpus > 1 else INLINE_SECONDS_OF_ONE_CPU)


def longest_run(profile: Profile) -> float:
    """Seconds of the longest run that a request may wait for, as far as warm-up has seen it."""
    return max(profile.seconds_alone, profile.seconds_full) if profile.mergeable else profile.seconds_alone
