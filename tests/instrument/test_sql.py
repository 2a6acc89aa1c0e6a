"""The verb of a SQL text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import sql as psycopg_sql
from psycopg2.sql import SQL, Composed, Identifier, Literal, Placeholder

from otel_accubooks.contract.metrics import SQL_VERBS
from otel_accubooks.instrument.sql import SCANNED_CHARACTERS, text_of, verb, without_values

PLAIN = ["SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "CALL", "EXPLAIN", "VALUES", "OTHER"]
noise = st.lists(
    st.sampled_from(
        [" ", "\n\t", ";", "(", "-- select 'it\n", "/* delete */", "/* a /* nested */ b */", "--\r"]
    )
).map("".join)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("select 1", "SELECT"),
        ("Insert INTO t VALUES (1)", "INSERT"),
        ("((SELECT 1) UNION (SELECT 2))", "SELECT"),
        ("INSERT2(1, 2)", "OTHER"),
        ("start transaction", "BEGIN"),
        ("END", "COMMIT"),
        ("ABORT", "ROLLBACK"),
        ("analyse t", "ANALYZE"),
        ("EXPLAIN ANALYZE DELETE FROM t", "EXPLAIN"),
        ("copy t from stdin", "COPY"),
        ("/* never closed", "OTHER"),
        ("", "OTHER"),
        ("%s", "OTHER"),
        ("élan", "OTHER"),
    ],
)
def test_the_first_word_is_the_verb(text, expected):
    """Whatever its case, the first word decides; a word that is no known verb is OTHER."""
    assert verb(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("WITH a AS (SELECT 1) UPDATE t SET x = 1", "UPDATE"),
        ("WITH a AS (DELETE FROM t RETURNING *) SELECT * FROM a", "SELECT"),
        ("WITH RECURSIVE a(n) AS (VALUES (1)) INSERT INTO t SELECT n FROM a", "INSERT"),
        ("with a as materialized (select 1), b as not materialized (select 2) table a", "TABLE"),
        ("WITH a AS (SELECT 1) (SELECT 2)", "SELECT"),
        ("WITH a AS (SELECT 1) (WITH b AS (SELECT 2) (VALUES (1)))", "VALUES"),
        ("WITH update AS (SELECT 1), delete AS (SELECT 2) SELECT 3", "SELECT"),
        ('WITH "a) UPDATE" AS (SELECT 1) DELETE FROM t', "DELETE"),
        ("WITH a AS (SELECT ') INSERT', 'it''s )') DELETE FROM t", "DELETE"),
        (r"WITH a AS (SELECT E'\') INSERT') DELETE FROM t", "DELETE"),
        (r"WITH a AS (SELECT '\') DELETE FROM t", "DELETE"),
        ("WITH a AS (SELECT $$ ) INSERT $$, $x$ $$ ) $x$) DELETE FROM t", "DELETE"),
        ("WITH a AS (SELECT 1 -- ) INSERT\n /* ) INSERT */ ) DELETE FROM t", "DELETE"),
        ("WITH a AS (SELECT 4 - 2 / 1) DELETE FROM t", "DELETE"),
        (
            "WITH a AS (SELECT 1) SEARCH DEPTH FIRST BY update SET select_ "
            "CYCLE delete SET merge TO 1 DEFAULT 0 USING values DELETE FROM t",
            "DELETE",
        ),
        ("WITH a AS (SELECT 1", "OTHER"),
        ("WITH", "OTHER"),
    ],
)
def test_a_with_has_the_verb_of_its_main_statement(text, expected):
    """Common table expressions are skipped, with strings, names, dollar quotes and comments."""
    assert verb(text) == expected


@given(st.one_of(st.text(), st.binary(), st.text(alphabet="WITHwith aAsS()'\"$-/*;,\n"), st.none()))
def test_anything_gets_a_verb_of_the_closed_set(query):
    """No input raises, and no input makes a new label value."""
    assert verb(text_of(query)) in SQL_VERBS


@given(noise, st.sampled_from(PLAIN), st.booleans())
def test_comments_parentheses_and_case_do_not_change_the_verb(before, word, lower):
    """What stands before the first word is skipped."""
    assert verb(before + (word.lower() if lower else word) + " x") == word


@given(noise.filter(lambda text: "(" not in text and ";" not in text), st.sampled_from(PLAIN[:5]))
def test_comments_between_the_parts_of_a_with_do_not_change_the_verb(between, word):
    """Comments and white space may stand anywhere."""
    text = f"WITH{between} a{between} AS{between} (SELECT{between} 1){between} {word} x"
    assert verb(text) == word


def test_bytes_are_understood():
    """A query may be bytes, as execute_values sends it, in any encoding."""
    assert verb(text_of(b"INSERT INTO t VALUES ('\xff')")) == "INSERT"


class Unrendered(SQL):
    def as_string(self, context):
        raise AssertionError("rendered")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (Unrendered("delete from t"), "DELETE"),
        (psycopg_sql.SQL("delete from {}").format(psycopg_sql.Identifier("t")), "DELETE"),
        (SQL("SELECT {} FROM {}").format(Literal("a"), Identifier("DELETE")), "SELECT"),
        (Composed([Unrendered("/* c */"), Composed([Unrendered(" UPDATE t")])]), "UPDATE"),
        (SQL("WITH {} AS ({}) DELETE").format(Identifier("a"), SQL("SELECT 1")), "DELETE"),
        (SQL("{} {}").format(Literal("SELECT"), Placeholder()), "OTHER"),
        (Composed([]), "OTHER"),
    ],
)
def test_composables_are_understood_without_rendering_them(query, expected):
    """Objects of the drivers' sql modules are read piece by piece."""
    assert verb(text_of(query)) == expected


def test_only_the_beginning_is_scanned():
    """A statement behind more than the limit is OTHER, whatever its size."""
    rows = "WITH a AS (VALUES (1)" + ", (1)" * 2_000_000
    assert verb(rows + ") DELETE FROM t") == "OTHER"
    assert verb("-" * SCANNED_CHARACTERS + "\nSELECT 1") == "OTHER"
    assert verb("SELECT " + "x" * 10_000_000) == "SELECT"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "SELECT * FROM t WHERE a = %s AND b = %(b)s",
            "SELECT * FROM t WHERE a = %s AND b = %(b)s",
        ),
        ("INSERT INTO t2 VALUES ('it''s', 1.5e3, -7)", "INSERT INTO t2 VALUES (?, ?, -?)"),
        (r"SELECT E'it\'s', $$ x $$, $a$ $$ $a$", "SELECT E?, ?, ?"),
        ('SELECT "a 1" /* hunter /* 2 */ */ FROM t -- hunter2', 'SELECT "a 1"   FROM t'),
        ("SELECT 'never closed", "SELECT ?"),
        ("GET ?", "GET ?"),
    ],
)
def test_a_text_can_be_told_without_its_values(text, expected):
    """Each literal is a question mark, comments are left out, names and placeholders stay."""
    assert without_values(text) == expected


@given(st.text("'\"$\\E-*/;( a1\n").map(lambda text: text.replace("'", "''")), noise)
def test_no_literal_is_ever_told(value, before):
    """Whatever stands in it, and before it."""
    assert "hunter" not in without_values(f"{before}\nSELECT 'hunter {value}'")
