from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from actors.publisher.pubsub_sink import PubsubSink
from actors.publisher.sink_config import PubsubConfig
from bessai.cloud_simulator.tokens import TokenState
from tests.actors.publisher.records import record
from tests.secure_cloud import SecureCloud, secure_cloud


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureCloud]:
    with secure_cloud(tmp_path_factory.mktemp("tls")) as secure:
        yield secure


def _fault(config: PubsubConfig) -> str:
    sink = PubsubSink(config)
    try:
        return sink.send([record(1)]).fault
    finally:
        sink.close()


def test_a_service_account_publishes_through_tls(secure: SecureCloud) -> None:
    assert "takes nothing (target)" in _fault(
        secure.config
    )  # it was let in: only the topic is missing


def test_a_revoked_key_is_told_as_credentials_though_it_looks_like_an_outage(
    secure: SecureCloud,
) -> None:
    secure.cloud.tokens(TokenState.REFUSED)
    fault = _fault(secure.config)
    secure.cloud.tokens(TokenState.GRANTED)

    assert "takes nothing (credentials)" in fault
    assert "ServiceUnavailable" in fault
    assert "renew the key" in fault


def test_a_service_with_an_unknown_certificate_is_not_told_anything(secure: SecureCloud) -> None:
    fault = _fault(msgspec.structs.replace(secure.config, ca=""))

    assert "takes nothing (outage)" in fault


@pytest.mark.parametrize("field", ["ca", "credentials"])
def test_a_file_that_is_missing_is_named(secure: SecureCloud, field: str) -> None:
    fault = _fault(msgspec.structs.replace(secure.config, **{field: "/no/such.file"}))

    assert "/no/such.file" in fault
    assert "(credentials)" in fault
