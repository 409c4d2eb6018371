"""The pages of the REST API work under the content security policy: nothing on them is inline."""

from __future__ import annotations

import re

import pytest


def test_the_pages_of_the_api_need_no_inline_script_or_style(client):
    answer = client.get("/api/docs/")
    page = answer.content.decode()
    assert answer.status_code == 200 and "script-src 'self'" in answer["Content-Security-Policy"]
    assert "<style" not in page and not re.search(r"<script>|style=", page)


@pytest.mark.django_db
def test_every_file_that_the_pages_name_is_served_from_here(client):
    page = client.get("/api/docs/").content.decode()
    assert '<a class="link" href="/">Back to Slipway</a>' in page
    named = [url for url in re.findall(r'(?:src|href)="([^"]+)"', page) if url != "/"]
    assert len(named) == 5 and all(url.startswith("/") for url in named)
    for url in named:
        answer = client.get(url.replace("&amp;", "&"))
        assert answer.status_code == 200
        answer.close()
    script = client.get(named[-1].replace("&amp;", "&"))
    assert script["Content-Type"].startswith("application/javascript")
    assert b"/api/schema/" in script.content
