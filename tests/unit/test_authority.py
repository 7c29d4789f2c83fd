"""Certificates that verify where they should, and only for what their role does."""

from __future__ import annotations

import os
import socket
import ssl
import threading

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from backends.authority import ClusterAuthority
from operations.ports.backend import Credentials
from registry.ids import RequestId, Seconds

NOW = Seconds(1_790_000_000)
UNTIL = Seconds(4_000_000_000)
REQUEST = RequestId("b" * 26)


def issued() -> Credentials:
    return ClusterAuthority().issue(REQUEST, now=NOW, until=UNTIL)


def context(credentials: Credentials, role: str, *, server: bool) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    made.load_verify_locations(cadata=credentials.authority)
    made.verify_mode = ssl.CERT_REQUIRED
    made.verify_flags |= ssl.VERIFY_X509_STRICT
    descriptor = os.memfd_create("leaf")
    os.write(descriptor, (credentials.leaves[role].certificate + credentials.leaves[role].key).encode())
    made.load_cert_chain(f"/proc/self/fd/{descriptor}")
    os.close(descriptor)
    return made


def meet(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> None:
    """Shake hands over a pair of sockets; what either side objects to is raised."""
    ours, theirs = socket.socketpair()
    objections: list[Exception] = []

    def serve() -> None:
        try:
            with server.wrap_socket(theirs, server_side=True) as stream:
                stream.sendall(b"!")
        except OSError as error:
            objections.append(error)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client.wrap_socket(ours, server_hostname=name) as stream:
            stream.recv(1)
    finally:
        ours.close()
        thread.join()
        theirs.close()
    if objections:
        raise objections[0]


@pytest.mark.parametrize("role", ["head", "worker", "owner", "center"])
def test_every_role_is_let_in_by_its_own_head(role: str) -> None:
    credentials = issued()
    head, caller = context(credentials, "head", server=True), context(credentials, role, server=False)
    meet(head, caller, f"head.h-{REQUEST}")
    meet(head, caller, "127.0.0.1")


def test_another_clusters_leaf_is_a_strangers() -> None:
    with pytest.raises(ssl.SSLError):
        meet(context(issued(), "head", server=True), context(issued(), "owner", server=False), "127.0.0.1")


@pytest.mark.parametrize("role", ["owner", "center", "worker"])
def test_nobody_else_can_pose_as_the_head(role: str) -> None:
    credentials = issued()
    with pytest.raises(ssl.SSLError):
        meet(
            context(credentials, role, server=True),
            context(credentials, "center", server=False),
            f"head.h-{REQUEST}",
        )


def test_a_leaf_signs_nothing_and_lives_as_long_as_its_cluster() -> None:
    for role, leaf in issued().leaves.items():
        certificate = x509.load_pem_x509_certificate(leaf.certificate.encode())
        assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        assert not certificate.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
        purposes = set(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
        assert (ExtendedKeyUsageOID.SERVER_AUTH in purposes) == (role in {"head", "worker"})
        assert certificate.not_valid_before_utc.timestamp() <= NOW
        assert certificate.not_valid_after_utc.timestamp() > UNTIL


def test_no_two_clusters_share_a_key_or_a_token() -> None:
    one, other = issued(), issued()
    keys = [leaf.key for credentials in (one, other) for leaf in credentials.leaves.values()]
    assert len(set(keys)) == len(keys) == 8
    assert one.token != other.token
    assert one.authority != other.authority
