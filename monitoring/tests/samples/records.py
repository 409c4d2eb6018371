"""Records as senders make them."""

NOW = 1_790_000_000.0


def prediction(request_id="r1", version="1", *, at=NOW - 5, value=0.5, **changes):
    return {
        "endpoint": "churn-production",
        "version": version,
        "request_id": request_id,
        "at": at,
        "outputs": {"score": [value]},
        "mirrored": False,
        **changes,
    }


def label(request_id="r1", value=1.0, **changes):
    return {"endpoint": "churn-production", "request_id": request_id, "value": value, **changes}
