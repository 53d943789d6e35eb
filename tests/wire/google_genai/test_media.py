"""Media types by name and by address."""

from __future__ import annotations

import pytest

from open_llm_auth.wire.google_genai.media import audio_format, audio_type, is_google_file, type_of_url


@pytest.mark.parametrize(
    ("url", "media_type"),
    [
        ("https://a.example/x.PNG?size=1#y", "image/png"),
        ("gs://bucket/x.pdf", "application/pdf"),
        ("https://a.example/x", ""),
        ("https://a.example/x.zip", ""),
        ("https://[a/x.png", ""),
        ("a.csv", "text/csv"),
    ],
)
def test_an_address_tells_its_type_or_nothing(url, media_type):
    assert type_of_url(url) == media_type


@pytest.mark.parametrize(
    ("uri", "own"),
    [
        ("files/abc", True),
        ("https://generativelanguage.googleapis.com/v1beta/files/abc", True),
        ("https://a.example/generativelanguage.googleapis.com", False),
        ("https://generativelanguage.googleapis.com.a.example/x", False),
        ("https://[a", False),
        ("file-abc", False),
    ],
)
def test_googles_files_are_known(uri, own):
    assert is_google_file(uri) is own


@pytest.mark.parametrize(
    ("media_type", "format_", "back"),
    [
        ("audio/wav", "wav", "audio/wav"),
        ("audio/mpeg", "mp3", "audio/mp3"),
        ("audio/x-wav;rate=1", "wav", "audio/wav"),
        ("audio/L16", "pcm16", "audio/l16"),
        ("audio/", "wav", "audio/wav"),
    ],
)
def test_audio_has_a_format(media_type, format_, back):
    assert audio_format(media_type) == format_
    assert audio_type(format_) == back
