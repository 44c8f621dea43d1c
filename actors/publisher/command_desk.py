"""Takes requests from outside, passes on what may be passed on, and says what became of each.

It asks SafetyActor like everybody else: what SafetyActor does not allow does not happen.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

import structlog

from actors.messages import CLOUD, SAFETY, Ruling, SetpointAnswer, SetpointRequest
from actors.publisher.command_answer import CommandAnswer, encode_command_answer
from actors.publisher.command_config import CommandsConfig
from actors.publisher.command_key import load_key
from actors.publisher.command_ledger import CommandLedger, LedgerError
from actors.publisher.command_order import Judge, Order, Refusal
from actors.publisher.record import Record
from supervision.actor import ActorContext
from supervision.clock import NS_PER_S
from supervision.envelope import Lane

ANSWER_NS: Final = 5 * NS_PER_S
"""How long SafetyActor may take to answer; it takes milliseconds."""
REFUSALS_PER_MIN: Final = 30
"""So many refusals are published; the rest is counted, so that a flood of nonsense does not fill the spool."""
_log = structlog.get_logger()


class _Pending(NamedTuple):
    key_id: str
    order: Order
    due_ns: int


class CommandDesk:
    """Judges requests for `site_id`; used by the actor's thread."""

    def __init__(
        self, config: CommandsConfig, site_id: str, state_dir: str, context: ActorContext
    ) -> None:
        """Read keys and ledger.

        Raises:
            KeyFileError: a key cannot be used.
        """
        self._site_id = site_id
        self._context = context
        self._judge = Judge(
            site_id=site_id,
            keys={key.id: load_key(key) for key in config.keys},
            max_life_s=config.max_life_s,
            clock_skew_s=config.clock_skew_s,
        )
        self._ledger = CommandLedger(Path(state_dir), wall_ns=context.clock.wall_ns())
        if self._ledger.notice:
            _log.error("command ledger set aside", reason=self._ledger.notice)
        self._seq = 0
        self._pending: dict[int, _Pending] = {}
        self._refusals_left = REFUSALS_PER_MIN
        self._refusals_due_ns = 0
        self._suppressed = 0

    def hear(self, raw: bytes) -> list[Record]:
        """Pass on the request `raw` if it may be; return the refusal to publish if not."""
        clock = self._context.clock
        found = self._judge.verify(raw, clock.wall_ns())
        if isinstance(found, Refusal):
            return self._refuse(found)
        key_id, order = found
        if self._ledger.is_replay(key_id, order.seq, order.issued_ns):
            detail = f"request {order.seq} comes after a later one of key {key_id!r}, or again"
            return self._refuse(_refusal(Ruling.REPLAYED, "sequence", detail, key_id, order))
        try:
            self._ledger.take(key_id, order.seq)
        except LedgerError as error:
            return self._refuse(_refusal(Ruling.DENIED, "ledger", str(error), key_id, order))
        self._pass_on(key_id, order)
        return []

    def answer(self, answer: SetpointAnswer) -> list[Record]:
        """Return the record of what SafetyActor answered."""
        pending = self._pending.pop(answer.seq, None)
        if pending is None:
            return []
        told = CommandAnswer(
            device_id=pending.order.device_id,
            command_id=pending.order.command_id,
            key_id=pending.key_id,
            command_seq=pending.order.seq,
            ruling=answer.ruling.value,
            rule=answer.rule,
            detail=answer.detail,
            power_w=answer.power_w,
        )
        return [self._encode(told)]

    def overdue(self) -> list[Record]:
        """Return a record for each request that SafetyActor has not answered in time."""
        now_ns = self._context.clock.monotonic_ns()
        late = [seq for seq, pending in self._pending.items() if now_ns >= pending.due_ns]
        records = []
        for seq in late:
            key_id, order, _ = self._pending.pop(seq)
            told = CommandAnswer(
                device_id=order.device_id,
                command_id=order.command_id,
                key_id=key_id,
                command_seq=order.seq,
                ruling="unanswered",
                rule="safety",
                detail="SafetyActor has not answered; nothing is known to be approved",
            )
            records.append(self._encode(told))
        return records

    def _pass_on(self, key_id: str, order: Order) -> None:
        clock = self._context.clock
        self._seq += 1
        now_ns = clock.monotonic_ns()
        request = SetpointRequest(
            device_id=order.device_id,
            power_w=order.power_w,
            ttl_s=order.ttl_s,
            mono_ns=now_ns,
            seq=self._seq,
            source=CLOUD,
            reason=f"{key_id} {order.command_id}: {order.reason}",
        )
        self._pending[self._seq] = _Pending(key_id, order, now_ns + ANSWER_NS)
        self._context.send(request, SAFETY, lane=Lane.CONTROL)
        _log.info("command passed on", device=order.device_id, power_w=order.power_w, key=key_id)

    def _refuse(self, refusal: Refusal) -> list[Record]:
        _log.warning("command refused", rule=refusal.rule, detail=refusal.detail)
        now_ns = self._context.clock.monotonic_ns()
        if now_ns >= self._refusals_due_ns:
            self._refusals_due_ns = now_ns + 60 * NS_PER_S
            self._refusals_left = REFUSALS_PER_MIN
        if not self._refusals_left:
            self._suppressed += 1
            return []
        self._refusals_left -= 1
        more = f"; {self._suppressed} more were refused before" if self._suppressed else ""
        self._suppressed = 0
        order = refusal.order
        told = CommandAnswer(
            device_id=order.device_id if order else "",
            command_id=order.command_id if order else "",
            key_id=refusal.key_id,
            command_seq=order.seq if order else 0,
            ruling=refusal.ruling.value,
            rule=refusal.rule,
            detail=refusal.detail + more,
        )
        return [self._encode(told)]

    def _encode(self, answer: CommandAnswer) -> Record:
        wall_ns = self._context.clock.wall_ns()
        return encode_command_answer(answer, self._site_id, wall_ns=wall_ns)


def _refusal(ruling: Ruling, rule: str, detail: str, key_id: str, order: Order) -> Refusal:
    return Refusal(ruling=ruling, rule=rule, detail=detail, key_id=key_id, order=order)
