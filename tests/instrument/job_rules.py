"""Rules that count jobs by what they were called with, what they returned, and how they ended."""

_RULES = """
[[job]]
function = "{module}.succeed"
outcome = "success"
count = "forecasts_generated_total"
labels = {{ tier = "kwargs.tier" }}

[[job]]
function = "{module}.succeed"
outcome = "success"
count = "scenarios_created_total"
labels = {{ tier = "result.plan.tier" }}

[[job]]
function = "{module}.succeed"
outcome = "success"
count = "tier_limit_hits_total"
labels = {{ tier = "meta.tier", limit_type = "args.0" }}

[[job]]
function = "{module}.{failing}"
outcome = "failure"
count = "support_tickets_total"
labels = {{ priority = {{ value = "high" }} }}

[[exception]]
class = "{module}.LedgerError"
count = "calculation_errors_total"
labels = {{ kind = {{ value = "ledger" }} }}
"""


def job_rules(module: str, *, failing: str) -> str:
    """A rules file for the functions of `module`, of which `failing` ends in failure."""
    return _RULES.format(module=module, failing=failing)
