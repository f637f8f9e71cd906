"""The bytes of a model file as they come in: in memory alone, bounded, and of the digest that was named."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import stat
from pathlib import Path

from triveni.sharing.failures import DigestMismatch, NotAKerasFile, SourceNotFound, SourceTooLarge

MAX_BYTES = 2**30
"""Largest model file that is read; the weights of the largest model that is served are a quarter of it."""

CHUNK_BYTES = 2**20


class Content:
    """What has come in so far. `words` say in messages where it is from: a path, or a field of the SecureModel."""

    def __init__(self, words: str) -> None:
        self.words = words
        self._data = io.BytesIO()  # it hands out what it holds without a copy, which a bytearray does not
        self._hash = hashlib.sha256()

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self._data.tell()

    def announce(self, size: int) -> None:
        """It is said to become this large.

        Raises:
            SourceTooLarge: no model file is.
        """
        if size > MAX_BYTES:
            raise SourceTooLarge(self.words, MAX_BYTES)

    def add(self, chunk: bytes) -> None:
        """The next bytes; SourceTooLarge if they are too many."""
        self.announce(self.size + len(chunk))
        self._data.write(chunk)
        self._hash.update(chunk)

    def checked(self, digest: str | None) -> bytes:
        """All of it, if it has this digest; None accepts any.

        Raises:
            DigestMismatch: it is another file.
        """
        got = f"sha256:{self._hash.hexdigest()}"
        if digest is not None and got != digest.lower():
            raise DigestMismatch(self.words, got, digest)
        return self._data.getvalue()


def read_file(path: Path, words: str | None = None) -> Content:
    """The content of a file of this machine.

    Raises:
        SourceNotFound: there is none, or it cannot be read.
        SourceTooLarge: no model file is that large.
        NotAKerasFile: it is a SavedModel, which is a directory.
    """
    content = Content(words or str(path))
    if (path / "saved_model.pb").is_file():
        raise NotAKerasFile(content.words, "it is a SavedModel directory")
    try:
        # Without waiting: somebody may have put a pipe there that nobody writes into.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise SourceNotFound(content.words, "is no regular file")
            while chunk := file.read(CHUNK_BYTES):
                content.add(chunk)
    except OSError as error:
        problem = "does not exist" if error.errno == errno.ENOENT else (error.strerror or type(error).__name__).lower()
        raise SourceNotFound(content.words, problem) from error
    return content
