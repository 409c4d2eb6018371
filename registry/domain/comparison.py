"""A version's metrics against the champion's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_LOWER = {
    "error", "err", "loss", "logloss", "rmse", "mse", "mae", "mape", "smape", "rmsle", "brier", "perplexity",
    "wer", "cer", "latency", "hinge", "deviance", "crossentropy", "ece", "fpr", "fnr", "ms", "seconds",
}  # fmt: skip
_HIGHER = {
    "accuracy", "acc", "auc", "auroc", "auprc", "ap", "map", "ndcg", "mrr", "precision", "recall", "f1",
    "fbeta", "r2", "bleu", "rouge", "iou", "dice", "mcc", "kappa", "gini", "ks", "tpr", "tnr", "specificity",
    "sensitivity", "lift", "likelihood", "throughput",
}  # fmt: skip
_WORDS = re.compile(r"[a-z]+\d?|\d+")


@dataclass(frozen=True, slots=True)
class Comparison:
    """One metric of a version beside the champion's; `better` is None when nothing can be said."""

    name: str
    own: float | None
    champion: float | None
    better: bool | None

    @property
    def difference(self) -> float | None:
        """Own minus champion, None unless both are known."""
        return None if self.own is None or self.champion is None else self.own - self.champion

    @property
    def percent(self) -> float | None:
        """The difference relative to the champion's size, in percent; None at zero."""
        return (
            None
            if self.difference is None or not self.champion
            else 100 * self.difference / abs(self.champion)
        )


def higher_is_better(name: str) -> bool | None:
    """Whether more of this metric is good, judged by the words in its name; None when they do not tell.

    `val/log_loss` is a loss and `test_roc_auc` an AUC; words are read from the end, where the noun is.
    """
    for word in reversed(_WORDS.findall(name.lower())):
        if word in _LOWER:
            return False
        if word in _HIGHER:
            return True
    return None


def compare(own: Mapping[str, float], champion: Mapping[str, float]) -> list[Comparison]:
    """Every metric that either side has, by name."""
    return [_one(name, own.get(name), champion.get(name)) for name in sorted({*own, *champion})]


def _one(name: str, own: float | None, champion: float | None) -> Comparison:
    higher = higher_is_better(name)
    decided = own is not None and champion is not None and own != champion and higher is not None
    better = (own > champion) == higher if decided and own is not None and champion is not None else None
    return Comparison(name, own, champion, better)
