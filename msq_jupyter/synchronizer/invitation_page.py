"""The page behind an invitation's link. The synchronizer knows nothing of the session: the browser reads the link."""

from __future__ import annotations

PATH = "/join"

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>Join a live notebook</title>
<style>
  :root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
  body { max-width: 40rem; margin: 12vh auto; padding: 0 1rem; }
  pre { padding: .8rem; border: 1px solid color-mix(in srgb, currentColor 25%, transparent); border-radius: 6px;
        white-space: pre-wrap; overflow-wrap: anywhere; }
  button { font: inherit; padding: .3rem .9rem; }
</style>
<h1 id="title">Join a live notebook</h1>
<p id="how">This link says nothing about a session: ask for it once more, and copy all of it.</p>
<div id="line" hidden><pre id="text"></pre><button id="copy" type="button">Copy</button>
<span id="said" role="status"></span></div>
<script>
  const fields = new URLSearchParams(location.hash.slice(1));
  if (fields.get("app") && fields.get("name")) {
    const quoted = "'" + location.href.replaceAll("'", "%27") + "'";
    const line = "%msq join " + quoted + (fields.get("password") || fields.get("open") ? "" : " --password");
    document.getElementById("title").textContent = "Join “" + fields.get("name") + "”";
    document.getElementById("how").textContent =
      "In a notebook with the model's code, run “%load_ext msq_jupyter”, and then in a cell below the model:";
    document.getElementById("text").textContent = line;
    document.getElementById("line").hidden = false;
    document.getElementById("copy").addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(line);
        document.getElementById("said").textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(document.getElementById("text"));
        document.getElementById("said").textContent = "Selected: copy it now";
      }
    });
  }
</script>
</html>
"""

HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}
