from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs

from actors.dispatcher.actor import build
from actors.dispatcher.config import DispatchedDevice, DispatcherConfig, ModelPin, TimeOfUse
from actors.messages import (
    API,
    DISPATCHER,
    SAFETY,
    DescribeDevice,
    DeviceSchema,
    DeviceState,
    DispatchStatus,
    LinkState,
    PointInfo,
    Quality,
    Ruling,
    SafetyState,
    SafetyStatus,
    Sample,
    SetpointAnswer,
    SetpointRequest,
    Span,
)
from supervision.clock import ManualClock
from supervision.envelope import Header, Lane
from tests.actors.dispatcher.situations import DEMO_PRICES, demo_pin
from tests.actors.fakes import RecordingContext

SCHEMA = DeviceSchema(
    device_id="a",
    schema_id=1,
    points=(
        PointInfo("soc_pct", "%"),
        PointInfo("max_charge_w", "W"),
        PointInfo("max_discharge_w", "W"),
    ),
)
HEADER = Header(receiver=DISPATCHER, sender="inverter/a", epoch=1)
DEVICE = DispatchedDevice(device_id="a", rated_power_w=5000.0)
ALL_DAY = TimeOfUse(charge_hours_utc=frozenset(range(24)))


class Rig:
    """A dispatcher and what it did."""

    def __init__(self, config: DispatcherConfig) -> None:
        self.clock = ManualClock()
        self.context = RecordingContext(DISPATCHER, clock=self.clock)
        self.actor = build(msgspec.msgpack.encode(config))
        self.actor.on_start(self.context)
        self.tell(SCHEMA)

    def tell(self, message: msgspec.Struct, trace: str = "") -> None:
        self.actor.on_message(message, msgspec.structs.replace(HEADER, trace=trace))

    def sample(
        self,
        soc_pct: float | None = 50.0,
        quality: bytes = b"",
        schema_id: int = 1,
        trace: str = "",
    ) -> None:
        values = (soc_pct, 4000.0, 4500.0)
        self.tell(
            Sample(
                device_id="a",
                schema_id=schema_id,
                seq=1,
                epoch=1,
                wall_ns=self.clock.wall_ns(),
                mono_ns=self.clock.monotonic_ns(),
                values=values,
                quality=quality,
            ),
            trace,
        )

    def decide(self) -> DispatchStatus:
        self.clock.advance(5.0)
        self.sample()
        self.actor.on_tick()
        return self.statuses()[-1]

    def requests(self) -> list[SetpointRequest]:
        return self.context.messages(SetpointRequest, SAFETY)

    def statuses(self) -> list[DispatchStatus]:
        return self.context.messages(DispatchStatus, API)


def full_config() -> DispatcherConfig:
    return DispatcherConfig(
        devices=(DEVICE,),
        model=demo_pin(),
        prices_path=str(DEMO_PRICES),
        replay_speed=180.0,
        time_of_use=ALL_DAY,
    )


def rig(**changes: object) -> Rig:
    return Rig(msgspec.structs.replace(full_config(), **changes))


def test_a_request_holds_for_three_periods_and_says_who_asks_why() -> None:
    made = rig()
    status = made.decide()
    (request,) = made.requests()
    sent = next(s for s in made.context.sent if s.message is request)
    assert (sent.receivers, sent.lane, sent.ttl_s) == ((SAFETY,), Lane.CONTROL, 15.0)
    assert (request.device_id, request.ttl_s, request.source) == ("a", 15.0, DISPATCHER)
    assert request.mono_ns == made.clock.monotonic_ns()
    assert request.reason == f"onnx: {status.reason}"
    assert status.power_w == request.power_w


def test_requests_are_renewed_every_period_under_rising_numbers() -> None:
    made = rig()
    for _ in range(3):
        made.decide()
        made.actor.on_tick()
    assert [request.seq for request in made.requests()] == [1, 2, 3]


def test_with_everything_known_the_model_decides() -> None:
    status = rig().decide()
    assert (status.policy, status.fallbacks) == ("onnx", 0)


def test_prices_of_an_hour_pass_in_seconds_when_replayed() -> None:
    made = rig()
    assert len({made.decide().reason for _ in range(20)}) > 3


def test_with_stamps_that_are_real_the_prices_of_another_year_are_not_used() -> None:
    status = rig(replay_speed=None).decide()
    assert (status.policy, status.power_w) == ("time_of_use", 4000.0)
    assert "only 0 hours of prices are known" in status.reason


@pytest.mark.parametrize(
    ("changes", "policy"),
    [
        ({"model": None}, "time_of_use"),
        ({"model": None, "prices_path": None}, "time_of_use"),
        ({"prices_path": None}, "time_of_use"),
        ({"prices_path": None, "time_of_use": TimeOfUse()}, "hold"),
        ({"prices_path": "/nowhere/prices.csv"}, "time_of_use"),
        ({"model": ModelPin(path="/nowhere/model.onnx", sha256="00")}, "time_of_use"),
    ],
)
def test_whatever_is_missing_the_rules_decide_and_it_is_counted(
    changes: dict[str, object], policy: str
) -> None:
    made = rig(**changes)
    made.decide()
    status = made.decide()
    assert (status.policy, status.fallbacks) == (policy, 2)
    assert len(made.requests()) == 2


def test_a_damaged_model_is_refused_aloud_and_the_rules_decide(tmp_path: Path) -> None:
    pin = demo_pin()
    damaged = tmp_path / "dispatch.onnx"
    data = bytearray(Path(pin.path).read_bytes())
    data[len(data) // 2] ^= 1
    damaged.write_bytes(data)
    damaged.with_suffix(".json").write_bytes(Path(pin.path).with_suffix(".json").read_bytes())
    with capture_logs() as logs:
        made = rig(model=ModelPin(path=str(damaged), sha256=pin.sha256))
    assert logs[0]["event"] == "model refused"
    assert "the model was refused" in made.decide().reason


def test_a_battery_whose_charge_is_not_known_is_left_alone() -> None:
    made = rig()
    made.sample(None, quality=bytes([Quality.INVALID, Quality.GOOD, Quality.GOOD]))
    made.actor.on_tick()
    assert made.statuses()[-1].policy == "hold"
    assert made.requests()[-1].power_w == 0


def test_nothing_is_asked_for_a_device_without_a_fresh_sample() -> None:
    made = rig()
    made.actor.on_tick()
    made.sample()
    made.actor.on_tick()
    made.clock.advance(5.1)
    made.actor.on_tick()
    assert [s.reason for s in made.statuses()][::2] == [
        "no sample has come yet",
        "the last sample is 5.1 s old",
    ]
    assert len(made.requests()) == 1


def test_nothing_is_asked_for_a_device_that_is_offline() -> None:
    made = rig()
    made.tell(DeviceState(device_id="a", link=LinkState.OFFLINE, mono_ns=0))
    made.sample()
    made.actor.on_tick()
    assert made.statuses()[-1].reason == "the device is offline"
    assert not made.requests()


def test_a_direction_that_safety_has_closed_is_not_asked_for() -> None:
    made = rig(model=None, prices_path=None)
    made.tell(
        SafetyStatus(
            device_id="a",
            state=SafetyState.LIMITED,
            may_charge=False,
            may_discharge=True,
            rules=(),
            evaluations=1,
            mono_ns=1,
        )
    )
    assert made.decide().power_w == 0


def test_a_denial_is_logged_once_until_it_changes() -> None:
    made = rig()
    answers = [Ruling.DENIED, Ruling.DENIED, Ruling.ALLOWED, Ruling.DENIED]
    with capture_logs() as logs:
        for seq, ruling in enumerate(answers):
            made.tell(
                SetpointAnswer(device_id="a", seq=seq, ruling=ruling, power_w=0.0, rule="soc")
            )
    assert [entry["ruling"] for entry in logs] == ["denied", "denied"]


def test_a_sample_of_an_unknown_schema_is_asked_about_and_decides_nothing() -> None:
    made = rig()
    made.sample(schema_id=2)
    made.actor.on_tick()
    assert len(made.context.messages(DescribeDevice, "inverter/a")) == 1
    assert not made.requests()


def test_devices_that_are_not_its_own_are_not_dispatched() -> None:
    made = Rig(DispatcherConfig())
    made.sample()
    made.tell(DeviceState(device_id="a", link=LinkState.ONLINE, mono_ns=0))
    made.actor.on_tick()
    assert not made.context.sent


@pytest.mark.parametrize(
    "wrong",
    [{"decide_s": 0.0}, {"ttl_s": 1.0}, {"replay_speed": 0.0}, {"inference_budget_s": 5.0}],
)
def test_a_configuration_that_cannot_work_is_refused_by_name(wrong: dict[str, float]) -> None:
    (field,) = wrong
    with pytest.raises(ValueError, match=f"dispatcher.{field} = "):
        DispatcherConfig(**wrong)  # type: ignore[arg-type]


def test_an_hour_cannot_both_charge_and_discharge() -> None:
    with pytest.raises(ValueError, match=r"hours \[3\] charge and discharge"):
        TimeOfUse(charge_hours_utc=frozenset({3}), discharge_hours_utc=frozenset({3, 4}))


def test_a_traced_request_is_part_of_the_trace_of_its_sample() -> None:
    made = rig(traced=True)
    poll = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    made.sample(trace=poll)
    made.actor.on_tick()
    (span,) = made.context.messages(Span)
    (sent,) = (each for each in made.context.sent if isinstance(each.message, SetpointRequest))
    assert (span.name, span.parent, span.context) == ("decide", poll, sent.trace)
    assert span.context[:35] == poll[:35]


def test_a_request_is_traced_although_its_sample_is_not() -> None:
    made = rig(traced=True)
    made.decide()
    assert [span.parent for span in made.context.messages(Span)] == [""]
