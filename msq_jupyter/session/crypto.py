"""Keys of a session and the sealing of everything that leaves a participant.

A root key comes from the password by Argon2id (RFC 9106), salted with the persistent id; HKDF-SHA256 makes a key for
each purpose, so that none is used for two. Everything is sealed with AES-256-GCM.

* Events: a key for each view in each run of a session, the view's own counter as nonce. A view id is random and lives
  as long as one `Session`, and within a run its counter never goes back: no nonce is used twice. The associated data
  binds session, run, view and counter, so an event of one run cannot be played again in another.
* Digests of what replicas compare: HMAC-SHA256, bound to session, run and place, so that they tell equality at one
  place and nothing else.
* Everything else (snapshots, versions, view data, what views tell each other): a key for each piece, from 16 random
  bytes that travel with it. The associated data binds what it is and where it belongs.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from msq_jupyter.errors import SealBroken

#: 64 MiB and three passes: about a quarter of a second on a laptop, for each guess of somebody who guesses.
ARGON2_MEMORY_KIB = 64 * 1024
ARGON2_PASSES = 3
ARGON2_LANES = 1

#: So many keys of views are kept, each some 3 kB: many more come and go in the life of a session. Another derivation
#: takes less than 100 microseconds.
VIEW_KEYS_MAX = 1024

KEY_BYTES = 32
NONCE_BYTES = 12
SALT_BYTES = 16
TAG_BYTES = 16


def derive_root_key(password: str | None, persistent_id: str) -> bytes:
    """The key everything else comes from; takes a while, so call it off the loop.

    Args:
        password: the password; None for a session that everyone on its synchronizer may read.
        persistent_id: the salt, so that equal passwords of two names give two keys.
    """
    if password is None:
        return hashlib.sha256(f"msq open session|{persistent_id}".encode()).digest()
    salt = hashlib.sha256(f"msq password|{persistent_id}".encode()).digest()
    kdf = Argon2id(
        salt=salt, length=KEY_BYTES, iterations=ARGON2_PASSES, lanes=ARGON2_LANES, memory_cost=ARGON2_MEMORY_KIB
    )
    return kdf.derive(password.encode())


class Keys:
    """Seals and opens for one participant of one session.

    Args:
        root_key: of `derive_root_key`.
        persistent_id: what versions are bound to.
        session_id: what events, snapshots and view data are bound to.
    """

    def __init__(self, root_key: bytes, persistent_id: str, session_id: str) -> None:
        self._root_key = root_key
        self._persistent_id = persistent_id
        self._session_id = session_id
        self._views: dict[tuple[str, str], AESGCM] = {}
        self._digest_keys: dict[str, bytes] = {}

    @property
    def password_check(self) -> bytes:
        """What the synchronizer compares to tell a wrong password; it reveals neither password nor key."""
        return hmac.digest(self._subkey("check"), self._persistent_id.encode(), "sha256")

    def seal_event(self, run: str, view_id: str, counter: int, plain: bytes) -> bytes:
        """Seal an event of our own view; never two different ones with one counter in one run."""
        place = self._event_place(run, view_id, counter)
        return self._view_key(run, view_id).encrypt(_nonce(counter), plain, place)

    def open_event(self, run: str, view_id: str, counter: int, sealed: bytes) -> bytes:
        """The event that `view_id` sealed as number `counter` of a run.

        Raises:
            SealBroken: it was changed, or belongs to another session, run, view or number.
        """
        place = self._event_place(run, view_id, counter)
        try:
            return self._view_key(run, view_id).decrypt(_nonce(counter), sealed, place)
        except InvalidTag:
            raise SealBroken(
                f"event {counter} of view {view_id} was changed on its way, or belongs to another session: refused"
            ) from None

    def seal_view_data(self, view_id: str, plain: bytes) -> bytes:
        """Seal what a participant tells of itself."""
        return self._seal("view data", f"{self._session_id}|{view_id}", plain)

    def open_view_data(self, view_id: str, sealed: bytes) -> bytes:
        """What a participant tells of itself; raises SealBroken."""
        return self._open("view data", f"{self._session_id}|{view_id}", sealed)

    def seal_snapshot(self, run: str, seq: int, plain: bytes) -> bytes:
        """Seal the state after entry `seq` of a run."""
        return self._seal("snapshot", f"{self._session_id}|{run}|{seq}", plain)

    def open_snapshot(self, run: str, seq: int, sealed: bytes) -> bytes:
        """The state after entry `seq` of a run; raises SealBroken."""
        return self._open("snapshot", f"{self._session_id}|{run}|{seq}", sealed)

    def seal_version(self, part: str, save_id: str, parent: int, base: int, plain: bytes) -> bytes:
        """Seal the "meta" or "content" part of a version; `base` is what its content is a patch of, 0 for none."""
        return self._seal(_version_kind(part, base), f"{self._persistent_id}|{save_id}|{parent}", plain)

    def open_version(self, part: str, save_id: str, parent: int, base: int, sealed: bytes) -> bytes:
        """The "meta" or "content" part of a version; raises SealBroken."""
        return self._open(_version_kind(part, base), f"{self._persistent_id}|{save_id}|{parent}", sealed)

    def seal_source(self, source_id: str, plain: bytes) -> bytes:
        """Seal the source of some code."""
        return self._seal("source", f"{self._persistent_id}|{source_id}", plain)

    def open_source(self, source_id: str, sealed: bytes) -> bytes:
        """The source of some code; raises SealBroken."""
        return self._open("source", f"{self._persistent_id}|{source_id}", sealed)

    def seal_annotation(self, kind: str, save_id: str, plain: bytes) -> bytes:
        """Seal what is said of a version: its "label" or its "pin"."""
        return self._seal(f"annotation {kind}", f"{self._persistent_id}|{save_id}", plain)

    def open_annotation(self, kind: str, save_id: str, sealed: bytes) -> bytes:
        """What is said of a version; raises SealBroken."""
        return self._open(f"annotation {kind}", f"{self._persistent_id}|{save_id}", sealed)

    def seal_tell(self, from_view_id: str, to_view_id: str, number: int, plain: bytes) -> bytes:
        """Seal what one view tells another one, whatever the sessions of the two."""
        return self._seal("tell", f"{self._persistent_id}|{from_view_id}|{to_view_id}|{number}", plain)

    def open_tell(self, from_view_id: str, to_view_id: str, number: int, sealed: bytes) -> bytes:
        """What one view tells another one; raises SealBroken."""
        return self._open("tell", f"{self._persistent_id}|{from_view_id}|{to_view_id}|{number}", sealed)

    def of_session(self, session_id: str) -> Keys:
        """The keys of another session under the same persistent id."""
        return Keys(self._root_key, self._persistent_id, session_id)

    def audit_digest(self, run: str, seq: int, findings: bytes) -> bytes:
        """What stands for the findings of an audit on the wire."""
        return self._digest("audit", f"{run}|{seq}", findings)

    def source_id(self, code_hash: str, source: str) -> str:
        """What the source of some code is called on the wire, whatever session it is saved in; 43 characters."""
        if "source" not in self._digest_keys:
            self._digest_keys["source"] = self._subkey("source digest")
        message = f"{self._persistent_id}|{code_hash}|".encode() + source.encode()
        digest = hmac.digest(self._digest_keys["source"], message, "sha256")
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    def save_digest(self, save_id: str, content_id: str) -> bytes:
        """What stands for the content of a save on the wire."""
        return self._digest("save", save_id, content_id.encode())

    def _digest(self, kind: str, place: str, plain: bytes) -> bytes:
        if kind not in self._digest_keys:
            self._digest_keys[kind] = self._subkey(f"{kind} digest")
        message = f"{self._session_id}|{place}|".encode() + plain
        return hmac.digest(self._digest_keys[kind], message, "sha256")

    def _seal(self, kind: str, place: str, plain: bytes) -> bytes:
        salt = os.urandom(SALT_BYTES)
        # The key is used once, so the nonce may stand still.
        return salt + AESGCM(self._subkey(kind, salt)).encrypt(_nonce(0), plain, f"{kind}|{place}".encode())

    def _open(self, kind: str, place: str, sealed: bytes) -> bytes:
        salt, body = sealed[:SALT_BYTES], sealed[SALT_BYTES:]
        try:
            if len(body) < TAG_BYTES:
                raise InvalidTag
            return AESGCM(self._subkey(kind, salt)).decrypt(_nonce(0), body, f"{kind}|{place}".encode())
        except InvalidTag:
            raise SealBroken(f"the {kind} of {place} was changed, or belongs to another place: refused") from None

    def _view_key(self, run: str, view_id: str) -> AESGCM:
        key = self._views.get((run, view_id))
        if key is None:
            if len(self._views) >= VIEW_KEYS_MAX:
                self._views.clear()
            key = self._views[run, view_id] = AESGCM(self._subkey("event", f"{run}|{view_id}".encode()))
        return key

    def _event_place(self, run: str, view_id: str, counter: int) -> bytes:
        return f"event|{self._session_id}|{run}|{view_id}|{counter}".encode()

    def _subkey(self, purpose: str, salt: bytes = b"") -> bytes:
        return HKDF(SHA256(), KEY_BYTES, salt or None, f"msq/1 {purpose}".encode()).derive(self._root_key)


def _version_kind(part: str, base: int) -> str:
    # In front of the save id, which may be any text; and as it was before there were patches, where there is none.
    return f"version {part} (patch of {base})" if base else f"version {part}"


def _nonce(counter: int) -> bytes:
    return counter.to_bytes(NONCE_BYTES, "big")
