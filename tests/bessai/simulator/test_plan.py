from __future__ import annotations

import contextlib
import tomllib
from collections.abc import Generator
from pathlib import Path

import pytest

from bessai.config import data_directory
from bessai.simulator.device import DeviceConfig, SimulatedDevice
from bessai.simulator.director import Director
from bessai.simulator.faults import FaultKind
from bessai.simulator.plan import Plan, PlanError, devices_of, plan_of, read_plan
from bessai.simulator.server import DeviceServer, bind
from bessai.simulator.site import SimulatorConfig

SITE = [f"d{number}" for number in range(1, 6)]
SHIPPED = sorted((data_directory() / "plans").glob("*.toml"))
RANDOM = """
[[random]]
devices = "d1-d3"
per_min = 60
for_s = [1, 2]
choices = [{ fault = "hang", weight = 3 }, { fault = "close" }]
"""


@contextlib.contextmanager
def served(names: list[str]) -> Generator[dict[str, DeviceServer]]:
    """Give every device a server on a free port."""
    servers = {
        name: DeviceServer(SimulatedDevice(name, DeviceConfig()), bind("127.0.0.1", 0), unit=1)
        for name in names
    }
    yield servers
    for server in servers.values():
        server.close()


def plan(text: str) -> Plan:
    return plan_of(tomllib.loads(text), SITE, source="my.toml")


def test_a_step_is_one_fault_on_each_of_its_devices() -> None:
    found = plan('[[step]]\nat_s = 3\ndevices = ["d5", "d1"]\nfault = "hang"\nfor_s = 4')
    assert [(each.device, each.at_s, each.until_s) for each in found.faults] == [
        ("d1", 3.0, 7.0),
        ("d5", 3.0, 7.0),
    ]
    assert found.faults[0].fault.kind is FaultKind.HANG


def test_a_step_without_an_end_lasts_as_long_as_the_plan() -> None:
    assert plan('lasts_s = 50\n[[step]]\ndevices = "d1"\nfault = "hang"').faults[0].until_s == 50.0


def test_a_step_comes_again_and_has_another_name_each_time() -> None:
    found = plan(
        'lasts_s = 25\n[[step]]\ndevices = "d1"\nfault = "hang"\nat_s = 1\nfor_s = 3\nevery_s = 10'
    )
    assert [each.at_s for each in found.faults] == [1.0, 11.0, 21.0]
    assert len({each.name for each in found.faults}) == 3


def test_random_steps_follow_from_the_seed_alone() -> None:
    assert plan("seed = 4" + RANDOM) == plan("seed = 4" + RANDOM)
    assert plan("seed = 4" + RANDOM).faults != plan("seed = 5" + RANDOM).faults


def test_random_steps_keep_to_their_rate_devices_and_durations() -> None:
    faults = plan("seed = 4\nlasts_s = 600" + RANDOM).faults
    assert 500 < len(faults) < 700
    assert {each.device for each in faults} == {"d1", "d2", "d3"}
    assert all(each.until_s - each.at_s <= 2.001 for each in faults)
    hangs = sum(each.fault.kind is FaultKind.HANG for each in faults)
    assert 0.65 < hangs / len(faults) < 0.85


def test_a_section_more_leaves_the_others_as_they_were() -> None:
    before = plan("seed = 4" + RANDOM).faults
    after = plan("seed = 4" + RANDOM + RANDOM).faults
    assert [each for each in after if each.name.startswith("random 1.")] == list(before)


def test_manners_are_those_of_the_last_section_that_names_the_device() -> None:
    found = plan(
        '[[manners]]\npreset = "sdongle"\n[[manners]]\ndevices = "d2"\nsettle_s = 0.1'
    ).manners
    assert found["d1"].latency_s == (0.3, 1.3)
    assert (found["d2"].latency_s, found["d2"].settle_s) == ((0.0, 0.0), 0.1)


def test_devices_are_named_by_name_span_list_or_all_together() -> None:
    assert devices_of("all", SITE) == SITE
    assert devices_of(["d5", "d2-d3"], SITE) == ["d2", "d3", "d5"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sed = 4", r"my\.toml: 'sed' is not a key here; valid: seed, lasts_s"),
        ("lasts_s = 0", r"my\.toml: lasts_s=0 must be above 0"),
        ('[[step]]\ndevices = "d1"', r"\[\[step\]\] number 1: .*`fault`"),
        (
            '[[step]]\ndevices = "d9"\nfault = "hang"',
            r"number 1: devices: 'd9' is none of d1 to d5; give",
        ),
        ('[[step]]\ndevices = "d1"\nfault = "hung"', "unknown fault 'hung'; valid: hang"),
        ('[[step]]\ndevices = "d1"\nfault = "hang"\nat_s = nan', "at_s=nan must be 0 or more"),
        (
            '[[step]]\ndevices = "d1"\nfault = "hang"\nevery_s = 3',
            "every_s=3 needs a shorter for_s",
        ),
        (
            '[[step]]\ndevices = "d1"\nfault = "hang"\nfor_s = 0\nevery_s = 0.000001',
            "more than 100000 faults; give a longer every_s",
        ),
        (RANDOM.replace("60", "0"), r"\[\[random\]\] number 1: per_min=0 must be above 0"),
        (RANDOM + RANDOM.replace("[1, 2]", "[2, 1]"), r"number 2: for_s=\[2, 1\] must give"),
        ('[[manners]]\npreset = "rude"', r"\[\[manners\]\] number 1: unknown preset"),
    ],
)
def test_what_is_wrong_in_a_plan_is_named_with_its_place(text: str, said: str) -> None:
    with pytest.raises(PlanError, match=said):
        plan(text)


def test_a_file_that_is_no_plan_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("seed = = 1")
    with pytest.raises(PlanError, match=r"broken\.toml: is no TOML"):
        read_plan(broken, SITE)
    with pytest.raises(PlanError, match=r"gone\.toml: cannot be read: No such file"):
        read_plan(tmp_path / "gone.toml", SITE)


def test_three_plans_are_shipped() -> None:
    assert {path.stem for path in SHIPPED} == {"field", "neighbours", "storm"}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_plan_can_be_carried_out_and_comes_to_the_same_steps(path: Path) -> None:
    for count in (50,) if path.stem == "neighbours" else (1, 3, 50):
        config = SimulatorConfig(devices=count, port=0)
        found = read_plan(path, config.names)
        assert found.faults
        assert found == read_plan(path, config.names)
        with served(config.names) as servers:
            Director(servers).prepare(found)
            assert {
                name: servers[name].behaviour.manners for name in found.manners
            } == found.manners


def test_the_storm_has_every_kind_of_fault() -> None:
    (path,) = [each for each in SHIPPED if each.stem == "storm"]
    kinds = {each.fault.kind for each in read_plan(path, SITE).faults}
    assert kinds == set(FaultKind) - {FaultKind.LATENCY}, "latency is another name of slow"


def test_the_neighbours_are_ten_dead_ten_slow_ten_flapping_five_mad_and_fifteen_good() -> None:
    (path,) = [each for each in SHIPPED if each.stem == "neighbours"]
    site = [f"d{number}" for number in range(1, 51)]
    found = read_plan(path, site)
    bad = {each.device for each in found.faults} | set(found.manners)
    assert [name for name in site if name not in bad] == site[35:]
    for_good = {e.device for e in found.faults if e.until_s - e.at_s == found.lasts_s}
    assert (len(for_good), len(found.manners)) == (15, 10)
