"""What the receiver takes for a request."""

from __future__ import annotations

import socket
import urllib.request

from tests.receiver import Receiver


def test_a_request_whose_sender_dies_before_its_body_is_none() -> None:
    with Receiver() as receiver:
        with socket.create_connection((receiver.host, receiver.port), timeout=5) as dying:
            dying.sendall(b"POST /gate HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nhalf")
            dying.shutdown(socket.SHUT_WR)
            assert dying.recv(1) == b"", "an answer to half a request"
        with urllib.request.urlopen(f"{receiver.url}/gate", b"whole", timeout=5) as answer:
            assert answer.status == 200
        assert [(sent.path, sent.body) for sent in receiver.received] == [("/gate", b"whole")]
