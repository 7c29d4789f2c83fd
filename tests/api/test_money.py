"""Credits are awarded, held, charged and billed; rates are published ahead; the books agree."""

from base64 import b64encode
from typing import Any

from tests.builders import CREDIT, NOW
from tests.fronts import Front, a_body
from tests.lists import whole_list

AWARD = {"project": "vmu.vision", "micro_credits": 7 * CREDIT, "funding": "state_budget", "ends": NOW + 86400}


def a_rule(resource: str, micro_credits: int, step: int = 1000) -> dict[str, Any]:
    return {"groups": [[{"resource": resource, "step": step, "micro_credits": micro_credits}]]}


PER_CORE = a_rule("cpu", CREDIT)


def statement(front: Front, **period: int) -> dict[str, Any]:
    """Return the bill of `vmu.vision`."""
    query: dict[str, str | int] = {"project": "vmu.vision", **period}
    answer = front.client("alice").get("/v1/ledger/statement", params=query)
    assert answer.status_code == 200, answer.text
    bill: dict[str, Any] = answer.json()
    return bill


def run_for_an_hour(front: Front) -> None:
    """Submit, place, start, cancel after an hour and settle the usual request: a head and one worker."""
    alice = front.client("alice")
    request = alice.post("/v1/requests", json=a_body(walltime_seconds=7200)).json()["id"]
    front.cycle()
    front.start(request)
    front.clock.time += 3600
    assert alice.post(f"/v1/requests/{request}/cancel").is_success
    front.end(request)


def test_an_award_is_an_allocation_with_its_credits_in_the_ledger(front: Front) -> None:
    made = front.client("root").post("/v1/allocations", json=AWARD)
    assert made.status_code == 201
    assert made.json()["available_micro_credits"] == 7 * CREDIT
    assert (made.json()["begins"], made.json()["funding"]) == (NOW, "state_budget")
    listed = front.client("alice").get("/v1/allocations", params={"project": "vmu.vision"}).json()["items"]
    assert made.json() in listed
    entry = front.client("alice").get("/v1/ledger", params={"project": "vmu.vision"}).json()["items"][-1]
    assert (entry["kind"], entry["source"], entry["micro_credits"]) == ("grant", "source:state_budget", 7 * CREDIT)
    assert (entry["institution"], entry["sector"], entry["pool"]) == ("vmu", "unreported", None)


def test_an_award_that_cannot_be_names_its_field(front: Front) -> None:
    wrong: list[tuple[dict[str, Any], str, str]] = [
        ({"project": "void.nothing"}, "not-there", "project"),
        ({"ends": NOW}, "period-ends-before-it-begins", "ends"),
        ({"begins": 1, "ends": 2}, "too-early", "ends"),
        ({"micro_credits": 0}, "invalid", "micro_credits"),
        ({"micro_credits": 10**15 + 1}, "invalid", "micro_credits"),
        ({"funding": "lottery"}, "invalid", "funding"),
    ]
    for change, code, field in wrong:
        refused = front.client("root").post("/v1/allocations", json=AWARD | change)
        assert refused.status_code == 422
        assert (refused.json()["type"], refused.json()["reasons"][0]["field"]) == (code, field)


def test_only_the_center_awards_and_reads_all_balances(front: Front) -> None:
    for name in ("dean", "alice"):
        assert front.client(name).post("/v1/allocations", json=AWARD).status_code == 403
        assert front.client(name).get("/v1/ledger/balances").status_code == 403


def test_a_bill_says_what_was_paid_and_used_and_agrees_with_every_balance(front: Front) -> None:
    run_for_an_hour(front)
    bill = statement(front)
    # A head of half a core and 1 GiB and a worker of one core and 2 GiB, each charged for one core.
    assert bill["charged_micro_credits"] == 2 * CREDIT
    assert bill["usage"]["core_milliseconds"] == (520 + 1000) * 3600
    assert bill["pools"][0]["usage"] == bill["usage"]
    assert bill["held_micro_credits"] - bill["released_micro_credits"] == 2 * CREDIT
    assert (bill["outstanding_micro_credits"], bill["absorbed_micro_credits"]) == (0, 0)
    balances = {
        one["account"]: one["micro_credits"] for one in front.client("root").get("/v1/ledger/balances").json()["items"]
    }
    assert sum(balances.values()) == 0
    assert balances["alloc-vmu.vision:available"] == bill["available_micro_credits"]
    assert balances["alloc-vmu.vision:held"] == bill["outstanding_micro_credits"]
    assert balances["center:income"] == 2 * CREDIT


def test_a_bill_adds_up_from_the_entries_that_anybody_can_list(front: Front) -> None:
    run_for_an_hour(front)
    entries = list(whole_list(front.client("alice"), "/v1/ledger", limit=2, project="vmu.vision"))
    for line in statement(front)["lines"]:
        own = [one for one in entries if (one["kind"], one["pool"]) == (line["kind"], line["pool"])]
        assert line["entries"] == len(own)
        assert line["micro_credits"] == sum(one["micro_credits"] for one in own)
        for name, amount in line["usage"].items():
            assert amount == sum(one["usage"][name] for one in own)


def test_bills_of_parts_of_a_time_add_up_to_the_whole(front: Front) -> None:
    run_for_an_hour(front)
    whole, cut = statement(front), NOW + 1800
    parts = statement(front, until=cut), statement(front, since=cut)
    for name in (name for name in whole if name.endswith("_micro_credits")):
        assert whole[name] == sum(part[name] for part in parts), name
    assert statement(front, since=NOW + 7200)["lines"] == []


def test_the_last_hour_of_a_period_is_on_its_bill(front: Front) -> None:
    run_for_an_hour(front)
    ends = NOW + 3600  # a full hour, as the periods of bills end
    last, next_one = statement(front, until=ends), statement(front, since=ends)
    assert last["usage"]["core_milliseconds"] == (520 + 1000) * 3600
    assert (last["charged_micro_credits"], next_one["charged_micro_credits"]) == (2 * CREDIT, 0)
    assert next_one["usage"]["core_milliseconds"] == 0
    entries = whole_list(front.client("alice"), "/v1/ledger", limit=9, project="vmu.vision")
    assert {one["at"] for one in entries if one["kind"] == "charge"} == {ends - 1}


def test_a_list_of_entries_goes_on_from_its_own_cursors_only(front: Front) -> None:
    run_for_an_hour(front)
    client = front.client("alice")
    entries = client.get("/v1/ledger").json()["items"]
    assert list(whole_list(client, "/v1/ledger", limit=1)) == entries
    for place in ("17", "17-", "a-b", "-1-1", "1-2-3"):
        refused = client.get("/v1/ledger", params={"cursor": b64encode(place.encode()).decode()})
        assert (refused.status_code, refused.json()["reasons"][0]["field"]) == (422, "cursor"), place


def test_a_time_that_ends_before_it_begins_has_no_bill(front: Front) -> None:
    refused = front.client("alice").get("/v1/ledger/statement?project=vmu.vision&since=5&until=5")
    assert (refused.status_code, refused.json()["type"]) == (422, "period-ends-before-it-begins")


def test_rates_are_published_ahead_and_then_listed_to_everybody(front: Front) -> None:
    since = NOW + 60
    made = front.client("root").post("/v1/rates", json={"since": since, "rules": {"main": PER_CORE}})
    assert made.status_code == 201
    cards = front.client("alice").get("/v1/rates").json()["items"]
    assert [card["since"] for card in cards] == [0, since]
    assert cards[1] == made.json()


def test_new_rates_change_no_price_that_was_agreed(front: Front) -> None:
    dear = {"main": a_rule("cpu", 50 * CREDIT)}
    front.client("root").post("/v1/rates", json={"since": NOW + 60, "rules": dear})
    run_for_an_hour(front)
    assert statement(front)["charged_micro_credits"] == 2 * CREDIT


def test_rates_that_cannot_be_name_their_field(front: Front) -> None:
    wrong: list[tuple[dict[str, Any], str, str]] = [
        ({"since": NOW + 59}, "too-early", "since"),
        ({"rules": {"void": PER_CORE, "main": PER_CORE}}, "not-there", "rules"),
        ({"rules": {}}, "invalid", "rules"),
        ({"rules": {"main": {"groups": []}}}, "invalid", "rules.main.groups"),
        ({"rules": {"main": {"groups": [[]]}}}, "invalid", "rules.main.groups.0"),
        ({"rules": {"main": a_rule("ram", CREDIT)}}, "invalid", "rules.main.groups.0.0.resource"),
        ({"rules": {"main": a_rule("memory", CREDIT)}}, "rule-too-dear", "rules"),
    ]
    for change, code, field in wrong:
        body = {"since": NOW + 60, "rules": {"main": PER_CORE}} | change
        refused = front.client("root").post("/v1/rates", json=body)
        assert refused.status_code == 422
        assert (refused.json()["type"], refused.json()["reasons"][0]["field"]) == (code, field)


def test_rates_leave_no_pool_out_and_no_two_begin_at_once(front: Front) -> None:
    root, card = front.client("root"), {"since": NOW + 60, "rules": {"main": PER_CORE}}
    root.post("/v1/rates", json=card)
    assert root.post("/v1/rates", json=card).json()["reasons"][0]["earliest"] == NOW + 61
    root.put("/v1/pools/gpu", json={"tier": "hpc", "name": "GPUs"})
    left_out = root.post("/v1/rates", json=card | {"since": NOW + 120}).json()["reasons"][0]
    assert (left_out["code"], left_out["pool"]) == ("pool-without-rule", "gpu")


def test_only_the_center_publishes_rates(front: Front) -> None:
    body = {"since": NOW + 60, "rules": {"main": PER_CORE}}
    assert front.client("dean").post("/v1/rates", json=body).status_code == 403
