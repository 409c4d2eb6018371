from deploy.gateway.headers import client_headers, decoded, request_id_of, upstream_headers


def sent(*pairs):
    headers = list(pairs)
    return dict(upstream_headers(headers, dict(headers), "10.0.0.9", "id-1"))


def test_end_to_end_headers_pass():
    assert (
        sent(("content-type", "application/json"), ("authorization", "Bearer x"))["authorization"]
        == "Bearer x"
    )


def test_hop_by_hop_headers_and_those_that_connection_names_stop_here():
    passed = sent(
        ("connection", "close, X-Private"), ("x-private", "1"), ("te", "trailers"), ("upgrade", "h2c"),
        ("transfer-encoding", "chunked"), ("keep-alive", "5"), ("proxy-authorization", "x"), ("expect", "100-continue"),
    )  # fmt: skip
    assert passed.keys() == {"x-request-id", "x-forwarded-for"}


def test_the_client_is_added_to_the_chain_of_proxies():
    assert sent(("x-forwarded-for", "1.2.3.4"))["x-forwarded-for"] == "1.2.3.4, 10.0.0.9"
    assert sent()["x-forwarded-for"] == "10.0.0.9"


def test_the_host_that_was_asked_for_is_kept_beside_the_server_s():
    passed = sent(("host", "models.example"))
    assert "host" not in passed and passed["x-forwarded-host"] == "models.example"


def test_the_request_id_is_kept_or_made():
    assert request_id_of({"x-request-id": "abc-1"}) == "abc-1"
    assert len(request_id_of({})) == 32 and request_id_of({}) != request_id_of({})


def test_an_unusable_request_id_is_replaced():
    for bad in ("", "a b", "x" * 129, "a\r\nset-cookie: b"):
        assert request_id_of({"x-request-id": bad}) != bad


def test_the_answer_says_which_version_gave_it():
    headers = client_headers([(b"Content-Type", b"text/plain"), (b"X-Slipway-Version", b"9")], "3", "id-1")
    assert headers == [
        (b"content-type", b"text/plain"),
        (b"x-request-id", b"id-1"),
        (b"x-slipway-version", b"3"),
    ]


def test_hop_by_hop_headers_of_the_answer_stop_here():
    raw = [(b"Connection", b"close, x-one"), (b"X-One", b"1"), (b"Transfer-Encoding", b"chunked")]
    assert [name for name, _ in client_headers(raw, "3", "id-1")] == [b"x-request-id", b"x-slipway-version"]


def test_any_byte_survives_the_decoding():
    assert decoded([(b"x-name", bytes(range(128, 256)))])[0][1].encode("latin-1") == bytes(range(128, 256))
