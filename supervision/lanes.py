"""The bounded queue under every mailbox and every link: three lanes with a policy each.

Control is never dropped for a sender that keeps within its share; a sender that floods is refused its further frames
and hurts nobody else. Of the latest lane only the newest frame per sender and receiver is kept. Telemetry drops its
oldest frame when full. Control is served first, but a waiting lane is passed over at most `MAX_PASSED_OVER` times, so
that a flood of commands cannot starve the measurements that judge them.
"""

from __future__ import annotations

from collections import Counter, deque

from supervision.envelope import Frame, Lane

MAX_PASSED_OVER = 4


class Lanes:
    """Frames waiting to be served. Not thread-safe: its owner holds a lock."""

    def __init__(self, *, control_per_sender: int, telemetry: int) -> None:
        """Hold at most `control_per_sender` control frames of each sender and `telemetry` frames of telemetry."""
        self._control_per_sender = control_per_sender
        self._telemetry_capacity = telemetry
        self._control: deque[Frame] = deque()
        self._per_sender: Counter[str] = Counter()
        self._latest: dict[tuple[str, str], Frame] = {}
        self._telemetry: deque[Frame] = deque()
        self._passed_over = [0, 0, 0]
        self.dropped = 0
        """Telemetry frames dropped because newer ones came."""
        self.refused = 0
        """Control frames refused because their sender flooded."""

    def __len__(self) -> int:
        """Return how many frames wait."""
        return len(self._control) + len(self._latest) + len(self._telemetry)

    def put(self, frame: Frame) -> bool:
        """Queue `frame`; return False if it was refused because its sender floods the control lane."""
        match frame.header.lane:
            case Lane.CONTROL:
                return self._put_control(frame)
            case Lane.LATEST:
                self._latest[frame.header.sender, frame.header.receiver] = frame
            case Lane.TELEMETRY:
                self._put_telemetry(frame)
        return True

    def pop(self) -> Frame | None:
        """Return the next frame to serve, or None."""
        lane = self._next_lane()
        match lane:
            case None:
                return None
            case Lane.CONTROL:
                return self._pop_control()
            case Lane.LATEST:
                return self._latest.pop(next(iter(self._latest)))
            case Lane.TELEMETRY:
                return self._telemetry.popleft()

    def drain(self) -> list[Frame]:
        """Remove and return everything, in serving order."""
        frames = []
        while (frame := self.pop()) is not None:
            frames.append(frame)
        return frames

    def _put_control(self, frame: Frame) -> bool:
        sender = frame.header.sender
        if self._per_sender[sender] >= self._control_per_sender:
            self.refused += 1
            return False
        self._per_sender[sender] += 1
        self._control.append(frame)
        return True

    def _put_telemetry(self, frame: Frame) -> None:
        if len(self._telemetry) >= self._telemetry_capacity:
            self._telemetry.popleft()
            self.dropped += 1
        self._telemetry.append(frame)

    def _pop_control(self) -> Frame:
        frame = self._control.popleft()
        sender = frame.header.sender
        self._per_sender[sender] -= 1
        if not self._per_sender[sender]:
            del self._per_sender[sender]
        return frame

    def _next_lane(self) -> Lane | None:
        waiting = [lane for lane, queue in self._queues() if queue]
        if not waiting:
            return None
        starved = [lane for lane in waiting if self._passed_over[lane] >= MAX_PASSED_OVER]
        chosen = (starved or waiting)[0]
        for lane in waiting:
            self._passed_over[lane] += 1
        self._passed_over[chosen] = 0
        return chosen

    def _queues(self) -> tuple[tuple[Lane, object], ...]:
        return (
            (Lane.CONTROL, self._control),
            (Lane.LATEST, self._latest),
            (Lane.TELEMETRY, self._telemetry),
        )
