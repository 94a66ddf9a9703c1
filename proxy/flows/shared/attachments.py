"""Texts that go to the new platform as files of a case (CONTRACT N11, S05)."""

from proxy.flows.answers import TEXT
from proxy.spool import Bytes
from proxy.values import OutgoingFile


def text_file(filename: str, content: str) -> OutgoingFile:
    return OutgoingFile(filename, TEXT, Bytes(content.encode()))
