"""Who uses an application, by the rule that says who the user is."""

import flask
import pytest

from otel_accubooks.recorder.presence import SESSIONS, USERS
from otel_accubooks.recorder.process import recorder

ASK_SESSION = """
[user]
id = "session.user"
logout = { method = "POST", route = "/logout" }
"""


@pytest.fixture
def members(shop):
    """An application with a login, a logout and a page."""

    @shop.app.post("/login/<user>")
    def login(user):
        flask.session["user"] = user
        return ""

    @shop.app.post("/logout")
    def logout():
        flask.session.clear()
        return "", 204 if "refuse" not in flask.request.args else 409

    shop.app.get("/")(lambda: "page")
    return shop


def test_a_user_is_one_however_many_requests_there_are(members):
    """Users are told apart by the id, and nobody is counted for those who are none."""
    members.under(ASK_SESSION)
    for user in ("ada", "ada", "eve"):
        client = members.app.test_client()
        client.post(f"/login/{user}")
        client.get("/")
    members.app.test_client().get("/")
    assert (members.present(USERS), members.present(SESSIONS)) == (2, 2)


def test_a_logout_ends_the_session_at_once(members):
    """Also where the view has cleared the session, by which the user was known, before."""
    client = members.under(ASK_SESSION)
    client.post("/login/ada")
    client.post("/logout?refuse=1")
    client.post("/login/ada")
    client.post("/logout")
    assert (members.present(USERS), members.present(SESSIONS)) == (1, 0)


def test_a_sign_of_life_after_a_logout_begins_a_session(members):
    """It is written at once, though the user was seen a moment ago."""
    client = members.under(ASK_SESSION)
    for step in ("/login/ada", "/logout", "/login/ada"):
        client.post(step)
    assert members.present(SESSIONS) == 1


def test_the_id_of_a_user_stays_in_the_process(members):
    """In shared memory there is nothing but a number that only this deployment's key leads to."""
    members.under(ASK_SESSION).post("/login/ada.lovelace")
    folder = recorder.folder.path
    assert members.present(USERS) == 1
    assert not any(b"lovelace" in path.read_bytes() for path in folder.iterdir())
