import json
import logging

from deploy.files import write_json
from deploy.gateway.table import Table


def route(home, name="d", **changes):
    document = {"endpoint": name, "model": "m", "split": [{"version": "1", "weight": 100}]}
    write_json(home / "gateway" / "routes" / f"{name}.json", document | changes)


def test_routes_appear_change_and_go_with_their_files(tmp_path):
    table = Table(tmp_path)
    table.refresh()
    assert table.routes == {}
    route(tmp_path)
    table.refresh()
    assert table.routes["d"].versions == {"1"}
    route(tmp_path, split=[{"version": "2", "weight": 100}])
    table.refresh()
    assert table.routes["d"].versions == {"2"}
    (tmp_path / "gateway" / "routes" / "d.json").unlink()
    table.refresh()
    assert table.to_dict() == {"endpoints": {}}


def test_an_invalid_file_is_reported_and_the_route_before_it_stays(tmp_path, caplog):
    route(tmp_path)
    table = Table(tmp_path)
    table.refresh()
    route(tmp_path, split=[{"version": "2", "weight": 7}])
    with caplog.at_level(logging.ERROR, "slipway.gateway"):
        table.refresh()
        table.refresh()
    shown = table.to_dict()["endpoints"]["d"]
    assert shown["split"] == [{"version": "1", "weight": 100}]
    assert "sum to 7" in shown["error"]
    assert [record.levelname for record in caplog.records].count("ERROR") == 1
    route(tmp_path)
    table.refresh()
    assert table.to_dict()["endpoints"]["d"]["error"] is None


def test_a_file_that_was_never_valid_is_shown_with_its_error(tmp_path):
    route(tmp_path, model=None)
    table = Table(tmp_path)
    table.refresh()
    shown = table.to_dict()["endpoints"]["d"]
    assert (shown["split"], shown["ready"]) == ([], {}) and "model" in shown["error"]


def test_ready_counts_cover_the_versions_of_the_route_and_all_others_that_run(tmp_path):
    route(tmp_path)
    entry = {"version": "2", "instance": "d-2-0", "host": "127.0.0.1", "port": 1, "state": "ready"}
    write_json(tmp_path / "fleet" / "status.json", {"endpoints": {"d": [entry]}})
    table = Table(tmp_path)
    table.refresh()
    assert table.to_dict()["endpoints"]["d"]["ready"] == {"1": 0, "2": 1}


def test_instances_stay_known_while_the_status_is_unreadable(tmp_path):
    entry = {"version": "1", "instance": "d-1-0", "host": "127.0.0.1", "port": 1, "state": "ready"}
    write_json(tmp_path / "fleet" / "status.json", {"endpoints": {"d": [entry]}})
    table = Table(tmp_path)
    table.refresh()
    (tmp_path / "fleet" / "status.json").write_text(json.dumps({"endpoints": 1}))
    table.refresh()
    assert table.pick("d", "1").port == 1
    (tmp_path / "fleet" / "status.json").unlink()
    table.refresh()
    assert table.pick("d", "1").port == 1
