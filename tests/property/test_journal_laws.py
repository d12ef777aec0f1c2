"""The journal against a list: whatever order of appends, discards and restarts."""

import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from radius.errors import JournalFull
from radius.journal import Entry, Journal

_MAX_BYTES = 96 << 10
_RECORD = st.tuples(
    st.floats(min_value=0, max_value=4e9),
    st.integers(0, 2**63),
    st.ip_addresses().map(str),
    st.binary(min_size=20, max_size=4096),
)


class JournalIsAQueue(RuleBasedStateMachine):
    """What was appended and not discarded is there, once, in order; a refused batch is not."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.journal = Journal(Path(self.folder.name), _MAX_BYTES)
        self.waiting: list[Entry] = []
        self.sequence = 0

    @rule(records=st.lists(_RECORD, max_size=12))
    def append(self, records: list[tuple[float, int, str, bytes]]) -> None:
        size = sum(len(octets) for *_, octets in records)
        waiting = sum(len(entry.octets) for entry in self.waiting)
        try:
            self.journal.append(records)
        except JournalFull:
            # An octet may cost four: pages hold whole entries only, small ones carry overhead.
            assert 4 * (size + waiting) > _MAX_BYTES // 2
            return
        assert size + waiting <= _MAX_BYTES
        for received_at, nas_id, source, octets in records:
            self.sequence += 1
            self.waiting.append(Entry(self.sequence, received_at, nas_id, source, octets))

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def discard(self, data: st.DataObject) -> None:
        through = data.draw(st.integers(0, self.sequence + 1))
        self.journal.discard(through)
        self.waiting = [entry for entry in self.waiting if entry.sequence > through]

    @rule()
    def restart(self) -> None:
        self.journal.close()
        self.journal = Journal(Path(self.folder.name), _MAX_BYTES)

    @invariant()
    def it_holds_what_waits(self) -> None:
        assert self.journal.read(10_000) == self.waiting
        assert self.journal.read(2) == self.waiting[:2]
        assert self.journal.depth() == len(self.waiting)

    def teardown(self) -> None:
        self.journal.close()
        self.folder.cleanup()


TestJournalIsAQueue = JournalIsAQueue.TestCase
TestJournalIsAQueue.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
