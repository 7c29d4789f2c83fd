"""The client asks again only where that is safe, and tells every kind of no apart."""

from collections.abc import Callable, Generator, Sequence
from contextlib import closing, contextmanager

import pytest
from haidang.answers import WorkerRange
from haidang.client import Client
from haidang.errors import (
    BusyError,
    CenterFailedError,
    ClosedError,
    ConflictError,
    ForbiddenError,
    InvalidError,
    NoCenterError,
    RefusedError,
    UnauthenticatedError,
    UnknownError,
    UnreachableError,
)
from haidang.transport import ATTEMPTS, Transport, segment
from haidang.words import Words

from tests.scripted import Scripted, scripted

FINE = Scripted(body={"id": "r1"})
BUSY = Scripted(status=503, body={"title": "Unavailable", "detail": "Not now."}, headers={"Retry-After": "0"})
SILENT = Scripted(hang_up=True)


@contextmanager
def transport_to(url: str, language: str = "en") -> Generator[Transport]:
    with closing(Transport(url, "a-token", Words(language))) as transport:
        yield transport


@contextmanager
def impatient_to(url: str) -> Generator[Transport]:
    with closing(Transport(url, "a-token", Words("en"), silence_seconds=0.01)) as transport:
        yield transport


@pytest.mark.parametrize("trouble", [[SILENT], [BUSY], [SILENT, BUSY]])
def test_what_is_safe_to_ask_again_is_asked_again(trouble: Sequence[Scripted]) -> None:
    with scripted([*trouble, FINE]) as center, transport_to(center.url) as transport:
        assert transport.get("/v1/requests/r1") == {"id": "r1"}
    assert len(center.asked) == len(trouble) + 1


def test_a_post_with_a_key_is_asked_again_with_the_same_key_and_body() -> None:
    with scripted([SILENT, FINE]) as center, transport_to(center.url) as transport:
        transport.post("/v1/requests", {"name": "x"}, key="k1")
    first, second = center.asked
    assert (first.headers["Idempotency-Key"], first.body) == ("k1", {"name": "x"})
    assert (second.headers["Idempotency-Key"], second.body) == ("k1", {"name": "x"})


ADDING: dict[str, Callable[[Client], object]] = {
    "extend": lambda center: center.extend("r1", "1h"),
    "book": lambda center: center.bookings.book(1, "1h", pool="main", project="vmu.vision"),
}


@pytest.mark.parametrize("call", ADDING.values(), ids=ADDING)
def test_what_adds_something_is_asked_again_with_a_key_that_the_next_call_does_not_have(
    call: Callable[[Client], object],
) -> None:
    with scripted([SILENT, FINE]) as center, Client(center.url, "a-token", language="en") as client:
        for _ in range(2):
            with pytest.raises(NoCenterError):
                call(client)
    first, again, next_call = (asked.headers["Idempotency-Key"] for asked in center.asked)
    assert first == again != next_call


def test_a_post_that_would_do_things_twice_is_asked_once() -> None:
    with scripted([SILENT, FINE]) as center, transport_to(center.url) as transport:
        with pytest.raises(UnreachableError, match=center.url) as away:
            transport.post("/v1/institutions", {"id": "x"})
        assert away.value.__suppress_context__, "what a library says of sockets helps nobody"
        assert len(center.asked) == 1


def test_a_center_that_stays_away_is_asked_a_few_times_and_then_named() -> None:
    with scripted([BUSY]) as center, transport_to(center.url) as transport:
        with pytest.raises(CenterFailedError, match="Not now"):
            transport.get("/v1/requests")
        assert len(center.asked) == ATTEMPTS


def test_a_proxys_page_in_place_of_a_busy_center_says_what_to_do() -> None:
    page = Scripted(status=502, text="<html>Bad gateway</html>", content_type="text/html")
    with (
        scripted([page]) as center,
        transport_to(center.url) as transport,
        pytest.raises(CenterFailedError, match="try again"),
    ):
        transport.post("/v1/institutions", {})


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (403, ForbiddenError),
        (404, UnknownError),
        (409, ConflictError),
        (412, ConflictError),
        (418, RefusedError),
        (422, InvalidError),
        (429, BusyError),
        (500, CenterFailedError),
    ],
)
def test_each_kind_of_no_is_an_exception_of_its_own(status: int, kind: type[RefusedError]) -> None:
    no = {
        "type": "beyond-limit",
        "title": "More than the limit",
        "detail": "4 cores are asked, 2 are the limit.",
        "reasons": [
            {"code": "beyond-limit", "field": "workers", "sentence": "4 cores are asked, 2 are the limit.", "limit": 2},
            {"code": "no-rate", "sentence": "The pool has no price."},
        ],
    }
    with (
        scripted([Scripted(status=status, body=no)]) as center,
        transport_to(center.url) as transport,
        pytest.raises(kind) as refused,
    ):
        transport.post("/v1/requests", {})
    error = refused.value
    assert (error.status, error.code, error.title) == (status, "beyond-limit", "More than the limit")
    assert [(reason.code, reason.field, dict(reason.numbers)) for reason in error.reasons] == [
        ("beyond-limit", "workers", {"limit": 2}),
        ("no-rate", None, {}),
    ]
    assert str(error) == "4 cores are asked, 2 are the limit. The pool has no price."


def test_a_token_that_is_not_taken_is_told_of_as_people_know_it_and_not_as_a_header() -> None:
    no = {
        "type": "unauthenticated",
        "title": "Not authenticated",
        "detail": "Send a good token in the header.",
        "reasons": [],
    }
    with (
        scripted([Scripted(status=401, body=no)]) as center,
        transport_to(center.url) as transport,
        pytest.raises(UnauthenticatedError, match="HAIDANG_TOKEN") as refused,
    ):
        transport.get("/v1/requests")
    assert refused.value.code == "unauthenticated"


def test_a_client_that_was_closed_says_so_instead_of_asking() -> None:
    with scripted([FINE]) as center, transport_to(center.url) as transport:
        transport.close()
        with pytest.raises(ClosedError):
            transport.get("/v1/requests")
        assert center.asked == []


@pytest.mark.parametrize(
    "page",
    [
        Scripted(text="<html>Welcome</html>", content_type="text/html"),
        Scripted(status=404, text="not here", content_type="text/plain"),
        Scripted(status=302, text="", headers={"Location": "http://elsewhere.example/"}),
        Scripted(body=["a", "list"]),
    ],
    ids=["a page", "another server", "a redirect", "no object"],
)
def test_what_answers_but_is_no_center_is_said_so_and_no_redirect_gets_the_token(page: Scripted) -> None:
    with (
        scripted([page]) as other,
        transport_to(other.url) as transport,
        pytest.raises(NoCenterError, match=other.url),
    ):
        transport.get("/v1/requests")
    assert len(other.asked) == 1


def test_nobody_at_the_address_is_told_in_the_language_that_was_chosen() -> None:
    with scripted([FINE]) as center:
        closed = center.url
    with transport_to(closed, "vi") as transport, pytest.raises(UnreachableError, match="không trả lời"):
        transport.post("/v1/institutions", {})


def test_after_a_while_without_an_answer_that_is_said_once_until_one_comes(capsys: pytest.CaptureFixture[str]) -> None:
    with scripted([SILENT, SILENT, FINE, SILENT, FINE]) as center, impatient_to(center.url) as transport:
        for _ in range(2):
            transport.get("/v1/requests")
            assert capsys.readouterr().err == f"No answer from the center at {center.url} yet; still trying.\n"


def test_nobody_is_told_that_an_answer_takes_long_which_only_the_background_waits_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with scripted([SILENT, FINE]) as center, impatient_to(center.url) as transport:
        assert transport.hushed().get("/v1/requests") == {"id": "r1"}
        assert capsys.readouterr().err == ""


def test_the_token_and_the_language_go_with_every_call() -> None:
    with scripted([FINE]) as center, transport_to(center.url, "vi") as transport:
        transport.get("/v1/requests", {"limit": 5, "cursor": None})
    assert center.asked[0].headers["Authorization"] == "Bearer a-token"
    assert center.asked[0].headers["Accept-Language"] == "vi"
    assert center.asked[0].path == "/v1/requests?limit=5"


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST"])
def test_localhost_is_the_address_that_a_center_listens_on_and_no_other(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with scripted([FINE]) as center, transport_to(center.url.replace("127.0.0.1", name)) as transport:
        assert transport.get("/v1/requests/r1") == {"id": "r1"}
        assert transport.url == center.url.replace("127.0.0.1", name)
    assert center.asked[0].headers["Host"] == center.url.removeprefix("http://")


@pytest.mark.parametrize("url", ["https://localhost:8787", "http://localhost.example", "http://[::1]:8787"])
def test_where_a_certificate_is_shown_or_another_name_was_given_it_stays(url: str) -> None:
    with transport_to(url) as transport:
        assert str(transport._http.base_url).rstrip("/") == url


def test_an_id_stays_one_segment_of_the_path_whatever_is_in_it() -> None:
    assert segment("../v1/people?x=1#y") == "..%2Fv1%2Fpeople%3Fx%3D1%23y"


def test_an_answer_with_a_new_field_is_read_and_one_without_an_old_field_is_not() -> None:
    with transport_to("http://center.example") as transport:
        read = transport.read(WorkerRange, {"min": 1, "max": 2, "soft_max": 3})
        assert (read.min, read.max, read.model_dump()["soft_max"]) == (1, 2, 3)
        with pytest.raises(NoCenterError, match=r"WorkerRange\.max"):
            transport.read(WorkerRange, {"min": 1})
