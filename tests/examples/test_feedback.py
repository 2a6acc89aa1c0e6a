"""Tickets and opinions: what users tell AccuBooks."""

import pytest


def test_a_ticket_is_stored_with_its_priority(site):
    """The answer says which; without one it is normal."""
    client = site.sign_in("pro@acorn.example")
    for given, kept in ({"priority": "high"}, "high"), ({}, "normal"):
        answer = client.post("/api/tickets", json={"problem": "the numbers look odd", **given})
        assert (answer.status_code, answer.json()["priority"]) == (201, kept)


def test_the_last_opinion_of_a_user_counts(site):
    """One row for each user."""
    client = site.sign_in("free@acorn.example")
    for score in (3, 9):
        answer = client.post("/api/opinion", json={"score": score, "trusts": True})
        assert answer.status_code == 204
    with site.database() as database, database.transaction() as cursor:
        cursor.execute("SELECT score, trusts FROM opinions")
        assert [tuple(row.values()) for row in cursor.fetchall()] == [(9, True)]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/tickets", {"priority": "asap", "problem": "x"}),
        ("/api/tickets", {"priority": ["low"], "problem": "x"}),
        ("/api/tickets", {"priority": "low"}),
        ("/api/opinion", {"score": 11, "trusts": True}),
        ("/api/opinion", {"score": True, "trusts": True}),
        ("/api/opinion", {"score": 5, "trusts": "yes"}),
    ],
)
def test_a_wrong_field_is_named(site, path, body):
    """400, in JSON."""
    answer = site.sign_in("free@acorn.example").post(path, json=body)
    assert (answer.status_code, list(answer.json())) == (400, ["error"])


@pytest.mark.parametrize("path", ["/api/tickets", "/api/opinion"])
def test_only_who_is_signed_in_is_heard(site, path):
    """Others are asked for a login."""
    assert site.browser().post(path, json={}).status_code == 401
