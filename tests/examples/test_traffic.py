"""The driver's account of what it did, against what the application stored."""

from collections import Counter
from copy import deepcopy

import pytest
import traffic

WAITING = ("GET", traffic.FORECAST, 200)


def total(counter: Counter) -> int:
    return sum(counter.values())


def stored(database, sql: str) -> Counter:
    with database.transaction() as cursor:
        cursor.execute(sql)
        return Counter({tuple(row.values())[:-1]: row["n"] for row in cursor.fetchall()})


@pytest.fixture(scope="module")
def played(site):
    """What the driver says after two rounds on the file's site, which nobody else uses."""
    return traffic.play(site.url, rounds=2, seed=7, redis_url=site.environ["REDIS_URL"])


def test_one_round_has_something_of_everything(fresh_site):
    """Each event of the application happens at least once, and each step is told."""
    steps = []
    counts = traffic.play(
        fresh_site.url, rounds=1, seed=1, on_step=lambda *step: steps.append(step)
    )
    assert [step[:2] for step in steps] == [(number, 15) for number in range(1, 16)]
    assert set(counts.logins) == set(counts.scenarios) == set(traffic.TIERS)
    assert set(counts.forecasts_finished) == set(counts.forecasts_failed) == set(traffic.TIERS)
    assert {("FREE", "scenarios"), ("FREE", "forecasts")} <= set(counts.limit_hits)
    assert set(counts.upgrades) == {("FREE", "STARTER"), ("STARTER", "PRO")}
    assert set(counts.trust) == set(traffic.TRUST.values())
    assert set(counts.cache) == {"hit", "miss"}
    assert set(counts.tickets) == set(traffic.PRIORITIES)
    assert len(counts.opinions) == counts.people == 15
    assert counts.trusting <= counts.users
    assert min(counts.calculation_errors, counts.logouts, counts.exported_lines) > 0
    routes = {(route, status) for _, route, status in counts.requests}
    assert {(traffic.UNMATCHED, 404), (traffic.SCENARIO, 404)} <= routes


def test_the_account_agrees_with_the_database(site, played):
    """Scenarios, forecasts and tiers were stored as often as the driver says."""
    with site.database() as database:
        forecasts = stored(database, "SELECT status, count(*) AS n FROM forecasts GROUP BY 1")
        kept = stored(database, "SELECT count(*) AS n FROM scenarios")
        tiers = stored(database, "SELECT tier, count(*) AS n FROM users GROUP BY 1")
        tickets = stored(database, "SELECT priority, count(*) AS n FROM tickets GROUP BY 1")
    assert forecasts["finished",] == total(played.forecasts_finished)
    assert forecasts["failed",] == total(played.forecasts_failed)
    assert total(forecasts) == played.requests["POST", "/api/forecasts", 202]
    deleted = played.requests["DELETE", traffic.SCENARIO, 204]
    assert tickets == {(priority,): n for priority, n in played.tickets.items()}
    assert kept[()] == total(played.scenarios) - deleted
    assert tiers["FREE",] == 5 - played.upgrades["FREE", "STARTER"]
    assert tiers["PRO",] == 5 + played.upgrades["STARTER", "PRO"]


def test_the_account_agrees_with_the_server_log(site, played):
    """gunicorn answered as many requests with each status as the driver says, and no other."""
    told = Counter()
    for (_, _, status), number in played.requests.items():
        told[str(status)] += number
    assert Counter(site.statuses_in_log(told.total())) == told


def test_a_wrong_row_in_the_cache_is_refused(site, played):
    """Once in each round; the application says so in its log, and nobody sees the row."""
    assert played.violations == 2
    assert site.log().count("was about to see row") == 2


def test_the_same_seed_plays_the_same(fresh_site, played):
    """Another installation sees the same people do the same; only looking again may differ."""
    redis_url = fresh_site.environ["REDIS_URL"]
    again = traffic.play(fresh_site.url, rounds=2, seed=7, redis_url=redis_url)
    for counts in (again, first := deepcopy(played)):
        del counts.requests[WAITING]
    assert again == first


def test_it_can_be_played_again(fresh_site):
    """A second play goes on where the first left the database."""
    traffic.play(fresh_site.url, rounds=1, seed=1)
    counts = traffic.play(fresh_site.url, rounds=1, seed=2)
    assert total(counts.logins) == 15
    assert counts.logins["FREE"] == 4


def test_an_unexpected_answer_is_not_passed_over(fresh_site):
    """If the application fails, so does the driver, with the answer in its message."""
    with fresh_site.database() as database, database.transaction() as cursor:
        cursor.execute("ALTER TABLE scenarios RENAME TO gone")
    with pytest.raises(traffic.UnexpectedAnswer, match="POST /api/scenarios: 500"):
        traffic.play(fresh_site.url, rounds=1, seed=1)
