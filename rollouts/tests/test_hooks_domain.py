"""Hooks as pure functions: where a plan asks, what an answer means, how a call is signed."""

from dataclasses import replace

import pytest

from monitoring.domain.signing import new_secret, signed_headers
from rollouts.domain import commands
from rollouts.domain.hooks import Answer, hook_names, parse_hooks, told_of, with_hooks
from rollouts.domain.machine import decide
from rollouts.domain.phases import Phase
from rollouts.domain.plan import Hook, Plan
from rollouts.domain.policy import Freeze, Policy, apply_policy
from rollouts.domain.replies import meaning
from rollouts.domain.strategies import compile_plan
from rollouts.errors import InvalidPlan
from rollouts.tests.cast import FAST, NOON, later, plan, seen, snapshot

EVERYWHERE = [{"name": "gate", "on": ["start", "increase", "promotion", "rollback", "end"]}]


def kinds(walked):
    return [step.kind for step in walked.steps]


def asking(**changes):
    """A rollout at the step that asks before the share grows from 5 to 50 %."""
    walked = plan(hooks=[{"name": "gate", "on": ["increase"], "seconds": 60, **changes}])
    step = max(at for at, step in enumerate(walked.steps) if isinstance(step, Hook))
    return snapshot(step, Phase.AWAITING_APPROVAL, plan=walked, exposed_at=NOON)


def answered(row, allowed, reason="", **changes):
    given = Answer(row.step, row.step_started_at, allowed, reason)
    return replace(seen(row.weight), answer=replace(given, **changes))


def test_a_hook_is_asked_directly_before_each_of_its_moments():
    assert kinds(plan(hooks=EVERYWHERE)) == [
        "hook", "provision", "hook", "set_weight", "hold", "analyse", "hook", "set_weight", "hold", "analyse",
        "hook", "promote", "retire",
    ]  # fmt: skip


def test_a_switch_to_all_traffic_counts_as_the_promotion():
    walked = compile_plan("blue_green", {"hooks": [{"name": "gate", "on": ["promotion"]}]}, replicas=1)
    at = kinds(walked).index("hook")
    assert (walked.weight_at(at), walked.weight_at(at + 1)) == (0, 100)


def test_people_are_asked_before_hooks_so_that_the_hooks_answer_is_fresh():
    policy = Policy.from_dict(
        {
            "approvals": [{"before": "start"}, {"before": "promotion"}],
            "hooks": [{"name": "policy-gate", "on": ["start", "promotion"]}],
        }
    )
    walked = apply_policy(plan(hooks=[{"name": "gate", "on": ["promotion"]}]), policy)
    assert kinds(walked)[:3] == ["approve", "hook", "provision"]
    assert kinds(walked)[-5:] == ["approve", "hook", "hook", "promote", "retire"]
    assert Plan.from_dict(walked.to_dict()) == walked


def test_a_plan_without_hooks_has_the_digest_it_always_had():
    assert "hooks" not in plan().to_dict()
    assert with_hooks(plan(), ()).digest == plan().digest
    assert "hooks" not in plan(hooks=[{"name": "gate", "on": ["start"]}]).to_dict()


def test_a_plan_with_hooks_survives_its_document():
    walked = plan(hooks=EVERYWHERE)
    assert Plan.from_dict(walked.to_dict()) == walked
    assert hook_names(walked) == ("gate",)
    assert told_of(walked.to_dict(), "rollback") == ["gate"]
    assert told_of(plan().to_dict(), "end") == []


@pytest.mark.parametrize(
    ("hooks", "path"),
    [
        ("gate", "parameters.hooks"),
        (["gate"], "parameters.hooks[0]"),
        ([{"on": ["start"]}], "parameters.hooks[0].name"),
        ([{"name": "Not A Name", "on": ["start"]}], "parameters.hooks[0].name"),
        ([{"name": "gate"}], "parameters.hooks[0].on"),
        ([{"name": "gate", "on": ["start", "lunch"]}], "parameters.hooks[0].on[1]"),
        ([{"name": "gate", "on": ["start"], "refusal": "shrug"}], "parameters.hooks[0].refusal"),
        ([{"name": "gate", "on": ["start"], "seconds": 0}], "parameters.hooks[0].seconds"),
        ([{"name": "gate", "on": ["start"], "url": "https://x"}], "parameters.hooks[0].url"),
    ],
)
def test_a_bad_field_is_refused_with_its_path(hooks, path):
    with pytest.raises(InvalidPlan) as refused:
        compile_plan("canary", {**FAST, "hooks": hooks}, replicas=1)
    assert refused.value.field == path


@pytest.mark.parametrize(
    ("step", "path"),
    [
        ({"kind": "hook"}, "parameters.steps[0].name"),
        ({"kind": "hook", "name": "gate", "before": "lunch"}, "parameters.steps[0].before"),
    ],
)
def test_a_bad_hook_in_a_written_plan_is_refused_with_its_path(step, path):
    steps = [step, {"kind": "provision"}, {"kind": "promote"}]
    with pytest.raises(InvalidPlan) as refused:
        compile_plan("custom", {"steps": steps}, replicas=1)
    assert refused.value.field == path


def test_a_yes_to_this_question_goes_on():
    row = asking()
    after = decide(row, answered(row, True, "p99 is fine"), later(5)).snapshot
    assert after.weight == 50
    assert "the hook gate allows it: p99 is fine" in after.reason


def test_without_an_answer_it_waits_and_after_the_deadline_a_person_is_asked():
    row = asking()
    assert decide(row, seen(5), later(59)).snapshot == row
    late = decide(row, answered(row, None, "It answered 500 Internal Server Error."), later(60)).snapshot
    assert (late.phase, late.weight) == (Phase.PAUSED, 5)
    assert late.reason == (
        "the hook gate gave no answer within 1 min, a person must decide: It answered 500 Internal Server Error."
    )


@pytest.mark.parametrize(("refusal", "phase"), [("hold", Phase.PAUSED), ("roll_back", Phase.ROLLING_BACK)])
def test_a_refusal_holds_or_rolls_back_as_the_plan_says(refusal, phase):
    row = asking(refusal=refusal)
    after = decide(row, answered(row, False, "p99 doubled"), later(5)).snapshot
    assert after.phase is phase
    assert after.reason == "the hook gate refuses: p99 doubled"


@pytest.mark.parametrize("other", [{"step": 3}, {"asked_at": later(-1)}])
def test_an_answer_to_another_question_counts_for_nothing(other):
    row = asking()
    assert decide(row, answered(row, True, **other), later(5)).snapshot == row


def test_resuming_after_a_refusal_asks_again():
    row = asking()
    no = answered(row, False)
    paused = decide(row, no, later(5)).snapshot
    again = commands.resume(paused, "fixed", later(9)).snapshot
    assert (again.phase, again.step_started_at) == (Phase.AWAITING_APPROVAL, later(9))
    assert decide(again, no, later(10)).snapshot == again, "the old answer is void"


def test_promoting_by_hand_does_not_skip_the_hook_of_the_promotion():
    row = replace(asking(), plan=plan(hooks=EVERYWHERE), step=3, phase=Phase.PROGRESSING)
    jumped = commands.promote(row, "looks good", later(5)).snapshot
    assert jumped.current == Hook("gate", "promotion")
    refused = decide(jumped, answered(jumped, False), later(6)).snapshot
    assert refused.phase is Phase.PAUSED
    again = commands.promote(refused, "I insist", later(7)).snapshot
    assert (again.step, again.weight) == (jumped.step, 50)


def test_promoting_a_paused_rollout_does_not_skip_the_approval_it_waits_for():
    policy = Policy.from_dict({"approvals": [{"before": "promotion"}]})
    walked = apply_policy(plan(), policy)
    at = kinds(walked).index("approve")
    waiting = snapshot(at, Phase.AWAITING_APPROVAL, plan=walked, exposed_at=NOON)
    paused = commands.pause(waiting, "lunch", later(1)).snapshot
    assert commands.promote(paused, "nobody looks", later(2)).snapshot.step == at


def test_an_allowed_increase_still_respects_a_freeze_and_broken_glass_needs_no_answer():
    row = asking()
    frozen = replace(answered(row, True), freeze=Freeze(until=later(500), reason="audit"))
    assert decide(row, frozen, later(5)).snapshot.weight == 5
    assert decide(replace(row, override=True), seen(5), later(5)).snapshot.weight == 50


def test_a_hook_never_delays_a_rollback():
    row = asking()
    assert commands.abort(row, "complaints", later(1)).snapshot.weight == 0


YES, NO = b'{"allow": true, "reason": "ok"}', b'{"allow": false, "reason": "no"}'


@pytest.mark.parametrize(
    ("status", "body", "allowed", "final"),
    [
        (200, YES, True, True),
        (201, YES, True, True),
        (200, NO, False, True),
        (403, b"", False, True),
        (403, YES, False, True),
        (202, YES, None, False),
        (200, b'{"allow": null}', None, False),
        (200, b'{"allow": "yes"}', None, False),
        (200, b'{"allow": 1}', None, False),
        (200, b"", None, False),
        (204, b"", None, False),
        (200, b"<html>please sign in</html>", None, False),
        (200, b"[" * 100_000, None, False),
        (200, b'["allow"]', None, False),
        (301, YES, None, False),
        (401, YES, None, False),
        (404, YES, None, False),
        (429, YES, None, False),
        (500, YES, None, False),
        (599, NO, None, False),
    ],
)
def test_only_an_explicit_yes_is_a_yes(status, body, allowed, final):
    said = meaning(status, body, asks=True)
    assert (said.allowed, said.final) == (allowed, final)


@pytest.mark.parametrize(
    ("status", "final"), [(200, True), (204, True), (302, False), (403, False), (500, False)]
)
def test_what_is_told_is_received_with_any_2xx(status, final):
    assert meaning(status, b"", asks=False).final is final


def test_a_signature_covers_the_delivery_the_time_and_the_body():
    """The example of the Standard Webhooks specification."""
    from datetime import UTC, datetime

    at = datetime.fromtimestamp(1614265330, UTC)
    body = b'{"test": 2432232314}'
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    headers = signed_headers(secret, delivery="msg_p5jXN8AQM9LWM0D4loKWxJek", at=at, body=body)
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    others = [
        signed_headers(secret, delivery="msg_2", at=at, body=body),
        signed_headers(secret, delivery="msg_p5jXN8AQM9LWM0D4loKWxJek", at=later(0), body=body),
        signed_headers(secret, delivery="msg_p5jXN8AQM9LWM0D4loKWxJek", at=at, body=body + b" "),
        signed_headers(new_secret(), delivery="msg_p5jXN8AQM9LWM0D4loKWxJek", at=at, body=body),
    ]
    signatures = {headers["webhook-signature"] for headers in [headers, *others]}
    assert len(signatures) == 5


def test_the_field_hooks_may_be_left_out():
    assert parse_hooks(None, "hooks") == ()
