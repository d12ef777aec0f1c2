"""Levels of access in statements."""

# How severe a column's level is, as `billing.access.Level.severity` says.
SEVERITY = "case {} when 'full' then 0 when 'reduced' then 1 when 'walled' then 2 else 3 end"
