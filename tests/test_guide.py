"""Guide, troubleshooting and the commands in all pages: what they name exists, and all of it is named."""

import ast
import re
import shlex
from pathlib import Path

import click
import pytest
import typer

from slimcast.cli import app
from slimcast.recipe import parse_recipe
from slimcast_edge.cli import entry
from slimcast_edge.errors import Refusal
from slimcast_web.services.dial import LEVELS

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.glob("*.md"), ROOT / "README.md"])
SOURCES = [ROOT / "compression", ROOT / "edge_client", ROOT / "webapp"]
LARGEST_PICTURE = 300_000


def errors() -> set[str]:
    """Every class in the sources that comes from SlimcastError, however far."""
    bases: dict[str, set[str]] = {}
    for file in (file for source in SOURCES for file in source.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                bases[node.name] = {base.id for base in node.bases if isinstance(base, ast.Name)}
    found = {"SlimcastError"}
    while more := {name for name, above in bases.items() if above & found} - found:
        found |= more
    return {name for name in found if not name.startswith("_")}


def rows(page: str, heading: str) -> set[str]:
    section = (DOCS / page).read_text(encoding="utf-8").split(f"## {heading}\n")[1].split("\n## ")[0]
    return set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))


def commands() -> list[tuple[str, str]]:
    """Every command line of ours in a block of shell, with the page that shows it."""
    found = []
    for page in PAGES:
        for block in re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                while words and (re.fullmatch(r"[A-Z_]+=.*", words[0]) or words[0] in {"sudo", "exec"}):
                    words = words[1:]
                if words and words[0] in {"slimcast", "slimcast-edge"}:
                    found.append((page.name, shlex.join(words)))
    return found


def test_troubleshooting_names_every_error_that_the_code_can_raise_and_no_other():
    assert rows("troubleshooting.md", "Errors") == errors()


def test_troubleshooting_names_every_refusal_and_no_other():
    assert rows("troubleshooting.md", "Why a camera refused a model") == {str(reason) for reason in Refusal}


@pytest.mark.parametrize(("page", "line"), commands(), ids=lambda value: value[:60])
def test_every_command_in_the_documentation_is_understood(page, line):
    program, *arguments = shlex.split(line)
    if program == "slimcast-edge":
        entry._parser().parse_args(arguments)  # ends the process where it does not understand
        return
    command: click.Command = typer.main.get_command(app)
    context = None
    while True:
        context = command.make_context(
            command.name or program, arguments, parent=context, resilient_parsing=False
        )
        rest = [*context._protected_args, *context.args]
        if not isinstance(command, click.Group) or not rest:
            return
        _, command, arguments = command.resolve_command(context, rest)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_pictures_of_a_page_are_there(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        place = (page.parent / file) if file else page
        assert place.exists(), target
        if anchor:
            heads = re.findall(r"^#+ (.+)$", place.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {
                re.sub(r"[^\w\- ]", "", head).strip().lower().replace(" ", "-") for head in heads
            }


def test_pictures_are_small():
    large = [file.name for file in (DOCS / "images").glob("*.png") if file.stat().st_size > LARGEST_PICTURE]
    assert large == []


def test_the_guide_tells_of_every_stop_of_the_dial():
    text = (DOCS / "guide.md").read_text(encoding="utf-8")
    assert [level.title for level in LEVELS if f"| {level.title} | {level.keep_macs} % |" not in text] == []


def test_recipes_that_the_guide_shows_are_recipes():
    shown = re.findall(r"```yaml\n(.*?)```", (DOCS / "guide.md").read_text(encoding="utf-8"), re.DOTALL)
    assert shown
    for text in shown:
        assert parse_recipe(text).steps
