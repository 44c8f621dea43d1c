"""A simulated SunSpec storage on a real socket, whose time passes when a test says so."""

from __future__ import annotations

import contextlib
import struct
import threading
from collections.abc import Callable, Generator

import msgspec

from actors.inverter.profile_device import Timing
from actors.inverter.profile_file import load_profile
from actors.inverter.sunspec_profile import SunSpecProfile
from bessai.simulator.device import DeviceConfig, RefusedError
from bessai.simulator.physics import BatterySpec
from bessai.simulator.sunspec_device import SunSpecDevice, SunSpecOptions
from tests.actors.inverter.driven import Driven, driven
from tests.actors.inverter.scripted_peer import (
    Reply,
    Request,
    ScriptedPeer,
    exception,
    frame,
    scripted_peer,
)

_LOADED = load_profile("sunspec_storage")
assert isinstance(_LOADED, SunSpecProfile)
AT_ONCE = Timing(
    connect_delay_s=0,
    gap_s=0,
    timeout_s=1,
    abandon_s=0.2,
    reconnect_initial_s=0.01,
    reconnect_max_s=0.05,
)
PROFILE: SunSpecProfile = msgspec.structs.replace(_LOADED, timing=AT_ONCE)


class SunSpecSite:
    """One device behind one socket."""

    def __init__(self, peer: ScriptedPeer, device: SunSpecDevice) -> None:
        self.peer = peer
        self.device = device
        self._lock = threading.Lock()
        peer.script = self._answer

    @property
    def port(self) -> int:
        return self.peer.port

    def step(self, seconds: float) -> None:
        """Let that much time pass for battery and timers."""
        with self._lock:
            self.device.step(seconds)

    def act(self, action: Callable[[], None]) -> None:
        """Change the device between two requests."""
        with self._lock:
            action()
            self.device.refresh()

    def written(self) -> list[tuple[str, float]]:
        """Return what was written, by point."""
        described = [self.device.describe_write(at, list(words)) for at, words in self.peer.writes]
        return [item for each in described for item in each.items()]

    def _answer(self, request: Request) -> Reply:
        function, address, words = request.function, request.address, request.words
        try:
            with self._lock:
                if function == 3:
                    read = self.device.read(address, words[0])
                    pdu = struct.pack(f">BB{len(read)}H", 3, 2 * len(read), *read)
                else:
                    self.device.write(address, list(words))
                    last = words[0] if function == 6 else len(words)
                    pdu = struct.pack(">BHH", function, address, last)
        except RefusedError as refused:
            return exception(request, refused.code)
        return Reply(frame(request.transaction, request.unit, pdu))


@contextlib.contextmanager
def sunspec_site(**options: object) -> Generator[SunSpecSite]:
    """A storage at half charge that follows at once; `options` are those of `SunSpecOptions`."""
    config = DeviceConfig(
        battery=BatterySpec(response_time_constant_s=0), soc_pct=50.0, load_w=980.0
    )
    device = SunSpecDevice("d1", config, msgspec.convert(options, SunSpecOptions))
    device.step(1.0)
    with scripted_peer() as peer:
        yield SunSpecSite(peer, device)


@contextlib.contextmanager
def driven_at(site: SunSpecSite, **changes: object) -> Generator[Driven]:
    """An actor for the device of `site`."""
    with driven(site.port, profile=PROFILE, **changes) as subject:
        yield subject
