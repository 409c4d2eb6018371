"""64 versions of one model at once get the numbers 1 to 64."""

import os
import subprocess
import sys
import threading

import pytest
from django.db import connections

from registry import audit, services
from registry.domain.actor import SYSTEM
from registry.inspect.sandbox import Inspection
from registry.models import Model, Version

PARALLEL = 64


@pytest.mark.django_db(transaction=True)
def test_parallel_registrations_give_numbers_without_gap_or_repeat(store, onnx_path, monkeypatch):
    # The inspection is a process of its own and has its own tests; without it all 64 meet in the database.
    found = Inspection("onnx", {}, None, [], {})
    monkeypatch.setattr("registry.services.versions.inspect_file", lambda *_, **__: found)
    model = services.create_model(name="busy", actor=SYSTEM)
    start, problems = threading.Barrier(PARALLEL), []

    def register():
        try:
            start.wait(30)
            services.register_version(model=model, artifact=onnx_path, store=store, actor=SYSTEM)
        except Exception as error:  # noqa: BLE001
            problems.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=register) for _ in range(PARALLEL)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert problems == []
    numbers = sorted(Version.objects.filter(model=model).values_list("number", flat=True))
    assert numbers == list(range(1, PARALLEL + 1))
    assert Model.objects.get(pk=model.pk).last_number == PARALLEL
    assert len(list(store.digests())) == 1
    assert audit.verify_chain().checked == PARALLEL + 1


CHILD = """
import django; django.setup()
from pathlib import Path
from registry import services
from registry.adapters.memory import MemoryStore
from registry.domain.actor import SYSTEM
from registry.inspect.sandbox import Inspection
from registry.models import Model
services.versions.inspect_file = lambda *_, **__: Inspection("onnx", {}, None, [], {})
model = Model.objects.get(name="busy")
for _ in range(16):
    services.register_version(model=model, artifact=Path("manage.py"), store=MemoryStore(), actor=SYSTEM)
"""


def test_four_processes_on_one_sqlite_file_give_numbers_without_gap_or_repeat(tmp_path):
    environment = os.environ | {
        "SLIPWAY_HOME": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "controlplane.settings",
    }
    environment.pop("SLIPWAY_DATABASE_URL", None)

    def python(code):
        return subprocess.Popen(
            [sys.executable, "-c", code], env=environment, stderr=subprocess.PIPE, text=True
        )

    def finish(process):
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors

    finish(
        python(
            "import django; django.setup()\n"
            "from django.core.management import call_command; call_command('migrate', verbosity=0)\n"
            "from registry import services; from registry.domain.actor import SYSTEM\n"
            "services.create_model(name='busy', actor=SYSTEM)"
        )
    )
    for process in [python(CHILD) for _ in range(4)]:
        finish(process)
    finish(
        python(
            "import django; django.setup()\n"
            "from registry.models import Version; from registry.audit import verify_chain\n"
            "numbers = sorted(Version.objects.values_list('number', flat=True))\n"
            "assert numbers == list(range(1, 65)), numbers\n"
            "assert verify_chain().whole and verify_chain().checked == 65"
        )
    )
