"""Ports that a tenant's process may take are told of, and those that only root may take are not."""

from structlog.testing import capture_logs

from server.ports import first_open_port, warn_of_open_ports


def test_one_line_names_the_ports_that_everybody_may_take() -> None:
    with capture_logs() as logs:
        warn_of_open_ports(787, 8787, 8788, first=1024)
    assert [(line["log_level"], line["ports"]) for line in logs] == [("warning", [8787, 8788])]


def test_ports_that_only_root_may_take_need_no_word() -> None:
    with capture_logs() as logs:
        warn_of_open_ports(787, 788, first=788 + 1)
    assert logs == []


def test_the_machine_says_where_they_begin() -> None:
    assert 0 <= first_open_port() <= 65536
