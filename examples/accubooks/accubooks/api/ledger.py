"""The ledger as a CSV file, streamed: it never is in memory as a whole."""

from contextlib import ExitStack

from flask import Blueprint, Response, session
from flask.typing import ResponseReturnValue

from accubooks.api.context import services, signed_in
from accubooks.ledger import LINES, csv_lines

blueprint = Blueprint("ledger", __name__)
blueprint.before_request(signed_in)


@blueprint.get("/api/export")
def export() -> ResponseReturnValue:
    with ExitStack() as stack:
        cursor = stack.enter_context(services().database.transaction(name="export"))
        cursor.execute(LINES, (session["tenant_id"],))
        response = Response(csv_lines(cursor), mimetype="text/csv")
        # The connection goes back to the pool when the last line is sent, or the reader has left.
        response.call_on_close(stack.pop_all().close)
    return response
