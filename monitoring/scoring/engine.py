"""A version scored over the tables of a folder: in chunks, each a part of the result, resumed after the last.

The result is the same, byte for byte, whether the run was interrupted or not: a part depends on what was read
before it and on the version only. Each part's metadata says where the next one begins and what all parts so
far come to, so that going on costs the same after a million parts as after one.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from monitoring.scoring.comparing import Counts, added, compared, counts_of
from monitoring.scoring.feeding import feeds, wanted
from registry.errors import Invalid
from registry.models import Version
from registry.ports import ArtifactStore

if TYPE_CHECKING:
    # They bring ONNX Runtime and pyarrow: for those who score, not for pages.
    from monitoring.adapters.onnx_model import OnnxModel
    from monitoring.adapters.tables.folder import Folder
    from monitoring.adapters.tables.reading import Chunk, Cursor

PLAN, PROGRESS, RESULT = "_plan.json", "_progress.json", "_result.json"
CHUNK_ROWS = 10_000
MAX_CHUNK_ROWS = 1_000_000
_PART = re.compile(r"part-(\d{5})-(\d{6})\.parquet")
_DONE = re.compile(r"_file-(\d{5})\.json")
Say = Callable[["Progress"], None]


@dataclass(frozen=True)
class Job:
    """What is scored: a ready ONNX version, a folder of tables, and where the parts go."""

    version: Version
    source: Folder
    target: Folder
    chunk_rows: int = CHUNK_ROWS

    def plan(self) -> dict[str, Any]:
        """What a resumed run must agree with."""
        if not 1 <= self.chunk_rows <= MAX_CHUNK_ROWS:
            raise Invalid(f"A chunk has 1 to {MAX_CHUNK_ROWS:,} rows.", field="chunk_rows")
        if self.source.place == self.target.place:
            raise Invalid("The parts cannot lie among the tables: name another folder.", field="target")
        files = self.source.state()
        if not files:
            raise Invalid(f"{self.source.shown} holds no CSV, Parquet or NPZ file.", field="source")
        source = self.source.shown
        return {**self.about, "chunk_rows": self.chunk_rows, "source": source, "files": files}

    @property
    def about(self) -> dict[str, str]:
        """Which model answered; part of every part's metadata."""
        return {"version": self.version.ref, "digest": self.version.digest}


@dataclass(frozen=True)
class Progress:
    """How far a run is: `file` of `files` is at hand, `share` (0 to 1) of all bytes is read."""

    file: int
    files: int
    parts: int
    rows: int
    share: float

    def to_dict(self) -> dict[str, Any]:
        """JSON form; the share as percent."""
        return {**asdict(self), "share": round(self.share, 4)}


@dataclass(frozen=True)
class _Standing:
    """Where the work stands: the file at hand, its parts and place, and what all parts come to."""

    file: int = 0
    part: int = 0
    at: Cursor | None = None
    parts: int = 0
    rows: int = 0
    counts: Counts = field(default_factory=list)

    def after(self, chunk: Chunk, counts: Counts) -> _Standing:
        """With one more part."""
        return replace(
            self,
            part=self.part + 1,
            at=chunk.after,
            parts=self.parts + 1,
            rows=self.rows + chunk.rows,
            counts=added(self.counts, counts),
        )


def check_scorable(version: Version) -> None:
    """Raises Invalid for what cannot be scored in batches: anything but one ready ONNX file."""
    if not version.is_ready:
        raise Invalid(f"{version.ref} is not ready.")
    if version.format != "onnx" or version.file_count:
        raise Invalid(f"{version.ref} is no ONNX file, and only those are scored here.")


def score(
    job: Job, store: ArtifactStore, say: Say = lambda progress: None, stop: Callable[[], bool] = lambda: False
) -> dict[str, Any] | None:
    """Scores what is not scored yet; the result document, or None when `stop` said so after a new part.

    Raises Invalid for input that is no table or does not fit the version, and for a target that holds
    another run's parts; Unavailable when a bucket does not answer. May be killed at any moment
    and called again.
    """
    check_scorable(job.version)
    plan, there = job.plan(), job.target.names()
    if PLAN in there:
        _agree(job, plan)
    else:
        job.target.write_json(PLAN, plan)
    standing, names = _standing(job.target, there), list(plan["files"])
    with _model(job.version, store) as model:
        run = _Run(job, model, plan["files"], say, stop)
        for index in range(standing.file, len(names)):
            reached = run.file(names[index], standing)
            if reached is None:
                return None
            standing = replace(reached, file=index + 1, part=0, at=None)
    run.tell(standing, 0.0)
    outputs, state = compared(job.version, standing.counts)
    parts = sorted(name for name in job.target.names() if _PART.fullmatch(name))
    result = {**job.about, "parts": parts, "rows": standing.rows, "outputs": outputs, "state": state}
    job.target.write_json(RESULT, result)
    return result


def _agree(job: Job, plan: dict[str, Any]) -> None:
    there = job.target.read_json(PLAN)
    if there == plan:
        return
    if {**there, "files": plan["files"]} == plan:
        raise Invalid(
            f"The tables in {job.source.shown} were changed since {job.target.shown} was begun.",
            field="target",
            hint="Name an empty folder for the parts.",
        )
    raise Invalid(f"{job.target.shown} holds the parts of another run: name an empty folder.", field="target")


def _standing(target: Folder, there: set[str]) -> _Standing:
    """What the newest part, or the newest file that is done, says; read from the names and one document."""
    done = {int(found[1]) for name in there if (found := _DONE.fullmatch(name))}
    file = next(index for index in range(len(done) + 1) if index not in done)
    numbers = {int(m[2]) for name in there if (m := _PART.fullmatch(name)) and int(m[1]) == file}
    part = next(index for index in range(len(numbers) + 1) if index not in numbers)
    if part:
        return _Standing(file, part, **target.about(_part(file, part - 1))["so_far"])
    if file:
        return _Standing(file, 0, **target.read_json(_done(file - 1))["so_far"])
    return _Standing()


def _part(file: int, number: int) -> str:
    return f"part-{file:05d}-{number:06d}.parquet"


def _done(file: int) -> str:
    return f"_file-{file:05d}.json"


@dataclass(frozen=True)
class _Run:
    """One turn of a job: files in their order, with the model at hand. `files` has [bytes, …] by name."""

    job: Job
    model: OnnxModel
    files: dict[str, list[int]]
    say: Say
    stop: Callable[[], bool]

    def file(self, name: str, standing: _Standing) -> _Standing | None:
        """The rest of one file; None when `stop` said so."""
        job = self.job
        for chunk in job.source.chunks(name, job.chunk_rows, standing.at, wanted(job.version)):
            standing = self._part(chunk, name, standing)
            self.tell(standing, chunk.share)
            if self.stop():
                return None
        so_far = {"parts": standing.parts, "rows": standing.rows, "counts": standing.counts}
        job.target.write_json(_done(standing.file), {"file": name, "parts": standing.part, "so_far": so_far})
        return standing

    def _part(self, chunk: Chunk, name: str, standing: _Standing) -> _Standing:
        job = self.job
        answers = self.model.run(feeds(job.version, chunk.columns))
        columns = {
            key: answer.reshape(-1) if _is_column(answer) else answer for key, answer in answers.items()
        }
        counts = counts_of(job.version, answers)
        after = standing.after(chunk, counts)
        so_far = {"at": after.at, "parts": after.parts, "rows": after.rows, "counts": after.counts}
        about = {**job.about, "file": name, "counts": counts, "so_far": so_far}
        job.target.write_table(_part(standing.file, standing.part), columns, about)
        return after

    def tell(self, standing: _Standing, share: float) -> None:
        """Writes and says how far the run is, `share` of the file at hand included."""
        sizes = [state[0] for state in self.files.values()]
        read = sum(sizes[: standing.file]) + share * sum(sizes[standing.file : standing.file + 1])
        file = min(standing.file + 1, len(sizes))
        whole = read / sum(sizes) if sum(sizes) else 1.0
        progress = Progress(file, len(sizes), standing.parts, standing.rows, whole)
        self.job.target.write_json(PROGRESS, progress.to_dict())
        self.say(progress)


def _is_column(answer: NDArray[Any]) -> bool:
    """Whether a row has one value, in whatever shape."""
    return answer.ndim > 1 and int(np.prod(answer.shape[1:])) == 1


class _model:
    """The version's model from the store, in a file for as long as it is needed."""

    def __init__(self, version: Version, store: ArtifactStore) -> None:
        self._version, self._store = version, store
        self._folder = tempfile.TemporaryDirectory(prefix="slipway-score-")

    def __enter__(self) -> OnnxModel:
        from monitoring.adapters.onnx_model import OnnxModel

        path = Path(self._folder.name) / "model.onnx"
        try:
            with self._store.open(self._version.digest) as stream, path.open("wb") as file:
                shutil.copyfileobj(stream, file)
            return OnnxModel(path)
        except BaseException:
            self._folder.cleanup()
            raise

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()
