"""What hundreds of devices of one kind have in common is there once."""

from __future__ import annotations

from actors.inverter.poll import PollBook
from actors.inverter.profile import Block, Point, PointType, PollClass, Profile
from actors.inverter.profile_file import load_profile
from actors.inverter.reading import request_of, requests_of

_LOADED = load_profile("huawei_sun2000_luna2000")
assert isinstance(_LOADED, Profile)
PROFILE: Profile = _LOADED


def test_devices_of_one_profile_share_what_is_asked_for() -> None:
    assert requests_of(PROFILE) is requests_of(PROFILE)


def test_a_request_elsewhere_in_the_sample_is_another() -> None:
    block = PROFILE.blocks[0]
    assert request_of(PROFILE, block, 0, 0, 0).places != request_of(PROFILE, block, 0, 7, 0).places


def test_powers_of_ten_stay_with_their_device() -> None:
    points = (
        Point(name="w", address=100, type=PointType.I16, scale_point="w_sf", low=-1e4, high=1e4),
        Point(name="w_sf", address=101, type=PointType.I16),
    )
    block = Block(name="ac", address=100, count=2, poll_class=PollClass.FAST, points=points)
    first, second = (request_of(PROFILE, block, 0, 0, 0) for _ in range(2))
    assert first.plan is not second.plan
    assert first.places is second.places


def test_what_one_device_reads_is_not_seen_by_another() -> None:
    one, other = (PollBook(name, 1, PROFILE) for name in ("d1", "d2"))
    one.disconnected(1, "away")
    assert {reading.reason for reading in one.readings() if reading.quality} == {
        "away",
        "not read yet",
    }
    assert "away" not in {reading.reason for reading in other.readings()}
