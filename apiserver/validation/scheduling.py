"""Validation of what a pod says about where it may run: affinity, tolerations, spreading, gates; and of taints."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from apimachinery import field

from . import checks
from .checks import Errors
from .meta import validate_label_selector, validate_set_operator

TAINT_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_NOT_OPERATOR = "not a valid selector operator"


def validate_affinity(errors: Errors, affinity: dict[str, Any], path: str) -> None:
    """Check nodeAffinity, podAffinity and podAntiAffinity."""
    node = affinity.get("nodeAffinity")
    if node:
        at = f"{path}.nodeAffinity"
        if (required := node.get(_REQUIRED)) is not None:
            validate_node_selector(errors, required, f"{at}.{_REQUIRED}")
        for i, term in enumerate(node.get(_PREFERRED) or ()):
            _weight(errors, term, f"{at}.{_PREFERRED}[{i}]")
            _node_selector_term(
                errors, term.get("preference") or {}, f"{at}.{_PREFERRED}[{i}].preference", any_value=True
            )
    for kind in ("podAffinity", "podAntiAffinity"):
        rules = affinity.get(kind)
        if not rules:
            continue
        at = f"{path}.{kind}"
        for i, term in enumerate(rules.get(_REQUIRED) or ()):
            _pod_affinity_term(errors, term, f"{at}.{_REQUIRED}[{i}]")
        for i, weighted in enumerate(rules.get(_PREFERRED) or ()):
            _weight(errors, weighted, f"{at}.{_PREFERRED}[{i}]")
            _pod_affinity_term(
                errors, weighted.get("podAffinityTerm") or {}, f"{at}.{_PREFERRED}[{i}].podAffinityTerm"
            )


def _weight(errors: Errors, term: dict[str, Any], path: str) -> None:
    weight = term.get("weight") or 0
    if not 1 <= weight <= 100:
        errors.append(field.invalid(f"{path}.weight", weight, "must be in the range 1-100"))


def validate_node_selector(errors: Errors, selector: dict[str, Any], path: str) -> None:
    """Check a required node selector: at least one term, each sound."""
    terms = selector.get("nodeSelectorTerms")
    if not terms:
        errors.append(
            field.required(f"{path}.nodeSelectorTerms", "must have at least one node selector term")
        )
        return
    for i, term in enumerate(terms):
        _node_selector_term(errors, term, f"{path}.nodeSelectorTerms[{i}]", any_value=False)


def _node_selector_term(errors: Errors, term: dict[str, Any], path: str, *, any_value: bool) -> None:
    for i, requirement in enumerate(term.get("matchExpressions") or ()):
        at = f"{path}.matchExpressions[{i}]"
        operator, values = requirement.get("operator") or "", requirement.get("values") or []
        if operator in ("Gt", "Lt"):
            if len(values) != 1:
                errors.append(
                    field.required(
                        f"{at}.values", "must be specified single value when `operator` is 'Lt' or 'Gt'"
                    )
                )
        elif not validate_set_operator(errors, operator, values, at):
            errors.append(field.invalid(f"{at}.operator", operator, _NOT_OPERATOR))
        key = requirement.get("key") or ""
        checks.report(errors, f"{at}.key", key, checks.qualified_name(key))
        if not any_value:
            for j, value in enumerate(values):
                checks.report(errors, f"{at}.values[{j}]", value, checks.label_value(value))
    for i, requirement in enumerate(term.get("matchFields") or ()):
        at = f"{path}.matchFields[{i}]"
        operator, values = requirement.get("operator") or "", requirement.get("values") or []
        if operator not in ("In", "NotIn"):
            errors.append(field.invalid(f"{at}.operator", operator, _NOT_OPERATOR))
        elif len(values) != 1:
            errors.append(
                field.required(
                    f"{at}.values",
                    "must be only one value when `operator` is 'In' or 'NotIn' for node field selector",
                )
            )
        key = requirement.get("key") or ""
        if key != "metadata.name":
            errors.append(field.invalid(f"{at}.key", key, "not a valid field selector key"))
        else:
            for j, value in enumerate(values):
                checks.report(errors, f"{at}.values[{j}]", value, checks.subdomain(value))


def _pod_affinity_term(errors: Errors, term: dict[str, Any], path: str) -> None:
    selector = term.get("labelSelector")
    validate_label_selector(errors, selector, f"{path}.labelSelector")
    validate_label_selector(errors, term.get("namespaceSelector"), f"{path}.namespaceSelector")
    for namespace in term.get("namespaces") or ():
        checks.report(errors, f"{path}.namespace", namespace, checks.label(namespace))
    match, mismatch = term.get("matchLabelKeys") or [], term.get("mismatchLabelKeys") or []
    for name, keys in (("matchLabelKeys", match), ("mismatchLabelKeys", mismatch)):
        if keys and selector is None:
            errors.append(
                field.forbidden(f"{path}.{name}", "must not be specified when labelSelector is not set")
            )
            continue
        for i, key in enumerate(keys):
            checks.report(errors, f"{path}.{name}[{i}]", key, checks.qualified_name(key))
    for i, key in enumerate(match):
        if key in mismatch:
            errors.append(
                field.invalid(
                    f"{path}.matchLabelKeys[{i}]", key, "exists in both matchLabelKeys and mismatchLabelKeys"
                )
            )
    topology_key = term.get("topologyKey") or ""
    if not topology_key:
        errors.append(field.required(f"{path}.topologyKey", "can not be empty"))
    checks.report(errors, f"{path}.topologyKey", topology_key, checks.qualified_name(topology_key))


def validate_tolerations(errors: Errors, tolerations: list[dict[str, Any]], path: str) -> None:
    """Check tolerations."""
    for i, toleration in enumerate(tolerations):
        key, operator = toleration.get("key"), toleration.get("operator") or ""
        value, effect = toleration.get("value") or "", toleration.get("effect") or ""
        if key:
            if problems := checks.qualified_name(key):
                checks.report(errors, f"{path}[{i}].key", key, problems)
        elif operator != "Exists":
            errors.append(
                field.invalid(
                    f"{path}[{i}].operator",
                    operator,
                    'operator must be Exists when `key` is empty, which means "match all values and all keys"',
                )
            )
        if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
            errors.append(
                field.invalid(
                    f"{path}[{i}].effect",
                    effect,
                    "effect must be 'NoExecute' when `tolerationSeconds` is set",
                )
            )
        if operator in ("Equal", ""):
            if problems := checks.label_value(value):
                errors.append(field.invalid(f"{path}[{i}].operator", value, ";".join(problems)))
        elif operator == "Exists":
            if value:
                errors.append(
                    field.invalid(
                        f"{path}[{i}].operator", value, "value must be empty when `operator` is 'Exists'"
                    )
                )
        else:
            errors.append(field.not_supported(f"{path}[{i}].operator", operator, ["Equal", "Exists"]))
        if effect:
            checks.one_of(errors, f"{path}[{i}].effect", effect, TAINT_EFFECTS)


def validate_taints(errors: Errors, taints: list[dict[str, Any]], path: str) -> None:
    """Check the taints of a node: sound, and unique by key and effect."""
    seen: set[tuple[str, str]] = set()
    for i, taint in enumerate(taints):
        at = f"{path}[{i}]"
        key, value, effect = taint.get("key") or "", taint.get("value") or "", taint.get("effect") or ""
        checks.report(errors, f"{at}.key", key, checks.qualified_name(key))
        if problems := checks.label_value(value):
            errors.append(field.invalid(f"{at}.value", value, ";".join(problems)))
        checks.one_of(errors, f"{at}.effect", effect, TAINT_EFFECTS)
        if (key, effect) in seen:
            errors.append(
                replace(field.duplicate(at, taint), detail="taints must be unique by key and effect pair")
            )
        seen.add((key, effect))


def validate_topology_spread(errors: Errors, constraints: list[dict[str, Any]], path: str) -> None:
    """Check topologySpreadConstraints."""
    for i, constraint in enumerate(constraints):
        at = f"{path}[{i}]"
        skew = constraint.get("maxSkew") or 0
        if skew <= 0:
            errors.append(field.invalid(f"{at}.maxSkew", skew, checks.NOT_POSITIVE))
        topology_key, action = constraint.get("topologyKey") or "", constraint.get("whenUnsatisfiable") or ""
        if not topology_key:
            errors.append(field.required(f"{at}.topologyKey", "can not be empty"))
        if action not in ("DoNotSchedule", "ScheduleAnyway"):
            errors.append(
                field.not_supported(f"{at}.whenUnsatisfiable", action, ["DoNotSchedule", "ScheduleAnyway"])
            )
        if any(
            other.get("topologyKey") == topology_key and other.get("whenUnsatisfiable") == action
            for other in constraints[i + 1 :]
        ):
            errors.append(
                field.duplicate(f"{at}.{{topologyKey, whenUnsatisfiable}}", f"{{{topology_key}, {action}}}")
            )
        domains = constraint.get("minDomains")
        if domains is not None:
            if domains <= 0:
                errors.append(field.invalid(f"{at}.minDomains", domains, checks.NOT_POSITIVE))
            if action != "DoNotSchedule":
                errors.append(
                    field.invalid(
                        f"{at}.minDomains",
                        domains,
                        f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}",
                    )
                )
        for name in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
            policy = constraint.get(name)
            if policy is not None and policy not in ("Honor", "Ignore"):
                errors.append(field.not_supported(f"{at}.{name}", policy, ["Honor", "Ignore"]))
        selector = constraint.get("labelSelector")
        _match_label_keys(errors, constraint.get("matchLabelKeys") or [], selector, f"{at}.matchLabelKeys")
        validate_label_selector(errors, selector, f"{at}.labelSelector")


def _match_label_keys(errors: Errors, keys: list[str], selector: dict[str, Any] | None, path: str) -> None:
    if not keys:
        return
    if selector is None:
        errors.append(field.forbidden(path, "must not be specified when labelSelector is not set"))
    for i, key in enumerate(keys):
        checks.report(errors, f"{path}[{i}]", key, checks.qualified_name(key))
        if key in ((selector or {}).get("matchLabels") or ()):
            errors.append(
                field.invalid(f"{path}[{i}]", key, "exists in both matchLabelKeys and labelSelector")
            )


def validate_scheduling_gates(errors: Errors, gates: list[dict[str, Any]], path: str) -> None:
    """Check schedulingGates: qualified names, each once."""
    seen: set[str] = set()
    for i, gate in enumerate(gates):
        name = gate.get("name") or ""
        checks.report(errors, f"{path}[{i}]", name, checks.qualified_name(name))
        if name in seen:
            errors.append(field.duplicate(f"{path}[{i}]", name))
        seen.add(name)
