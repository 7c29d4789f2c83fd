"""Images are made by the tools of this checkout, and keep nothing of the machine that makes them."""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house import ROOT
from tests.kubernetes.images import CERTIFICATES, DASK, SERVER, SETTINGS, Image, missing


@pytest.fixture(params=[DASK, SERVER], ids=lambda image: image.name)
def image(request: pytest.FixtureRequest) -> Image:
    image: Image = request.param
    return image


def test_an_image_is_made_by_the_uv_that_made_the_lock(image: Image) -> None:
    locked = re.findall(r"^UV_VERSION := (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert re.findall(r"\buv==(\S+)", (ROOT / image.containerfile).read_text()) == locked


def test_an_image_has_no_settings_or_certificates_of_who_made_it(image: Image) -> None:
    if lacking := missing():
        pytest.skip(f"{lacking} here: make test-kubernetes")
    _base, *ours = layers(image.archive)
    lent = {file.name: file.size for layer in ours for file in layer if f"/{file.name}" in {CERTIFICATES, SETTINGS}}
    assert set(lent.values()) <= {0}, "a mount leaves an empty file at most"


def layers(archive: Path) -> Iterator[list[tarfile.TarInfo]]:
    """Read what is in each layer of an image, from the lowest on."""
    with tarfile.open(archive) as files:
        (manifest,) = read(files, "index.json")["manifests"]
        for layer in read(files, blob(manifest))["layers"]:
            with tarfile.open(fileobj=files.extractfile(blob(layer))) as content:
                yield content.getmembers()


def read(files: tarfile.TarFile, name: str) -> dict[str, list[dict[str, str]]]:
    found = files.extractfile(name)
    assert found is not None, name
    parsed: dict[str, list[dict[str, str]]] = json.load(found)
    return parsed


def blob(described: dict[str, str]) -> str:
    return "blobs/" + described["digest"].replace(":", "/")
