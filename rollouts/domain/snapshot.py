"""The values that decisions are made of: the recorded row, and what was seen of the world."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from monitoring.domain.judge import Judgement
from rollouts.domain.hooks import Answer
from rollouts.domain.phases import IDLE, Phase
from rollouts.domain.plan import Arm, Plan, Preview, Provision, Step
from rollouts.domain.policy import Freeze, Vote


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A rollout as its row records it; everything that must survive a crash is here.

    stable, candidate: version references (labels such as "3"). step: index into the plan.
    step_started_at: when the step began, from the database, so a restart neither shortens nor
    lengthens it. exposed_at: when the present share of traffic was seen in effect; the analysis
    window starts there. unready_since: set while the candidate has no ready server; it gets no
    traffic then; lapses: how often that happened. ending: the phase in which a rollback under way will end.
    digest and plan_digest: what
    approvals are bound to. override: somebody broke the glass; freezes and approvals no longer hold it.
    """

    id: int
    phase: Phase
    plan: Plan
    stable: str
    candidate: str
    revision: int
    step: int
    digest: str = field(kw_only=True)
    plan_digest: str = field(kw_only=True)
    started_at: datetime
    step_started_at: datetime
    exposed_at: datetime | None = None
    last_look_at: datetime | None = None
    looks: int = 0
    unready_since: datetime | None = None
    lapses: int = 0
    rolling_back_since: datetime | None = None
    ending: Phase = Phase.ROLLED_BACK
    override: bool = False
    reason: str = ""

    @property
    def current(self) -> Step:
        """The step that is being walked."""
        return self.plan.steps[self.step]

    @property
    def weight(self) -> int:
        """The candidate's intended share in percent: a pure function of the row."""
        return 0 if self.phase in IDLE or self.unready_since else self.plan.weight_at(self.step)

    @property
    def mirror(self) -> int:
        """The intended mirrored share in percent."""
        return 0 if self.phase in IDLE or self.unready_since else self.plan.mirror_at(self.step)

    @property
    def provisioned(self) -> bool:
        """Whether the candidate's servers are meant to run by now and were ready once."""
        return any(isinstance(step, Provision) for step in self.plan.steps[: self.step])

    @property
    def wants_servers(self) -> bool:
        """Whether the candidate's servers are meant to run: not before an approval of the start."""
        return any(isinstance(step, Provision) for step in self.plan.steps[: self.step + 1])

    @property
    def match(self) -> Preview | Arm | None:
        """Which requests reach the candidate now, whatever its share."""
        return None if self.phase in IDLE or self.unready_since else self.plan.match_at(self.step)

    @property
    def met_users(self) -> bool:
        """Whether the plan has shown the candidate to users by now."""
        weight, _, arm = self.plan.exposure_at(self.step)
        return weight > 0 or arm

    @property
    def exposed(self) -> bool:
        """Whether the candidate is meant to see requests."""
        return self.weight > 0 or self.mirror > 0 or isinstance(self.match, Arm)


@dataclass(frozen=True, slots=True)
class WorkloadStatus:
    """What a cluster says of one version's servers.

    failed: they will never serve. moved: none is ready, and it is no fault of theirs: their place was taken
    away and another is being found, or new ones are starting.
    """

    ready: int = 0
    desired: int = 0
    restarts: int = 0
    failed: bool = False
    moved: bool = False
    message: str = ""


ABSENT = WorkloadStatus()


@dataclass(frozen=True, slots=True)
class World:
    """What was seen of one endpoint: servers by version, and the split the router really applies.

    weights and mirror: percent by version; `weights` is None while the router has no route. preview: the
    version that testers, or one arm of an experiment, reach.
    cluster_known, router_known: False when that side did not answer (`problem` says why); what it
    would have told is then unknown, which is not the same as absent. room: what the cluster says of how many
    more servers fit, where it is asked.
    """

    workloads: Mapping[str, WorkloadStatus] = field(default_factory=dict)
    weights: Mapping[str, int] | None = None
    mirror: Mapping[str, int] = field(default_factory=dict)
    preview: str | None = None
    cluster_known: bool = True
    router_known: bool = True
    problem: str = ""
    room: str = ""

    @property
    def known(self) -> bool:
        """Both sides answered."""
        return self.cluster_known and self.router_known

    def workload(self, version: str) -> WorkloadStatus:
        """The version's servers; all zero when the cluster runs none."""
        return self.workloads.get(version, ABSENT)

    def weight(self, version: str) -> int | None:
        """The version's observed share; None when no route was reported."""
        return None if self.weights is None else self.weights.get(version, 0)


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything a decision looks at beside the row.

    judgement: set only in the ticks in which the gates were looked at. votes: of the present approval
    step. freeze: the one in force, if any. answer: of the hook that the present step asks.
    """

    world: World
    judgement: Judgement | None = None
    votes: tuple[Vote, ...] = ()
    freeze: Freeze | None = None
    answer: Answer | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of the timeline: a change of phase or of step, with its reason and evidence."""

    from_phase: Phase
    to_phase: Phase
    step: int
    weight: int
    reason: str
    evidence: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """The next row and what is worth telling; `promoted` asks the recorder to move the endpoint over."""

    snapshot: Snapshot
    events: tuple[Event, ...] = ()
    promoted: bool = False
