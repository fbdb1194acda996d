"""The wire between a participant and the synchronizer: typed messages in MessagePack, one message a frame.

The way up (participant to synchronizer) and the way down are two closed unions, `Up` and `Down`. Whoever receives a
frame that does not decode as a member of the union for its direction raises `ProtocolError` and closes that
connection, and nothing else.

Everything the synchronizer need not understand travels sealed, as `bytes`: it sees ids, sizes, times, counters.

A session as a participant sees it:

1. Up `Join`. Down either `Refused`, and the connection ends, or one `Welcome`.
2. Down, after `Welcome`: `Block`s with every entry of the ordered log from `Welcome.after_seq` to
   `Welcome.live_seq`, then, with no gap, everything that happens.
3. `Entry.seq` grows by exactly one from entry to entry. `time_ms` never shrinks, over entries and `Tick`s.
4. The participant's own events come back in the same stream; that is the acknowledgement. The counters of one view
   grow by exactly one. After a reconnect a participant sends again everything past `Welcome.last_counter`; the
   synchronizer drops what it has.
5. At each `Audit` that comes after `Welcome.live_seq` it sends a `Report`, and a `Snapshot` if it is the one named
   there. A `Verdict` names who differs; whoever is told that it does throws its replica away and joins again with
   `have_seq` -1.
6. `Tell` reaches any view under the same persistent id, whatever its code, as `Told`, or nobody; `Neighbours` says
   which views of other sessions there are.

An archive connection reads and appends versions without joining: up `Open`, down `Opened` or `Refused`; then each
`ListVersions`, `FetchVersion`, `FetchSource`, `Save`, `Annotate` and `Prune` is answered, in order, by `Versions`,
`VersionContent`, `Source`, `Stored` or `SaveFailed`, and `Done`. No session hears of the connection, and none starts or
stays in memory for it; of what it did to versions that were there, all hear by `VersionsChanged`.

History: version 1, the first.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias, TypeVar

import msgspec

from msq_jupyter.errors import ProtocolError

T = TypeVar("T")

#: Session time in milliseconds; neither negative nor infinite nor nan.
TimeMs: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=1e15)]

PROTOCOL_VERSION = 1

#: Largest sealed payload of one event. Croquet allows 16 kB and drops what is larger, with a warning.
EVENT_BYTES_MAX = 256 * 1024
#: The same before sealing.
EVENT_PLAIN_BYTES_MAX = EVENT_BYTES_MAX - 256
#: Largest frame in either direction: a snapshot or a version fits in one.
FRAME_BYTES_MAX = 64 * 1024 * 1024
#: Largest content of a version, and largest snapshot, before sealing; what travels with them fits beside.
CONTENT_BYTES_MAX = FRAME_BYTES_MAX - 4 * 1024 * 1024
#: Largest payload of a `Tell`, and largest digest in a `Report`.
TELL_BYTES_MAX = 256 * 1024
DIGEST_BYTES_MAX = 64
#: Large worlds are audited in at most so many parts, one part at each `Audit`.
AUDIT_PARTS_MAX = 64
#: Why `Done` refuses what no `Annotate` and no `Prune` can do anything about.
NO_SUCH_VERSION = "there is no such version"
#: What an annotation may say, by the word for its kind, and largest one, sealed.
ANNOTATION_KINDS = ("label", "pin")
ANNOTATION_BYTES_MAX = 4 * 1024
#: Most entries in one `Block`, so that a long catch-up is sent and applied in portions.
BLOCK_ENTRIES_MAX = 512
#: Largest description of a version, sealed.
META_BYTES_MAX = 1024 * 1024
#: WebSocket close code for who comes back after the connection before was cut: the reason says how much it left unread.
UNREAD_CLOSE_CODE = 4008
#: Longest id of a source, in characters.
SOURCE_ID_LENGTH_MAX = 64


class Message(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What goes over the wire; fields travel by position, the tag first."""


# --- the ordered log ---------------------------------------------------------------------------------------------


class Event(Message, frozen=True, tag="e"):
    """One event of one view. `payload` is sealed under the view's key, with `counter` as nonce."""

    seq: int
    time_ms: TimeMs
    view_id: str
    counter: int
    payload: bytes


class Membership(Message, frozen=True, tag="m"):
    """Views that left and views that came, in that order. `joins` pairs a view id with its sealed view data."""

    seq: int
    time_ms: TimeMs
    exits: list[str]
    joins: list[tuple[str, bytes]]


class Saved(Message, frozen=True, tag="s"):
    """A version is stored: every replica learns it at the same moment.

    `time_s` is seconds since 1970, UTC, by the synchronizer's clock, as in `StoredVersion`. `digest` is that of `Save`:
    a replica that wanted to save something else under this id sees it here. `is_whole` says that the version is no
    patch: everybody makes the next ones from this one. `is_head` says whether the head moved to this version when it
    was stored, see `Save`; a version that it did not move to is the tip of a branch.
    """

    seq: int
    time_ms: TimeMs
    save_id: str
    number: int
    view_id: str
    time_s: float
    digest: bytes = b""
    is_whole: bool = True
    is_head: bool = True


class Audit(Message, frozen=True, tag="a"):
    """A place at which replicas compare: each of them sends a `Report` of what it is like here.

    `number` grows by one from audit to audit; of a large world another part is looked at each time, and `parts` is how
    many there are at least, by the size of the last snapshot. `uploader` is the view that shall upload a
    `Snapshot` of this place, "" for none; if there is one, everybody reports its whole state. `disputed` says that
    replicas were found to differ: keep the state of this place until the verdict, to tell where.
    """

    seq: int
    time_ms: TimeMs
    number: int
    parts: int
    uploader: str
    disputed: bool


Entry: TypeAlias = Event | Membership | Saved | Audit


# --- up ----------------------------------------------------------------------------------------------------------


class Join(Message, frozen=True, tag="Join"):
    """The first frame of a connection.

    `password_check` proves knowledge of the password without revealing it; the first one for a `persistent_id` is
    kept, later ones must equal it. `persisted` says what a session that is not there yet starts from: `"latest"`,
    `"ignore"`, or the number of a version. `have_run` and `have_seq` say, on a reconnect, which run of the session
    and how much of it this participant's replica has, -1 for a replica of no use; `have_run` is empty otherwise.
    """

    protocol_version: int
    session_id: str
    persistent_id: str
    view_id: str
    password_check: bytes
    view_data: bytes
    tick_rate: float
    rejoin_limit_ms: TimeMs
    persisted: str | int
    have_run: str
    have_seq: int


class Open(Message, frozen=True, tag="Open"):
    """The first frame of an archive connection: the versions of a persistent id, without joining a session.

    `password_check` is that of `Join`. With `create`, a persistent id that was never used is one without versions, and
    belongs to this password from its first `Save` on; without, it is refused as `no_such_name`.
    """

    protocol_version: int
    persistent_id: str
    password_check: bytes
    create: bool


class Send(Message, frozen=True, tag="Send"):
    """Events to be ordered, each with the view's own counter, which starts at 1."""

    events: list[tuple[int, bytes]]


class Snapshot(Message, frozen=True, tag="Snapshot"):
    """The sealed state of a replica after entry `seq`, at `time_ms`. Also travels down, inside `Welcome`."""

    seq: int
    time_ms: TimeMs
    payload: bytes


class Save(Message, frozen=True, tag="Save"):
    """A version to be stored. `save_id` makes repeating it harmless.

    `parent` is the number of the version this one grew from, 0 for none: of a member of a session, the one its run
    saved last, or else started from. `meta` and `content` are sealed apart, so that a list of versions needs no
    contents. `digest` is a keyed one of the content and the id.

    The head, which is what new sessions start from, moves to this version if `parent` is the head, or if it
    `takes_head`, or if nobody is in the run that saved the head. Else the version is stored as the tip of a branch.
    The versions of a run are a line. A save that grew from an older one of it than the newest is held as a draft: its
    sender has not seen that version yet, hears of it by `Saved`, and sends the save again.

    `base` is 0 when the content is there as a whole, else the number of a version that is, and of which this one is a
    patch. `source_id` is a keyed digest of the code that saves; its sealed source comes along in `source`, which is
    empty when the synchronizer has it already. A save with a base or a source that is not there is refused.

    A `draft` waits for its time: it becomes a version when nobody is left who could save it, or when another session
    is about to start from the head. Its id is that of the run, ".", and how many saves the run has wanted;
    later ones, and the save itself, replace it. Nothing answers it but `SaveFailed`. When the head has moved to another
    run's version since a draft came, then the draft does not move it any more.

    `annotations` are stored with the version, or not at all: kind, keeps and sealed, as in `Annotate`.
    """

    save_id: str
    parent: int
    meta: bytes
    content: bytes
    digest: bytes = b""
    draft: bool = False
    base: int = 0
    source_id: str = ""
    source: bytes = b""
    takes_head: bool = False
    annotations: list[tuple[str, bool, bytes]] = []


class Report(Message, frozen=True, tag="Report"):
    """What a replica is like at the `Audit` that is entry `seq`.

    `digest` is a keyed one: it tells whoever has no key whether two replicas are equal, and nothing else.
    """

    seq: int
    digest: bytes


class Tell(Message, frozen=True, tag="Tell"):
    """Something for another view under the same persistent id, outside the log; it arrives once or never.

    `number` grows from one `Tell` of a view to its next; `payload` is sealed for sender, receiver and number.
    """

    to_view_id: str
    number: int
    payload: bytes


class ListVersions(Message, frozen=True, tag="ListVersions"):
    """Ask for `Versions`: those with a number above `after`."""

    request_id: int
    after: int = 0


class FetchVersion(Message, frozen=True, tag="FetchVersion"):
    """Ask for `VersionContent`."""

    request_id: int
    number: int


class FetchSource(Message, frozen=True, tag="FetchSource"):
    """Ask for `Source`."""

    request_id: int
    source_id: str


class Annotate(Message, frozen=True, tag="Annotate"):
    """Say something of a version that is stored; `Done` answers. Of each kind the newest one replaces the one before.

    `kind` is a word of `ANNOTATION_KINDS`. `keeps` is open: while any annotation of a version says so, the version is
    not pruned. `sealed` is bound to the version and the kind.
    """

    request_id: int
    number: int
    kind: str
    keeps: bool
    sealed: bytes


class Prune(Message, frozen=True, tag="Prune"):
    """Drop versions for good; `Done` answers. What was dropped before counts as dropped, so repeating it is harmless.

    Refused are, each by itself: a version that is no more than a number, the head and all versions that nothing was
    ever saved on top of, those that a session may still have to start from, and those that an annotation keeps.
    """

    request_id: int
    numbers: list[int]


class Leave(Message, frozen=True, tag="Leave"):
    """Goodbye: the others hear of it at once instead of after `rejoin_limit_ms`."""


#: What is answered without changing anything.
Query: TypeAlias = ListVersions | FetchVersion | FetchSource
Up: TypeAlias = (
    Join
    | Open
    | Send
    | Snapshot
    | Save
    | Report
    | Tell
    | ListVersions
    | FetchVersion
    | FetchSource
    | Annotate
    | Prune
    | Leave
)


# --- down --------------------------------------------------------------------------------------------------------


class StoredVersion(Message, frozen=True):
    """What the synchronizer knows of a version. `time_s` is seconds since 1970, UTC, by the synchronizer's clock.

    `size_bytes` is that of its sealed content, which may be a patch; `base` and `source_id` are those of `Save`.
    """

    number: int
    parent: int
    save_id: str
    time_s: float
    size_bytes: int
    meta: bytes
    content: bytes
    base: int = 0
    source_id: str = ""


class Welcome(Message, frozen=True, tag="Welcome"):
    """The answer to `Join`.

    `run` names this run of the session: a session that starts anew from a newer version gets a new one. `after_seq`
    is where the entries that follow begin: it is `have_seq` for a replica that may go on, the snapshot's place when
    `snapshot` is given, else 0: run `init` at time 0 with `origin`, the version the run started from; `origin_base` is
    the version of which that is a patch, None when it is none. `resumed` says that the replica the participant has may
    go on. `head` is the number of the version that new sessions start from, 0 for none. `last_counter` is the view's
    newest event in this run. When the participant comes from another run of the session, `earlier_counter` is the
    newest one in that: it has been executed there, and must not be sent to this run again.
    `read_only` says that this member may look and nothing more: a `Send` of it ends the connection, what it wants to
    save, annotate or prune is refused, and it is not asked for snapshots.
    """

    run: str
    resumed: bool
    origin: StoredVersion | None
    snapshot: Snapshot | None
    after_seq: int
    live_seq: int
    live_time_ms: TimeMs
    last_counter: int
    head: int
    earlier_counter: int = 0
    origin_base: StoredVersion | None = None
    read_only: bool = False


class Opened(Message, frozen=True, tag="Opened"):
    """The answer to `Open`. `head` is the number of the version new sessions start from, 0 for none.

    `present` is how many participants are connected to sessions under the persistent id.
    """

    head: int
    present: int = 0


class Refused(Message, frozen=True, tag="Refused"):
    """No, and why. `code` is a word of `REFUSALS`; the connection ends, and trying again is useless."""

    code: str
    reason: str


class Block(Message, frozen=True, tag="Block"):
    """Entries of the ordered log, each the MessagePack bytes of an `Entry`, encoded once for log and members."""

    entries: list[msgspec.Raw]


class Tick(Message, frozen=True, tag="Tick"):
    """Time went on and nothing happened. Sent only into silence."""

    time_ms: TimeMs


class Verdict(Message, frozen=True, tag="Verdict"):
    """The replicas differed at the `Audit` that is entry `seq`.

    `groups` holds the ids of the views whose reports were equal, the group that is right first: the largest one, and
    of equally large ones the one whose member has been there longest. A snapshot of the right group is stored, unless
    none of it could make one.
    """

    seq: int
    groups: list[list[str]]


class Told(Message, frozen=True, tag="Told"):
    """A `Tell` of another view, see there."""

    from_view_id: str
    number: int
    payload: bytes


class Neighbours(Message, frozen=True, tag="Neighbours"):
    """Views of other sessions under the same persistent id that came, and ids of those that went.

    `come` holds view id, session id and sealed view data, b"" when that is large.
    """

    come: list[tuple[str, str, bytes]]
    gone: list[str]


class Versions(Message, frozen=True, tag="Versions"):
    """Versions of the persistent id, oldest first, with empty `content`; `head` is the number of the head.

    `more` says that there are newer ones, which did not fit: ask for those after the last one. Of the versions in the
    list, `annotations` are number, kind and sealed, and `tips` are numbers of those that nothing was ever saved on top
    of.
    """

    request_id: int
    head: int
    versions: list[StoredVersion]
    more: bool = False
    annotations: list[tuple[int, str, bytes]] = []
    tips: list[int] = []


class VersionContent(Message, frozen=True, tag="VersionContent"):
    """One version with its content, and the version of which that is a patch, None when it is none.

    `version` is None when there is no such number, or when the bytes of version `damaged`, itself or its base, are not
    what was stored. `annotations` are as in `Versions`.
    """

    request_id: int
    version: StoredVersion | None
    base: StoredVersion | None = None
    damaged: int = 0
    annotations: list[tuple[int, str, bytes]] = []


class Source(Message, frozen=True, tag="Source"):
    """The sealed source of some code, or None when it is not there, or damaged."""

    request_id: int
    sealed: bytes | None


class Done(Message, frozen=True, tag="Done"):
    """An `Annotate` or a `Prune` is on the disk, but for what is in `refused`: number of the version, and why."""

    request_id: int
    refused: list[tuple[int, str]]


class VersionsChanged(Message, frozen=True, tag="VersionsChanged"):
    """Somebody annotated or dropped versions, or saved some in another session: whoever shows them asks for `Versions`.

    It is said once, to everybody under the persistent id who is connected then, and to who connects while others hold
    the head; after a reconnect, ask anyway. `head` is the number of the head while another session saved it and
    somebody is in that one, so that what grows from an older version is a branch; else 0.
    """

    numbers: list[int]
    head: int = 0


class Stored(Message, frozen=True, tag="Stored"):
    """The version of an archive's `Save` is on the disk, as version `number`; also if an earlier one stored it."""

    save_id: str
    number: int


class SaveFailed(Message, frozen=True, tag="SaveFailed"):
    """The version could not be stored; the participant tries again.

    `missing` is "base" or "source" when that is what the save refers to, and not there: then send it whole, or with it.
    """

    save_id: str
    reason: str
    missing: str = ""


class Closing(Message, frozen=True, tag="Closing"):
    """The synchronizer stops; connect again after `retry_after_ms`."""

    retry_after_ms: TimeMs


Down: TypeAlias = (
    Welcome
    | Opened
    | Refused
    | Block
    | Tick
    | Verdict
    | Told
    | Neighbours
    | Versions
    | VersionContent
    | Source
    | Done
    | VersionsChanged
    | Stored
    | SaveFailed
    | Closing
)

#: Why a `Join` or an `Open` may be refused, and what the participant's side raises.
REFUSALS = (
    *("wrong_password", "protocol_version", "malformed", "no_such_version", "no_such_name"),
    *("forbidden", "limit"),  # the access token is not for this, or there is too much at once
)
#: What a member or an archive hears that may only read.
READ_ONLY = "the access token is read-only: ask for one with the scope join"


# --- bytes -------------------------------------------------------------------------------------------------------

_encoder = msgspec.msgpack.Encoder()
_decode_up: msgspec.msgpack.Decoder[Up] = msgspec.msgpack.Decoder(Up)
_decode_down: msgspec.msgpack.Decoder[Down] = msgspec.msgpack.Decoder(Down)
_decode_entry: msgspec.msgpack.Decoder[Entry] = msgspec.msgpack.Decoder(Entry)


def encode(message: Message) -> bytes:
    """Bytes of a message or an entry: one frame, or one element of `Block.entries`."""
    return _encoder.encode(message)


def decode_up(frame: bytes | str) -> Up:
    """The message a participant sent.

    Raises:
        ProtocolError: the frame is text, or not a message of `Up`.
    """
    try:
        return _decode_up.decode(frame)  # type: ignore[arg-type]  # text is refused below
    except (TypeError, msgspec.MsgspecError, ValueError, RecursionError):
        return _decode(_decode_up, frame, "a message to the synchronizer")  # says what is wrong


def decode_down(frame: bytes | str) -> Down:
    """The message the synchronizer sent.

    Raises:
        ProtocolError: the frame is text, or not a message of `Down`.
    """
    return _decode(_decode_down, frame, "a message of the synchronizer")


def decode_entry(entry: bytes | msgspec.Raw) -> Entry:
    """An element of `Block.entries`.

    Raises:
        ProtocolError: the bytes are not an `Entry`.
    """
    return _decode(_decode_entry, entry, "an entry of the log")


def decode_block(block: Block) -> list[Entry]:
    """The entries of a block.

    Raises:
        ProtocolError: one of them is not an `Entry`.
    """
    decode = _decode_entry.decode
    try:
        return [decode(entry) for entry in block.entries]
    except (msgspec.MsgspecError, ValueError, RecursionError):
        for entry in block.entries:
            decode_entry(entry)  # says what is wrong
        raise


def _decode(decoder: msgspec.msgpack.Decoder[T], frame: bytes | msgspec.Raw | str, expected: str) -> T:
    if isinstance(frame, str):
        raise ProtocolError(f"expected {expected} in a binary frame, got a text frame of {len(frame)} characters")
    try:
        return decoder.decode(frame)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ProtocolError(f"expected {expected}, got {len(bytes(frame)):,} bytes that are none: {error}") from error
