"""Filters of the Swarm's vocabulary, known to every template."""

from django import template

register = template.Library()
