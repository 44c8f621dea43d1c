"""What operators may do, and the record of it: the decisions on resets, and the audit of what people asked for."""

from __future__ import annotations

from collections.abc import Container

from actors.messages import OPERATOR, ReleaseSetpoint, ResetLatch, Role, Ruling, SetpointRequest
from actors.safety.arbiter import MINUTE_S, Arbiter
from actors.safety.audit import AuditKind, Deed
from actors.safety.guard import SafetyGuard, Verdict
from actors.safety.latchbook import LatchBook
from actors.safety.quota import Quota
from supervision.envelope import Header

_UNAUDITED = frozenset({"source", "sequence", "rate"})
"""Rules of refusals that anybody can cause in any number: they are counted, but must not fill the disk."""


class OperatorDesk:
    """Decides on resets and keeps the record; of its own it counts what it refuses."""

    def __init__(self, arbiter: Arbiter, guard: SafetyGuard, book: LatchBook) -> None:
        """Ask `arbiter` who may, `guard` whether the cause is gone, and `book` to write."""
        self._arbiter = arbiter
        self._refused = Quota(arbiter.per_minute, MINUTE_S)
        self._guard = guard
        self._book = book

    def reset(
        self, order: ResetLatch, header: Header, devices: Container[str], now_ns: int
    ) -> tuple[str, str]:
        """End a trip, durably; return the rule by which it is refused and why, or two empty strings."""
        rule, detail = self._why_not(order, header, devices, now_ns)
        if not rule and (fault := self._book.reset(order)):
            rule, detail = "disk", fault
        if not rule:
            self._guard.unlatch(order.device_id)
        elif order.device_id in devices and rule not in _UNAUDITED:
            self._refused.count(order.device_id, now_ns)
            self._book.note(
                Deed(
                    kind=AuditKind.RESET_REFUSED,
                    device_id=order.device_id,
                    by=order.operator,
                    role=order.role.value,
                    rule=rule,
                    detail=detail,
                )
            )
        return rule, detail

    def audit(self, asked: SetpointRequest | ReleaseSetpoint, verdict: Verdict) -> None:
        """Keep what a person asked for, and what became of it."""
        if asked.source != OPERATOR or verdict.rule in _UNAUDITED:
            return
        kind, asks = AuditKind.RELEASE, ""
        if isinstance(asked, SetpointRequest):
            approved = verdict.ruling in {Ruling.ALLOWED, Ruling.CLAMPED}
            kind = AuditKind.SETPOINT if approved else AuditKind.SETPOINT_REFUSED
            asks = f"{asked.power_w:g} W for {asked.ttl_s:g} s, approved {verdict.power_w:g} W"
        detail = "; ".join(filter(None, (asks, asked.reason, verdict.detail)))
        self._book.note(
            Deed(
                kind=kind,
                device_id=asked.device_id,
                by=asked.by,
                role=Role.OPERATOR.value,
                rule=verdict.rule,
                detail=detail,
            )
        )

    def _why_not(
        self, order: ResetLatch, header: Header, devices: Container[str], now_ns: int
    ) -> tuple[str, str]:
        refused = self._arbiter.screen_order(
            order, source=OPERATOR, sender=header.sender, epoch=header.epoch, now_ns=now_ns
        )
        if refused is not None:
            return refused.rule, refused.detail
        if order.device_id not in devices:
            return "device", f"{order.device_id!r} is not known"
        if wait_s := self._refused.wait_s(order.device_id, now_ns):
            most = f"more than {self._arbiter.per_minute} refused resets of a device in a minute"
            return "rate", f"{most}; ask again in {wait_s:.1f} s"
        rule, why = self._book.why_not(order)
        if rule:
            return rule, why
        cause = self._guard.why_tripped(order.device_id, now_ns)
        return ("cause", cause) if cause else ("", "")
