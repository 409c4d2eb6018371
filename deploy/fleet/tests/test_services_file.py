import json

import pytest

from deploy.files import BadFile
from deploy.fleet.services_file import parse_services

SERVICE = {"name": "web", "command": ["python", "-m", "web"], "cwd": "/srv", "port": 80, "env": {"A": "1"}}
FILE = {"logs": "/logs", "run": "/run.json", "lock": "/lock", "services": [SERVICE]}


def parse(**changes):
    return parse_services(json.dumps(FILE | changes).encode())


def test_a_services_file_is_read():
    file = parse(banner=["ready"], info={"url": "http://x"})
    (service,) = file.services
    assert (service.name, service.command, service.port, service.url) == (
        "web",
        ("python", "-m", "web"),
        80,
        None,
    )
    assert (str(service.cwd), service.env, service.stop_seconds) == ("/srv", {"A": "1"}, 10.0)
    assert (file.banner, file.info) == (("ready",), {"url": "http://x"})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"services": []}, "at least one service"),
        ({"services": [SERVICE, SERVICE]}, "names a service twice"),
        ({"services": [3]}, "services[0]: must be an object"),
        ({"services": [SERVICE | {"command": []}]}, "services[0].command: must not be empty"),
        ({"services": [SERVICE | {"command": "web"}]}, "services[0].command: must be a list of texts"),
        ({"services": [SERVICE | {"cwd": "srv"}]}, "services[0].cwd: must be an absolute path"),
        ({"services": [SERVICE | {"env": {"A": 1}}]}, "services[0].env: must be an object of texts"),
        ({"services": [SERVICE | {"name": ""}]}, "services[0].name: must be a text"),
        ({"run": None}, "run: must be a text"),
        ({"banner": "ready"}, "banner: must be a list"),
    ],
)
def test_a_bad_services_file_is_refused_with_the_path_of_the_field(changes, words):
    with pytest.raises(BadFile) as caught:
        parse(**changes)
    assert words in str(caught.value)
