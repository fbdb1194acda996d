"""The rooms of this user's synchronizer at `<base_url>/msq` of a Jupyter server, behind that server's authentication.

Installing the package enables it. Nothing else imports it: a kernel does without `jupyter_server`.
"""

from __future__ import annotations

from typing import Any


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    """What a Jupyter server asks a package for when it loads extensions."""
    from msq_jupyter.server_extension.app import MsqExtension

    return [{"module": "msq_jupyter.server_extension.app", "app": MsqExtension}]
