"""Limits of containers and jobs."""

import os
from pathlib import Path

import pytest

from engine.cli.provenance import machine
from engine.machine import Cgroups, n_cores, ram

GIB = 1 << 30


def write(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)


@pytest.mark.parametrize(
    ("folder", "limit", "word"),
    [("", "memory.max", "anon"), ("memory", "memory.limit_in_bytes", "rss")],
)
def test_memory_of_a_container_ends_at_its_limit(
    tmp_path: Path, folder: str, limit: str, word: str
) -> None:
    stat = f"cache 7\n{word} {GIB // 4}\n{word}_huge 9\n"
    write(tmp_path / folder, **{limit: f"{GIB}\n", "memory.stat": stat})
    assert ram(Cgroups(tmp_path)) == (GIB, GIB - GIB // 4)


def test_a_container_without_limits_has_what_the_machine_has(tmp_path: Path) -> None:
    write(tmp_path, **{"memory.max": "max\n", "memory.stat": "anon 7\n", "cpu.max": "max 100000\n"})
    unlimited = Cgroups(tmp_path / "none")
    assert ram(Cgroups(tmp_path)).total_bytes == ram(unlimited).total_bytes
    assert n_cores(Cgroups(tmp_path)) == n_cores(unlimited) == len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("line", "folder", "limit", "used"),
    [
        ("0::/job/step\n", "job", "memory.max", "anon"),
        ("0::/job/step\n", "job/step", "memory.max", "anon"),
        ("4:cpu:/\n3:memory:/job\n", "memory/job", "memory.limit_in_bytes", "total_rss"),
    ],
)
def test_memory_ends_at_the_limits_of_the_groups_that_the_process_is_in(
    tmp_path: Path, line: str, folder: str, limit: str, used: str
) -> None:
    files = {limit: f"{GIB}\n", "memory.stat": f"rss 1\n{used} {GIB // 4}\n"}
    write(tmp_path / "groups" / folder, **files)
    write(tmp_path, own=line)
    assert ram(Cgroups(tmp_path / "groups", tmp_path / "own")) == (GIB, GIB - GIB // 4)


@pytest.mark.parametrize("limit", ["memory.max", "memory/memory.limit_in_bytes"])
def test_shared_memory_is_in_use(tmp_path: Path, limit: str) -> None:
    folder = (tmp_path / limit).parent
    stat = f"anon 0\nrss 0\nfile 9\nshmem {GIB // 2}\n"
    write(folder, **{Path(limit).name: str(GIB), "memory.stat": stat})
    assert ram(Cgroups(tmp_path)).available_bytes == GIB // 2


def test_a_group_that_uses_more_than_its_limit_has_nothing_left(tmp_path: Path) -> None:
    write(tmp_path, **{"memory.max": str(GIB), "memory.stat": f"anon {2 * GIB}\n"})
    assert ram(Cgroups(tmp_path)).available_bytes == 0


@pytest.mark.parametrize(
    ("folder", "files", "n_most"),
    [
        ("", {"cpu.max": "50000 100000\n"}, 1),
        ("", {"cpu.max": "110000 100000\n"}, 2),
        ("cpu", {"cpu.cfs_quota_us": "100000\n", "cpu.cfs_period_us": "100000\n"}, 1),
        ("cpu", {"cpu.cfs_quota_us": "-1\n", "cpu.cfs_period_us": "100000\n"}, 1000),
        ("", {"cpu.max": "0 0\n"}, 1000),
        ("", {"cpu.max": "many\n"}, 1000),
    ],
)
def test_cores_end_at_the_time_that_a_container_may_take(
    tmp_path: Path, folder: str, files: dict[str, str], n_most: int
) -> None:
    write(tmp_path / folder, **files)
    assert n_cores(Cgroups(tmp_path)) == min(n_most, len(os.sched_getaffinity(0)))


def test_cores_end_at_the_limits_of_the_groups_that_the_process_is_in(tmp_path: Path) -> None:
    write(
        tmp_path / "groups" / "cpu" / "job", **{"cpu.cfs_quota_us": "1", "cpu.cfs_period_us": "2"}
    )
    write(tmp_path, own="4:cpu,cpuacct:/job\n")
    assert n_cores(Cgroups(tmp_path / "groups", tmp_path / "own")) == 1


def test_a_group_that_is_not_to_be_seen_from_here_sets_no_limit(tmp_path: Path) -> None:
    write(tmp_path, own="0::/../elsewhere\nodd\n")
    seen = Cgroups(tmp_path, tmp_path / "own")
    assert ram(seen).total_bytes == ram(Cgroups(tmp_path)).total_bytes


def test_a_manifest_names_the_cores_that_a_job_has() -> None:
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        assert machine()["n_cores"] == 1
    finally:
        os.sched_setaffinity(0, cores)
