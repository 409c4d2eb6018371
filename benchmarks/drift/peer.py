"""Runs in Evidently's own environment: its data drift preset over the rows of a file; prints JSON.

python peer.py rows.npz
"""

import json
import sys
import time

import numpy as np
import pandas as pd
from evidently import Report
from evidently.presets import DataDriftPreset

rows = np.load(sys.argv[1])
names = [f"f{index:02}" for index in range(rows["reference"].shape[1])]
reference = pd.DataFrame(rows["reference"], columns=names)
current = pd.DataFrame(rows["current"], columns=names)
started = time.process_time()
result = Report([DataDriftPreset()]).run(current, reference)
cpu = time.process_time() - started
metrics = result.dict()["metrics"]
drifted = [item["value"] for item in metrics if "count" in str(item.get("value"))]
print(json.dumps({"cpu_seconds": cpu, "drifted": drifted[:1], "metrics": len(metrics)}, default=float))
