"""The lab's name server, a program of its own: `python3 dns.py ADDRESS`.

Whatever it is asked, there is no such name. Engines ask it for names that are no running service,
such as a peer that is not up yet; without an answer the asker would wait for 20 seconds.
"""

import socket
import struct
import sys

ANSWER_NO_SUCH_NAME = 0x8583  # response, authoritative, recursion desired and available, NXDOMAIN


def answer(query: bytes) -> bytes:
    """RFC 1035, 4.1: the query's id, our flags, and its one question again without an answer."""
    end = 12
    while query[end]:
        end += 1 + query[end]
    header = struct.pack(">HHHHH", ANSWER_NO_SUCH_NAME, 1, 0, 0, 0)
    return query[:2] + header + query[12 : end + 5]


def main() -> None:
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((sys.argv[1], 53))
    while True:
        query, asker = server.recvfrom(4096)
        try:
            server.sendto(answer(query), asker)
        except (IndexError, OSError):  # no query, or nobody there any more
            continue


if __name__ == "__main__":
    main()
