"""What is in `deploy/` fits the program: flags, settings, variables, paths."""

from __future__ import annotations

import argparse
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from msq_jupyter.cli import _parser
from msq_jupyter.synchronizer import invitation_page
from msq_jupyter.synchronizer.settings import Settings, settle

DEPLOY = Path(__file__).parents[1] / "deploy"
UNIT = (DEPLOY / "msq-synchronizer.service").read_text(encoding="utf-8")
CONTAINERFILE = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
README = (DEPLOY / "README.md").read_text(encoding="utf-8")


def parsed(command: list[str]) -> argparse.Namespace:
    return _parser().parse_args(command)


def unit_value(name: str) -> str:
    [value] = re.findall(rf"^{name}=(.*)$", UNIT, re.MULTILINE)
    return str(value)


def test_the_service_starts_with_flags_and_settings_that_there_are() -> None:
    program, *arguments = shlex.split(unit_value("ExecStart"))
    assert program == "/opt/msq/bin/msq"
    options = parsed(arguments)
    assert options.config == Path("/etc/msq/serve.py")
    options.config = DEPLOY / "serve.py"
    settings = settle(options, {})
    assert (settings.host, settings.port, settings.log_format) == ("0.0.0.0", 8765, "json")
    assert settings.data == Path("/var/lib") / unit_value("StateDirectory")
    # What the settings read is what the service is given.
    given = set(re.findall(r"^LoadCredential=([^:]+):", UNIT, re.MULTILINE))
    for path in (settings.token_file, settings.certificate, settings.private_key):
        assert path is not None
        assert path.parent == Path("/run/credentials/msq-synchronizer.service")
        assert path.name in given
    assert settings.accounts().limits_storage


def test_the_service_is_one_for_systemd(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("there is no systemd-analyze here")
    unit = tmp_path / "msq-synchronizer.service"
    unit.write_text(UNIT.replace("/opt/msq/bin/msq", "/bin/true"))
    done = subprocess.run([analyze, "verify", str(unit)], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_container_sets_what_there_is_to_set() -> None:
    variables = dict(re.findall(r"(MSQ_SERVE_\w+)=(\S+)", CONTAINERFILE))
    assert len(variables) == 5
    [entry] = re.findall(r"^ENTRYPOINT \[(.*)\]$", CONTAINERFILE, re.MULTILINE)
    program, *arguments = [part.strip().strip('"') for part in entry.split(",")]
    assert program == "/opt/msq/bin/msq"
    settings = settle(parsed(arguments), variables)
    assert settings.host == "0.0.0.0"
    assert f"EXPOSE {settings.port}" in CONTAINERFILE
    assert f"VOLUME {settings.data}" in CONTAINERFILE
    assert f"http://127.0.0.1:{settings.port}/healthz" in CONTAINERFILE
    assert settings.token_file is not None
    assert f"podman secret create {settings.token_file.name} " in README
    # Each instruction is one.
    text = re.sub(r"\\\n", " ", CONTAINERFILE)
    words = {line.split()[0] for line in text.splitlines() if line.strip() and not line.startswith("#")}
    known = "FROM COPY RUN USER VOLUME EXPOSE ENV STOPSIGNAL HEALTHCHECK ENTRYPOINT"
    assert words == set(known.split())


def test_the_commands_of_the_readme_parse() -> None:
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    lines = [line.split("#")[0] for block in blocks for line in block.splitlines() if line.startswith("msq ")]
    lines += re.findall(r"`(msq backup [^`]*)`", README)
    assert len(lines) == 5
    for line in lines:
        parsed(shlex.split(line)[1:])


def test_the_readme_names_the_pages_there_are() -> None:
    assert invitation_page.PATH == "/join"
    assert "`/healthz`" in README
    assert "`/metrics`" in README
    assert Settings().token_file is None
