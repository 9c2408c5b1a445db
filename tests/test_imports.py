"""Which part knows which, over the real files; and that importing one does nothing."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = [ROOT / "app.py", *sorted((ROOT / "multimodal").rglob("*.py")), *sorted((ROOT / "low_vram").rglob("*.py"))]

BOTH_HALVES = {"multimodal.desk", "multimodal.retrieval", "multimodal.chat", "multimodal.media", "multimodal.errors"}
# part: what it may import of the desk's own
MAY = {
    "low_vram": {"low_vram"},
    "multimodal.sentences": set(),
    "multimodal.errors": {"multimodal.sentences"},
    "multimodal.settings": {"multimodal.errors", "low_vram"},
    "multimodal.media": {"multimodal.media", "multimodal.errors"},
    "multimodal.chat": {"multimodal.chat", "multimodal.media", "multimodal.errors", "low_vram"},
    "multimodal.retrieval": {"multimodal.retrieval", "multimodal.media", "multimodal.errors", "low_vram"},
    "multimodal.training": {"multimodal.training", "multimodal.retrieval", "multimodal.media", "multimodal.errors", "low_vram"},
    "multimodal.demo": {
        "multimodal.demo",
        "multimodal.training",
        "multimodal.retrieval",
        "multimodal.chat",
        "multimodal.media",
        "multimodal.errors",
        "low_vram",
    },
    "multimodal.data_dir": {"multimodal.errors"},
    "multimodal.checkpoints": {"multimodal.chat"},
    "multimodal.desk": {
        "multimodal.demo",
        "multimodal.retrieval",
        "multimodal.checkpoints",
        "multimodal.data_dir",
        "multimodal.chat",
        "multimodal.media",
        "multimodal.settings",
        "multimodal.errors",
        "low_vram",
    },
    # both halves together: pictures of the library and the model of the chat
    "multimodal.ask_library": BOTH_HALVES,
    "multimodal.captioner": BOTH_HALVES,
    "multimodal.api": {
        "multimodal.api",
        "multimodal.retrieval",
        "multimodal.data_dir",
        "multimodal.desk",
        "multimodal.chat",
        "multimodal.media",
        "multimodal.settings",
        "multimodal.errors",
        "low_vram",
    },
    "multimodal.ui": {
        "multimodal.ui",
        "multimodal.ask_library",
        "multimodal.captioner",
        "multimodal.retrieval",
        "multimodal.data_dir",
        "multimodal.desk",
        "multimodal.chat",
        "multimodal.media",
        "multimodal.settings",
        "multimodal.errors",
        "low_vram",
    },
    "multimodal.commands": {
        "multimodal.commands",
        "multimodal.training",
        "multimodal.retrieval",
        "multimodal.checkpoints",
        "multimodal.media",
        "multimodal.settings",
        "multimodal.errors",
    },
    "multimodal.__main__": {"multimodal.commands"},
    "multimodal": set(),
    "app": {"multimodal.api", "multimodal.ui", "multimodal.data_dir", "multimodal.desk", "multimodal.settings", "multimodal.errors"},
}
# library: the parts that may import it
WHERE = {
    "gradio": {"multimodal.ui"},
    "gradio_client": {"multimodal.ui"},
    "fastapi": {"multimodal.api"},
    "starlette": {"multimodal.api", "app"},
    "uvicorn": set(),
    "dotenv": {"multimodal.settings"},
    "argparse": {"multimodal.settings", "multimodal.demo", "multimodal.commands", "multimodal.__main__", "low_vram"},
    "moviepy": {"multimodal.media", "multimodal.demo"},
    "requests": set(),
    "sqlite3": {"multimodal.retrieval"},
    "faiss": {"multimodal.retrieval"},
    "matplotlib": {"multimodal.training"},
    "watchdog": {"multimodal.retrieval"},
    "httpx": {"multimodal.chat"},
    "urllib.request": {"app"},
}
# What a module must not do while it is imported.
DEEDS = {
    *("open", "print", "input", "exec", "eval", "run", "Popen", "system", "start", "connect", "urlopen", "basicConfig", "sleep"),
    *("read_text", "read_bytes", "write_text", "write_bytes", "mkdir", "unlink", "imread", "from_pretrained", "load_file", "fromfile"),
}


def name_of(path: Path) -> str:
    """multimodal/chat/__init__.py -> multimodal.chat"""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def part_of(module: str) -> str:
    """multimodal.chat.omni -> multimodal.chat; what is no part of the desk stays as it is."""
    pieces = module.split(".")
    return ".".join(pieces[:2]) if pieces[0] == "multimodal" else pieces[0] if pieces[0] in ("low_vram", "app") else module


def imports_of(path: Path) -> set[str]:
    """The modules that the file imports anywhere, inside functions too."""
    found: set[str] = set()
    package = name_of(path) if path.name == "__init__.py" else name_of(path).rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = (
                ".".join([*package.split(".")[: len(package.split(".")) - node.level + 1], node.module or ""]).strip(".")
                if node.level
                else node.module
            )
            # `from multimodal import errors` means the module, `from multimodal.errors import UserError` a name in it
            found |= {f"{base}.{alias.name}" for alias in node.names} if base == "multimodal" else {base}
    return found


MODULES = [pytest.param(path, id=name_of(path)) for path in FILES]


def test_every_part_is_known() -> None:
    assert {part_of(name_of(path)) for path in FILES} == set(MAY)


@pytest.mark.parametrize("path", MODULES)
def test_a_part_imports_only_what_it_may_know(path: Path) -> None:
    own = {part_of(module) for module in imports_of(path) if module.split(".")[0] in ("multimodal", "low_vram", "app")}
    assert own <= MAY[part_of(name_of(path))]


@pytest.mark.parametrize("library", WHERE)
def test_a_library_is_known_in_its_place_alone(library: str) -> None:
    users = {part_of(name_of(path)) for path in FILES if any(f"{module}.".startswith(f"{library}.") for module in imports_of(path))}
    assert users <= WHERE[library]


@pytest.mark.parametrize("path", [pytest.param(path, id=name_of(path)) for path in FILES if part_of(name_of(path)) == "low_vram"])
def test_low_vram_stands_alone(path: Path) -> None:
    assert {module.split(".")[0] for module in imports_of(path)}.isdisjoint({"multimodal", "gradio", "fastapi", "starlette"})


def test_imports_inside_functions_are_seen() -> None:
    assert "multimodal.desk" in imports_of(ROOT / "app.py")


def done_at_import(path: Path) -> list[str]:
    """The calls that run when the module is imported."""
    calls: list[str] = []

    def look(node: ast.AST) -> None:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            # its body waits; what stands around it does not
            around = [*node.args.defaults, *(default for default in node.args.kw_defaults if default), *getattr(node, "decorator_list", [])]
            for part in around:
                look(part)
            return
        if isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'":
            return
        if isinstance(node, ast.Call):
            calls.append(ast.unparse(node.func).rpartition(".")[2])
        for child in ast.iter_child_nodes(node):
            look(child)

    look(ast.parse(path.read_text(encoding="utf-8")))
    return calls


@pytest.mark.parametrize("path", MODULES)
def test_importing_does_nothing(path: Path) -> None:
    assert DEEDS.isdisjoint(done_at_import(path))


def test_what_is_done_at_import_is_seen(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text(
        "X = [open(n) for n in ()]\nclass C:\n    y = Path('a').read_text()\ndef f(a=print()):\n    exec('')\ng = lambda: input()\n"
    )
    assert [call for call in done_at_import(module) if call in DEEDS] == ["open", "read_text", "print"]


def test_a_wrong_setting_is_told_before_the_slow_libraries_are_read() -> None:
    slow = {"torch", "transformers", "gradio", "starlette", "fastapi", "PIL", "numpy"}
    seen, waiting = set(), [ROOT / "multimodal" / f"{name}.py" for name in ("settings", "errors", "sentences")]
    for path in waiting:
        seen |= {module.split(".")[0] for module in imports_of(path)}
    assert seen.isdisjoint(slow)
    assert "argparse" in seen
    assert seen & set(sys.stdlib_module_names)
