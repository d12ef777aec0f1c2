"""A power cut: 50,000 sessions dial again at once, and nothing acknowledged may be lost.

Each login may have one session, as a plan has it where nobody says otherwise. Four BNGs with 64
dialling subscribers under way at each: Access-Request, then the Start of the session with the Class
of the Accept. Right after the last acknowledgement the workers are killed (SIGKILL) and every
acknowledged Start must stand in the journals.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from radius.accounting import Status, read
from radius.codec import parse
from radius.journal import Journal
from tests.bench.figure import Figure, percentile
from tests.bench.ours import accounting_settings, make_table, serving
from tests.bench.redial import Redial, redial
from tests.bench.requests import USERS
from tests.support.product import own_folder

BNGS = 4
AT_ONCE = 64
GIVE_UP_AFTER_S = 90.0


def power_cut() -> Iterator[Figure]:
    """Yield `power_cut_50k`, `power_cut_50k_p99` and `power_cut_50k_lost`."""
    with own_folder() as folder:
        make_table(folder, USERS, sessions_max=1)
        with serving(folder) as ours:
            dialled = redial(
                Redial(ours.auth_port, ours.acct_port, USERS, BNGS, AT_ONCE, GIVE_UP_AFTER_S)
            )
            ours.kill()
        recorded = _started(folder)
    print(
        f"{len(dialled.acknowledged)} up in {dialled.seconds:.1f} s,"
        f" p50 {percentile(dialled.waits_ms, 50):.1f} ms, {dialled.resent} sent again",
        file=sys.stderr,
    )
    if len(dialled.acknowledged) != USERS:
        raise RuntimeError(f"only {len(dialled.acknowledged)} of {USERS} came up")
    lost = set(dialled.acknowledged) - recorded
    yield Figure("power_cut_50k", dialled.seconds, "s", 20.0)
    yield Figure("power_cut_50k_p99", percentile(dialled.waits_ms, 99), "ms", 100.0)
    yield Figure("power_cut_50k_lost", len(lost), "acknowledged Starts", 0.0)


def _started(folder: Path) -> set[str]:
    """The sessions whose Start is in a journal."""
    found = set()
    for told in accounting_settings(folder):
        with Journal(told.journal_path, told.journal_max_bytes) as journal:
            for entry in journal.read(10 * USERS):
                record = read(parse(entry.octets))
                if record.status is Status.START:
                    found.add(record.acct_session_id)
    return found
