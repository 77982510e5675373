"""Failures in words."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

GetResponse = Callable[[HttpRequest], HttpResponse]


def failures_in_words(get_response: GetResponse) -> GetResponse:
    return get_response
