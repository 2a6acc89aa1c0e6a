"""An application that uses what is secret and personal as applications do, and fails with it."""

APP = """
import json
import logging
import os
from pathlib import Path

WORD = json.loads(Path("canaries.json").read_text())


class Lines(logging.Formatter):
    def format(self, record):
        return json.dumps([record.name, super().format(record)])


handler = logging.FileHandler("app.log")
handler.setFormatter(Lines())
logging.basicConfig(level=logging.DEBUG, handlers=[handler])

import psycopg2
import psycopg2.extras
import psycopg2.pool
import redis
from flask import Flask, jsonify, request, session
from opentelemetry import metrics
from rq import Queue

import jobs

app = Flask(__name__)
app.secret_key = os.environ["FLASK_SECRET"]
store = redis.Redis.from_url(os.environ["REDIS_URL"])
queue = Queue("books", connection=store)
own = metrics.get_meter("own", attributes={"password": WORD["own_password"]}).create_counter("own_total")
pools = []


def connected():
    if not pools:
        pools.append(psycopg2.pool.ThreadedConnectionPool(1, 3, os.environ["DATABASE_URL"]))
        with pools[0].getconn() as connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE IF NOT EXISTS people (email text PRIMARY KEY)")
        pools[0].putconn(connection)
    return pools[0]


@app.route("/people/<path:rest>", methods=["GET", "POST"])
def people(rest):
    session["user_id"] = request.headers["X-User"]
    session["tier"] = request.headers["X-Tier"]
    given = [rest, request.args.get("token"), request.form.get("form"), request.get_json(silent=True)]
    pool = connected()
    connection = pool.getconn()
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT %s, '" + WORD["sql_text"] + "'", (WORD["parameter"],))
        cursor.execute(f"SELECT '{WORD['email']}' -- {WORD['parameter']}")
        rows = [(WORD["parameter"],)] * 3
        psycopg2.extras.execute_values(cursor, "SELECT * FROM (VALUES %s) v", rows)
    pool.putconn(connection)
    store.set(f"user:{WORD['redis_key']}", WORD["redis_value"])
    store.get(f"user:{WORD['redis_key']}")
    store.hset(WORD["redis_key"] + "h", WORD["hash_field"], WORD["redis_value"])
    store.execute_command("ECHO", WORD["command_argument"])
    store.pipeline().get(WORD["cache_key"]).mget(WORD["redis_key"], WORD["cache_key"]).execute()
    own.add(1, {
        "contact": WORD["own_email"], "card": WORD["own_card"], "session": WORD["own_jwt"],
        "address": WORD["own_url"], "db_password": WORD["own_password"], "header": WORD["own_bearer"],
    })
    logging.getLogger("books").error("saw %s %s", WORD["log_record"], given)
    return jsonify(tier=WORD["tier"], secret=WORD["answer"])


class Broken(LookupError):
    pass


@app.get("/fail")
def fail():
    raise Broken(WORD["exception"])


@app.get("/chained")
def chained():
    try:
        raise ValueError(WORD["chained"])
    except ValueError as error:
        raise RuntimeError(WORD["exception"]) from error


@app.get("/stream")
def stream():
    def body():
        yield WORD["streamed"]
        raise RuntimeError(WORD["streamed"])
    return body()


@app.get("/sql-error")
def sql_error():
    pool = connected()
    connection = pool.getconn()
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute("INSERT INTO people VALUES (%s) ON CONFLICT DO NOTHING", (WORD["duplicate"],))
        with connection, connection.cursor() as cursor:
            cursor.execute("INSERT INTO people VALUES (%s)", (WORD["duplicate"],))
    finally:
        pool.putconn(connection)


@app.get("/redis-error")
def redis_error():
    store.set("text", "text")
    store.execute_command("LPUSH", "text", WORD["command_argument"])


@app.get("/jobs")
def work():
    queue.enqueue(jobs.succeed, WORD["job_argument"], tier=WORD["tier"], job_id=None)
    queue.enqueue(jobs.fail, WORD["job_argument"])
    headers = {"h": WORD["task_header"]}
    jobs.task.apply_async((WORD["task_argument"],), {"tier": WORD["tier"]}, headers=headers)
    jobs.failing.delay(WORD["task_argument"])
    return "enqueued"


@app.post("/logout")
def logout():
    session.clear()
    return "bye"
"""

JOBS = """
import json
import os
from pathlib import Path

import redis
from celery import Celery

WORD = json.loads(Path("canaries.json").read_text())
app = Celery("jobs", broker=os.environ["BROKER_URL"])
app.conf.broker_connection_retry_on_startup = True


def done():
    redis.Redis.from_url(os.environ["REDIS_URL"]).rpush("done", "1")


def succeed(argument, tier=None):
    done()
    return {"tier": WORD["job_result"]}


def fail(argument):
    done()
    raise LookupError(WORD["job_exception"])


@app.task(name="books.task")
def task(argument, tier=None):
    done()
    return {"tier": WORD["job_result"]}


@app.task(name="books.failing")
def failing(argument):
    done()
    raise LookupError(WORD["task_exception"])
"""

RULES = """
[user]
id = "session.user_id"
tier = "header.X-Tier"
logout = { method = "POST", route = "/logout" }

[[request]]
method = "POST"
route = "/people/<path:rest>"
status = "2xx"
count = "scenarios_created_total"
labels = { tier = "json.tier" }

[[job]]
function = "jobs.succeed"
outcome = "success"
count = "forecasts_generated_total"
labels = { tier = "result.tier" }

[[exception]]
class = "builtins.LookupError"
count = "calculation_errors_total"
labels = { kind = { value = "ledger" } }

[[log]]
logger = "books"
level = "ERROR"
count = "tenant_isolation_violations_total"
labels = { kind = { value = "query" } }
"""
