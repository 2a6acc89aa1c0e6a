"""Reading the mails of a `Mailbox` by IMAP, as far as looking for one needs it (RFC 3501).

In a test: with Mailbox() as mailbox, ImapServer(mailbox, "me@books.example", "secret") as imap: ...
"""

from __future__ import annotations

import re
import socketserver
import threading
from collections.abc import Callable
from email.message import EmailMessage
from types import TracebackType
from typing import TYPE_CHECKING
from urllib.parse import quote

from otel_accubooks.stack.mailbox import Mailbox
from otel_accubooks.stack.ports import LOOPBACK, free_port

if TYPE_CHECKING:
    from typing_extensions import Self

LONGEST_LINE = 8192
_COMMAND = re.compile(r"(?P<tag>\S+) (?P<name>[A-Za-z]+)(?: (?P<rest>.*))?")
_WORD = re.compile(r'"((?:[^"\\]|\\.)*)"|(\S+)')
_SUBJECT = re.compile(r'(?:CHARSET \S+ )?SUBJECT (?:"([^"]*)"|(\S+))', re.IGNORECASE)
_FIELDS = re.compile(r"(\d+) \(?BODY\.PEEK\[HEADER\.FIELDS \(([A-Z \-]+)\)\]\)?", re.IGNORECASE)


class ImapServer:
    """Shows every mail of `mailbox`, whomever it was for, to who logs in; nothing can be changed."""

    def __init__(self, mailbox: Mailbox, user: str, password: str) -> None:
        self.mailbox, self.user, self.password = mailbox, user, password
        self.port = free_port()
        self._server: _Server | None = None

    @property
    def url(self) -> str:
        """imap://user@127.0.0.1:port"""
        return f"imap://{quote(self.user, safe='')}@{LOOPBACK}:{self.port}"

    def __enter__(self) -> Self:
        self._server = _Server((LOOPBACK, self.port), self)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], imap: ImapServer) -> None:
        self.imap = imap
        super().__init__(address, _Session)


class _Session(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        self._imap = self.server.imap
        self._known = self._selected = False
        self._mails: list[EmailMessage] = []
        self._say("* OK [CAPABILITY IMAP4rev1] ready")
        while line := self.rfile.readline(LONGEST_LINE):
            command = _COMMAND.fullmatch(line.decode("utf-8", "replace").rstrip("\r\n"))
            if command is None:
                self._say("* BAD expected a tag and a command")
                continue
            name = command["name"].upper()
            done = self._commands().get(name, self._unknown)(command["rest"] or "")
            self._say(f"{command['tag']} {done}")
            if name == "LOGOUT":
                return

    def _commands(self) -> dict[str, Callable[[str], str]]:
        always = {
            "CAPABILITY": self._capability,
            "NOOP": self._noop,
            "LOGIN": self._login,
            "LOGOUT": self._logout,
        }
        known = {"SELECT": self._select, "EXAMINE": self._select} if self._known else {}
        selected = {"SEARCH": self._search, "FETCH": self._fetch} if self._selected else {}
        return {**always, **known, **selected}

    def _unknown(self, _: str) -> str:
        return "BAD not known, or not now"

    def _capability(self, _: str) -> str:
        self._say("* CAPABILITY IMAP4rev1")
        return "OK done"

    def _login(self, rest: str) -> str:
        words = [quoted or plain for quoted, plain in _WORD.findall(rest)]
        if words != [self._imap.user, self._imap.password]:
            return "NO [AUTHENTICATIONFAILED] invalid credentials"
        self._known = True
        return "OK logged in"

    def _logout(self, _: str) -> str:
        self._say("* BYE")
        return "OK done"

    def _select(self, rest: str) -> str:
        if rest.strip('"').upper() != "INBOX":
            return "NO [NONEXISTENT] there is no such mailbox"
        self._selected = True
        self._say("* FLAGS (\\Seen)")
        self._noop("")
        self._say("* OK [UIDVALIDITY 1]")
        return "OK [READ-ONLY] done"

    def _noop(self, _: str) -> str:
        # Only here may a client be told of new mail.
        if self._selected:
            self._mails = [mail.message for mail in self._imap.mailbox.mails()]
            self._say(f"* {len(self._mails)} EXISTS")
        return "OK done"

    def _search(self, rest: str) -> str:
        asked = _SUBJECT.fullmatch(rest)
        if asked is None:
            return "BAD expected SUBJECT and a text"
        text = (asked[1] or asked[2]).lower()
        found = [
            str(number)
            for number, mail in enumerate(self._mails, 1)
            if text in str(mail["Subject"]).lower()
        ]
        self._say(" ".join(["* SEARCH", *found]))
        return "OK done"

    def _fetch(self, rest: str) -> str:
        asked = _FIELDS.fullmatch(rest)
        if asked is None or not 1 <= int(asked[1]) <= len(self._mails):
            return "BAD expected a mail's number and BODY.PEEK[HEADER.FIELDS (...)]"
        mail, wanted = self._mails[int(asked[1]) - 1], asked[2].upper().split()
        lines = [
            mail.policy.fold(name, value)
            for name, value in mail.raw_items()
            if name.upper() in wanted
        ]
        raw = "".join(lines).replace("\r\n", "\n").replace("\n", "\r\n").encode() + b"\r\n"
        head = f"* {asked[1]} FETCH (BODY[HEADER.FIELDS ({asked[2]})] {{{len(raw)}}}\r\n"
        self.wfile.write(head.encode() + raw + b")\r\n")
        return "OK done"

    def _say(self, line: str) -> None:
        self.wfile.write(line.encode() + b"\r\n")
