"""The rates of a contract in statements: those of its plan, raised by what a good payer has."""

# Of contract `c` and plan `p`. Only full speed is raised; a bonus lifts no cut and no quota.
RATES = """
p.down_bps * (100 + c.speed_bonus_percent) / 100 as down_bps,
p.up_bps * (100 + c.speed_bonus_percent) / 100 as up_bps,
p.reduced_down_bps, p.reduced_up_bps, p.quota_down_bps, p.quota_up_bps
"""
