"""Inviting others: one line to paste into a notebook, a link that says the same, and the link as a QR code.

A link is `https://host:port/join#app=…&name=…`. What stands after the "#" is never sent to anybody: the page that the
synchronizer shows at `/join` reads it in the browser. The password and the synchronizer's token are in there, and in
the line, only when they are asked for, because what a cell shows is stored in the notebook.

Behind a Jupyter server the page is at `https://host/user/ada/msq/join`. Its token is in no invitation: it lets people
do far more than join, so everybody has to have one of their own, and puts it behind the address as `?token=TOKEN`.
"""

from __future__ import annotations

import io
import shlex
from dataclasses import dataclass
from html import escape
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from msq_jupyter.errors import ArgumentError
from msq_jupyter.session.jupyter_server import is_jupyter, rooms_of, with_token

#: Where the page is that explains a link.
PATH = "/join"

_SCHEMES = {"ws": "http", "wss": "https"}
_FIELDS = {"app": "app_id", "name": "name", "password": "password", "token": "token"}
#: What a link has besides, each as "1": the session has no password; the rooms are behind a Jupyter server.
_OPEN_MARK, _JUPYTER_MARK = "open", "jupyter"

_SECRET = "Password or token are in here, and are stored with the notebook: clear this output when it was sent."
_OPEN = "The session has no password."
_OWN_TOKEN = "Who comes from elsewhere needs a token of their own for this Jupyter server, as ?token=… behind /msq."


@dataclass(frozen=True)
class Invitation:
    """What somebody needs to join a session, besides its model's code. In a notebook it shows itself.

    Attributes:
        app_id: the session's.
        name: the session's.
        synchronizer: its URL, `ws` or `wss`, or that of rooms behind a Jupyter server, `http` or `https`; "" for the
            local one of this user.
        has_password: whether the session has one.
        password: the password; "" unless it was asked for.
        token: the synchronizer's; "" when it has none, or it was not asked for. From a Jupyter server's link, what the
            guest put there.
    """

    app_id: str
    name: str
    synchronizer: str
    has_password: bool
    password: str = ""
    token: str = ""

    @property
    def address(self) -> str:
        """What `synchronizer=` of `join` takes: the URL with the token, if there is one."""
        if is_jupyter(self.synchronizer):
            return with_token(self.synchronizer, self.token)
        return self.synchronizer.replace("://", f"://{self.token}@", 1) if self.token else self.synchronizer

    @property
    def line(self) -> str:
        """What to paste into a cell below the model's. Without the password in it, it asks for it."""
        words = ["%msq", "join", "--app", self.app_id, "--name", self.name]
        if self.synchronizer:
            words += ["--synchronizer", self.address]
        if self.has_password:
            words += ["--password", *([self.password] if self.password else [])]
        return " ".join(word if word == "%msq" else shlex.quote(word) for word in words)

    @property
    def link(self) -> str:
        """A link to open, or to give to `%msq join`; "" for a session that only this machine can reach."""
        if not self.synchronizer:
            return ""
        scheme, _, host = self.synchronizer.partition("://")
        token = "" if is_jupyter(self.synchronizer) else self.token
        fields = {"app": self.app_id, "name": self.name, "password": self.password, "token": token}
        fields[_OPEN_MARK] = "" if self.has_password else "1"
        fields[_JUPYTER_MARK] = "1" if is_jupyter(self.synchronizer) else ""
        fragment = urlencode({key: value for key, value in fields.items() if value}, quote_via=quote)
        return f"{_SCHEMES.get(scheme, scheme)}://{host.rstrip('/')}{PATH}#{fragment}"

    @property
    def qr_svg(self) -> str:
        """The link as a QR code, an SVG element; "" without a link."""
        if not self.link:
            return ""
        import segno  # only who invites needs it

        out = io.BytesIO()
        segno.make(self.link, error="m").save(
            out, kind="svg", scale=4, border=4, xmldecl=False, svgns=True, light="#fff", title="Link to the session"
        )
        return out.getvalue().decode()

    @property
    def remark(self) -> str:
        """What else to know, one line."""
        if not self.synchronizer:
            need = "a synchronizer that theirs can reach, too"
            need = need if self.has_password else f"a password for it, and {need}"
            return f"Only this machine can reach this session: others need {need}."
        if self.password or self.token:
            secret = _SECRET
        else:
            secret = "The password is not in here: tell it on another way." if self.has_password else _OPEN
        return f"{secret} {_OWN_TOKEN}" if is_jupyter(self.synchronizer) else secret

    def __repr__(self) -> str:
        return "\n".join(part for part in (self.line, self.link, self.remark) if part)

    def _repr_html_(self) -> str:
        link = f'<p><a href="{escape(self.link)}">{escape(self.link)}</a></p>' if self.link else ""
        return f"<pre>{escape(self.line)}</pre>{link}{self.qr_svg}<p>{escape(self.remark)}</p>"


def is_link(text: str) -> bool:
    """Whether a text is meant for an invitation's link, and not for the address of a synchronizer."""
    return "#" in text or text.partition("?")[0].endswith(PATH)


def parse_link(link: str) -> Invitation:
    """What a link says.

    Args:
        link: as `Invitation.link`.

    Raises:
        ArgumentError: it is no such link.
    """
    try:
        parts = urlsplit(link)
        scheme = {plain: socket for socket, plain in _SCHEMES.items()}[parts.scheme]
        found = dict(parse_qsl(parts.fragment, strict_parsing=True))
        if not parts.path.endswith(PATH) or not parts.netloc or not link.isprintable():
            raise ValueError(link)
        path = parts.path.removesuffix(PATH)
        has_password, behind_jupyter = not found.pop(_OPEN_MARK, ""), found.pop(_JUPYTER_MARK, "")
        found = {_FIELDS[key]: value for key, value in found.items()}
        synchronizer = f"{scheme}://{parts.netloc}{path}"
        if behind_jupyter:
            synchronizer, found["token"] = rooms_of(link)
        return Invitation(synchronizer=synchronizer, has_password=has_password, **found)
    except (KeyError, TypeError, ValueError):
        shown = link.partition("#")[0].partition("?")[0]  # what follows may be a secret
        raise ArgumentError(
            f"expected a link such as https://host:port{PATH}#app=edu.school.demo&name=lesson-1, got {shown!r}"
        ) from None
