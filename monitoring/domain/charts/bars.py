"""Charts over bins: grouped bars, one per role, in each bin."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from monitoring.domain.arrays import FloatArray
from monitoring.domain.charts.chart import PLOT, Bar, Chart, LegendEntry
from monitoring.domain.charts.scales import Scale, plain, text_width, value_ticks
from registry.domain.axis import Tick

GROUP_SHARE = 0.8
MOST_LABELS = 10
LABEL_CHARACTERS = 8


@dataclass(frozen=True, slots=True, eq=False)
class Population:
    """Counts of one role over the bins, shape (B,)."""

    role: str
    label: str
    counts: FloatArray

    @property
    def total(self) -> float:
        return float(self.counts.sum())

    @property
    def shares(self) -> FloatArray:
        """In percent of the population; all 0 when it is empty."""
        shares: FloatArray = 100 * self.counts / max(self.total, 1e-12)
        return shares


def bin_names(bins: Sequence[str] | Sequence[float]) -> list[str]:
    """What each bin holds: the class names, or intervals between the edges."""
    if not bins or isinstance(bins[0], str):
        return [str(name) for name in bins]
    edges = [plain(float(edge)) for edge in bins]
    inner = [f"{low} to {high}" for low, high in zip(edges[:-1], edges[1:], strict=True)]
    return [f"≤ {edges[0]}", *inner, f"> {edges[-1]}"]


def bar_chart(
    *,
    id: str,
    title: str,
    x_label: str,
    bins: Sequence[str] | Sequence[float],
    populations: Sequence[Population],
    caption: str,
) -> Chart:
    """Shares in percent per bin; ticks stand under the edges of numeric bins, under the middle of classes."""
    names = bin_names(bins)
    group = PLOT.width / max(1, len(names))
    ticks = value_ticks(max((float(p.shares.max()) for p in populations if len(p.shares)), default=0.0))
    y = Scale(ticks[0], ticks[-1], PLOT.bottom, PLOT.top)
    return Chart(
        id=id,
        title=title,
        unit="% of predictions",
        x_label=x_label,
        description=f"{title}. {caption}",
        caption=caption,
        x_ticks=_x_ticks(bins, group),
        y_ticks=tuple(Tick(y(value), plain(value)) for value in ticks),
        bars=tuple(
            bar for index, p in enumerate(populations) for bar in _bars(p, index, len(populations), group, y)
        ),
        legend=tuple(LegendEntry(p.role, p.label, f"{p.total:,.0f} predictions") for p in populations),
        hover=_hover(names, populations, group, y),
    )


def _bars(population: Population, index: int, groups: int, group: float, y: Scale) -> list[Bar]:
    width = group * GROUP_SHARE / groups
    offset = group * (1 - GROUP_SHARE) / 2 + index * width
    return [
        Bar(
            role=population.role,
            x=round(PLOT.left + bin * group + offset, 1),
            y=y(share),
            width=round(width, 1),
            height=round(PLOT.bottom - y(share), 1),
        )
        for bin, share in enumerate(population.shares.tolist())
    ]


def _x_ticks(bins: Sequence[str] | Sequence[float], group: float) -> tuple[Tick, ...]:
    classes = not bins or isinstance(bins[0], str)
    widest = max((text_width(_short(bin)) for bin in bins), default=0.0)
    every = max(-(-len(bins) // MOST_LABELS), math.ceil(widest / group))
    shift = 0.5 if classes else 1.0
    return tuple(
        Tick(round(PLOT.left + (index + shift) * group, 1), _short(bin))
        for index, bin in enumerate([*bins])
        if index % every == 0
    )


def _short(bin: str | float) -> str:
    text = bin if isinstance(bin, str) else f"{bin:.3g}"
    return text if len(text) <= LABEL_CHARACTERS else text[: LABEL_CHARACTERS - 1] + "…"


def _hover(
    names: Sequence[str], populations: Sequence[Population], group: float, y: Scale
) -> dict[str, list[object]]:
    return {
        "x": [round(PLOT.left + (index + 0.5) * group, 1) for index in range(len(names))],
        "label": list(names),
        "series": [
            {
                "role": p.role,
                "label": p.label,
                "y": [y(share) for share in p.shares.tolist()],
                "text": [f"{share:.1f} %" for share in p.shares.tolist()],
            }
            for p in populations
        ],
    }
