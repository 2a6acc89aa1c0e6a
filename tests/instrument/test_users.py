"""Who uses an application, by the rule that says who the user is."""

import time

import flask
import pytest

from otel_accubooks import business as api
from otel_accubooks.recorder.folder import StateFolder
from otel_accubooks.recorder.process import recorder

ASK_SESSION = """
[user]
id = "session.user"
logout = { method = "POST", route = "/logout" }
"""


@pytest.fixture
def unshared(monkeypatch, tmp_path):
    """A service whose folder cannot be made: a file is in its place."""
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(recorder, "folder", StateFolder(tmp_path / "file" / "service"))


def test_where_nothing_can_be_shared_the_application_goes_on(shop, members, unshared):
    """Users are known by a key of this process: neither a request nor a call fails by it."""
    client = shop.under(ASK_SESSION)
    assert client.post("/login/ann").status_code == 200
    assert client.get("/").status_code == 200
    api.user_seen("bob")
    api.session_ended("bob")


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

    @shop.app.get("/explained")
    def explained():
        api.count("trust_layer_usage_total", component="calculation_explainer")
        return ""

    shop.app.get("/")(lambda: "page")
    return shop


def trusting(members):
    return len(members.recorded().visits.trusting(time.time()))


def test_a_user_is_one_however_many_requests_there_are(members):
    """Users are told apart by the id, and nobody is counted for those who are none."""
    members.under(ASK_SESSION)
    for user in ("ada", "ada", "eve"):
        client = members.app.test_client()
        client.post(f"/login/{user}")
        client.get("/")
    members.app.test_client().get("/")
    assert members.present() == (2, 2)


def test_a_logout_ends_the_session_at_once(members):
    """Also where the view has cleared the session, by which the user was known, before."""
    client = members.under(ASK_SESSION)
    client.post("/login/ada")
    client.post("/logout?refuse=1")
    client.post("/login/ada")
    client.post("/logout")
    assert members.present() == (1, 0)


def test_a_sign_of_life_after_a_logout_begins_a_session(members):
    """It is written at once, though the user was seen a moment ago."""
    client = members.under(ASK_SESSION)
    for step in ("/login/ada", "/logout", "/login/ada"):
        client.post(step)
    assert members.present() == (1, 1)


def test_the_id_of_a_user_stays_in_the_process(members):
    """In shared memory there is nothing but a number that only this deployment's key leads to."""
    members.under(ASK_SESSION).post("/login/ada.lovelace")
    folder = recorder.folder.path
    assert members.present() == (1, 1)
    assert not any(b"lovelace" in path.read_bytes() for path in folder.iterdir())


def test_a_logout_is_noticed_where_sessions_are_kept_on_the_server(members):
    """The session that came with the request is looked at before the view takes it away."""
    kept = {}

    class Kept(dict, flask.sessions.SessionMixin):
        pass

    class OnServer(flask.sessions.SessionInterface):
        def open_session(self, app, request):
            return Kept(kept)

        def save_session(self, app, session, response):
            kept.clear()
            kept.update(session)

    members.app.session_interface = OnServer()
    client = members.under(ASK_SESSION)
    client.post("/login/ada")
    assert members.present() == (1, 1)
    client.post("/logout")
    assert members.present() == (1, 0)


TRUST = """
[[request]]
method = "GET"
route = "/"
status = "2xx"
count = "trust_layer_usage_total"
labels = { component = { value = "assumptions_panel" } }
"""


def test_who_uses_a_trust_component_is_known(members):
    """By a rule or by a call in the request, whoever makes it; nobody for those who are none."""
    members.under(ASK_SESSION + TRUST)
    for user, page in (("ada", "/"), ("eve", "/explained"), ("bob", "/nowhere")):
        client = members.app.test_client()
        client.post(f"/login/{user}")
        client.get(page)
    members.app.test_client().get("/explained")
    assert members.present() == (3, 3)
    assert trusting(members) == 2


def test_a_user_whom_the_view_names_may_be_trusting_too(members):
    """Without a rule for users, in either order, and for each request anew."""

    @members.app.get("/named/<user>/<order>")
    def named(user, order):
        for step in order:
            if step == "u":
                api.user_seen(user)
            else:
                api.count("trust_layer_usage_total", component="assumptions_panel")
        return ""

    client = members.under("")
    for page in ("ada/ut", "eve/tu", "bob/t", "cid/u"):
        client.get(f"/named/{page}")
    assert members.present() == (3, 3)
    assert trusting(members) == 2
