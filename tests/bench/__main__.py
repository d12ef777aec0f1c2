"""`make bench [ONLY=name]`: one JSON object a line. Each is held to its reach.

With `ONLY=name`, what goes with it (`name_p99`) is told too. How each is measured stands in its
module; how it went, and how busy the machine was with other work, goes to stderr.
"""

import signal
import sys

import psutil

from tests.bench.billing_run import billing
from tests.bench.bulk import import_and_publish
from tests.bench.delinquency import delinquency
from tests.bench.no_database import without_database
from tests.bench.one_bng import one_bng
from tests.bench.overload import overload
from tests.bench.peers import accounting_against_sql, auth_against_files, auth_against_sql
from tests.bench.power_cut import power_cut
from tests.bench.reminding import reminded
from tests.bench.restore import restore_and_webhook
from tests.bench.review import reviewed
from tests.bench.scale import cold_start, scale_and_memory

BENCHES = {
    "import_100k": import_and_publish,
    "publish_100k": import_and_publish,
    "billing_run_100k": billing,
    "delinquency_100k": delinquency,
    "reminders_20k": reminded,
    "review_100k": reviewed,
    "radius_auth_vs_freeradius_sql": auth_against_sql,
    "radius_auth_vs_freeradius_files": auth_against_files,
    "radius_acct_vs_freeradius_sql": accounting_against_sql,
    "radius_one_bng": one_bng,
    "radius_scale_1m": scale_and_memory,
    "radius_worker_memory_1m": scale_and_memory,
    "radius_cold_start_1m": cold_start,
    "radius_overload": overload,
    "power_cut_50k": power_cut,
    "radius_without_database": without_database,
    "restore_p99": restore_and_webhook,
    "webhook_p99": restore_and_webhook,
}


def main(wanted: str | None) -> int:
    """Run all, or the one named; 1 if a figure misses its reach."""
    if wanted is not None and wanted not in BENCHES:
        print(f"no such bench: {wanted}; there are {', '.join(BENCHES)}", file=sys.stderr)
        return 2
    # What was started is stopped by those who started it, on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    ok = True
    for run in dict.fromkeys(BENCHES.values() if wanted is None else [BENCHES[wanted]]):
        others = psutil.cpu_percent(interval=1.0)
        print(f"{run.__name__}: others keep {others:.0f} % of the machine busy", file=sys.stderr)
        for figure in run():
            if wanted is None or f"{figure.bench}_".startswith(f"{wanted}_"):
                print(figure.line(), flush=True)
                ok = ok and figure.ok
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else None))
