"""What the pages show, worked out before the templates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from registry.domain.bars import BarChart, bar_chart
from registry.domain.comparison import Comparison, compare
from registry.domain.names import CHAMPION
from registry.domain.signature import Signature, Tensor
from registry.models import ApiToken, Model, Version
from registry.models.signals import serving_asked


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A model in the list."""

    model: Model
    champion: int | None
    aliases: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class VersionRow:
    """A version in its model's table; `metrics` by name."""

    version: Version
    is_champion: bool
    aliases: tuple[str, ...]
    metrics: Mapping[str, Comparison]
    warnings: int


@dataclass(frozen=True, slots=True)
class MetricLine:
    """A metric of a version beside the champion's, as text; `tone` is a badge's."""

    name: str
    own: str
    champion: str
    difference: str
    verdict: str
    tone: str


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A token with its state at the moment."""

    token: ApiToken
    state: str
    tone: str


def model_row(model: Model) -> ModelRow:
    """The row of a model whose aliases are loaded."""
    aliases = tuple((alias.name, alias.version.number) for alias in model.aliases.all())
    return ModelRow(model, dict(aliases).get(CHAMPION), tuple(a for a in aliases if a[0] != CHAMPION))


def version_row(version: Version, champion: Version | None) -> VersionRow:
    """The row of a version whose aliases and latest metrics are loaded."""
    return VersionRow(
        version=version,
        is_champion=champion is not None and version.pk == champion.pk,
        aliases=tuple(alias.name for alias in version.aliases.all()),
        metrics={line.name: line for line in _compared(version, champion)},
        warnings=sum(finding.get("severity") == "warning" for finding in version.findings),
    )


def unserved(versions: Iterable[Version]) -> dict[int, str]:
    """Why no server can run them, as in `is joblib …`, by key; without those that one can."""
    ready = [version for version in versions if version.is_ready]
    found: dict[int, str] = {}
    for _, answer in serving_asked.send(sender=Version, versions=ready) if ready else ():
        found |= cast(dict[int, str], answer or {})
    return found


def metric_lines(version: Version, champion: Version | None) -> list[MetricLine]:
    """Every metric of the version, against the champion's when there is another champion."""
    return [_line(comparison) for comparison in _compared(version, champion)]


def tensors(version: Version) -> list[tuple[str, Tensor]]:
    """Inputs and outputs in one list, each with the word for which it is."""
    signature = Signature.from_dict(version.signature)
    return [("input", t) for t in signature.inputs] + [("output", t) for t in signature.outputs]


def charts(version: Version) -> dict[str, list[BarChart]]:
    """The baseline's bar charts, inputs and outputs; empty lists without a profile."""
    profile = version.profile or {}
    return {side: [bar_chart(item) for item in profile.get(side, ())] for side in ("inputs", "outputs")}


def facts(version: Version) -> list[tuple[str, str]]:
    """What the inspection found, as label and text."""
    found: dict[str, Any] = version.inspection
    operators = ", ".join(
        f"{name} × {count}" for name, count in list(found.get("operators", {}).items())[:12]
    )
    opsets = ", ".join(f"{domain} {number}" for domain, number in found.get("opsets", {}).items())
    seconds = found.get("load_seconds")
    lines = [
        ("Opsets", opsets),
        ("IR version", str(found.get("ir_version", ""))),
        ("Producer", found.get("producer", "")),
        ("Parameters", f"{found['parameters']:,}" if "parameters" in found else ""),
        ("Operators", operators),
        ("Load time", f"{seconds * 1000:.1f} ms" if seconds is not None else ""),
    ]
    lines += _other_facts(found)
    measured = found.get("reference", {}).get("metrics", {})
    lines += [(f"Reference {name}", f"{value:.5g}") for name, value in measured.items()]
    return [(label, text) for label, text in lines if text]


def parity_lines(version: Version) -> list[dict[str, Any]]:
    """The comparison of each output with the answers shipped, empty when none were."""
    outputs: dict[str, Any] = (version.inspection.get("parity") or {}).get("outputs", {})
    return [
        line
        | {
            "name": name,
            "largest": f"{line['max_abs']:.3g}",
            "allowed": f"{line['atol']:g} + {line['rtol']:g} × value" if line["atol"] else "equal",
        }
        for name, line in sorted(outputs.items())
    ]


def latency_lines(version: Version) -> list[dict[str, Any]]:
    """The latency profile as text, one line per batch size."""
    return [
        {
            "batch": line["batch"],
            "p50": f"{line['p50_ms']:.3g}",
            "p95": f"{line['p95_ms']:.3g}",
            "each": f"{line['p50_ms'] / line['batch']:.3g}",
        }
        for line in version.inspection.get("latency", ())
    ]


def _other_facts(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What formats beside ONNX tell of themselves."""
    types = ", ".join(f"{name} × {count}" for name, count in found.get("tensor_types", {}).items())
    lists = [
        (label, ", ".join(map(str, found.get(key, ())[:12])))
        for label, key in (
            ("Imports", "imports"), ("Tags", "tags"), ("Signatures", "signatures"), ("Models", "models"),
            ("Flavours", "flavours"), ("Modules", "modules"),
        )
    ]  # fmt: skip
    told = ", ".join(f"{name}: {value}" for name, value in list(found.get("metadata", {}).items())[:12])
    outside = found.get("external_data")
    return [
        ("External data", f"{outside['bytes']:,} bytes in {', '.join(outside['files'])}" if outside else ""),
        ("Metadata", told),
        ("Architecture", str(found.get("architecture", ""))),
        ("TensorRT", str(found.get("tensorrt", ""))),
        ("TensorFlow", str(found.get("tensorflow", ""))),
        ("Tensors", f"{found['tensors']:,}" if "tensors" in found else ""),
        ("Configurations", "; ".join(map(_configuration, found.get("configurations", {}).items()))),
        ("Quantisation", str(found.get("quantisation", ""))),
        ("Tensor types", types),
        *lists,
    ]


def _configuration(item: tuple[str, Mapping[str, str]]) -> str:
    """A Triton configuration: its path and the settings that were read."""
    path, settings = item
    return f"{path}: {', '.join(f'{key} {value}' for key, value in settings.items())}"


def token_row(token: ApiToken, now: datetime) -> TokenRow:
    """The row of a token at `now`."""
    state = token.state(now)
    return TokenRow(token, state, {"active": "pass", "expired": "hold"}.get(state, "muted"))


def _compared(version: Version, champion: Version | None) -> list[Comparison]:
    own = {metric.name: metric.value for metric in version.latest_metrics.all()}
    if champion is None or champion.pk == version.pk:
        return compare(own, {})
    return compare(own, {metric.name: metric.value for metric in champion.latest_metrics.all()})


def _line(comparison: Comparison) -> MetricLine:
    verdict, tone = {True: ("better", "pass"), False: ("worse", "fail"), None: ("", "muted")}[
        comparison.better
    ]
    if comparison.difference == 0:
        verdict = "equal"
    difference = "" if comparison.difference is None else f"{comparison.difference:+.4g}"
    if comparison.percent is not None:
        difference += f" ({comparison.percent:+.1f} %)"
    return MetricLine(
        comparison.name, _text(comparison.own), _text(comparison.champion), difference, verdict, tone
    )


def _text(value: float | None) -> str:
    return "–" if value is None else f"{value:.5g}"
