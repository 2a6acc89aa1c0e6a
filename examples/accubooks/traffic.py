"""People who use AccuBooks over real HTTP, and an exact account of what they did.

    python traffic.py http://127.0.0.1:8000 --rounds 3

Not part of the application: it needs only an address behind which the seeded database is.
"""

import argparse
import json
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http.cookiejar import CookieJar
from random import Random
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPCookieProcessor, ProxyHandler, Request, build_opener

COMPANIES = ("acorn", "birch", "cedar", "sapling", "crooked")
TROUBLED = ("sapling", "crooked")  # their forecasts fail
TIERS = ("FREE", "STARTER", "PRO")
PASSWORD = "correct horse"
UNMATCHED = "unmatched"  # the route of a request that no URL rule of the application fits
SCENARIO = "/api/scenarios/<int:scenario_id>"
FORECAST = "/api/forecasts/<int:forecast_id>"
PRIORITIES = ("low", "normal", "high")
TRUST = {
    "explanation": "calculation_explainer",
    "assumptions": "assumptions_panel",
    "confidence": "confidence_indicator",
}
FORECAST_SECONDS = 60

OnStep = Callable[[int, int, str], None]  # steps done, steps in all, what was done last


@dataclass
class Counts:
    """What was truly done and answered. Routes are URL rules, as the application declares them."""

    people: int = 0  # who exist, whether they came or not
    requests: Counter[tuple[str, str, int]] = field(
        default_factory=Counter
    )  # method, route, status
    logins: Counter[str] = field(default_factory=Counter)  # by tier
    logouts: int = 0
    scenarios: Counter[str] = field(default_factory=Counter)  # created, by tier
    limit_hits: Counter[tuple[str, str]] = field(default_factory=Counter)  # tier, limit type
    upgrades: Counter[tuple[str, str]] = field(default_factory=Counter)  # from, to
    forecasts_finished: Counter[str] = field(default_factory=Counter)  # by tier when asked for
    forecasts_failed: Counter[str] = field(default_factory=Counter)
    calculation_errors: int = 0  # among the failed
    trust: Counter[str] = field(default_factory=Counter)  # by component
    trusting: set[int] = field(default_factory=set)  # who used one
    tickets: Counter[str] = field(default_factory=Counter)  # by priority
    opinions: dict[int, tuple[int, bool]] = field(default_factory=dict)  # by user: score, trusts
    violations: int = 0  # rows of another company that were refused at the last moment
    cache: Counter[str] = field(default_factory=Counter)  # "hit", "miss": keys looked up
    exported_lines: int = 0
    users: set[int] = field(default_factory=set)  # who was signed in at least once
    signed_in: set[int] = field(default_factory=set)  # who still is


class UnexpectedAnswer(Exception):
    """The application answered what it should not have."""


class Person:
    """A user with a browser: cookies, and what this user remembers."""

    def __init__(self, base_url: str, email: str, tier: str, counts: Counts) -> None:
        self.base_url = base_url.rstrip("/")
        self.email, self.tier, self.counts = email, tier, counts
        self.company = email.partition("@")[2].removesuffix(".example")
        self.user_id: int | None = None  # None: not signed in
        self.tenant_id = 0
        self.scenarios: list[dict[str, Any]] = []  # of the whole company, when last listed
        # No proxy of the environment must come between us and a local server.
        self.browser = build_opener(HTTPCookieProcessor(CookieJar()), ProxyHandler({}))

    def ask(
        self,
        method: str,
        route: str,
        *,
        number: int = 0,  # takes the place of the id in the route
        path: str = "",  # for a path that belongs to no route
        body: Any = None,
        expect: tuple[int, ...],
    ) -> tuple[int, Any]:
        """Status and content of the answer: JSON parsed, other text as it is."""
        path = path or re.sub("<.*?>", str(number), route)
        status, kind, cached, text = self._send(method, path, body)
        self.counts.requests[method, route, status] += 1
        if cached:
            self.counts.cache[cached] += 1
        if status not in expect:
            raise UnexpectedAnswer(f"{self.email}: {method} {route}: {status} {text[:300]}")
        return status, json.loads(text) if kind == "application/json" else text

    def _send(self, method: str, path: str, body: Any) -> tuple[int, str, str, str]:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} if data else {}
        request = Request(self.base_url + path, data, headers, method=method)
        try:
            answer = self.browser.open(request, timeout=30)
        except HTTPError as error:
            answer = error
        with answer:
            text = answer.read().decode()
            kind = answer.headers.get_content_type()
            return answer.status, kind, answer.headers.get("X-Cache", ""), text

    def sign_in(self, mistyped: bool) -> None:
        if mistyped:
            wrong = {"email": self.email, "password": "battery staple"}
            self.ask("POST", "/login", body=wrong, expect=(401,))
        right = {"email": self.email, "password": PASSWORD}
        _, answer = self.ask("POST", "/login", body=right, expect=(200,))
        self.user_id, self.tier = answer["user_id"], answer["tier"]
        self.tenant_id = answer["tenant_id"]
        self.counts.logins[self.tier] += 1
        self.counts.users.add(answer["user_id"])
        self.counts.signed_in.add(answer["user_id"])

    def sign_out(self) -> None:
        self.ask("POST", "/logout", expect=(204,))
        self.counts.logouts += 1
        if self.user_id is not None:
            self.counts.signed_in.discard(self.user_id)
        self.user_id = None

    def create_scenario(self, name: str, income: int, expense: int) -> None:
        body = {"name": name, "income_percent": income, "expense_percent": expense}
        status, answer = self.ask("POST", "/api/scenarios", body=body, expect=(201, 403))
        if status == 201:
            self.counts.scenarios[self.tier] += 1
        else:
            self.counts.limit_hits[self.tier, answer["limit_type"]] += 1

    def list_scenarios(self) -> None:
        self.scenarios = self.ask("GET", "/api/scenarios", expect=(200,))[1]

    def delete_scenario(self) -> None:
        own = [scenario["id"] for scenario in self.scenarios if scenario["user_id"] == self.user_id]
        if own:
            self.ask("DELETE", SCENARIO, number=own[0], expect=(204,))
            self.list_scenarios()

    def ask_forecast(self, scenario: dict[str, Any] | None) -> int | None:
        """The id of the forecast to wait for; None if the tier has no room for one."""
        body = {} if scenario is None else {"scenario_id": scenario["id"]}
        status, answer = self.ask("POST", "/api/forecasts", body=body, expect=(202, 403))
        if status == 202:
            return int(answer["id"])
        self.counts.limit_hits[self.tier, answer["limit_type"]] += 1
        return None

    def wait_for_forecast(self, forecast_id: int) -> bool:
        """True if it finished, False if it failed. Raises TimeoutError if neither happens."""
        deadline = time.monotonic() + FORECAST_SECONDS
        while time.monotonic() < deadline:
            _, answer = self.ask("GET", FORECAST, number=forecast_id, expect=(200,))
            if answer["status"] == "finished":
                self.counts.forecasts_finished[self.tier] += 1
                return True
            if answer["status"] == "failed":
                self.counts.forecasts_failed[self.tier] += 1
                self.counts.calculation_errors += "out of balance" in answer["reason"]
                return False
            time.sleep(0.1)
        raise TimeoutError(
            f"forecast {forecast_id} is {answer['status']} after {FORECAST_SECONDS} s: "
            "is a worker running? (rq worker forecasts)"
        )

    def use_trust_layer(self, forecast_id: int, parts: list[str]) -> None:
        for part in parts:
            self.ask("GET", f"{FORECAST}/{part}", number=forecast_id, expect=(200,))
            self.counts.trust[TRUST[part]] += 1
            self.counts.trusting.add(self.user_id or 0)

    def open_ticket(self, priority: str) -> None:
        body = {"priority": priority, "problem": "the numbers look odd"}
        self.ask("POST", "/api/tickets", body=body, expect=(201,))
        self.counts.tickets[priority] += 1

    def give_opinion(self, score: int, trusts: bool) -> None:
        self.ask("POST", "/api/opinion", body={"score": score, "trusts": trusts}, expect=(204,))
        self.counts.opinions[self.user_id or 0] = score, trusts

    def upgrade(self, tier: str) -> None:
        _, answer = self.ask("POST", "/api/upgrade", body={"tier": tier}, expect=(200,))
        self.counts.upgrades[answer["from"], answer["to"]] += 1
        self.tier = answer["to"]

    def export(self) -> None:
        _, text = self.ask("GET", "/api/export", expect=(200,))
        self.counts.exported_lines += text.count("\n") - 1  # without the heading


def play(
    base_url: str,
    *,
    rounds: int,
    seed: int,
    redis_url: str = "",
    on_step: OnStep | None = None,
) -> Counts:
    """Everybody visits once in each round. The first round alone has something of everything.

    With `redis_url`, the cache of the application, a wrong row gets into it once in each round.
    The same seed makes the same choices; only how often a waiting person looks again depends on
    time. Raises UnexpectedAnswer, TimeoutError or URLError.
    """
    random = Random(seed)
    counts = Counts()
    people = [
        Person(base_url, f"{tier.lower()}@{company}.example", tier, counts)
        for company in COMPANIES
        for tier in TIERS
    ]
    counts.people = len(people)
    done, total = 0, rounds * len(people)
    for round_number in range(1, rounds + 1):
        waiting: list[tuple[Person, int]] = []
        for person in random.sample(people, len(people)):
            forecasts = visit(person, random, first=round_number == 1)
            waiting += [(person, forecast) for forecast in forecasts]
            done += 1
            if on_step:
                on_step(done, total, f"round {round_number}: {person.email} ({person.tier})")
        settle(waiting, random)
        make_mistakes(people, redis_url)
        grow(people)
        for person in random.sample(people, len(people) // 2):
            person.sign_out()
    return counts


def visit(person: Person, random: Random, *, first: bool) -> list[int]:
    """One person's visit; the ids of the forecasts asked for."""
    if person.user_id is None:
        person.sign_in(mistyped=random.random() < 0.1)
    person.ask("GET", "/", expect=(200,))
    # Four scenarios and three forecasts are one more than FREE allows.
    for number in range(4 if first else random.randint(1, 2)):
        person.create_scenario(f"what if {number}", random.randint(-20, 20), random.randint(-5, 5))
    person.list_scenarios()
    if not first and random.random() < 0.5:
        person.delete_scenario()
    if person.scenarios:
        for scenario in random.choices(person.scenarios, k=random.randint(6, 12)):
            person.ask("GET", SCENARIO, number=scenario["id"], expect=(200,))
    if person.tier == "PRO" and (first or random.random() < 0.3):
        person.export()
    if first or random.random() < 0.1:
        person.open_ticket(random.choice(PRIORITIES))
        person.give_opinion(random.randint(4, 10), random.random() < 0.7)
    times = 1 if person.company in TROUBLED else 3 if first else random.randint(1, 2)
    asked = [person.ask_forecast(random.choice([None, *person.scenarios])) for _ in range(times)]
    return [forecast for forecast in asked if forecast is not None]


def settle(waiting: list[tuple[Person, int]], random: Random) -> None:
    """Everybody waits for what they asked for; most then want to know why it says what it says."""
    for person, forecast_id in waiting:
        if person.wait_for_forecast(forecast_id) and random.random() < 0.7:
            person.use_trust_layer(forecast_id, random.sample(list(TRUST), random.randint(1, 3)))


def make_mistakes(people: list[Person], redis_url: str) -> None:
    """A page that is not there, another company's scenario, and a scenario without a name."""
    someone = people[0]
    someone.ask("GET", UNMATCHED, path="/api/invoices", expect=(404,))
    foreign = next(
        (p.scenarios for p in people if p.company != someone.company and p.scenarios), []
    )
    if foreign:
        someone.ask("GET", SCENARIO, number=foreign[0]["id"], expect=(404,))
        if redis_url:
            meet_wrong_row(someone, foreign[0], redis_url)
    someone.ask("POST", "/api/scenarios", body={"name": ""}, expect=(400,))


def meet_wrong_row(person: Person, foreign: dict[str, Any], redis_url: str) -> None:
    """Somebody has put another company's row into the person's part of the cache."""
    from redis import Redis

    key = f"accubooks:scenario:{person.tenant_id}:{foreign['id']}"
    with Redis.from_url(redis_url) as cache:
        cache.set(key, json.dumps(foreign))
        person.ask("GET", SCENARIO, number=foreign["id"], expect=(404,))
        cache.delete(key)
    person.counts.violations += 1


def grow(people: list[Person]) -> None:
    """Somebody moves up from each tier, as long as two stay behind."""
    for before, after in (("STARTER", "PRO"), ("FREE", "STARTER")):
        there = [person for person in people if person.tier == before]
        if len(there) > 2:
            there[0].upgrade(after)


def main() -> None:
    parser = argparse.ArgumentParser(description="Play people who use AccuBooks over HTTP.")
    parser.add_argument("base_url")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--redis", default="", help="its cache, for a wrong row in it")
    given = parser.parse_args()

    def show(done: int, total: int, text: str) -> None:
        print(f"{done}/{total} {text}", flush=True)

    counts = play(
        given.base_url, rounds=given.rounds, seed=given.seed, redis_url=given.redis, on_step=show
    )
    for name, value in vars(counts).items():
        print(f"{name}: {dict(value) if isinstance(value, Counter) else value}")


if __name__ == "__main__":
    main()
