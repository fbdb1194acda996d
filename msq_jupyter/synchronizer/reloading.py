"""What a running synchronizer reads again when it is told to: the token file, and the files of its certificate.

Nobody is cut: a connection stays as it was let in, with the token and the certificate of that moment. A file that
cannot be used is logged, and what was read before goes on being used.
"""

from __future__ import annotations

import logging
import ssl

from msq_jupyter.errors import ArgumentError
from msq_jupyter.synchronizer.server import Synchronizer
from msq_jupyter.synchronizer.settings import Settings

logger = logging.getLogger("msq_jupyter.synchronizer")


class Reloading:
    """Reads again what the settings name.

    Args:
        settings: of the synchronizer.
        synchronizer: which runs.
        tls: what it shows to new connections, None without a certificate.
    """

    def __init__(self, settings: Settings, synchronizer: Synchronizer, tls: ssl.SSLContext | None) -> None:
        self._settings = settings
        self._synchronizer = synchronizer
        self._tls = tls

    def reload(self) -> None:
        """Read both again; never raises."""
        for what, is_given, read in (
            ("token file", self._settings.token_file is not None, self._read_tokens),
            ("certificate", self._tls is not None, self._read_certificate),
        ):
            if not is_given:
                continue
            try:
                read()
                logger.info("the %s was read again", what)
            except (ArgumentError, OSError) as error:
                logger.error("the %s could not be read again, what it said before holds: %s", what, error)

    def _read_tokens(self) -> None:
        self._synchronizer.use_gate(self._settings.gate())

    def _read_certificate(self) -> None:
        self._settings.tls()  # a pair that does not fit would leave half of it in the one in use
        assert self._tls is not None
        assert self._settings.certificate is not None
        self._tls.load_cert_chain(self._settings.certificate, self._settings.private_key)
