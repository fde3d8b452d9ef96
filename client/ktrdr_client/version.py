"""The version of the client, the same as the server's."""

VERSION = "0.2.0"
