"""What a folder is, by the files in it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from registry.domain.signature import Signature
from registry.errors import Invalid
from registry.inspect.baseline import Finding, finding
from registry.inspect.gguf import describe_gguf
from registry.inspect.safetensors import describe_safetensors
from registry.inspect.savedmodel import describe_savedmodel
from registry.inspect.sniff import ONNX, sniff

_TRITON = re.compile(r"(?:(?P<model>[^/]+)/)?(?P<version>\d+)/model\.(?P<kind>[a-z_]+)(/.*)?")
_SETTING = re.compile(r'^\s*(name|platform|backend|max_batch_size)\s*:\s*"?([^"\s#]+)', re.MULTILINE)
_KNOWN = (
    "Known folders: a SavedModel, an ONNX model with its external data, a Triton model repository, an MLflow "
    "model, safetensors, GGUF parts."
)
_LISTED = 50
_EXECUTED = frozenset({"pickle", "joblib", "pytorch"})


@dataclass(frozen=True, slots=True)
class Folder:
    """The folder's format, the ONNX file to run (if it is one), and what there is to say."""

    format: str
    main: Path | None
    facts: dict[str, Any]
    findings: list[Finding]
    signature: Signature


def recognise(folder: Path) -> Folder:
    """What the folder is; `Invalid` when it is nothing known, or its files are damaged."""
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())
    _refuse_links(folder, names)
    for look in (_saved_model, _mlflow, _triton, _onnx, _weights):
        found = look(folder, names)
        if found is not None:
            facts = {"files": len(names), **found.facts}
            return Folder(
                found.format, found.main, facts, [*found.findings, *_pickles(folder, names)], found.signature
            )
    raise Invalid("The folder holds no model that Slipway knows.", field="artifact", hint=_KNOWN)


def _refuse_links(folder: Path, names: list[str]) -> None:
    for name in names:
        path = folder / name
        if path.is_symlink() or not path.is_file():
            raise Invalid(f"{name[:80]!r} is a link or a device, which is never followed.", field="artifact")


def _saved_model(folder: Path, names: list[str]) -> Folder | None:
    if "saved_model.pb" not in names:
        return None
    facts, signature = describe_savedmodel(folder / "saved_model.pb")
    weights = any(name.startswith("variables/variables.data") for name in names)
    missing = finding("no_variables", "The SavedModel has no variables/ folder; its weights may be missing.")
    return Folder("savedmodel", None, facts, [] if weights else [missing], signature)


def _mlflow(folder: Path, names: list[str]) -> Folder | None:
    if "MLmodel" not in names:
        return None
    path = folder / "MLmodel"
    try:
        document = yaml.safe_load(path.read_bytes()[:1_000_000])
        flavours = sorted(str(name)[:80] for name in document["flavors"])[:_LISTED]
    except (yaml.YAMLError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise Invalid("MLmodel cannot be read as a description of flavours.", field="artifact") from error
    # Only a scalar: by its aliases a short file can hold a list that no memory holds when it is written out.
    release = document.get("mlflow_version")
    told = str(release)[:50] if isinstance(release, str | int | float) else ""
    facts = {"flavours": flavours, "mlflow": told}
    return Folder("mlflow", None, facts, [], Signature((), ()))


def _triton(folder: Path, names: list[str]) -> Folder | None:
    found = [match for name in names if (match := _TRITON.fullmatch(name))]
    if not found:
        return None
    configs = [name for name in names if name.rpartition("/")[2] == "config.pbtxt"]
    settings = {name: dict(_SETTING.findall(_text(folder / name))) for name in configs[:_LISTED]}
    models = [f"{match['model'] or '.'}/{match['version']}: {match['kind']}" for match in found]
    # A SavedModel or a folder of parts has many files under one version.
    facts = {"models": list(dict.fromkeys(models))[:_LISTED], "configurations": settings}
    told = "The repository has no config.pbtxt; Triton then guesses the inputs and outputs."
    return Folder(
        "triton", None, facts, [] if configs else [finding("no_config", told, "info")], Signature((), ())
    )


def _onnx(folder: Path, names: list[str]) -> Folder | None:
    """The ONNX file lies at the top; the files of its external data may look like anything."""
    top = [folder / name for name in names if "/" not in name]
    models = [path for path in top if path.suffix == ".onnx"] or [p for p in top if sniff(p) is ONNX]
    if len(models) > 1:
        listed = ", ".join(path.name for path in models[:5])
        raise Invalid(f"The folder holds more than one ONNX model: {listed}.", field="artifact")
    return Folder("onnx", models[0], {}, [], Signature((), ())) if models else None


def _weights(folder: Path, names: list[str]) -> Folder | None:
    """Parts of safetensors or GGUF, with whatever text lies beside them."""
    kinds = {name: sniff(folder / name) for name in names}
    for code, describe in (("safetensors", describe_safetensors), ("gguf", describe_gguf)):
        parts = [name for name, kind in kinds.items() if kind.code == code]
        if parts:
            told = [describe(folder / name) for name in parts]
            facts: dict[str, Any] = {
                "parts": len(parts),
                "tensors": sum(one["tensors"] for one in told),
                "parameters": sum(one["parameters"] for one in told),
                "tensor_types": _summed(told),
            }
            return Folder(code, None, facts, [], Signature((), ()))
    return None


def _summed(told: list[dict[str, Any]]) -> dict[str, int]:
    types: dict[str, int] = {}
    for one in told:
        for name, count in one["tensor_types"].items():
            types[name] = types.get(name, 0) + count
    return types


def _pickles(folder: Path, names: list[str]) -> list[Finding]:
    found = [name for name in names if sniff(folder / name).code in _EXECUTED]
    if not found:
        return []
    listed = ", ".join(found[:5]) + ("…" if len(found) > 5 else "")
    return [finding("executes_code", f"Loading these would execute code; Slipway never does: {listed}.")]


def _text(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(1_000_000).decode("utf-8", "replace").replace("\x00", "")
