"""Settings of msq serve, for the service beside this file; README.md says what each means."""
# ruff: noqa: F821 - traitlets defines `c`

c.Serve.host = "0.0.0.0"
c.Serve.port = 8765
credentials = "/run/credentials/msq-synchronizer.service"
c.Serve.token_file = f"{credentials}/tokens"
c.Serve.certificate = f"{credentials}/certificate.pem"
c.Serve.private_key = f"{credentials}/private_key.pem"

# A class of 30 from behind one address.
c.Serve.address_members = 200
c.Serve.token_events_per_s = 2_000
c.Serve.token_bytes_per_s = 20_000_000
c.Serve.token_stored_bytes = 20_000_000_000
