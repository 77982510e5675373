"""Identifiers in the forms that Docker uses."""

import random
import string

_ALPHABET = string.digits + string.ascii_lowercase
_ADJECTIVES = ("brave", "eager", "gentle", "jolly", "quirky", "serene", "vigilant", "zen")
_SCIENTISTS = ("curie", "hopper", "johnson", "lamarr", "lovelace", "noether", "ride", "turing")
_random = random.Random()


def object_id() -> str:
    """A Swarm object's id: 25 characters, base 36."""
    return "".join(_random.choices(_ALPHABET, k=25))


def container_id() -> str:
    return f"{_random.getrandbits(256):064x}"


def join_token(role: str) -> str:
    digest = "".join(_random.choices(_ALPHABET, k=50))
    secret = "".join(_random.choices(_ALPHABET, k=25))
    return f"SWMTKN-1-{digest}-{secret}" if role else ""


def service_name() -> str:
    """What a service is called that came without a name."""
    return f"{_random.choice(_ADJECTIVES)}_{_random.choice(_SCIENTISTS)}"
