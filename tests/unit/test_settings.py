"""Sentences about what a center is told: by options, by the environment, or not at all."""

import pytest
from pydantic import ValidationError

from server.settings import Settings
from store.connections import flaw, shown


def test_a_variable_that_is_empty_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LEASE", "SITE", "SEALING_KEY_FILE", "DATABASE", "PART", "PORT"):
        monkeypatch.setenv(f"HAIDANG_{name}", "")
    settings = Settings()
    assert (settings.lease, settings.site, settings.sealing_key_file, settings.database) == (None, None, None, None)
    assert (settings.part, settings.port) == ("all", 8787)


@pytest.mark.parametrize("lease", ["haidang", "haidang/", "/controller", "a/b/c", "Haidang/controller"])
def test_a_lease_is_a_namespace_and_a_name(lease: str) -> None:
    with pytest.raises(ValidationError, match="lease"):
        Settings(lease=lease)


def test_an_address_is_shown_without_its_passwords() -> None:
    hidden = shown("postgresql://haidang:s3cret@db/haidang?password=s3cret&sslpassword=s3cret&sslmode=require")
    assert "s3cret" not in hidden
    assert "sslmode=require" in hidden


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://haidang:s3cret@db/haidang",
        "postgresql://haidang:half%40s3cret@[::1]:5432/haidang",
        "postgresql:///haidang?host=/run/postgresql",
        "sqlite:////srv/haidang/haidang.sqlite",
    ],
)
def test_an_address_as_it_should_be_has_no_flaw(url: str) -> None:
    assert flaw(url) is None
