"""Which center a client asks, as whom, and what it asks for: by arguments, else by the environment."""

from contextlib import closing

import pytest
from haidang import Client
from haidang.errors import ArgumentError, HaidangWarning, SettingsError
from haidang.wishes import Wish
from haidang.words import Words


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("URL", "TOKEN", "PROJECT", "LANGUAGE"):
        monkeypatch.delenv(f"HAIDANG_{name}", raising=False)
    return monkeypatch


def test_what_is_not_given_comes_from_the_environment(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("HAIDANG_URL", "https://center.example/")
    environment.setenv("HAIDANG_TOKEN", "a-token\n")
    environment.setenv("HAIDANG_PROJECT", "vmu.vision")
    with closing(Client()) as client:
        assert (client.url, client.project) == ("https://center.example", "vmu.vision")
        assert "a-token" not in repr(client)
    with closing(Client("http://127.0.0.1:1", project="hust.climate")) as client:
        assert (client.url, client.project) == ("http://127.0.0.1:1", "hust.climate")


@pytest.mark.parametrize(
    ("url", "token", "words"),
    [
        (None, "a-token", "HAIDANG_URL"),
        ("center.example", "a-token", "https://"),
        ("ftp://center.example", "a-token", "https://"),
        ("https://center.example", None, "HAIDANG_TOKEN"),
        ("https://center.example", "mã", "HAIDANG_TOKEN"),
        ("https://center.example", "two\nlines", "HAIDANG_TOKEN"),
        ("https://center.example", "haidang_tökén", "has a 'ö'"),
        ("https://center.example/docs", "a-token", r"Write only https://center\.example\."),
        ("https://center.example:8443?x=1", "a-token", r"Write only https://center\.example:8443\."),
        ("http://[::1", "a-token", "is not the address"),
        ("http://127.0.0.1:99999", "a-token", "is not the address"),
    ],
)
def test_a_client_that_cannot_ask_anybody_says_what_is_missing(url: str | None, token: str | None, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        Client(url, token, language="en")


def test_a_language_that_the_client_does_not_speak_is_answered_with_those_that_it_does(
    environment: pytest.MonkeyPatch,
) -> None:
    with pytest.warns(HaidangWarning, match="'fr' .* en, vi"):
        Client("http://127.0.0.1:1", "a-token", language="fr").close()
    environment.setenv("HAIDANG_LANGUAGE", "fr")
    with pytest.warns(HaidangWarning, match="'fr' .* en, vi"):
        Client("http://127.0.0.1:1", "a-token").close()


def test_a_token_that_would_travel_readable_is_warned_of() -> None:
    with pytest.warns(HaidangWarning, match="not encrypted"):
        Client("http://center.example", "a-token", language="en").close()


def test_what_is_left_out_of_a_wish_is_left_to_the_center() -> None:
    body = Wish(walltime=None).body("vmu.vision", "main", Words("en"))
    assert body == {
        "name": "",
        "project": "vmu.vision",
        "pool": "main",
        "workers": {"min": 1, "max": 4},
        "worker": {"millicores": 1000, "memory": 2 * 1024**3},
    }


def test_everything_in_a_wish_is_asked_for() -> None:
    wish = Wish(gpus={"a100": 1}, idle="5m", head=(2, "4GiB"), request_class="normal", environment="torch", booking="b")
    body = wish.body("vmu.vision", "main", Words("en"))
    assert body["worker"] == {"millicores": 1000, "memory": 2 * 1024**3, "gpus": {"a100": 1}}
    assert body["head"] == {"millicores": 2000, "memory": 4 * 1024**3}
    assert (body["walltime_seconds"], body["idle_seconds"]) == (3600, 300)
    assert (body["class"], body["environment"]) == ("normal", "torch")


@pytest.mark.parametrize("gpus", [{"a100": 0}, {"a100": -1}, {"a100": True}, {"a100": 1.5}], ids=repr)
def test_a_part_of_a_gpu_is_refused(gpus: dict[str, int]) -> None:
    with pytest.raises(ArgumentError, match="gpus"):
        Wish(gpus=gpus).body("vmu.vision", "main", Words("en"))


@pytest.mark.parametrize("key", ["", "two words", "khóa", "k" * 256])
def test_a_key_that_no_header_can_carry_is_refused_before_anything_is_asked(key: str) -> None:
    with closing(Client("http://127.0.0.1:1", "a-token", language="en")) as client:
        with pytest.raises(ArgumentError, match="key") as refused:
            client.submit(project="vmu.vision", pool="main", key=key)
        assert refused.value.argument == "key"
