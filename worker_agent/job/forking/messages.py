"""The messages on the connection between an agent and the keeper of its job.

The agent sends three descriptors: the job's pipe, standard output and standard error. The keeper answers with one JSON
message when the job has started, and with another when it has ended. The end of the connection without the second one
is the end of the server.
"""

import json
import socket
import struct

DESCRIPTORS = 3
REQUEST = b"job"
KIND = socket.SOCK_SEQPACKET
"""Keeps the limits of messages."""
CREDENTIALS = struct.Struct("3i")
"""pid, uid and gid of a peer, as Linux reports them."""
MAX_MESSAGE = 200


class InvalidRequest(Exception):
    """The peer has sent something else than a request for a job."""


def send_request(connection: socket.socket, descriptors: list[int]) -> None:
    socket.send_fds(connection, [REQUEST], descriptors)


def receive_request(connection: socket.socket) -> list[int]:
    """Return the descriptors of a request. Raises InvalidRequest, OSError."""
    content, descriptors, flags, _ = socket.recv_fds(connection, len(REQUEST), DESCRIPTORS)
    if content != REQUEST or len(descriptors) != DESCRIPTORS or flags & socket.MSG_CTRUNC:
        raise InvalidRequest(f"a message of {len(content)} bytes and {len(descriptors)} descriptors")
    return descriptors


def send_message(connection: socket.socket, **fields: int) -> None:
    connection.sendall(json.dumps(fields).encode())


def receive_message(connection: socket.socket) -> dict[str, int] | None:
    """Return the next message, None at the end of the connection. Raises TimeoutError if the socket has a timeout."""
    try:
        content = connection.recv(MAX_MESSAGE)
    except ConnectionResetError:
        return None
    message: dict[str, int] | None = json.loads(content) if content else None
    return message


def peer_uid(connection: socket.socket) -> int:
    """Return the user id of the process that connected."""
    content = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
    return int(CREDENTIALS.unpack(content)[1])
