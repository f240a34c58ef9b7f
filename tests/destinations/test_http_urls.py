from __future__ import annotations

import pytest

from bridge.destinations.http_urls import absolute_url, is_loopback

URLS = [
    ("https://idp.example/token", "https://idp.example/token"),
    ("https://idp.example/token/", "https://idp.example/token/"),
    ("https://idp.example", "https://idp.example"),
    ("HTTPS://IDP.example:443/Token", "https://idp.example/Token"),
    ("http://127.0.0.1:8080/token", "http://127.0.0.1:8080/token"),
    ("http://[::1]:8080/token", "http://[::1]:8080/token"),
    ("http://idp.example/token", None),
    ("http://localhost.evil.example/token", None),
    ("https://idp.example/token?tenant=a", None),
    ("https://idp.example/token#a", None),
    ("https://bridge:word@idp.example/token", None),
    ("https://idp.example/a/../token", None),
    ("https://idp.example/a b", None),
    ("https://idp.example/a\nb", None),
    ("https://idp.example:0/token", None),
    ("https://idp.example:99999/token", None),
    ("https:///token", None),
    ("/token", None),
    ("", None),
]


@pytest.mark.parametrize(("written", "read"), URLS)
def test_a_url_is_read_strictly(written: str, read: str | None) -> None:
    if read is not None:
        assert absolute_url(written) == read
        return
    with pytest.raises(ValueError, match=r"expected|this URL|the path"):
        absolute_url(written)


@pytest.mark.parametrize(
    "text", ["https://bridge:s3cret@idp.example", "https://idp.example/token?key=s3cret"]
)
def test_what_is_refused_is_not_quoted(text: str) -> None:
    with pytest.raises(ValueError, match="this URL has no") as refused:
        absolute_url(text)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "so"),
    [
        ("http://localhost", True),
        ("http://127.0.0.1:80/a", True),
        ("http://127.9.9.9", True),
        ("http://[::1]", True),
        ("http://128.0.0.1", False),
        ("http://127.0.0.1.example", False),
        ("http://10.0.0.1", False),
        ("https://idp.example/127.0.0.1", False),
    ],
)
def test_only_this_machine_is_loopback(url: str, so: bool) -> None:
    assert is_loopback(url) is so
