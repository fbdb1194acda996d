"""The Python half of the badge; what the browser makes of it is tested in `js/test`."""

import re
from pathlib import Path

import pytest
import traitlets
from ipywidgets import DOMWidget

from msq_jupyter.errors import InternalError
from msq_jupyter.widgets import one_way, presence
from msq_jupyter.widgets.presence import Badge

PEOPLE = [
    {"view_id": "v1", "label": "Ada", "is_me": True},
    {"view_id": "v2", "label": "Ben", "is_me": False},
]
CONTRACT = Path(__file__).parents[2] / "js" / "src" / "traits.ts"


@pytest.fixture
def badge():
    badge = Badge(name="lesson-1", app_id="edu.school.demo")
    yield badge
    badge.close()


def own_traits() -> set[str]:
    return {name for name in presence.Presence.class_own_traits(sync=True) if not name.startswith("_")}


def bundle(badge):
    data, _metadata = badge._repr_mimebundle_()
    return data


def test_every_trait_is_synced_and_starts_empty(badge):
    state = badge.get_state(own_traits())
    assert state == {
        "name": "lesson-1",
        "app_id": "edu.school.demo",
        "link_state": "joining",
        "people": [],
        "saved_state": "none",
        "saved_number": 0,
        "saved_at_s": 0.0,
        "saved_by": "",
        "saved_error": "",
        "next_save_s": 0.0,
        "waiting_ms": 0,
        "notice": "",
        "others": [],
        "on_branch": False,
        "error_type": "",
        "error": "",
        "synchronizer": "",
        "latency_ms": -1,
        "edit_state": "",
        "edit_title": "",
        "has_hook": True,
        "model_name": "",
        "code": "",
        "model_stamp": 0,
        "versions_stamp": 0,
        "check_stamp": 0,
        "log_stamp": 0,
        "seq": 0,
    }


def test_no_trait_takes_a_name_that_ipywidgets_uses():
    assert [name for name in own_traits() if hasattr(DOMWidget, name)] == []


@pytest.mark.skipif(not CONTRACT.is_file(), reason="the browser sources are not here: an installed package")
def test_the_browser_knows_the_same_traits_and_states():
    source = CONTRACT.read_text(encoding="utf-8")
    interface = re.search(r"interface PresenceTraits \{(.*?)\n\}", source, re.DOTALL)
    assert interface is not None
    assert set(re.findall(r"readonly (\w+):", interface[1])) == own_traits()
    for name, states in (("LinkState", presence.LINK_STATES), ("SavedState", presence.SAVED_STATES)):
        union = re.search(rf"type {name} = (.*?);", source)
        assert union is not None
        assert re.findall(r'"([^"]+)"', union[1]) == list(states)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("link_state", "lost"),
        ("saved_state", "unsaved"),
        ("saved_number", -1),
        ("saved_at_s", -1.0),
        ("next_save_s", -1.0),
        ("people", ["Ada"]),
    ],
)
def test_a_value_the_browser_could_not_show_is_refused(badge, name, value):
    with pytest.raises(traitlets.TraitError, match=name):
        setattr(badge, name, value)


def test_what_a_browser_writes_is_ignored(badge):
    badge._handle_msg(
        {"content": {"data": {"method": "update", "state": {"name": "other", "_esm": "evil()"}}}, "buffers": []}
    )
    assert badge.name == "lesson-1"
    assert "evil" not in str(badge._esm)


def test_the_bundle_and_its_style_travel_with_the_widget(badge):
    state = badge.get_state(["_esm", "_css"])
    assert "msq-badge" in state["_esm"]
    assert re.search(r"\bimport\b[^.(]*\bfrom\b|\bimport\(", state["_esm"]) is None, "a Blob module cannot import"
    assert ".msq-badge" in state["_css"]


def test_every_style_rule_starts_with_the_root_class(badge):
    css = re.sub(r"@keyframes[^{]*\{(?:[^{}]*\{[^{}]*\})*\}|/\*.*?\*/", "", str(badge._css), flags=re.S)
    selectors = [one.strip() for group in re.findall(r"([^{}@;]+)\{", css) for one in group.split(",")]
    rules = [one for one in selectors if not one.startswith(("container", "media", "("))]
    assert rules
    assert [one for one in rules if not one.startswith((".msq-presence", ".msq-badge", ".msq-panel"))] == []


def test_the_live_view_comes_with_a_snapshot_in_text_and_html(badge):
    badge.link_state = "live"
    badge.people = PEOPLE
    badge.saved_state, badge.saved_number, badge.saved_by, badge.saved_at_s = "saved", 3, "Ada", 1_700_000_000.0
    data = bundle(badge)
    assert data["application/vnd.jupyter.widget-view+json"]["model_id"] == badge.model_id
    assert data["text/plain"] == "lesson-1 · live · 2 people · saved 2023-11-14 22:13 UTC by Ada · v3"
    assert data["text/html"] == (
        "<div><strong>lesson-1</strong> · live · 2 people · saved 2023-11-14 22:13 UTC by Ada · v3</div>"
    )


@pytest.mark.parametrize(
    ("state", "number", "words"),
    [
        ("none", 0, "nothing saved yet"),
        ("dirty", 0, "not saved yet"),
        ("dirty", 2, "not saved yet, last was saved by Ben · v2"),
        ("saving", 0, "saving"),
        ("saving", 2, "saving, last was saved by Ben · v2"),
        ("failed", 0, "save failed, trying again"),
        ("failed", 2, "save failed, trying again, last was saved by Ben · v2"),
        ("saved", 2, "saved by Ben · v2"),
    ],
)
def test_the_snapshot_says_what_is_saved(badge, state, number, words):
    badge.saved_state, badge.saved_number, badge.saved_by = state, number, "Ben"
    assert bundle(badge)["text/plain"] == f"lesson-1 · joining · {words}"


def test_the_snapshot_counts_one_person(badge):
    badge.people = PEOPLE[:1]
    assert "· 1 person ·" in bundle(badge)["text/plain"]


def test_the_html_snapshot_holds_no_markup_of_others(badge):
    badge.name = "<script>alert(1)</script>"
    badge.saved_state, badge.saved_number, badge.saved_by = "saved", 1, "<img src=x onerror=alert(1)>"
    html = bundle(badge)["text/html"]
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "<img" not in html
    assert "<script" not in html


def test_a_missing_bundle_says_how_to_build_it():
    with pytest.raises(InternalError, match=r"no widgets/static/absent\.js.*npm ci.*npm run build"):
        one_way.built("absent.js")
