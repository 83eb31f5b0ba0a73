"""Who owns what: orphans that match are adopted, what no longer matches is released."""

from apimachinery.selectors import LabelSelector
from controller_manager.adoption import plan_claims
from tests.unit.controller_manager.builders import at, pod, replica_set

MATCHES = LabelSelector.parse("app=meow").matches
OWNER = replica_set("rs", 1)
OWNED = pod("owned", labels={"app": "meow"}, owner="uid-rs")
STRAY = pod("stray", labels={"app": "woof"}, owner="uid-rs")
ORPHAN = pod("orphan", labels={"app": "meow"})
FOREIGN = pod("foreign", labels={"app": "meow"}, owner="uid-other")
OTHER = pod("other", labels={"app": "woof"})


def test_the_claims_of_a_live_owner() -> None:
    claims = plan_claims(OWNER, [OWNED, STRAY, ORPHAN, FOREIGN, OTHER], MATCHES)
    assert (claims.owned, claims.adopt, claims.release) == ([OWNED], [ORPHAN], [STRAY])


def test_an_orphan_that_is_being_deleted_is_not_adopted() -> None:
    doomed = pod("orphan", labels={"app": "meow"}, deleting=True)
    assert plan_claims(OWNER, [doomed], MATCHES).adopt == []


def test_an_owner_that_is_being_deleted_keeps_what_it_has_and_takes_nothing() -> None:
    doomed = {**OWNER, "metadata": {**OWNER["metadata"], "deletionTimestamp": at(0)}}
    claims = plan_claims(doomed, [OWNED, STRAY, ORPHAN], MATCHES)
    assert (claims.owned, claims.adopt, claims.release) == ([OWNED], [], [])
