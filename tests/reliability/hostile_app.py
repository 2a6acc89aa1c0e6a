"""An application that passes on whatever a client sends: to SQL, to Redis, to queues and into labels."""

APP = """
import json
import os

import psycopg2
import redis
from flask import Flask, jsonify, request, session
from rq import Queue

app = Flask(__name__)
app.secret_key = "a secret of a test"
store = redis.Redis.from_url(os.environ["REDIS_URL"])
reached = os.open(os.environ["REACHED"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
inner = app.wsgi_app


def counting(environ, start_response):
    os.write(reached, b"1")
    return inner(environ, start_response)


app.wsgi_app = counting


def cursor():
    connection = psycopg2.connect(os.environ["DATABASE_URL"], options="-c statement_timeout=5s")
    connection.autocommit = True
    return connection.cursor()


def tried(doing):
    try:
        doing()
        return "done"
    except Exception as error:
        return type(error).__name__


@app.route("/item/<path:name>", methods=["GET", "POST", "PUT", "DELETE"])
def item(name):
    return str(len(name))


@app.post("/tier")
def tier():
    body = request.get_json(silent=True)
    session["user_id"] = request.headers.get("X-User", "")
    return jsonify(tier=body.get("tier") if isinstance(body, dict) else body)


@app.post("/sql")
def sql():
    return tried(lambda: cursor().execute(request.get_data()))


@app.post("/text")
def text():
    return tried(lambda: cursor().execute(request.get_data().decode("utf-8", "surrogateescape")))


@app.post("/texts/<int:number>")
def texts(number):
    with cursor() as open_one:
        for one in range(number):
            open_one.execute(f"SELECT {one}, '{request.headers['X-Round']}'")
    return "done"


@app.post("/redis")
def command():
    return tried(lambda: store.execute_command(*request.get_data().split(b" ")))


@app.post("/key")
def key():
    given = request.get_data()
    return tried(lambda: (store.set(given, given), store.get(given), store.delete(given)))


@app.post("/queues/<int:number>")
def queues(number):
    name = request.get_data().decode("utf-8", "surrogateescape")
    some = [f"{name}{one}" for one in range(number)]
    return tried(lambda: [Queue(one, connection=store).enqueue("books.nothing") for one in some])
"""

RULES = """
[user]
id = "session.user_id"
tier = "header.X-Tier"

[[request]]
method = "POST"
route = "/tier"
status = "2xx"
count = "scenarios_created_total"
labels = { tier = "json.tier" }
"""
