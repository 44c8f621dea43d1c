"""What was sent to the spool and is not known to be durable: kept in memory, bounded, and sent again when needed.

A window slides over the messages of one incarnation: no more than it holds are under way, and the rest waits its turn
in order, so that nothing is flooded after an outage. After a silence one message goes as a probe. What leaves
unacknowledged because memory is full is counted.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from supervision.clock import NS_PER_S

WINDOW: Final = 32
"""Messages under way at once, where the senders are few."""
LEAST_WINDOW: Final = 4
"""... and where they are many: what all send at once must fit into the lanes between the cells."""
PATIENCE_NS: Final = 5 * NS_PER_S
"""A silence after which what is under way counts as lost on the way."""
ITEM_OVERHEAD_BYTES: Final = 128


class Item(NamedTuple):
    """A message that is not acknowledged."""

    seq: int
    prior_seq: int
    body: bytes


class Replay(NamedTuple):
    """What is to be sent now."""

    resume: bool
    """Whether the spool must be told first where this begins."""
    items: tuple[Item, ...]


NOTHING: Final = Replay(resume=False, items=())


class Unacked:
    """The unacknowledged messages of one sender, at most `max_bytes` of them. No clock, no I/O."""

    def __init__(
        self, *, max_bytes: int, window: int = WINDOW, patience_ns: int = PATIENCE_NS
    ) -> None:
        self.last_seq = 0
        """The newest message, acknowledged or not."""
        self.lost = 0
        """Messages that left unacknowledged because memory was full."""
        self.untold = 0
        """Those of them that the spool may not know of."""
        self._max_bytes = max_bytes
        self._patience_ns = patience_ns
        self._items: list[Item] = []
        self._bytes = 0
        self._under_way = 0
        """How many of the oldest items have been sent."""
        self._widest = self._window = window
        self._resume = False
        self._progress_ns = 0

    def __len__(self) -> int:
        """Return how many messages are not acknowledged."""
        return len(self._items)

    @property
    def first(self) -> Item | None:
        """The oldest message that is still there."""
        return self._items[0] if self._items else None

    def add(self, seq: int, body: bytes, now_ns: int) -> bool:
        """Keep message `seq`; return whether it is to be sent at once, because nothing stands before it."""
        if not self._items:
            self._progress_ns = now_ns
        # What msgspec encodes has room for half as much again behind it: kept is a copy without.
        self._items.append(Item(seq, self.last_seq, bytes(memoryview(body))))
        self._bytes += len(body) + ITEM_OVERHEAD_BYTES
        self.last_seq = seq
        self._make_room()
        at_once = self._under_way == len(self._items) - 1 < self._window and not self._resume
        self._under_way += at_once
        return at_once

    def acknowledge(self, seq: int, again: int | None, now_ns: int) -> None:
        """Forget what is durable; with `again`, have what follows that one sent again."""
        before = len(self._items)
        while self._items and self._items[0].seq <= seq:
            self._forget_oldest()
        if len(self._items) < before:
            self.untold = 0
        if len(self._items) < before or again is not None:
            self._progress_ns = now_ns
            self._window = self._widest
        if again is not None:
            self._under_way = sum(1 for item in self._items if item.seq <= again)
            self._resume = True

    def due(self, now_ns: int) -> Replay:
        """Return what is to be sent now, and count it as under way."""
        if self._under_way and now_ns - self._progress_ns >= self._patience_ns:
            self._progress_ns = now_ns
            self._under_way, self._window, self._resume = 0, 1, True
        room = min(self._window, len(self._items)) - self._under_way
        if room <= 0:
            return NOTHING
        items = tuple(self._items[self._under_way + n] for n in range(room))
        self._under_way += room
        resume, self._resume = self._resume, False
        return Replay(resume, items)

    def _make_room(self) -> None:
        while self._bytes > self._max_bytes and len(self._items) > 1:
            self._forget_oldest()
            self.lost += 1
            self.untold += 1

    def _forget_oldest(self) -> None:
        item = self._items.pop(0)
        self._bytes -= len(item.body) + ITEM_OVERHEAD_BYTES
        self._under_way = max(0, self._under_way - 1)
