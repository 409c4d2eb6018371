"""Pickles, read as a list of instructions and never run: which code would loading them import?"""

from __future__ import annotations

import pickletools
from pathlib import Path
from typing import IO, Any

from registry.errors import Invalid
from registry.inspect.baseline import Finding, finding

# Instructions that are looked at; arrays lie behind them and need not be read.
_MOST = 1_000_000
_SHOWN = 40
_JOBLIB_ARRAY = "joblib.numpy_pickle.NumpyArrayWrapper"
# Modules with which a pickle reaches the shell, the network or the interpreter.
_DANGEROUS = frozenset(
    {"os", "posix", "nt", "subprocess", "sys", "shutil", "socket", "runpy", "pty", "webbrowser", "ctypes",
     "importlib", "builtins.eval", "builtins.exec", "builtins.compile", "builtins.__import__",
     "builtins.open", "__builtin__.eval", "__builtin__.exec", "asyncio", "code", "bdb", "pdb", "pip",
     "requests", "urllib"}
)  # fmt: skip


def describe_pickle(path: Path) -> tuple[dict[str, Any], list[Finding]]:
    """What the pickle would import, and the warnings; `Invalid` when it is no sound list of instructions."""
    with path.open("rb") as file:
        return told_of(file)


def told_of(file: IO[bytes]) -> tuple[dict[str, Any], list[Finding]]:
    """The same for a pickle that lies in something else."""
    imports = sorted(_imports(file))
    return {"imports": imports[:_SHOWN]}, [_executes(imports)]


def describe_joblib(path: Path) -> tuple[dict[str, Any], list[Finding]]:
    """A compressed pickle is not unpacked: it could be of any size."""
    return {}, [_executes([])]


def _executes(imports: list[str]) -> Finding:
    dangerous = [name for name in imports if name.partition(".")[0] in _DANGEROUS or name in _DANGEROUS]
    if dangerous:
        told = f"Loading it would run {', '.join(dangerous[:5])}: that is what an attack looks like. "
        return finding("pickle_dangerous", f"{told}Slipway never loads it.")
    told = "Loading it would execute code. Slipway keeps it, never loads it and never serves it."
    return finding("executes_code", told)


class _Scan:
    """What a run of the instructions would import, followed through the memo of texts."""

    def __init__(self) -> None:
        self.imports = set[str]()
        self._memo = dict[int, str]()
        self._texts = ["", ""]
        self._last: str = ""

    def see(self, code: str, argument: Any) -> None:
        """Follow one instruction."""
        if code in {"GLOBAL", "INST"}:
            self.imports.add(str(argument).replace(" ", ".")[:200])
        elif code == "STACK_GLOBAL":
            self.imports.add(".".join(self._texts)[:200])
        if code == "MEMOIZE" or code.endswith("PUT"):
            self._memo[len(self._memo) if argument is None else int(argument)] = self._last
            return
        text = argument if isinstance(argument, str) and "UNICODE" in code else ""
        text = self._memo.get(int(argument), "") if code.endswith("GET") else text
        self._last = text
        if text:
            self._texts = [self._texts[-1], text]


def _imports(file: IO[bytes]) -> set[str]:
    scan = _Scan()
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(file)):
            scan.see(opcode.name, argument)
            if count > _MOST:
                break
    except (ValueError, EOFError, UnicodeError, OverflowError, IndexError) as error:
        # joblib writes arrays as bare bytes between the instructions: the imports before them are known.
        if _JOBLIB_ARRAY not in scan.imports:
            raise Invalid(
                "The file begins like a pickle but cannot be read to the end: it is damaged or truncated.",
                field="artifact",
                hint="Upload it again.",
            ) from error
    return scan.imports
