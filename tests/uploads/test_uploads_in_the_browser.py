"""A large file in the browser: in parts, with progress, and on from where it broke off after a reload."""

from __future__ import annotations

import json
import os

import pytest
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Page

from registry import services, tasks
from registry.domain.actor import SYSTEM
from registry.models import Upload, Version
from registry.services import uploads
from registry.tests import onnx_files
from tests.servers.chromium import LISTEN, launched

pytestmark = [pytest.mark.stack, pytest.mark.django_db(transaction=True)]
SIZE = 9 << 20
PARTS = 9


@pytest.fixture
def model(tmp_path, settings, monkeypatch):
    settings.SLIPWAY_ARTIFACT_FOLDER = tmp_path / "artifacts"
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # playwright's loop runs in this thread
    monkeypatch.setattr(uploads, "PART", 1 << 20)
    return services.create_model(name="churn", actor=SYSTEM)


@pytest.fixture
def large(tmp_path):
    data = SIZE - 8 - 96
    head = json.dumps({"w": {"dtype": "U8", "shape": [data], "data_offsets": [0, data]}}).ljust(96).encode()
    path = tmp_path / "large.safetensors"
    path.write_bytes(len(head).to_bytes(8, "little") + head + os.urandom(data))
    return path


@pytest.fixture
def page(model, live_server, chromium):
    user = User.objects.create_superuser("ada", password="a long password")
    client = Client()
    client.force_login(user)
    with launched(chromium) as browser:
        context = browser.new_context()
        context.add_init_script(LISTEN)
        cookie = {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}
        context.add_cookies([cookie])
        yield context.new_page()


def choose(page: Page, live_server, path) -> None:
    page.goto(f"{live_server.url}/models/churn/versions/new")
    page.set_input_files("input[name=artifact]", str(path))
    page.fill("input[name=label]", "1.4.0")
    page.click("text=Register version")


def test_a_large_file_is_resumed_after_a_reload_and_watched_until_it_is_ready(page, live_server, large):
    sent: list[int] = []

    def route(handler, request):
        if request.method != "PUT":
            return handler.continue_()
        number = int(request.url.rpartition("/")[2])
        if number == 5 and 5 not in sent:
            sent.append(5)
            return handler.abort()
        sent.append(number)
        return handler.continue_()

    page.route("**/parts/*", route)
    choose(page, live_server, large)
    page.wait_for_selector("text=Trying again")
    if folder := os.environ.get("SHOTS"):
        page.screenshot(path=f"{folder}/upload.png", full_page=True)
    assert sent == [1, 2, 3, 4, 5] and Upload.objects.count() == 1
    sent.clear()
    sent.append(5)
    choose(page, live_server, large)
    page.wait_for_url("**/models/churn/versions/1/")
    assert sent == [5, 5, 6, 7, 8, 9], "what had arrived is not sent again"
    assert page.locator("#progress").inner_text().startswith("Waiting to be verified")
    if folder:
        page.screenshot(path=f"{folder}/pending.png", full_page=True)
    while tasks.work_one():
        pass
    page.wait_for_selector('a.button:has-text("Download")')
    if folder:
        page.screenshot(path=f"{folder}/ready.png", full_page=True)
    made = Version.objects.get()
    assert (made.state, made.label, made.size) == ("ready", "1.4.0", SIZE)
    assert page.evaluate("window.violations") == []


def test_a_folder_is_sent_file_by_file(page, live_server, tmp_path):
    place = tmp_path / "churn"
    (place / "extra").mkdir(parents=True)
    onnx_files.save_apart(onnx_files.linear(), place / "model.onnx", "w.bin")
    (place / "extra" / "empty.txt").touch()
    page.goto(f"{live_server.url}/models/churn/versions/new")
    page.set_input_files("#id_folder", str(place))
    if folder := os.environ.get("SHOTS"):
        page.screenshot(path=f"{folder}/folder.png", full_page=True)
    page.click("text=Register version")
    page.wait_for_url("**/models/churn/versions/1/")
    while tasks.work_one():
        pass
    page.wait_for_selector('a.button:has-text("Download")')
    made = Version.objects.get()
    assert (made.state, made.format, made.filename, made.file_count) == ("ready", "onnx", "churn", 3)
    assert sorted(made.files.values_list("path", flat=True)) == ["extra/empty.txt", "model.onnx", "w.bin"]
    assert page.evaluate("window.violations") == []
