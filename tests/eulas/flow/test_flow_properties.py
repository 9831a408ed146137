"""The outbox against a model, under outages, refusals, restarts and kills."""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ridehail_clients import (
    EulaDecision,
    EulasFlow,
    EulaState,
    PassengerEulasClient,
    RetryPolicy,
    SaveReport,
)
from tests.clients.flavours import BLOCKING
from tests.clients.scripted_server import Reply, ScriptedServer
from tests.eulas.flow.scripted_eulas import EXPIRED, FOLDERS, ONCE, OUTAGE, FakeTime, ScriptedEulas

Result = TypeVar("Result")

ATTEMPTS = 3
IDS = [f"agreement-{number}" for number in range(4)]
accounts = st.sampled_from(["anna", "boris"])
instances = st.integers(0, 1)
batches = st.lists(
    st.builds(EulaDecision, st.sampled_from(IDS), st.sampled_from([EulaState.ACCEPTED, EulaState.REJECTED])),
    max_size=5,
)
some_ids = st.sets(st.sampled_from(IDS))
faults: st.SearchStrategy[list[Reply | None]] = st.lists(st.sampled_from([None, OUTAGE, OUTAGE, EXPIRED]), max_size=6)
# The errors of saves before and after the decisions are saved, and of lists.
Script: TypeAlias = "tuple[list[Reply | None], list[Reply | None], list[Reply | None]]"
scripts: st.SearchStrategy[Script] = st.tuples(faults, faults, faults)
# At which call of the service the app is killed, and whether the call still goes through.
kills = st.none() | st.tuples(st.integers(0, 4), st.booleans())


class Killed(BaseException):
    """Nothing after it is done, as after a kill."""


class CrashingClient(PassengerEulasClient):
    """A client whose process may be killed during a call."""

    kill: tuple[int, bool] | None = None

    def save_eulas(self, **arguments: Any) -> tuple[str, ...]:
        return self._or_killed(lambda: super(CrashingClient, self).save_eulas(**arguments))

    def list_eulas(self, **arguments: Any) -> Any:
        return self._or_killed(lambda: super(CrashingClient, self).list_eulas(**arguments))

    def _or_killed(self, call: Callable[[], Result]) -> Result:
        if self.kill is None:
            return call()
        left, goes_through = self.kill
        self.kill = (left - 1, goes_through)
        if left > 0:
            return call()
        if goes_through:
            call()
        raise Killed


class DecisionOutboxMachine(RuleBasedStateMachine):
    """Two accounts, two instances of the app for each, one file.

    The model has for each account the last decision on each agreement (`given`), and which of these no report has
    listed as saved or refused (`owed`).
    """

    def __init__(self) -> None:
        super().__init__()
        self.service = ScriptedEulas(configured=set(IDS))
        self.channel = BLOCKING.in_memory(ScriptedServer(behaviour=self.service))
        self.folder = tempfile.TemporaryDirectory(dir=FOLDERS)
        self.file = Path(self.folder.name, "outbox")
        self.time = FakeTime()
        self.apps: dict[tuple[str, int], tuple[EulasFlow, CrashingClient]] = {}
        self.given: dict[str, dict[str, str]] = {"anna": {}, "boris": {}}
        self.owed: dict[str, dict[str, str]] = {"anna": {}, "boris": {}}
        self.ever_given: set[tuple[str, str, str]] = set()

    def app(self, account: str, instance: int) -> tuple[EulasFlow, CrashingClient]:
        if (account, instance) not in self.apps:
            client = CrashingClient(self.channel, session_token=account, retry=ONCE, attempt_timeout=30)
            flow = EulasFlow(
                client,
                self.file,
                account=account,
                retry=RetryPolicy(attempts=ATTEMPTS),
                clock=self.time.clock,
                sleep=self.time.sleep,
            )
            self.apps[account, instance] = (flow, client)
        return self.apps[account, instance]

    @rule(account=accounts, instance=instances, decisions=batches, kill=kills, script=scripts)
    def answer(
        self,
        account: str,
        instance: int,
        decisions: list[EulaDecision],
        kill: tuple[int, bool] | None,
        script: Script,
    ) -> None:
        for one in decisions:
            # Decided again: it counts as the newest, and is removed first to be at the end.
            self.owed[account].pop(one.eula_id, None)
            self.owed[account][one.eula_id] = self.given[account][one.eula_id] = one.status
            self.ever_given.add((account, one.eula_id, one.status))
        self.perform(account, instance, lambda flow: flow.answer(decisions), kill, script)

    @rule(account=accounts, instance=instances, kill=kills, script=scripts)
    def save_kept(
        self,
        account: str,
        instance: int,
        kill: tuple[int, bool] | None,
        script: Script,
    ) -> None:
        self.time.slept.clear()
        self.perform(account, instance, lambda flow: flow.save_kept(), kill, script)
        assert len(self.time.slept) <= ATTEMPTS

    def perform(
        self,
        account: str,
        instance: int,
        work: Callable[[EulasFlow], SaveReport],
        kill: tuple[int, bool] | None,
        script: Script,
    ) -> None:
        self.play(script)
        flow, client = self.app(account, instance)
        client.kill = kill
        try:
            report = work(flow)
        except Killed:
            del self.apps[account, instance]
            self.play(([], [], []))
            self.compare_after_a_kill(account)
            return
        client.kill = None
        failed = sum(fault is OUTAGE for faults in script for fault in faults) - self.outages_left()
        self.play(([], [], []))
        assert failed <= ATTEMPTS
        for saved in report.saved:
            assert self.owed[account].pop(saved.eula_id) == saved.status
            assert self.service.decisions[account][saved.eula_id] == saved.status
        for refused in report.refused:
            assert self.is_refused(refused.decision.eula_id, refused.decision.status)
            assert self.owed[account].pop(refused.decision.eula_id) == refused.decision.status
            self.given[account].pop(refused.decision.eula_id)
        assert (report.failure is None) == (not report.unsaved and not flow._outbox.has_work())
        assert report.refresh == (("routestats",) if report.saved else ())
        assert report.signed is not None or report.failure is not None or not report.saved
        if report.signed is not None:
            assert {one.eula_id: one.status for one in report.signed} == self.service.decisions.get(account, {})

    def compare_after_a_kill(self, account: str) -> None:
        flow, _ = self.app(account, 0)
        unsaved = {one.eula_id: str(one.status) for one in flow.unsaved()}
        for eula_id, status in list(self.owed[account].items()):
            if eula_id in unsaved:
                continue
            del self.owed[account][eula_id]
            if self.is_refused(eula_id, status):
                self.given[account].pop(eula_id)
            else:
                assert self.service.decisions[account][eula_id] == status

    def is_refused(self, eula_id: str, status: str) -> bool:
        return self.service.refusal(eula_id, status) is not None

    def play(self, script: Script) -> None:
        self.service.before_saving, self.service.after_saving, self.service.before_listing = map(deque, script)

    def outages_left(self) -> int:
        scripted = (self.service.before_saving, self.service.after_saving, self.service.before_listing)
        return sum(fault is OUTAGE for faults in scripted for fault in faults)

    @rule(account=accounts, instance=instances)
    def restart(self, account: str, instance: int) -> None:
        self.apps.pop((account, instance), None)

    @rule(configured=some_ids, duties=some_ids, invalid=some_ids, named=st.booleans())
    def change_what_is_refused(self, configured: set[str], duties: set[str], invalid: set[str], named: bool) -> None:
        self.service.configured, self.service.not_rejectable = configured | set(IDS[:2]), duties
        self.service.invalid, self.service.names_the_refused = invalid - {IDS[0]}, named

    @rule(seconds=st.floats(-1e4, 1e4))
    def set_the_clock(self, seconds: float) -> None:
        self.time.now += seconds

    @rule(account=accounts, instance=instances)
    def decided_agreements_are_not_listed(self, account: str, instance: int) -> None:
        shown = self.app(account, instance)[0].list_unknown(zone_name="tel_aviv")

        signed = self.service.decisions.get(account, {})
        assert {one.eula_id for one in shown.eulas} == (
            (self.service.configured or set()) - set(signed) - set(self.owed[account])
        )

    @invariant()
    def exactly_the_owed_decisions_are_pending_in_their_order(self) -> None:
        for account, owed in self.owed.items():
            kept = self.app(account, 0)[0].unsaved()
            assert [(one.eula_id, str(one.status)) for one in kept] == list(owed.items())

    @invariant()
    def only_decisions_of_the_account_arrive(self) -> None:
        assert set(self.service.arrived) <= self.ever_given

    def teardown(self) -> None:
        try:
            for account, given in self.given.items():
                self.app(account, 1)[0].save_kept()
                arrived = self.service.decisions.get(account, {})
                for eula_id, status in given.items():
                    # One that is refused now may have arrived before.
                    assert arrived.get(eula_id) == status or self.is_refused(eula_id, status)
                assert self.app(account, 0)[0].unsaved() == ()
        finally:
            self.folder.cleanup()


DecisionOutboxMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestDecisionOutbox = DecisionOutboxMachine.TestCase
