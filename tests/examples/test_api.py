"""AccuBooks over HTTP: gunicorn with two workers, PostgreSQL, Redis and an RQ worker."""

import csv
import io
from concurrent.futures import ThreadPoolExecutor

import pytest


def scenario(name: str = "more sales", income: int = 10, expense: int = 0) -> dict[str, object]:
    return {"name": name, "income_percent": income, "expense_percent": expense}


def test_a_login_says_who_it_is(site):
    """The answer and the session have user, tenant and tier."""
    client, answer = site.browser(), {"email": "pro@acorn.example", "password": site.password}
    said = client.post("/login", json=answer).json()
    assert said["tier"] == "PRO"
    assert client.get("/").json() == {
        "name": "AccuBooks",
        "user_id": said["user_id"],
        "tier": "PRO",
    }


@pytest.mark.parametrize("email", ["pro@acorn.example", "nobody@acorn.example"])
def test_a_wrong_login_does_not_say_what_was_wrong(site, email):
    """An unknown address and a wrong password get the same answer."""
    answer = site.browser().post("/login", json={"email": email, "password": "battery staple"})
    assert (answer.status_code, answer.json()) == (401, {"error": "wrong email or password"})


def test_nothing_without_a_session(site):
    """Each part of the interface asks for a login, in JSON."""
    client = site.browser()
    for method, path in [
        ("GET", "/api/scenarios"),
        ("POST", "/api/forecasts"),
        ("GET", "/api/export"),
        ("POST", "/api/upgrade"),
    ]:
        answer = client.request(method, path)
        assert (answer.status_code, list(answer.json())) == (401, ["error"])


def test_logout_ends_the_session(site):
    """Afterwards the interface asks for a login again."""
    client = site.sign_in("pro@acorn.example")
    assert client.post("/logout").status_code == 204
    assert client.get("/api/scenarios").status_code == 401


def test_a_scenario_comes_from_the_cache_the_second_time(site):
    """The first read is a miss, the second a hit, and both say the same."""
    client = site.sign_in("pro@acorn.example")
    created = client.post("/api/scenarios", json=scenario())
    assert created.status_code == 201
    reads = [client.get(f"/api/scenarios/{created.json()['id']}") for _ in range(2)]
    assert [read.headers["X-Cache"] for read in reads] == ["miss", "hit"]
    assert [read.json() for read in reads] == [created.json()] * 2
    assert created.json() in client.get("/api/scenarios").json()


def test_a_deleted_scenario_is_gone_from_the_cache_too(site):
    """Nobody sees it again, however recently it was read."""
    client = site.sign_in("pro@acorn.example")
    path = f"/api/scenarios/{client.post('/api/scenarios', json=scenario()).json()['id']}"
    assert client.get(path).status_code == 200
    assert client.delete(path).status_code == 204
    assert client.get(path).status_code == 404
    assert client.delete(path).status_code == 404


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"income_percent": 1}, "name must be a text of 1 to 100 printable characters"),
        (scenario(name="x" * 101), "name must be a text of 1 to 100 printable characters"),
        (scenario(name="\0"), "name must be a text of 1 to 100 printable characters"),
        (scenario(income=101), "income_percent must be a whole number from -100 to 100, not 101"),
        (scenario(expense=True), "expense_percent must be a whole number from -100 to 100"),
        ([1], "the body must be a JSON object"),
    ],
)
def test_a_wrong_field_is_named(site, body, message):
    """The answer is 400 and says what was found and what was expected."""
    answer = site.sign_in("pro@acorn.example").post("/api/scenarios", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(message)


def test_a_tier_has_room_for_so_many_scenarios(site):
    """The one too many is refused with the kind of limit; deleting one makes room."""
    client = site.sign_in("free@acorn.example")
    made = [client.post("/api/scenarios", json=scenario()) for _ in range(4)]
    assert [answer.status_code for answer in made] == [201, 201, 201, 403]
    limit = {"error": "limit", "limit_type": "scenarios", "limit": 3, "tier": "FREE"}
    assert made[3].json() == limit
    client.delete(f"/api/scenarios/{made[0].json()['id']}")
    assert client.post("/api/scenarios", json=scenario()).status_code == 201


def test_the_last_place_is_given_once(site):
    """Of many requests at once, over two workers, only as many succeed as the tier allows."""
    client = site.sign_in("free@birch.example")
    cookies = dict(client.cookies)

    def create(_: int) -> int:
        with site.browser(cookies) as other:
            return other.post("/api/scenarios", json=scenario()).status_code

    with ThreadPoolExecutor(8) as threads:
        statuses = sorted(threads.map(create, range(8)))
    assert statuses == [201] * 3 + [403] * 5


@pytest.mark.parametrize(("tier", "months"), [("free", 3), ("starter", 6), ("pro", 12)])
def test_a_forecast_reaches_as_far_as_the_tier(site, tier, months):
    """It is accepted at once and computed by the worker."""
    client = site.sign_in(f"{tier}@cedar.example")
    accepted = client.post("/api/forecasts", json={})
    assert (accepted.status_code, accepted.json()["status"]) == (202, "queued")
    assert site.jobs.fetch_job(accepted.json()["job_id"]) is not None
    done = site.wait(client, accepted.json()["id"])
    assert (done["status"], len(done["months"])) == ("finished", months)


def test_a_forecast_uses_its_scenario(site):
    """All income gone leaves the expenses alone."""
    client = site.sign_in("pro@cedar.example")
    nothing = client.post("/api/scenarios", json=scenario(income=-100)).json()["id"]
    asked = client.post("/api/forecasts", json={"scenario_id": nothing}).json()["id"]
    for month in site.wait(client, asked)["months"]:
        assert month["income_cents"] == 0
        assert month["net_cents"] == -month["expense_cents"] < 0


def test_the_trust_layer_speaks_of_this_forecast(site):
    """All three components are made from the stored forecast."""
    client = site.sign_in("pro@cedar.example")
    asked = client.post("/api/forecasts", json={}).json()["id"]
    months = site.wait(client, asked)["months"]
    parts = ("explanation", "assumptions", "confidence")
    said = {part: client.get(f"/api/forecasts/{asked}/{part}").json() for part in parts}
    results = [step["income"]["result_cents"] for step in said["explanation"]["steps"]]
    assert results == [month["income_cents"] for month in months]
    assert said["assumptions"]["history"]["months"] == 36
    assert 0 < said["confidence"]["score"] <= 100


@pytest.mark.parametrize(
    ("company", "kind", "reason"),
    [
        ("sapling", "InsufficientHistory", "the ledger has 9 months"),
        ("crooked", "CalculationError", "out of balance by"),
    ],
)
def test_a_forecast_that_cannot_be_made_fails(site, company, kind, reason):
    """The user reads the reason, the queue has the exception, and the trust layer has no part."""
    client = site.sign_in(f"pro@{company}.example")
    asked = client.post("/api/forecasts", json={}).json()
    done = site.wait(client, asked["id"])
    assert done["status"] == "failed"
    assert reason in done["reason"]
    assert kind in site.failure_of(asked["job_id"])
    assert client.get(f"/api/forecasts/{asked['id']}/confidence").status_code == 409


def test_a_failed_forecast_does_not_use_up_the_tier(site):
    """Only what was delivered counts against the limit."""
    client = site.sign_in("free@sapling.example")
    for _ in range(3):
        asked = client.post("/api/forecasts", json={})
        assert asked.status_code == 202
        site.wait(client, asked.json()["id"])


def test_a_tier_has_room_for_so_many_forecasts(site):
    """The one too many is refused with the kind of limit."""
    client = site.sign_in("free@birch.example")
    asked = [client.post("/api/forecasts", json={}) for _ in range(3)]
    assert [answer.status_code for answer in asked] == [202, 202, 403]
    limit = {"error": "limit", "limit_type": "forecasts", "limit": 2, "tier": "FREE"}
    assert asked[2].json() == limit


def test_other_tenants_are_not_there(site):
    """A foreign scenario or forecast answers as if it did not exist, whatever is done with it."""
    owner, stranger = site.sign_in("pro@acorn.example"), site.sign_in("pro@birch.example")
    theirs = owner.post("/api/scenarios", json=scenario()).json()["id"]
    forecast = owner.post("/api/forecasts", json={}).json()["id"]
    site.wait(owner, forecast)
    answers = [
        stranger.get(f"/api/scenarios/{theirs}"),
        stranger.delete(f"/api/scenarios/{theirs}"),
        stranger.post("/api/forecasts", json={"scenario_id": theirs}),
        stranger.get(f"/api/forecasts/{forecast}"),
        stranger.get(f"/api/forecasts/{forecast}/explanation"),
    ]
    assert [answer.status_code for answer in answers] == [404] * 5
    assert theirs not in [row["id"] for row in stranger.get("/api/scenarios").json()]
    assert owner.get(f"/api/scenarios/{theirs}").status_code == 200


def test_an_upgrade_counts_at_once(site):
    """The answer says from where to where, and session and limits follow."""
    client = site.sign_in("free@crooked.example")
    answer = client.post("/api/upgrade", json={"tier": "PRO"})
    assert (answer.status_code, answer.json()) == (200, {"from": "FREE", "to": "PRO"})
    assert client.get("/").json()["tier"] == "PRO"
    made = [client.post("/api/scenarios", json=scenario()).status_code for _ in range(4)]
    assert made == [201] * 4


@pytest.mark.parametrize(("tier", "status"), [("FREE", 409), ("STARTER", 409), ("GOLD", 400)])
def test_what_is_no_upgrade_is_refused(site, tier, status):
    """Neither down, nor to the same, nor to what is not sold."""
    client = site.sign_in("starter@acorn.example")
    assert client.post("/api/upgrade", json={"tier": tier}).status_code == status
    assert client.get("/").json()["tier"] == "STARTER"


def test_the_export_is_the_whole_ledger_of_the_tenant(site):
    """Streamed in chunks; every line is there and they add up to nothing."""
    answer = site.sign_in("pro@acorn.example").get("/api/export")
    assert answer.headers["Content-Type"].startswith("text/csv")
    assert answer.headers["Transfer-Encoding"] == "chunked"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(rows) == 36 * 17 * 2
    assert sum(int(row["amount"].replace(".", "")) for row in rows) == 0


def test_an_abandoned_export_returns_its_connection(site):
    """More readers leave in the middle than the pools have connections, and the next is served."""
    client = site.sign_in("pro@acorn.example")
    for _ in range(25):
        with client.stream("GET", "/api/export") as answer:
            next(answer.iter_bytes(100))
    assert client.get("/api/export").status_code == 200


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/no", 404), ("PUT", "/", 405)])
def test_what_is_not_there_is_answered_in_json(site, method, path, status):
    """Errors of the framework look like the application's own."""
    answer = site.browser().request(method, path)
    assert (answer.status_code, list(answer.json())) == (status, ["error"])
