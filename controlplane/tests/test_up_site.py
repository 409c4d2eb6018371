from pathlib import Path

from controlplane.up.site import Service, Site, services_document, services_of

SITE = Site(Path("/home"), Path("/code"), "/venv/python", 8000, 24_000)


def entry(name, document):
    return next(item for item in document["services"] if item["name"] == name)


def test_every_service_knows_the_home_and_the_gateway():
    document = services_document(SITE, services_of(SITE), ())
    for service in document["services"]:
        assert service["env"]["SLIPWAY_HOME"] == "/home"
        assert service["env"]["SLIPWAY_GATEWAY_URL"] == "http://127.0.0.1:24000"
        assert service["command"][0] == "/venv/python" and service["cwd"] == "/code"


def test_the_services_are_those_of_the_architecture_in_the_order_of_their_start():
    names = [service.name for service in services_of(SITE)]
    assert names == ["gateway", "fleet", "scrape", "web", "tick", "intake"]


def test_web_and_gateway_are_ready_when_they_answer():
    document = services_document(SITE, services_of(SITE), ())
    assert entry("web", document)["url"] == "http://127.0.0.1:8000/healthz"
    assert entry("gateway", document)["url"] == "http://127.0.0.1:24000/-/health"


def test_the_fleet_tells_prometheus_where_the_gateway_is():
    command = entry("fleet", services_document(SITE, services_of(SITE), ()))["command"]
    assert command[command.index("--gateway") + 1] == "127.0.0.1:24000"


def test_further_services_come_last_and_are_stopped_first():
    document = services_document(SITE, [*services_of(SITE), Service("traffic", ("-m", "traffic"))], ["hello"])
    assert document["services"][-1]["command"] == ["/venv/python", "-m", "traffic"]
    assert document["banner"] == ["hello"]


def test_the_next_run_finds_the_gateway_s_port():
    assert services_document(SITE, services_of(SITE), ())["info"]["gateway_port"] == 24_000
