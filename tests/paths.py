"""Who may speak to whom by NetworkPolicies, as a plugin that enforces them would decide it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """What policies know of a pod."""

    namespace: str
    labels: Mapping[str, str]
    of_namespace: Mapping[str, str]


def may_speak(policies: Iterable[Json], one: Pod, other: Pod, port: int) -> bool:
    """Tell whether a connection from one pod to a TCP port of the other is let out and let in."""
    policies = tuple(policies)
    return is_let_out(policies, one, other, port) and is_let_in(policies, one, other, port)


def is_let_out(policies: Iterable[Json], one: Pod, other: Pod, port: int) -> bool:
    return _passes(policies, "Egress", of=one, peer=other, port=port)


def is_let_in(policies: Iterable[Json], one: Pod, other: Pod, port: int) -> bool:
    return _passes(policies, "Ingress", of=other, peer=one, port=port)


def _passes(policies: Iterable[Json], way: str, *, of: Pod, peer: Pod, port: int) -> bool:
    """Tell whether any rule allows it, or no policy of that way is about the pod at all."""
    about = [one for one in policies if way in one["spec"]["policyTypes"] and _is_about(one, of)]
    rules = [rule for one in about for rule in one["spec"].get(way.lower(), ())]
    return not about or any(_allows(rule, "to" if way == "Egress" else "from", of, peer, port) for rule in rules)


def _is_about(policy: Json, pod: Pod) -> bool:
    return bool(policy["metadata"]["namespace"] == pod.namespace) and _selects(
        policy["spec"]["podSelector"], pod.labels
    )


def _allows(rule: Json, side: str, of: Pod, peer: Pod, port: int) -> bool:
    through = "ports" not in rule or any(
        one.get("protocol", "TCP") == "TCP" and one["port"] == port for one in rule["ports"]
    )
    return through and (side not in rule or any(_is(one, of, peer) for one in rule[side]))


def _is(named: Json, of: Pod, peer: Pod) -> bool:
    """Tell whether a peer is named; without a selector of namespaces only pods of the policy's own are."""
    there = named.get("namespaceSelector")
    at_home = peer.namespace == of.namespace if there is None else _selects(there, peer.of_namespace)
    return at_home and _selects(named.get("podSelector", {}), peer.labels)


def _selects(selector: Json, labels: Mapping[str, str]) -> bool:
    said = all(labels.get(name) == value for name, value in selector.get("matchLabels", {}).items())
    return said and all(_holds(one, labels) for one in selector.get("matchExpressions", ()))


def _holds(expression: Json, labels: Mapping[str, str]) -> bool:
    if expression["operator"] == "Exists":
        return expression["key"] in labels
    assert expression["operator"] == "In"
    return labels.get(expression["key"]) in expression["values"]
