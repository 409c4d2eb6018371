"""CPU limits of containers, cgroup v1 and v2."""

from __future__ import annotations

import pytest

from deploy.serving.cpu import cgroup_quota, cpu_limit


def write(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


@pytest.fixture
def membership(tmp_path):
    path = tmp_path / "membership"
    path.write_text("0::/kubepods/pod1\n4:cpu,cpuacct:/kubepods/pod1\n1:name=systemd:/\n")
    return path


def test_no_files_means_no_quota(tmp_path, membership):
    assert cgroup_quota(tmp_path / "none", membership) is None
    assert cgroup_quota(tmp_path / "none", tmp_path / "absent") is None


def test_version_2_at_the_mount_as_inside_a_container(tmp_path, membership):
    write(tmp_path / "cg", cpu__max="150000 100000\n")
    assert cgroup_quota(tmp_path / "cg", membership) == 1.5


def test_the_least_quota_on_the_way_down_binds(tmp_path, membership):
    write(tmp_path / "cg" / "kubepods", cpu__max="200000 100000\n")
    write(tmp_path / "cg" / "kubepods" / "pod1", cpu__max="max 100000\n")
    assert cgroup_quota(tmp_path / "cg", membership) == 2


def test_version_1(tmp_path, membership):
    write(tmp_path / "cg" / "cpu,cpuacct" / "kubepods" / "pod1",
          cpu__cfs_quota_us="50000\n", cpu__cfs_period_us="100000\n")  # fmt: skip
    assert cgroup_quota(tmp_path / "cg", membership) == 0.5


def test_version_1_may_list_its_controllers_in_another_order(tmp_path):
    membership = tmp_path / "membership"
    membership.write_text("4:cpuacct,cpu:/docker/one\n3:cpuset:/\n")
    write(tmp_path / "cg" / "cpu" / "docker" / "one",
          cpu__cfs_quota_us="200000\n", cpu__cfs_period_us="100000\n")  # fmt: skip
    assert cgroup_quota(tmp_path / "cg", membership) == 2


def test_version_1_without_a_quota(tmp_path, membership):
    write(tmp_path / "cg" / "cpu,cpuacct", cpu__cfs_quota_us="-1\n", cpu__cfs_period_us="100000\n")
    assert cgroup_quota(tmp_path / "cg", membership) is None


def test_half_a_cpu_still_runs_one_thread(tmp_path, membership):
    write(tmp_path / "cg", cpu__max="50000 100000\n")
    assert cpu_limit(tmp_path / "cg", membership) == 1
