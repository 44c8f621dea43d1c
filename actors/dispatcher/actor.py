"""DispatcherActor: asks SafetyActor for battery power, by a model or by rules. It never writes to a device.

Every `decide_s` each device is decided upon. The model decides if nothing speaks against it, else the rules, else the
battery is left alone; a device without a fresh sample is asked nothing for, so that its last request runs out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import msgspec
import structlog

from actors.dispatcher.config import DispatcherConfig
from actors.dispatcher.device import DeviceView
from actors.dispatcher.fallback import decide_by_rules, hold
from actors.dispatcher.features import HOURS_AHEAD
from actors.dispatcher.policy import DoubtError, ModelRefusedError, ONNXDispatcher
from actors.dispatcher.prices import Outlook, PriceFileError, PriceReplay, hour_of_day, read_prices
from actors.dispatcher.situation import Decision, Policy
from actors.messages import (
    API,
    DISPATCHER,
    SAFETY,
    DescribeDevice,
    DeviceSchema,
    DeviceState,
    DispatchStatus,
    Ruling,
    SafetyStatus,
    Sample,
    SetpointAnswer,
    SetpointRequest,
)
from actors.schemas import SchemaBook, good_values
from actors.tracing import Tracer
from supervision.actor import Actor, ActorContext
from supervision.envelope import Header, Lane

log = structlog.get_logger()


class _PriceSource(Protocol):
    def outlook(self, wall_s: float, hours: int) -> Outlook: ...


class DispatcherActor(Actor):
    """A thin shell around prices, the model and the rules."""

    def __init__(self, config: DispatcherConfig) -> None:
        self._config = config
        self._context: ActorContext
        self._tracer: Tracer
        self._schemas = SchemaBook()
        self._views = {d.device_id: DeviceView(d, config.sample_age_s) for d in config.devices}
        self._prices: _PriceSource | None = None
        self._model: ONNXDispatcher | None = None
        self._no_model = "no model is configured"
        self._seq = 0

    def on_start(self, context: ActorContext) -> None:
        """Read prices and load the model; without either the dispatcher works by what remains."""
        self._context = context
        self._tracer = Tracer(context, on=self._config.traced)
        self._prices = _open_prices(self._config)
        if self._config.model is None:
            return
        try:
            self._model = ONNXDispatcher(
                self._config.model, budget_s=self._config.inference_budget_s, clock=context.clock
            )
        except ModelRefusedError as error:
            self._no_model = "the model was refused"
            log.warning("model refused", reason=str(error))

    def on_message(self, message: object, header: Header) -> None:
        """Take in what is told of the devices."""
        match message:
            case Sample():
                self._on_sample(message, header)
            case DeviceSchema():
                self._schemas.learn(message)
            case DeviceState(device_id=device_id) if device_id in self._views:
                self._views[device_id].link = message.link
            case SafetyStatus(device_id=device_id) if device_id in self._views:
                self._views[device_id].safety = message
            case SetpointAnswer(device_id=device_id) if device_id in self._views:
                self._on_answer(self._views[device_id], message)
            case _:
                pass

    def on_tick(self) -> None:
        """Decide on each device whose turn has come."""
        now_s = self._context.clock.monotonic_s()
        for view in self._views.values():
            if view.is_due(now_s, self._config.decide_s):
                self._dispatch(view, now_s)

    def _on_sample(self, sample: Sample, header: Header) -> None:
        view = self._views.get(sample.device_id)
        if view is None:
            return
        schema = self._schemas.schema_of(sample)
        if schema is not None:
            good = good_values(schema, sample)
            view.take(good, mono_s=sample.mono_ns / 1e9, trace=header.trace)
        elif self._schemas.should_ask(sample.device_id, self._context.clock.monotonic_s()):
            self._context.send(DescribeDevice(device_id=sample.device_id), header.sender)

    def _on_answer(self, view: DeviceView, answer: SetpointAnswer) -> None:
        verdict = (answer.ruling, answer.rule)
        if verdict != view.last_verdict and answer.ruling not in {Ruling.ALLOWED, Ruling.CLAMPED}:
            log.warning(
                "set-point not approved",
                device=answer.device_id,
                ruling=answer.ruling.value,
                rule=answer.rule,
                detail=answer.detail,
            )
        view.last_verdict = verdict

    def _dispatch(self, view: DeviceView, now_s: float) -> None:
        began_ns = self._context.clock.monotonic_ns()
        stale = view.why_stale(now_s)
        decision = hold(stale) if stale else self._decide(view)
        if decision.policy is not Policy.ONNX:
            view.fallbacks += 1
        if not stale:
            self._request(view, decision, began_ns)
        status = DispatchStatus(
            device_id=view.device.device_id,
            policy=decision.policy.value,
            power_w=decision.power_w,
            reason=decision.reason,
            mono_ns=self._context.clock.monotonic_ns(),
            fallbacks=view.fallbacks,
        )
        self._context.send(status, API)

    def _decide(self, view: DeviceView) -> Decision:
        situation = view.situation(self._outlook())
        doubt = self._no_model
        if self._model is not None:
            try:
                return self._model.decide(situation)
            except DoubtError as error:
                doubt = str(error)
        return decide_by_rules(
            situation,
            self._config.time_of_use,
            min_spread_eur_mwh=self._config.min_spread_eur_mwh,
            doubt=doubt,
        )

    def _outlook(self) -> Outlook:
        wall_s = self._context.clock.wall_ns() / 1e9
        if self._prices is None:
            return Outlook(eur_mwh=(), hour_utc=hour_of_day(wall_s))
        return self._prices.outlook(wall_s, HOURS_AHEAD)

    def _request(self, view: DeviceView, decision: Decision, began_ns: int) -> None:
        self._seq += 1
        device_id = view.device.device_id
        request = SetpointRequest(
            device_id=device_id,
            power_w=decision.power_w,
            ttl_s=self._config.ttl_s,
            mono_ns=self._context.clock.monotonic_ns(),
            seq=self._seq,
            source=DISPATCHER,
            reason=f"{decision.policy.value}: {decision.reason}",
        )
        trace = self._tracer.begin(view.trace)
        ttl_s = self._config.ttl_s
        self._context.send(request, SAFETY, lane=Lane.CONTROL, ttl_s=ttl_s, trace=trace)
        self._tracer.end(
            trace,
            "decide",
            parent=view.trace,
            began_mono_ns=began_ns,
            device_id=device_id,
            attributes={"policy": decision.policy.value, "power_w": decision.power_w},
        )


def _open_prices(config: DispatcherConfig) -> _PriceSource | None:
    if config.prices_path is None:
        return None
    try:
        series = read_prices(Path(config.prices_path))
        if config.replay_speed is None:
            return series
        return PriceReplay(series, speed=config.replay_speed)
    except PriceFileError as error:
        log.warning("prices refused", reason=str(error))
        return None


def build(config: bytes) -> Actor:
    """Return the DispatcherActor for a msgpack-encoded `DispatcherConfig`."""
    return DispatcherActor(msgspec.msgpack.decode(config, type=DispatcherConfig))
