"""Reads the parts of an Office file: a zip whose parts name each other by relationships (ISO/IEC 29500-2)."""

import posixpath
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO, Final
from urllib.parse import unquote
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile

from lxml import etree

if TYPE_CHECKING:
    from lxml.etree import _Element

MAX_UNPACKED: Final = 64 * 1024 * 1024
_MAX_MEMBERS: Final = 5_000
_METHODS: Final = frozenset({ZIP_STORED, ZIP_DEFLATED})  # the only ones of a package (29500-2, annex B)


class TooLarge(Exception):
    """The parts would unpack to more than 64 MiB, or are more than 5,000."""


class Package:
    """An open Office file; only requested parts are unpacked, so others may be broken or missing.

    Raises TooLarge by the sizes that the zip declares; zipfile reads no part beyond its declared size.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._zip = ZipFile(file)
        members = self._zip.infolist()
        if len(members) > _MAX_MEMBERS or sum(member.file_size for member in members) > MAX_UNPACKED:
            raise TooLarge
        # Part names ignore case (29500-2, 6.2.2.3); some programs write backslashes.
        self._members = {_folded(member.filename): member for member in members}

    def __contains__(self, part: str) -> bool:
        return _folded(part) in self._members

    def tree(self, part: str) -> "_Element":
        """Returns the root element of a part; raises LookupError, BadZipFile, zlib.error or SyntaxError."""
        member = self._members[_folded(part)]
        if member.compress_type not in _METHODS:
            raise BadZipFile("method")
        return etree.fromstring(self._zip.read(member), _parser())

    def related(self, part: str) -> Iterator[tuple[str, str]]:
        """Yields (kind, part) of each relationship to a part within the file; "" is the package itself.

        A kind is the last word of its type, which is the same in transitional and Strict Open XML.
        """
        folder, name = posixpath.split(part)
        rels = posixpath.join(folder, "_rels", f"{name}.rels")
        for each in self.tree(rels).iter("{*}Relationship") if rels in self else ():
            if each.get("TargetMode") != "External":
                kind = each.get("Type", "").rpartition("/")[2]
                yield kind, posixpath.join("/", folder, unquote(each.get("Target", "")))


def _parser() -> etree.XMLParser:
    """Returns a parser that expands no entity, loads nothing, keeps libxml2's limits, and drops comments."""
    return etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True
    )


def _folded(part: str) -> str:
    return posixpath.normpath(part.replace("\\", "/")).lstrip("/").lower()
