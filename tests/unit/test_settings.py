"""Sentences about what a center is told: by options, by the environment, or not at all."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from server.settings import Settings
from server.site import DeviceSettings, SiteError, SiteSettings
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


A_SITE = """
[environments.default]
image = "images.example/dask:1"
version = "1"
python = "3.11"
distributed = "2026.8.0"
[devices.a100]
resource = "nvidia.com/gpu"
{a100}
[devices.l40]
resource = "{resource}"
{l40}
"""


def a_site(folder: Path, a100: str, l40: str, resource: str = "nvidia.com/gpu") -> SiteSettings:
    file = folder / "site.toml"
    file.write_text(A_SITE.format(a100=a100, l40=l40, resource=resource))
    return SiteSettings.read(file)


@pytest.mark.parametrize(
    ("a100", "l40"),
    [
        ("", ""),
        ('labels = {product = "A100"}', ""),
        ('labels = {product = "A100"}', 'labels = {product = "A100"}'),
        ('labels = {product = "A100"}', 'labels = {family = "Ada"}'),
    ],
)
def test_a_device_that_a_node_could_offer_as_two_models_is_refused(a100: str, l40: str, tmp_path: Path) -> None:
    with pytest.raises(SiteError, match="devices: a100 and l40 are both"):
        a_site(tmp_path, a100, l40)


def test_models_are_told_apart_by_their_resource_or_by_one_label_of_their_nodes(tmp_path: Path) -> None:
    assert set(a_site(tmp_path, "", "", resource="nvidia.com/l40").devices) == {"a100", "l40"}
    labels = ['labels = {kind = "gpu", product = "A100"}', 'labels = {kind = "gpu", product = "L40"}']
    assert a_site(tmp_path, *labels).devices["l40"] == DeviceSettings(
        resource="nvidia.com/gpu", labels={"kind": "gpu", "product": "L40"}
    )
