"""The settings of `msq serve`: one table, three ways to say each, and what each does."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from msq_jupyter.errors import ArgumentError
from msq_jupyter.synchronizer import process
from msq_jupyter.synchronizer.limits import Accounts, Limits
from msq_jupyter.synchronizer.settings import Settings, add_flags, flag_of, settle, variable_of

from .certificates import write_certificate

ROOT = Path(__file__).parents[2]
NAMES = [setting.name for setting in dataclasses.fields(Settings)]
#: Of each setting two texts, and what they mean.
SAMPLES: dict[str, tuple[tuple[str, Any], tuple[str, Any]]] = {
    "host": (("::1", "::1"), ("0.0.0.0", "0.0.0.0")),
    "port": (("8765", 8765), ("0", 0)),
    "data": (("/a/b", Path("/a/b")), ("c", Path("c"))),
    "token_file": (("tokens", Path("tokens")), ("/t", Path("/t"))),
    "certificate": (("c.pem", Path("c.pem")), ("/c", Path("/c"))),
    "private_key": (("k.pem", Path("k.pem")), ("/k", Path("/k"))),
    "origins": (("https://a.example/", ("https://a.example",)), ("https://a, http://b:1", ("https://a", "http://b:1"))),
    "idle_exit_s": (("0", 0.0), ("1.5", 1.5)),
    "keep_sessions_days": (("0", 0.0), ("400", 400.0)),
    "log_format": (("json", "json"), ("text", "text")),
    "log_level": (("debug", "debug"), ("error", "error")),
    **{
        f"{whose}_{name}": ((("10", 10), ("20", 20)))
        for whose in ("token", "address")
        for name in ("events_per_s", "bytes_per_s", "members", "sessions", "stored_bytes")
    },
    "address_wrong_tokens": (("10", 10), ("20", 20)),
}
WRONG = {
    "port": ("65536", "expected a port from 0 to 65535, got 65536"),
    "idle_exit_s": ("inf", "expected a number from 0, got inf"),
    "keep_sessions_days": ("-1", "expected a number from 0, got -1"),
    "origins": ("lab.example.org", "expected origins such as https://lab.example.org, with commas between, got"),
    "log_format": ("xml", "expected one of text, json, got 'xml'"),
    "log_level": ("loud", "expected one of debug, info, warning, error, got 'loud'"),
    "token_members": ("1.5", "expected a whole number from 0, got 1.5"),
    "address_bytes_per_s": ("-1", "expected a number from 0, got -1"),
}


def settled(*flags: str, flags_only: bool = False, **variables: str) -> Settings:
    parser = argparse.ArgumentParser()
    add_flags(parser)
    return settle(parser.parse_args(flags), variables, flags_only=flags_only)


def config(directory: Path, text: str, name: str = "serve.py") -> str:
    (directory / name).write_text(text, encoding="utf-8")
    return f"--config={directory / name}"


def test_every_setting_has_samples() -> None:
    assert list(SAMPLES) == NAMES
    for name, ((_, first), (_, second)) in SAMPLES.items():
        assert first != second, name


@pytest.mark.parametrize("name", NAMES)
def test_a_flag_counts_before_a_variable_and_that_before_the_file(name: str, tmp_path: Path) -> None:
    (first, meaning), (second, other_meaning) = SAMPLES[name]
    variables = {variable_of(name): first}
    flag = f"{flag_of(name)}={first}"
    in_file = config(tmp_path, f"c.Serve.{name} = {second!r}\n")
    assert settled() == Settings()
    assert getattr(settled(in_file), name) == other_meaning
    assert getattr(settled(in_file, **variables), name) == meaning
    assert getattr(settled(in_file, flag, **{variable_of(name): second}), name) == meaning
    assert getattr(settled(flag), name) == meaning
    # Nothing else is changed by it.
    assert dataclasses.replace(settled(flag), **{name: getattr(Settings(), name)}) == Settings()


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_is_refused_by_the_name_of_where_it_was_said(name: str, tmp_path: Path) -> None:
    text, reason = WRONG[name]
    in_file = config(tmp_path, f"c.Serve.{name} = {text!r}\n")
    for arguments, variables, where in (
        ([f"{flag_of(name)}={text}"], {}, flag_of(name)),
        ([], {variable_of(name): text}, variable_of(name)),
        ([in_file], {}, f"{tmp_path / 'serve.py'}: c.Serve.{name}"),
    ):
        with pytest.raises(ArgumentError) as caught:
            settled(*arguments, **variables)
        assert str(caught.value).startswith(f"{where}: {reason}")


def test_a_misspelt_setting_is_refused_with_the_nearest_one(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"got c\.Serve\.prot; did you mean c\.Serve\.port\?"):
        settled(config(tmp_path, "c.Serve.prot = 1\n"))
    with pytest.raises(ArgumentError, match=r"got MSQ_SERVE_PROT; did you mean MSQ_SERVE_PORT\?"):
        settled(MSQ_SERVE_PROT="1")
    with pytest.raises(ArgumentError, match="got MSQ_SERVE_XYZ: msq serve --help lists them"):
        settled(MSQ_SERVE_XYZ="1")


def test_files_may_be_json_and_have_sections_of_others(tmp_path: Path) -> None:
    text = json.dumps({"Serve": {"port": 8765, "origins": ["https://a", "https://b"]}, "ServerApp": {"port": 1}})
    found = settled(config(tmp_path, text, "serve.json"))
    assert (found.port, found.origins) == (8765, ("https://a", "https://b"))


@pytest.mark.parametrize("text", ["c.Serve.port = = 1", "1 / 0", None])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, text: str | None) -> None:
    flag = config(tmp_path, text) if text else f"--config={tmp_path / 'none.py'}"
    with pytest.raises(ArgumentError, match=r"--config: expected a configuration of traitlets in .*(serve|none)\.py"):
        settled(flag)


def test_local_takes_flags_only(tmp_path: Path) -> None:
    assert settled("--port=1", flags_only=True, MSQ_SERVE_PORT="x", MSQ_SERVE_XYZ="1").port == 1


# --- what they do ------------------------------------------------------------------------------------------------


def test_limits_reach_the_account_they_are_for() -> None:
    for whose in ("token", "address"):
        for limit in dataclasses.fields(Limits):
            accounts = settled(f"--{whose}-{limit.name.replace('_', '-')}=10").accounts()
            expected = {"token": Limits(), "address": Limits()} | {whose: Limits(**{limit.name: 10})}
            assert accounts._limits == expected


async def test_what_is_set_is_what_the_synchronizer_gets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The way from the settings to the synchronizer; its own tests show what it does with them."""
    certificate, private_key = write_certificate(tmp_path)
    (tmp_path / "tokens").write_text("secret\n")
    made: list[Any] = []

    class Stop(Exception):
        pass

    def synchronizer(*arguments: Any, **named: Any) -> None:
        made.append((arguments, named))
        raise Stop

    monkeypatch.setattr(process, "Synchronizer", synchronizer)
    settings = settled(
        *("--host=127.0.0.2", "--port=1", f"--data={tmp_path / 'data'}", f"--token-file={tmp_path / 'tokens'}"),
        *(f"--certificate={certificate}", f"--private-key={private_key}", "--origins=https://a", "--idle-exit-s=5"),
    )
    gate = settings.gate()
    with pytest.raises(Stop):
        await process.serve(settings, gate, on_listening=lambda _: None)
    [((host, port), named)] = made
    assert (host, port, named["data_directory"]) == ("127.0.0.2", 1, tmp_path / "data")
    assert (named["gate"], named["origins"], named["idle_exit_s"]) == (gate, ("https://a",), 5.0)
    assert isinstance(named["accounts"], Accounts)
    assert named["tls"].get_ca_certs() == []  # it asks no client for a certificate
    assert gate.admit(["Bearer secret"]) is not None


@pytest.mark.parametrize("given", ["certificate", "private_key"])
def test_a_certificate_needs_its_key(given: str) -> None:
    with pytest.raises(ArgumentError, match="expected --certificate and --private-key together, got one of them"):
        Settings(**{given: Path("x")}).tls()


def test_files_that_are_no_certificate_are_named_and_not_shown(tmp_path: Path) -> None:
    certificate, private_key = write_certificate(tmp_path)
    secret = private_key.read_text()
    (tmp_path / "broken.pem").write_text("-----BEGIN CERTIFICATE-----\nsecret\n-----END CERTIFICATE-----\n")
    for pair in ((tmp_path / "broken.pem", private_key), (certificate, tmp_path / "none"), (private_key, certificate)):
        with pytest.raises(ArgumentError, match="expected a certificate in ") as got:
            Settings(certificate=pair[0], private_key=pair[1]).tls()
        assert "secret" not in str(got.value)
        assert secret not in str(got.value)


# --- what is written of them -------------------------------------------------------------------------------------


def test_help_says_every_setting_with_its_variable_and_its_default() -> None:
    parser = argparse.ArgumentParser()
    add_flags(parser)
    text = " ".join(parser.format_help().split())
    for setting in dataclasses.fields(Settings):
        assert f"{flag_of(setting.name)} {setting.metadata['metavar']} " in text
        assert f"[{variable_of(setting.name)}]" in text
        assert " ".join(setting.metadata["help"].split()) in text
    assert "(default: 127.0.0.1)" in text


def test_the_table_of_the_readme_is_this_one() -> None:
    readme = (ROOT / "deploy" / "README.md").read_text(encoding="utf-8")
    rows = [f"| `{setting.name}` | {setting.metadata['help']} |" for setting in dataclasses.fields(Settings)]
    start = readme.index("| setting | meaning |")
    assert readme[start:].split("\n\n")[0].split("\n")[2:] == rows
