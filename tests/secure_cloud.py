"""A Pub/Sub service behind TLS that asks for a token, and a service account that is given one."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from actors.publisher.sink_config import PubsubConfig
from bessai.cloud_simulator.driven import SimulatedCloud
from tests.cloud_client import PROJECT


class SecureCloud:
    """The service, and how a gateway with the account reaches it."""

    def __init__(self, cloud: SimulatedCloud, directory: Path) -> None:
        self.cloud = cloud
        account = directory / "account.json"
        account.write_text(json.dumps(_account(cloud.ready.token_url)))
        self.config = PubsubConfig(
            project_id=PROJECT,
            topic="telemetry",
            endpoint=f"localhost:{cloud.port}",
            ca=str(directory / "ca.pem"),
            credentials=str(account),
            timeout_s=3.0,
        )


@contextmanager
def secure_cloud(directory: Path) -> Generator[SecureCloud]:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(directory / "ca.pem")
    issued = authority.issue_cert("localhost")
    issued.private_key_pem.write_to_path(directory / "key.pem")
    issued.cert_chain_pems[0].write_to_path(directory / "cert.pem")
    with SimulatedCloud(certificate=directory / "cert.pem", key=directory / "key.pem") as cloud:
        yield SecureCloud(cloud, directory)


def _account(token_url: str) -> dict[str, str]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return {
        "type": "service_account",
        "client_email": f"gateway@{PROJECT}.iam.gserviceaccount.com",
        "private_key_id": "1",
        "private_key": pem.decode(),
        "token_uri": token_url,
    }
