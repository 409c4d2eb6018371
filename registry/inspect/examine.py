"""The whole examination of a file or folder, in order of cost: content, document, runtime, reference set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from registry.domain.signature import Signature
from registry.errors import Invalid
from registry.inspect.baseline import Finding, finding, findings_of, measured, profile_of
from registry.inspect.features import names_from, own_names
from registry.inspect.folders import recognise
from registry.inspect.graph import check_model, describe, load_model
from registry.inspect.latency import latency_of
from registry.inspect.parity import parity_findings, parity_of
from registry.inspect.recorded import DESCRIBED, misnamed, recorded
from registry.inspect.reference import load_reference
from registry.inspect.runtime import answer, load_session, signature_of, trial
from registry.inspect.sniff import ONNX, UNKNOWN, sniff
from registry.inspect.zipmap import replace_zipmaps, zipmap_findings


def examine(
    path: str, reference: str | None = None, feature_names: Sequence[str] = (), filename: str = ""
) -> dict[str, Any]:
    """The result document of a file or folder; `Invalid` for anything damaged or of no known format.

    Keys: `format`, `signature`, `feature_names` (those given, or found), `profile` (or None), `findings`,
    `inspection` (facts for people).
    ONNX is also loaded and run; other formats are recorded as what they are and never loaded.
    """
    found = _examine(Path(path), reference, feature_names, filename)
    return {"feature_names": list(feature_names)} | found


def _examine(
    place: Path, reference: str | None, feature_names: Sequence[str], filename: str
) -> dict[str, Any]:
    if place.is_dir():
        folder = recognise(place)
        if folder.main is None:
            return recorded(folder.format, folder.facts, folder.findings, folder.signature, reference)
        return _examine_onnx(folder.main, reference, feature_names, folder.facts, folder.findings)
    kind = sniff(place)
    findings = misnamed(kind, filename or place.name)
    if kind.code in DESCRIBED:
        facts, found = DESCRIBED[kind.code](place)
        return recorded(kind.code, facts, [*found, *findings], Signature((), ()), reference)
    if kind not in {ONNX, UNKNOWN}:
        raise Invalid(f"The file is {kind.title}, not an ONNX model.", field="artifact", hint=kind.hint)
    return _examine_onnx(place, reference, feature_names, {}, findings)


def _examine_onnx(
    file: Path,
    reference: str | None,
    feature_names: Sequence[str],
    about: dict[str, Any],
    found: list[Finding],
) -> dict[str, Any]:
    model = load_model(file, sniff(file))
    check_model(model, file.parent if about else None)
    facts = about | describe(model)
    classes = replace_zipmaps(model)
    content = model.SerializeToString() if classes else None
    session, seconds = load_session(file, content)
    signature = signature_of(session)
    _check_feature_names(signature, feature_names)
    names = list(feature_names) or own_names(model, signature)
    del model
    result: dict[str, Any] = {
        "format": "onnx",
        "signature": signature.to_dict(),
        "feature_names": names,
        "profile": None,
        "findings": [*found, *_signature_findings(signature), *zipmap_findings(classes)],
        "inspection": facts | {"load_seconds": round(seconds, 4)},
    }
    if reference is None:
        result["inspection"]["latency"] = latency_of(session, signature, None)
        told = "No reference set was given, so there is no baseline to compare live traffic with."
        result["findings"].append(finding("no_baseline", told, "info"))
        failed = trial(session, signature)
        if failed:
            result["findings"].append(
                finding("trial_failed", f"A trial with one row of zeros failed: {failed}")
            )
        return result
    return result | _run_reference(session, signature, Path(reference), names, result)


def _run_reference(
    session: Any, signature: Signature, path: Path, known: Sequence[str], result: dict[str, Any]
) -> dict[str, Any]:
    reference = load_reference(path, signature, known)
    names, about_names = names_from(reference, known, signature)
    answers = answer(session, signature, reference.feeds, reference.rows)
    parity = parity_of(reference, answers)
    facts = {
        "rows": reference.rows,
        "failed": answers.failures,
        "seconds": round(answers.seconds, 4),
        "metrics": measured(signature, reference, answers),
    }
    return {
        "feature_names": names,
        "profile": profile_of(signature, names, reference, answers),
        "findings": [
            *result["findings"],
            *about_names,
            *findings_of(signature, reference, answers),
            *parity_findings(parity),
        ],
        "inspection": result["inspection"]
        | {
            "reference": facts,
            "parity": parity,
            "latency": latency_of(session, signature, reference.feeds),
        },
    }


def _signature_findings(signature: Signature) -> list[Finding]:
    found = [
        finding(
            "output_not_tensor", f"Output {t.name!r} is {t.dtype}, which the server leaves out of answers."
        )
        for t in signature.outputs
        if not t.is_tensor
    ]
    found += [
        finding("fixed_batch", f"Input {t.name!r} takes exactly {t.shape[0]} rows per request.", "info")
        for t in signature.inputs
        if t.shape and not t.takes_batches
    ]
    return found


def _check_feature_names(signature: Signature, feature_names: Sequence[str]) -> None:
    if not feature_names or signature.column_names(feature_names) is not None:
        return
    columns = signature.column_names()
    if columns is not None:
        raise Invalid(
            f"{len(feature_names)} feature names were given, but the model takes {len(columns)} columns.",
            field="feature_names",
            hint="Give one name per input column, in the order of the signature.",
        )
