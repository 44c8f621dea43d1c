"""The bounded queue under every mailbox and every link: three lanes with a policy each.

Control is never dropped for a sender that keeps within its share; a sender that floods is refused its further frames,
and senders are served in turn, so that nobody waits behind a flood. Of the latest lane only the newest frame per sender
and receivers is kept. Telemetry drops its oldest frame when full. Control is served first, but a waiting lane is passed
over at most `MAX_PASSED_OVER` times, so that a flood of commands cannot starve the measurements that judge them.
"""

from __future__ import annotations

from collections import deque

from supervision.envelope import Frame, Lane

MAX_PASSED_OVER = 4


class Lanes:
    """Frames waiting to be served. Not thread-safe: its owner holds a lock."""

    def __init__(self, *, control_per_sender: int, telemetry: int) -> None:
        """Hold at most `control_per_sender` control frames of each sender and `telemetry` frames of telemetry."""
        self._control_per_sender = control_per_sender
        self._telemetry_capacity = telemetry
        self._control: dict[str, deque[Frame]] = {}
        """Of each sender that has any waiting; the first is served next."""
        self._waiting_control = 0
        self._latest: dict[tuple[str, tuple[str, ...]], Frame] = {}
        self._telemetry: deque[Frame] | tuple[()] = ()
        """Made when it is needed: an empty queue takes 600 bytes, and hundreds of actors get no telemetry."""
        self._passed_over = [0, 0, 0]
        self.dropped = 0
        """Telemetry frames dropped because newer ones came."""
        self.refused = 0
        """Control frames refused because their sender flooded."""

    def __len__(self) -> int:
        """Return how many frames wait."""
        return self._waiting_control + len(self._latest) + len(self._telemetry)

    def put(self, frame: Frame) -> bool:
        """Queue `frame`; return False if it was refused because its sender floods the control lane."""
        match frame.header.lane:
            case Lane.CONTROL:
                return self._put_control(frame)
            case Lane.LATEST:
                self._latest[frame.header.sender, frame.header.receivers] = frame
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
                return self._pop_telemetry()

    def drain(self) -> list[Frame]:
        """Remove and return everything, in serving order."""
        frames = []
        while (frame := self.pop()) is not None:
            frames.append(frame)
        return frames

    def _put_control(self, frame: Frame) -> bool:
        queue = self._control.setdefault(frame.header.sender, deque())
        if len(queue) >= self._control_per_sender:
            self.refused += 1
            return False
        queue.append(frame)
        self._waiting_control += 1
        return True

    def _put_telemetry(self, frame: Frame) -> None:
        self._telemetry = queue = self._telemetry or deque[Frame]()
        if len(queue) >= self._telemetry_capacity:
            queue.popleft()
            self.dropped += 1
        queue.append(frame)

    def _pop_telemetry(self) -> Frame:
        queue = self._telemetry or deque[Frame]()
        frame = queue.popleft()
        self._telemetry = queue or ()
        return frame

    def _pop_control(self) -> Frame:
        """Return the oldest frame of the sender whose turn it is, who then goes to the end."""
        sender = next(iter(self._control))
        queue = self._control.pop(sender)
        frame = queue.popleft()
        self._waiting_control -= 1
        if queue:
            self._control[sender] = queue
        return frame

    def _next_lane(self) -> Lane | None:
        if not (self._control or self._latest or self._telemetry):
            return None
        waiting = [lane for lane, queue in self._queues() if queue]
        if len(waiting) == 1:
            self._passed_over[waiting[0]] = 0
            return waiting[0]
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
