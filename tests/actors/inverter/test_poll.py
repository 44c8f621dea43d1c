"""Answers become vitals and samples with an honest quality; a poll asks for what is due and exists."""

from __future__ import annotations

import msgspec
import pytest

from actors.inverter.errors import IllegalAddressError, LinkError, PermissionDeniedError
from actors.inverter.jobs import BlockAnswer, PollJob, PollPart
from actors.inverter.plausibility import Plausibility, Rate
from actors.inverter.point_reading import PointReading
from actors.inverter.poll import PollBook
from actors.inverter.profile import (
    Block,
    Condition,
    Point,
    PointType,
    PollClass,
    Precondition,
    Profile,
    Sequence,
)
from actors.inverter.profile_points import Bit, Severity
from actors.inverter.schedule import EXTRAS
from actors.messages import CODEC, Quality, Sample, TextInfo
from supervision.clock import NS_PER_S
from tests.actors.inverter.driven import PROFILE

VITALS = [500, 0, 100, 0, 5000, 0, 4000, 250, 1]


def point(name: str, address: int, kind: PointType = PointType.U16, **more: object) -> Point:
    return Point(name=name, address=address, type=kind, **more)  # type: ignore[arg-type]


def block(address: int, kind: PollClass, *points: Point, only_if: Condition | None = None) -> Block:
    last = points[-1]
    return Block(
        name=f"block_{address}",
        address=address,
        count=last.address + last.count - address,
        poll_class=kind,
        points=points,
        only_if=only_if,
    )


SAFETY = block(
    100,
    PollClass.SAFETY,
    point("soc_pct", 100, gain=10, low=0, high=100),
    point("battery_power_w", 101, PointType.I32),
    point("max_charge_w", 103, PointType.U32),
    point("max_discharge_w", 105, PointType.U32),
    point("battery_temperature_c", 107, PointType.I16, gain=10, low=-50, high=120),
    point("mode", 108, enum={0: "idle", 1: "forced"}),
)


def profile(*blocks: Block, vitals: dict[str, tuple[str, ...]] | None = None) -> Profile:
    write = msgspec.structs.replace(PROFILE.write, forced_point="mode", requires=(), watched=())
    return msgspec.structs.replace(
        PROFILE,
        blocks=(SAFETY, *blocks),
        write=write,
        vitals=vitals or {},
        plausibility=Plausibility(),
        login="ask the installer",
    )


class Polled:
    """A book and a device that answers from `registers`, or with the error that stands for an address."""

    def __init__(self, kind: Profile) -> None:
        self.book = PollBook("d1", 7, kind)
        self.registers: dict[int, int] = dict(enumerate(VITALS, 100))
        self.errors: dict[int, LinkError] = {}
        self.job = PollJob(0, (), ())

    def begin(self, at_s: float = 0, *, first: bool = False) -> list[int]:
        """Begin a poll; return the addresses that it asks for."""
        self.job = self.book.begin(int(at_s * NS_PER_S), first=first)
        return [ref.address for ref in (*self.job.safety, *self.job.rest)]

    def poll(self, at_s: float = 0, *, first: bool = False) -> list[int]:
        asked = self.begin(at_s, first=first)
        self.answer()
        return asked

    def answer(self, *, safety_only: bool = False) -> None:
        refs = self.job.safety if safety_only else (*self.job.safety, *self.job.rest)
        answers = []
        for ref in refs:
            wanted = range(ref.address, ref.address + ref.count)
            error = next((self.errors[at] for at in wanted if at in self.errors), None)
            words = None if error else [self.registers.get(at, 0) for at in wanted]
            answers.append(BlockAnswer(ref.block, words, error))
        self.take(*answers)

    def take(self, *answers: BlockAnswer) -> bool:
        numbers = {answer.block for answer in answers}
        part = PollPart(
            poll=self.job.poll,
            answers=answers,
            safety=any(ref.block in numbers for ref in self.job.safety),
            last=not self.job.rest or any(ref.block in numbers for ref in self.job.rest),
            began_ns=8,
            mono_ns=9 + self.job.begin_ns,
        )
        return self.book.take(part, 5)

    def quality(self, name: str) -> Quality:
        names = [info.name for info in self.book.schema.points]
        return self.book.sample(1).quality_at(names.index(name))

    def read(self, name: str) -> PointReading:
        return next(reading for reading in self.book.readings() if reading.name == name)


def no_register() -> IllegalAddressError:
    return IllegalAddressError(2, "read")


FAST = block(200, PollClass.FAST, point("status", 200))
METER = block(
    300,
    PollClass.FAST,
    point("grid_power_w", 300, PointType.I32),
    only_if=Condition(point="status", equals=1),
)


def test_a_poll_reads_safety_first_then_what_is_fast_in_the_order_of_the_profile() -> None:
    polled = Polled(profile(block(50, PollClass.FAST, point("x", 50)), FAST))
    assert polled.poll(first=True) == polled.poll(1) == [100, 50, 200]
    assert [ref.address for ref in polled.job.safety] == [100]


def test_vitals_hold_what_safety_decides_on_with_our_signs() -> None:
    polled = Polled(profile())
    polled.poll(first=True)
    vitals = polled.book.vitals(99)
    assert (vitals.soc_pct, vitals.battery_temperature_c, vitals.battery_power_w) == (50, 25, 100)
    assert (vitals.max_charge_w, vitals.max_discharge_w, vitals.forced) == (5000, 4000, True)
    assert (vitals.faults, vitals.soc_high_pct, vitals.battery_temperature_low_c) == (
        (),
        None,
        None,
    )


def test_a_vital_that_is_not_available_is_none_and_says_why() -> None:
    polled = Polled(profile())
    polled.registers |= {100: 0xFFFF, 107: 2000}
    polled.poll(first=True)
    vitals = polled.book.vitals(99)
    assert (vitals.soc_pct, vitals.battery_temperature_c) == (None, None)
    assert vitals.faults == (
        "soc_pct: not available (0xffff)",
        "battery_temperature_c: 200 is outside -50 to 120",
    )


def test_a_block_that_fails_is_missing_at_first_and_stale_once_it_was_read() -> None:
    polled = Polled(profile())
    polled.errors[100] = LinkError("timed out")
    polled.poll(first=True)
    assert polled.quality("soc_pct") is Quality.MISSING
    del polled.errors[100]
    polled.poll(1)
    assert polled.quality("soc_pct") is Quality.GOOD
    polled.errors[100] = LinkError("timed out")
    polled.poll(2)
    assert polled.quality("soc_pct") is Quality.STALE
    assert polled.book.vitals(3).soc_pct is None
    assert "soc_pct: timed out" in polled.book.vitals(3).faults


def test_a_sentinel_is_invalid_in_the_sample() -> None:
    polled = Polled(profile(FAST))
    polled.registers[200] = 0xFFFF
    polled.poll(first=True)
    sample = polled.book.sample(1)
    assert polled.quality("status") is Quality.INVALID
    assert isinstance(sample, Sample)
    assert CODEC.decode(CODEC.encode(sample)) == sample


def test_answers_to_an_older_poll_are_not_taken() -> None:
    polled = Polled(profile())
    polled.begin(first=True)
    old = polled.job
    polled.begin(1)
    new, polled.job = polled.job, old
    assert not polled.take(BlockAnswer(0, VITALS))
    polled.job = new
    assert polled.take(BlockAnswer(0, VITALS))


def test_a_poll_runs_until_every_block_of_it_is_answered() -> None:
    polled = Polled(profile(FAST))
    polled.begin(first=True)
    polled.answer(safety_only=True)
    assert polled.book.running
    polled.answer()
    assert not polled.book.running


def test_a_lost_connection_leaves_no_vital_and_ends_the_poll() -> None:
    polled = Polled(profile())
    polled.poll(first=True)
    polled.book.disconnected(5, "the device is offline")
    vitals = polled.book.vitals(9)
    assert (vitals.seq, vitals.soc_pct, vitals.forced) == (2, None, None)
    assert "soc_pct: the device is offline" in vitals.faults


def test_a_block_is_read_only_while_its_condition_is_known_to_hold() -> None:
    polled = Polled(profile(FAST, METER))
    assert 300 not in polled.poll(first=True)
    assert 300 not in polled.poll(1)
    assert polled.read("grid_power_w").reason == "not there: status is 0"
    polled.registers[200] = 1
    polled.poll(2)
    assert 300 in polled.poll(3)


GRID = block(
    500,
    PollClass.FAST,
    point("grid_frequency_hz", 500, gain=100, low=0, high=100),
    point("grid_voltage_v", 501, gain=10, low=0, high=1000),
)


def test_vitals_tell_of_the_grid_what_the_poll_before_read_and_when() -> None:
    polled = Polled(profile(GRID))
    polled.registers |= {500: 5001, 501: 2300}
    polled.poll(first=True)
    polled.begin(1)
    polled.registers |= {500: 4900}
    polled.answer(safety_only=True)

    vitals = polled.book.vitals(NS_PER_S + 99)

    assert (vitals.grid_frequency_hz, vitals.grid_voltage_v) == (50.01, 230.0)
    assert vitals.grid_mono_ns == 9
    assert (vitals.faults, vitals.mono_ns) == ((), NS_PER_S + 99)


def test_what_is_there_of_the_grid_and_not_read_is_a_fault_and_what_is_not_there_is_absent() -> (
    None
):
    polled = Polled(profile(GRID, FAST, METER))
    polled.begin(first=True)
    polled.answer(safety_only=True)
    first = polled.book.vitals(1)
    polled.registers |= {500: 0xFFFF, 501: 2300}
    polled.poll(1)
    polled.poll(2)
    second = polled.book.vitals(2)

    assert first.absent == ("battery_voltage_v", "battery_current_a")
    assert len(first.faults) == 3
    assert second.absent == ("battery_voltage_v", "battery_current_a", "grid_power_w")
    assert second.faults == ("grid_frequency_hz: not available (0xffff)",)
    assert (second.grid_frequency_hz, second.grid_voltage_v) == (None, 230.0)


def test_a_lost_connection_leaves_nothing_of_the_grid_either() -> None:
    polled = Polled(profile(GRID))
    polled.registers |= {500: 5000, 501: 2300}
    polled.poll(first=True)
    polled.book.disconnected(5, "the device is offline")

    vitals = polled.book.vitals(6)

    assert (vitals.grid_frequency_hz, vitals.grid_voltage_v) == (None, None)
    assert "grid_voltage_v: the device is offline" in vitals.faults


@pytest.mark.parametrize("kind", [PollClass.SLOW, PollClass.ONCE])
def test_what_safety_needs_of_the_grid_is_read_in_every_poll(kind: PollClass) -> None:
    with pytest.raises(ValueError, match=r'grid_power_w is in block .* class = "fast"'):
        profile(block(500, kind, point("grid_power_w", 500)))


def slow_blocks(count: int, kind: PollClass = PollClass.SLOW) -> list[Block]:
    return [block(400 + n, kind, point(f"slow_{n}", 400 + n)) for n in range(count)]


def test_slow_blocks_are_spread_over_polls_and_come_again_when_they_are_due() -> None:
    polled = Polled(profile(*slow_blocks(3)))
    asked = [set(polled.poll(at_s, first=at_s == 0)) - {100} for at_s in range(64)]
    assert asked[:3] == [{400, 401}, {402}, set()]
    assert asked[30:34] == [{400}, {401}, {402}, set()]
    assert max(map(len, asked)) == EXTRAS
    assert polled.quality("slow_2") is Quality.GOOD


def test_slow_blocks_that_a_poll_did_not_get_to_go_first_in_the_next() -> None:
    polled = Polled(profile(*slow_blocks(5)))
    assert polled.begin(first=True) == [100, 400, 401]
    polled.answer(safety_only=True)
    assert polled.poll(1) == [100, 400, 401]
    assert [polled.poll(at_s) for at_s in (2, 3, 4)] == [[100, 402, 403], [100, 404], [100]]
    assert [polled.poll(at_s) for at_s in (31, 32, 33, 34, 35)] == [
        [100, 400],
        [100, 401],
        [100, 402],
        [100, 403],
        [100, 404],
    ]


def test_slow_blocks_come_several_at_a_time_only_when_they_are_behind() -> None:
    polled = Polled(profile(*slow_blocks(6)))
    assert [polled.poll(at_s, first=at_s == 0) for at_s in range(4)] == [
        [100, 400, 401],
        [100, 402, 403],
        [100, 404, 405],
        [100],
    ]
    assert polled.poll(35.5) == [100, 400, 401]  # due at 30 s, the others at 31 and 32 s
    assert polled.poll(35.7) == [100, 402]
    assert polled.poll(36.5) == [100, 403]
    assert polled.poll(37.5) == [100, 404, 405]


def test_what_is_read_once_is_read_again_on_a_new_connection_only() -> None:
    polled = Polled(profile(*slow_blocks(1, PollClass.ONCE)))
    assert [400 in polled.poll(at_s, first=at_s in {0, 90}) for at_s in (0, 31, 62, 90, 91)] == [
        True,
        False,
        False,
        True,
        False,
    ]


def test_what_is_to_be_read_once_is_tried_again_until_it_is_answered() -> None:
    polled = Polled(profile(*slow_blocks(1, PollClass.ONCE)))
    polled.errors[400] = LinkError("busy")
    assert 400 in polled.poll(first=True)
    assert 400 not in polled.poll(1)
    del polled.errors[400]
    assert 400 in polled.poll(30)
    assert 400 not in polled.poll(61)


def test_an_optional_block_that_the_device_lacks_is_asked_once_a_connection() -> None:
    polled = Polled(profile(block(200, PollClass.FAST, point("x", 200, optional=True))))
    polled.errors[200] = no_register()
    assert [200 in polled.poll(at_s, first=at_s == 9) for at_s in (0, 1, 9, 10)] == [
        True,
        False,
        True,
        False,
    ]
    assert polled.quality("x") is Quality.MISSING


def test_a_new_connection_asks_for_what_a_status_allows_once_it_has_told_the_status_itself() -> (
    None
):
    polled = Polled(profile(FAST, METER))
    polled.registers |= {200: 1, 301: 700}
    assert 300 not in polled.poll(first=True)
    assert 300 in polled.poll(1)
    polled.book.disconnected(2, "the device closed the connection")
    polled.registers[200] = 0
    assert 300 not in polled.poll(2, first=True)
    assert 300 not in polled.poll(3)
    polled.registers[200] = 1
    polled.poll(4)
    assert 300 in polled.poll(5)


def test_an_optional_block_that_is_busy_is_asked_again() -> None:
    polled = Polled(profile(block(200, PollClass.FAST, point("x", 200, optional=True))))
    polled.errors[200] = LinkError("busy")
    assert 200 in polled.poll(first=True)
    assert 200 in polled.poll(1)


MIXED = block(
    200,
    PollClass.FAST,
    point("a", 200),
    point("b_w", 201, PointType.U32),
    point("c", 203, optional=True),
    point("d", 204),
    point("serial", 205, PointType.STR, registers=2),
)


def test_a_mixed_block_that_is_refused_is_asked_point_by_point_once_and_then_in_runs() -> None:
    polled = Polled(profile(MIXED))
    polled.registers |= {200: 1, 202: 2, 204: 4, 205: 0x4142}
    polled.errors[203] = no_register()
    assert polled.poll(first=True) == [100, 200]
    assert polled.poll(1) == [100, 200, 201, 203, 204, 205]
    assert polled.poll(2) == polled.poll(3) == [100, 200, 204]
    values = {reading.name: (reading.value, reading.quality) for reading in polled.book.readings()}
    assert [values[name][0] for name in ("a", "b_w", "c", "d")] == [1, 2, None, 4]
    assert values["c"][1] is Quality.MISSING
    assert polled.read("serial").text == "AB"
    assert polled.read("d").words == (4,)
    assert polled.poll(4, first=True) == [100, 200]


def test_a_point_that_must_exist_is_asked_for_again_even_if_refused() -> None:
    polled = Polled(profile(MIXED))
    polled.errors[200] = no_register()
    polled.poll(first=True)
    polled.poll(1)
    assert polled.poll(2) == [100, 200, 201]
    assert "no such register" in polled.read("a").reason


def test_a_block_without_optional_points_is_asked_again_whatever_it_answers() -> None:
    polled = Polled(profile(FAST))
    polled.errors[200] = no_register()
    assert polled.poll(first=True) == polled.poll(1) == [100, 200]


def test_a_refused_permission_says_which_login_is_needed() -> None:
    polled = Polled(profile(FAST))
    polled.errors[200] = PermissionDeniedError(0x80, "read")
    polled.poll(first=True)
    assert polled.read("status").reason.endswith("ask the installer")


def test_a_point_whose_condition_does_not_hold_is_no_value_though_its_register_is_read() -> None:
    strings = [
        point(f"pv{n}_voltage_v", 200 + n, only_if=Condition(point="strings", at_least=n))
        for n in (1, 2)
    ]
    polled = Polled(
        profile(
            block(150, PollClass.FAST, point("strings", 150)), block(201, PollClass.FAST, *strings)
        )
    )
    polled.registers |= {150: 1, 201: 600, 202: 0}
    polled.poll(first=True)
    assert (polled.read("pv1_voltage_v").value, polled.read("pv2_voltage_v").value) == (600, None)
    assert polled.quality("pv2_voltage_v") is Quality.MISSING
    assert polled.read("pv2_voltage_v").reason == "not there: strings is 1"


SERIAL = block(
    500, PollClass.ONCE, point("pack_serial", 500, PointType.STR, registers=2, optional=True)
)
PACK = block(
    510,
    PollClass.SLOW,
    point("pack_soc_pct", 510),
    only_if=Condition(point="pack_serial", not_empty=True),
)


@pytest.mark.parametrize(("text", "there"), [(0x4142, True), (0, False)])
def test_a_pack_is_read_where_its_serial_number_is_not_empty(text: int, there: bool) -> None:  # noqa: FBT001
    polled = Polled(profile(SERIAL, PACK))
    polled.registers[500] = text
    polled.poll(first=True)
    assert (510 in polled.poll(1)) is there


def test_texts_are_told_in_the_schema_whose_number_stays() -> None:
    polled = Polled(profile(SERIAL))
    number = polled.book.schema.schema_id
    polled.registers[500] = 0x4142
    polled.poll(first=True)
    assert polled.book.schema.texts == (TextInfo("pack_serial", "AB"),)
    assert polled.book.schema.schema_id == number


EXISTS = block(600, PollClass.ONCE, point("unit2", 600))
UNIT_2 = block(
    700,
    PollClass.SAFETY,
    point("soc2_pct", 700, gain=10),
    point("temperature2_c", 701, PointType.I16, gain=10),
    point("power2_w", 702, PointType.I32),
    only_if=Condition(point="unit2", not_equals=0),
)
TWO: dict[str, tuple[str, ...]] = {
    "soc_pct": ("soc_pct", "soc2_pct"),
    "battery_temperature_c": ("battery_temperature_c", "temperature2_c"),
    "battery_power_w": ("battery_power_w", "power2_w"),
}


def two_units(exists: int) -> Polled:
    polled = Polled(profile(EXISTS, UNIT_2, vitals=TWO))
    polled.registers |= {600: exists, 700: 300, 701: 310, 703: 50}
    return polled


def test_a_unit_that_does_not_exist_changes_nothing_from_the_first_vitals_on() -> None:
    polled = two_units(0)
    assert polled.begin(first=True) == [600, 100]
    polled.answer(safety_only=True)
    vitals = polled.book.vitals(9)
    assert (vitals.soc_pct, vitals.soc_high_pct, vitals.faults) == (50.0, None, ())


def test_the_extremes_of_two_units_go_to_safety_and_their_power_is_the_sum() -> None:
    polled = two_units(2)
    polled.poll(first=True)
    assert polled.book.vitals(9).soc_pct is None  # it exists and has not been read yet
    assert polled.poll(1) == [100, 700]
    vitals = polled.book.vitals(9)
    assert (vitals.soc_pct, vitals.soc_high_pct) == (30.0, 50.0)
    assert (vitals.battery_temperature_c, vitals.battery_temperature_low_c) == (31.0, 25.0)
    assert (vitals.battery_power_w, vitals.faults) == (150.0, ())


def test_a_unit_that_exists_and_cannot_be_read_makes_the_vital_unknown() -> None:
    polled = two_units(2)
    polled.poll(first=True)
    polled.errors[700] = LinkError("timed out")
    polled.poll(1)
    vitals = polled.book.vitals(9)
    assert (vitals.soc_pct, vitals.soc_high_pct, vitals.battery_power_w) == (None, None, None)
    assert vitals.max_charge_w == 5000
    assert "soc2_pct: timed out" in vitals.faults


def test_it_is_not_known_whether_a_unit_exists_until_it_has_been_read() -> None:
    polled = two_units(0)
    polled.errors[600] = LinkError("busy")
    polled.poll(first=True)
    assert polled.book.vitals(9).soc_pct is None
    del polled.errors[600]
    assert polled.poll(1) == [600, 100]
    assert polled.book.vitals(9).soc_pct == 50.0


def required(*blocks: Block) -> Polled:
    kind = profile(*blocks)
    requirement = Precondition(
        before=(Sequence.CHARGE,), point="grid_charge", allowed=(1,), reason="why"
    )
    write = msgspec.structs.replace(kind.write, requires=(requirement,))
    return Polled(msgspec.structs.replace(kind, write=write))


def test_what_a_write_requires_is_read_with_the_safety_blocks_of_a_new_connection() -> None:
    polled = required(
        block(800, PollClass.SLOW, point("grid_charge", 800, optional=True), point("y", 801))
    )
    polled.registers[800] = 1
    states = polled.book.limits().states
    assert states is not None
    assert (states["grid_charge"].value, states["grid_charge"].reason) == (None, "not read yet")
    assert polled.begin(first=True) == [800, 100]
    polled.answer(safety_only=True)
    limits = polled.book.limits()
    assert limits.states is not None
    assert (limits.states["grid_charge"].value, limits.states["grid_charge"].address) == (1, 800)
    assert limits.max_discharge_w == 4000
    assert [polled.poll(at_s) for at_s in (1, 30)] == [[100], [100, 800]]


def test_a_failed_read_does_not_make_unknown_what_a_write_requires_but_a_new_connection_does() -> (
    None
):
    polled = required(block(800, PollClass.SLOW, point("grid_charge", 800)))
    polled.registers[800] = 1
    polled.poll(first=True)
    polled.errors[800] = LinkError("busy")
    values = []
    for at_s in (30, 60):
        polled.poll(at_s, first=at_s == 60)
        states = polled.book.limits().states
        assert states is not None
        values.append(states["grid_charge"].value)
    assert values == [1, None]


def test_nothing_is_required_of_a_register_that_the_device_does_not_have() -> None:
    polled = required(block(800, PollClass.SLOW, point("grid_charge", 800, optional=True)))
    polled.errors[800] = no_register()
    polled.poll(first=True)
    limits = polled.book.limits()
    assert limits.states is not None
    assert limits.states["grid_charge"].absent


def test_the_schema_says_what_numbers_and_bits_mean_and_changes_its_number_with_them() -> None:
    alarm = Bit(bit=2, name="Grid loss", id=2032, severity=Severity.MAJOR)
    plain = block(900, PollClass.FAST, point("alarm", 900, PointType.BITS16))
    named = block(900, PollClass.FAST, point("alarm", 900, PointType.BITS16, bits=(alarm,)))
    polled = Polled(profile(named))
    info = polled.book.schema.points[-1]
    assert (info.bits[0].id, info.bits[0].severity, info.meaning(4.0)) == (
        2032,
        "major",
        "Grid loss",
    )
    assert polled.book.schema.points[5].meaning(1.0) == "forced"
    assert polled.book.schema.points[5].meaning(9.0) == ""
    ids = {PollBook("d1", 7, kind).schema.schema_id for kind in (profile(named), profile(plain))}
    assert len(ids) == 2


def test_what_is_implausible_is_invalid_before_safety_is_told() -> None:
    checks = Plausibility(
        rates=(
            Rate(point="soc_pct", max_per_s=0.1, step=1.0),
            Rate(point="status", max_per_s=0.1, step=1.0),
        )
    )
    polled = Polled(msgspec.structs.replace(profile(FAST), plausibility=checks))
    polled.poll(first=True)
    polled.registers |= {100: 900, 200: 9}
    polled.begin(1)
    polled.answer(safety_only=True)
    assert polled.book.vitals(9).soc_pct is None
    assert "soc_pct" in polled.book.vitals(9).faults[0]
    assert polled.quality("status") is Quality.GOOD
    polled.answer()
    assert polled.quality("soc_pct") is polled.quality("status") is Quality.INVALID
