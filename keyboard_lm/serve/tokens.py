"""Who may ask for what: bearer tokens, hashed in a file, and short signed ones that are made from them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import msgspec
from msgspec import Struct

from keyboard_lm.errors import ConfigError
from keyboard_lm.files import write_file_whole
from keyboard_lm.serve.errors import ServeError
from keyboard_lm.serve.messages import TokenGiven, TokenRequest

Scope = Literal["suggest", "session", "personal", "sign", "metrics"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
_FORMAT = 1
_PREFIX, _SIGNED = "klm_", "klms_"
_LOOK_EVERY_S = 1.0  # whether the file has changed
_NOT_VALID = "the token is not valid here, or not any more; ask for another"


@dataclass(frozen=True)
class Caller:
    """Who asks.

    Attributes:
        token: name of the bearer token; "" where the service wants none.
        user: of the token, whose personal file is meant.
        scopes: what may be asked for.
    """

    token: str
    user: str
    scopes: frozenset[Scope]

    @property
    def subject(self) -> str:
        """What limits and personal files are kept by."""
        return f"{self.token}/{self.user}"

    def check(self, scope: Scope) -> None:
        """Raise where a scope is missing.

        Raises:
            ServeError: ``forbidden``.
        """
        if scope not in self.scopes:
            raise ServeError("forbidden", f"the token has no scope {scope!r}; use one that has")


ANYBODY = Caller("", "", frozenset(SCOPES))


class KnownToken(Struct, frozen=True):
    """A bearer token as the file has it.

    Attributes:
        name: of the token, for people.
        sha256: of the token; it has 256 random bits, so no salt is needed and nothing leads back.
        scopes: what it may ask for.
    """

    name: str
    sha256: str
    scopes: tuple[Scope, ...]


class TokenFile(Struct, frozen=True):
    """What the file holds.

    Attributes:
        format: version of this.
        key: that short tokens are signed with, in hexadecimal digits.
        tokens: all of them.
    """

    format: int
    key: str
    tokens: tuple[KnownToken, ...]


class _Claims(Struct, frozen=True, array_like=True):
    token: str
    user: str
    scopes: tuple[Scope, ...]
    expires: int


def read_tokens(path: Path) -> TokenFile:
    """Read a token file.

    Raises:
        ConfigError: there is none, or it is something else.
    """
    try:
        found = msgspec.json.decode(path.read_bytes(), type=TokenFile)
        bytes.fromhex(found.key)
    except OSError as error:
        add = f"`keyboard-lm serve-token --tokens {path} add NAME` makes one"
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); {add}") from None
    except (msgspec.MsgspecError, ValueError):
        raise ConfigError(f"{path}: not a token file; name another, or remove it") from None
    if found.format != _FORMAT:
        raise ConfigError(f"{path}: format {found.format} is of another version; update the program")
    return found


def add_token(path: Path, name: str, scopes: Iterable[Scope]) -> str:
    """Add a token to a file, which is made if there is none, and return it: it is kept nowhere.

    Raises:
        ConfigError: the name is taken, or the file is something else.
        WriteError: the file cannot be written.
    """
    found = read_tokens(path) if path.exists() else TokenFile(_FORMAT, secrets.token_hex(32), ())
    if not name or any(known.name == name for known in found.tokens):
        raise ConfigError(f"{path}: there is a token {name!r} already; choose another name, or remove it first")
    token = _PREFIX + secrets.token_urlsafe(32)
    known = KnownToken(name, _hash(token), tuple(sorted(set(scopes))))
    _write(path, msgspec.structs.replace(found, tokens=(*found.tokens, known)))
    return token


def remove_token(path: Path, name: str) -> None:
    """Remove a token, and with it all short ones that were made from it.

    Raises:
        ConfigError: there is none of that name, or no such file.
        WriteError: the file cannot be written.
    """
    found = read_tokens(path)
    left = tuple(known for known in found.tokens if known.name != name)
    if len(left) == len(found.tokens):
        raise ConfigError(f"{path}: no token {name!r}; there are: {', '.join(known.name for known in left) or 'none'}")
    _write(path, msgspec.structs.replace(found, tokens=left))


def _write(path: Path, content: TokenFile) -> None:
    write_file_whole(path, msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n", private=True)


class Tokens:
    """Checks tokens against a file, which may change meanwhile.

    Args:
        path: of the file.
        clock: seconds since 1970.

    Raises:
        ConfigError: the file cannot be used.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._looked_at = -_LOOK_EVERY_S
        self._stamp: tuple[int, int] = (-1, -1)
        self._load()

    def caller(self, token: str) -> Caller:
        """Return whose token it is.

        Raises:
            ServeError: ``bad_token``.
        """
        self._look()
        if token.startswith(_SIGNED):
            return self._signed(token)
        known = self._by_hash.get(_hash(token))
        if known is None:
            raise ServeError("bad_token", _NOT_VALID)
        return Caller(known.name, "", frozenset(known.scopes))

    def sign(self, caller: Caller, wanted: TokenRequest) -> TokenGiven:
        """Return a short token for a user of a caller's.

        Raises:
            ServeError: ``forbidden`` where the caller may not sign, or lacks a scope that is wanted.
        """
        caller.check("sign")
        for scope in wanted.scopes:
            caller.check(scope)
        expires = int(self._clock()) + wanted.lifetime_s
        claims = msgspec.json.encode(_Claims(caller.token, wanted.user, wanted.scopes, expires))
        return TokenGiven(f"{_SIGNED}{_base64(claims)}.{_base64(self._mac(claims))}", expires)

    def _signed(self, token: str) -> Caller:
        content, _, mac = token.removeprefix(_SIGNED).partition(".")
        try:
            claims = base64.urlsafe_b64decode(content + "=" * (-len(content) % 4))
            given = base64.urlsafe_b64decode(mac + "=" * (-len(mac) % 4))
            if not hmac.compare_digest(given, self._mac(claims)):
                raise ServeError("bad_token", _NOT_VALID)
            found = msgspec.json.decode(claims, type=_Claims)
        except (binascii.Error, ValueError, msgspec.MsgspecError):
            raise ServeError("bad_token", _NOT_VALID) from None
        known = self._by_name.get(found.token)
        if known is None or found.expires <= self._clock():
            raise ServeError("bad_token", _NOT_VALID)
        return Caller(found.token, found.user, frozenset(found.scopes) & frozenset(known.scopes))

    def _mac(self, content: bytes) -> bytes:
        return hmac.digest(self._key, content, "sha256")

    def _look(self) -> None:
        now = self._clock()
        if abs(now - self._looked_at) >= _LOOK_EVERY_S:
            self._looked_at = now
            if self._now() != self._stamp:
                self._load()

    def _now(self) -> tuple[int, int]:
        try:
            status = self._path.stat()
        except OSError:
            return (0, 0)
        return status.st_mtime_ns, status.st_ino

    def _load(self) -> None:
        self._stamp = self._now()
        found = read_tokens(self._path)
        self._key = bytes.fromhex(found.key)
        self._by_hash = {known.sha256: known for known in found.tokens}
        self._by_name = {known.name: known for known in found.tokens}


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
