"""Writing samples: one short transaction per cycle, so that other writers hardly wait."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction
from django.db.models import Max

from monitoring.adapters.scrape.codec import decode, encode
from monitoring.adapters.scrape.collect import Collector, Sample
from monitoring.adapters.scrape.exposition import Layout
from monitoring.adapters.scrape.targets import Target
from monitoring.models import Scrape, ScrapeLayout, ScrapeTarget

# `last_seen` only has to be good enough to skip targets that are long gone.
TOUCH_SECONDS = 15.0


class Store:
    """Keeps ids of targets and layouts between cycles; one instance per scraper process."""

    def __init__(self) -> None:
        self._targets: dict[str, int] = {}
        self._touched: dict[int, float] = {}
        self._layouts: dict[str, int] = {}
        self._newest = 0.0
        self._listed: frozenset[str] = frozenset()

    def resume(self, targets: Sequence[Target], collector: Collector) -> None:
        """Tell the collector the last page of each target, so that a restart of the scraper loses nothing."""
        self._newest = Scrape.objects.aggregate(at=Max("at"))["at"] or 0.0
        for target in targets:
            row = (
                Scrape.objects.filter(target__key=target.key, up=True)
                .order_by("-at")
                .select_related("layout")
                .first()
            )
            if row is not None and row.layout is not None:
                layout = Layout.load(bytes(row.layout.columns))
                collector.remember(target.key, layout, decode(bytes(row.values)), row.epoch)

    def add(self, samples: Sequence[Sample]) -> None:
        """Store a cycle's samples in one transaction.

        When the clock was set back, rows of a time that has not come yet are deleted first: samples out of
        order would look like restarts.
        """
        if not samples:
            return
        at = max(sample.at for sample in samples)
        with transaction.atomic():
            if at < self._newest:
                Scrape.objects.filter(at__gt=at).delete()
            rows = [self._row(sample) for sample in samples]
            Scrape.objects.bulk_create(rows)
            self._touch([row.target_id for row in rows], at)
        self._newest = at
        self._listed = frozenset(sample.target.key for sample in samples)

    def _row(self, sample: Sample) -> Scrape:
        return Scrape(
            target_id=self._target(sample),
            layout_id=None if sample.layout is None else self._layout(sample.layout),
            at=sample.at,
            epoch=sample.epoch,
            up=sample.layout is not None,
            values=encode(sample.values) if sample.layout is not None else b"",
        )

    def _target(self, sample: Sample) -> int:
        key = sample.target.key
        if key not in self._targets:
            labels = {k: v for k, v in sample.target.labels.items() if not k.startswith("__")}
            row, _ = ScrapeTarget.objects.get_or_create(
                key=key,
                defaults={
                    "address": sample.target.address,
                    "job": labels.get("job", ""),
                    "endpoint": labels.get("endpoint", ""),
                    "labels": labels,
                    # Not listed a cycle ago: the process is new and its counters began at zero since.
                    "born": bool(self._listed) and key not in self._listed,
                    "first_seen": sample.at,
                    "last_seen": sample.at,
                },
            )
            self._targets[key] = row.pk
        return self._targets[key]

    def _layout(self, layout: Layout) -> int:
        if layout.digest not in self._layouts:
            row, _ = ScrapeLayout.objects.get_or_create(
                digest=layout.digest, defaults={"columns": layout.dump()}
            )
            self._layouts[layout.digest] = row.pk
        return self._layouts[layout.digest]

    def _touch(self, targets: Sequence[int], at: float) -> None:
        due = [pk for pk in targets if abs(at - self._touched.get(pk, 0.0)) >= TOUCH_SECONDS]
        if due:
            ScrapeTarget.objects.filter(pk__in=due).update(last_seen=at)
            self._touched.update(dict.fromkeys(due, at))
