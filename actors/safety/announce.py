"""What SafetyActor tells others of a device: its status, and the events worth keeping."""

from __future__ import annotations

from actors.courier import Courier
from actors.messages import (
    API,
    DISPATCHER,
    BatteryPowerW,
    SafetyEvent,
    SafetyState,
    SafetyStatus,
    SetpointRequest,
)
from actors.safety.guard import Assessment, Verdict
from actors.safety.rules import Holding
from supervision.actor import ActorContext
from supervision.clock import NS_PER_S

STATUS_PERIOD_NS = NS_PER_S
REFUSAL_PERIOD_NS = 10 * NS_PER_S
"""The same refusal is an event at most this often; every asker gets its answer all the same."""


class Announcer:
    """Speaks for one device, and remembers what it has said."""

    def __init__(self, device_id: str, context: ActorContext, courier: Courier) -> None:
        """Begin with nothing said; events go to the spool by `courier`."""
        self._device_id = device_id
        self._courier = courier
        self._context = context
        self._status: tuple[object, ...] = ()
        self._status_ns = 0
        self._rules: dict[str, Holding] = {}
        self._refused_ns: dict[str, int] = {}

    def rules(self, assessment: Assessment) -> None:
        """Tell which rules began or ceased to hold."""
        rules = {holding.rule: holding for holding in assessment.holdings}
        for rule in rules.keys() - self._rules.keys():
            self.event("began", rule, rules[rule].figures)
        for rule in self._rules.keys() - rules.keys():
            self.event("ceased", rule, f"was {self._rules[rule].figures}")
        self._rules = rules

    def status(
        self,
        assessment: Assessment,
        *,
        setpoint_w: BatteryPowerW,
        evaluations: int,
        measured_ns: int,
        now_ns: int,
    ) -> None:
        """Tell the status if it changed, or a second has passed; figures alone are no change."""
        status = (assessment.state, tuple(self._rules), setpoint_w, measured_ns == 0)
        if status == self._status and now_ns - self._status_ns < STATUS_PERIOD_NS:
            return
        self._status, self._status_ns = status, now_ns
        message = SafetyStatus(
            device_id=self._device_id,
            state=assessment.state,
            may_charge=assessment.may_charge,
            may_discharge=assessment.may_discharge,
            rules=assessment.rules,
            evaluations=evaluations,
            mono_ns=measured_ns,
            setpoint_w=setpoint_w,
        )
        self._context.send(message, API, DISPATCHER)

    def refusal(
        self, request: SetpointRequest, verdict: Verdict, state: SafetyState, now_ns: int
    ) -> None:
        """Tell that a request was refused, now and then; while starting, refusals are no news."""
        last_ns = self._refused_ns.get(verdict.rule, now_ns - REFUSAL_PERIOD_NS)
        if state is SafetyState.STARTING or now_ns - last_ns < REFUSAL_PERIOD_NS:
            return
        self._refused_ns[verdict.rule] = now_ns
        detail = f"{request.power_w:g} W from {request.source}: {verdict.detail}"
        self.event("refused", verdict.rule, detail)

    def event(self, kind: str, rule: str, detail: str) -> None:
        """Tell an event, to be kept and published."""
        clock = self._context.clock
        event = SafetyEvent(
            device_id=self._device_id,
            kind=kind,
            rule=rule,
            detail=detail,
            wall_ns=clock.wall_ns(),
            mono_ns=clock.monotonic_ns(),
            seq=self._courier.unacked.last_seq + 1,
        )
        self._courier.send(event, API)
