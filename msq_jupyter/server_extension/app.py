"""The extension as a Jupyter server sees it: its routes, what it tells the server's kernels, its end."""

from __future__ import annotations

import os
from urllib.parse import urlsplit, urlunsplit

from jupyter_server.extension.application import ExtensionApp
from jupyter_server.serverapp import ServerApp
from jupyter_server.utils import url_path_join
from tornado.ioloop import IOLoop

from msq_jupyter.local_registry import default_data_directory
from msq_jupyter.server_extension.handlers import ROUTES, SOCKETS, dismiss
from msq_jupyter.session.jupyter_server import DATA_VARIABLE, PATH, URL_VARIABLE

#: What JupyterHub says of the address at which people see this server; unset by some versions and set-ups.
HUB_URL_VARIABLE = "JUPYTERHUB_PUBLIC_URL"


class MsqExtension(ExtensionApp):
    """Serves the rooms of the local synchronizer of the user who runs the Jupyter server."""

    name = "msq_jupyter"

    def initialize_settings(self) -> None:
        """What the handlers find in the settings of the web application; the server asks for it, then for handlers."""
        self.settings[SOCKETS] = set()

    def initialize_handlers(self) -> None:
        """The routes, all below `PATH`."""
        self.handlers.extend((PATH + path, handler) for path, handler in ROUTES.items())
        # The port is known only when the server listens, and no kernel starts before.
        IOLoop.current().add_callback(self._tell_kernels)

    def _tell_kernels(self) -> None:
        # Kernels inherit the environment. There is no token in there: they reach the same synchronizer without Jupyter.
        if self.serverapp is None or self.serverapp.sock:
            return  # at a socket in the file system, where nobody from elsewhere comes
        os.environ[URL_VARIABLE] = public_url(self.serverapp)
        os.environ[DATA_VARIABLE] = str(default_data_directory())

    async def stop_extension(self) -> None:
        """The server stops: tell all members, who connect again when it is back."""
        await dismiss(self.settings[SOCKETS])


def public_url(server: ServerApp) -> str:
    """Where people see the rooms of a server, as far as it can know: `https://hub.example.org/user/ada/msq`.

    Args:
        server: behind a proxy it knows its address only if it was told, by JupyterHub in `JUPYTERHUB_PUBLIC_URL` or by
            its setting `ServerApp.custom_display_url`.
    """
    told = urlsplit(os.environ.get(HUB_URL_VARIABLE) or server.custom_display_url)
    own = urlsplit(server.connection_url)
    path = told.path if told.netloc and told.path.strip("/") else own.path
    return urlunsplit((told.scheme or own.scheme, told.netloc or own.netloc, url_path_join(path, PATH), "", ""))
