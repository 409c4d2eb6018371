"""A mail server in a thread that takes everything; just enough SMTP (RFC 5321) for a client that sends."""

from __future__ import annotations

import socketserver
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from email.policy import default

from tests.listening import Listening


@dataclass
class Mailbox(Listening):
    """`with Mailbox() as mailbox:` listens on a free port of this machine."""

    messages: list[Message] = field(default_factory=list)

    def _serve(self) -> socketserver.TCPServer:
        mailbox = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.wfile.write(b"220 mailbox\r\n")
                for line in iter(self.rfile.readline, b""):
                    verb = line[:4].upper().strip()
                    if verb == b"DATA":
                        self.wfile.write(b"354 go on\r\n")
                        lines = list(iter(self.rfile.readline, b".\r\n"))
                        mailbox.messages.append(message_from_bytes(b"".join(lines), policy=default))
                    self.wfile.write(b"221 bye\r\n" if verb == b"QUIT" else b"250 ok\r\n")
                    if verb == b"QUIT":
                        return

        server = socketserver.ThreadingTCPServer((self.host, 0), Handler)
        server.daemon_threads = True
        return server
