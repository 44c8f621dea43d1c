"""What every test runs under."""

from __future__ import annotations

from hypothesis import settings

from tests.cloud_fixtures import address, cloud, emulator

__all__ = ["address", "cloud", "emulator"]

# A property's examples may be slow on a busy machine; a test that hangs is ended by pytest-timeout.
settings.register_profile("gateway", deadline=None)
settings.load_profile("gateway")
