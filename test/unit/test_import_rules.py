"""What may import what: ROS and torch only where they belong, and nothing in circles."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import focdepth_ros

ROOT = Path(focdepth_ros.__file__).parent
# Where the package is installed, the generated messages are in it.
FILES = sorted(path for path in ROOT.rglob("*.py") if path.relative_to(ROOT).parts[0] != "msg")
NODES = [path for path in FILES if path.relative_to(ROOT).parts[0] == "ros"]
OTHERS = [path for path in FILES if path not in NODES]
ROS_PACKAGES = {"ament_index_python", "builtin_interfaces", "cv_bridge", "launch", "launch_ros",
                "message_filters", "rcl_interfaces", "rclpy", "sensor_msgs_py",
                "tf2_ros"}  # fmt: skip
TORCH_PACKAGES = {"lightning_fabric", "onnx", "onnxruntime", "onnxscript", "safetensors",
                  "tensorboard", "timm", "torch", "torchvision", "wandb"}  # fmt: skip
WEB_PACKAGES = {"fastapi", "gradio", "uvicorn"}
# What is on torch. Their configurations and the tops of these packages load without it all the
# same, so that a command can say what is wrong with a setting before anything heavy is loaded.
ON_TORCH = ("defocus", "models", "training")
LIGHT_NAMES = {"__init__.py", "config.py"}
# Other libraries that come only with an extra, and the one part of the package that knows each.
# They are loaded when they are used, never with a module.
HOMES = {
    "distributed": "evaluation",
    "h5py": "datasets",
    "jinja2": "evaluation",
    "rerun": "viewer",
    "rerun_cli": "viewer",
    "rosbags": "bags",
    "scipy": "datasets",
    "sewar": "evaluation",
    "skimage": "evaluation",
}
# The packages from the ground up: each may use those below it, and what is not here is the roof.
FLOORS = (
    {"pictures", "sweep_parts"},
    {"classical", "files", "messages", "simulation"},
    {"lens"},
    {"stack_folder"},
    {"bags", "defocus", "models", "registration"},
    {"backends", "datasets"},
    {"evaluation"},
    {"calibration", "training"},
)


def module_name(path: Path) -> str:
    parts = ("focdepth_ros", *path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def imported_names(path: Path, *, when_loaded: bool = False) -> tuple[str, ...]:
    """Dotted names that a file imports, and for ``from a import b`` also ``a.b``.

    With `when_loaded` only those that are imported when the file itself is: not those inside
    functions, nor those for type checkers.
    """
    return tuple(_imported_names(path, when_loaded))


def _imported_names(path: Path, when_loaded: bool) -> Iterator[str]:
    pending: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import; write the whole name"
            base = str(node.module)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif when_loaded and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        elif when_loaded and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            pending.extend(node.orelse)
        else:
            pending.extend(ast.iter_child_nodes(node))


def part_of(path: Path) -> str:
    """The package below the top in which a module is, or the name of a module that is in none."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def used_parts(path: Path) -> set[str]:
    """The other parts of the package that a module imports at any time, or for types only."""
    names = (name.split(".") for name in imported_names(path))
    used = {name[1] for name in names if name[0] == "focdepth_ros" and len(name) > 1}
    return (used & {part_of(other) for other in FILES}) - {part_of(path)}


def is_ros(name: str) -> bool:
    top = name.partition(".")[0]
    generated = name.startswith(("focdepth_ros.msg", "focdepth_ros.ros"))
    return top in ROS_PACKAGES or top.endswith(("_msgs", "_srvs")) or generated


@pytest.mark.parametrize("path", OTHERS, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_nodes_know_ros(path: Path) -> None:
    assert [name for name in imported_names(path) if is_ros(name)] == []


def test_the_nodes_do_know_ros() -> None:
    """So that the rule above is not kept by looking in the wrong place."""
    names = [name for path in NODES for name in imported_names(path)]
    assert "rclpy" in {name.partition(".")[0] for name in names}
    assert any(name.startswith("focdepth_ros.msg") for name in names)


def imports_torch(path: Path) -> bool:
    """Whether loading this very file loads torch or what is on it."""
    tops = {name.partition(".")[0] for name in imported_names(path, when_loaded=True)}
    return not tops.isdisjoint(TORCH_PACKAGES)


@cache
def loads_torch() -> set[str]:
    """Modules that load torch themselves or through other modules of the package."""
    names = {module_name(path): path for path in FILES}
    heavy = {name for name, path in names.items() if imports_torch(path)}
    while True:
        more = {
            name
            for name, path in names.items()
            if name not in heavy and heavy & set(imported_names(path, when_loaded=True))
        }
        if not more:
            return heavy
        heavy |= more


def test_only_networks_and_training_load_torch() -> None:
    places = {f"focdepth_ros.{folder}" for folder in ON_TORCH}
    heavy = loads_torch()
    assert "focdepth_ros.models.focdepthformer.model" in heavy
    assert [name for name in heavy if ".".join(name.split(".")[:2]) not in places] == []


@pytest.mark.parametrize(
    "path",
    [path for path in FILES if path.name in LIGHT_NAMES],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_configurations_and_tops_of_packages_load_without_torch(path: Path) -> None:
    assert module_name(path) not in loads_torch()


def imports_gradio(path: Path) -> bool:
    tops = {name.partition(".")[0] for name in imported_names(path, when_loaded=True)}
    return not tops.isdisjoint(WEB_PACKAGES)


def test_only_the_page_loads_gradio() -> None:
    found = {module_name(path) for path in FILES if imports_gradio(path)}
    assert found == {f"focdepth_ros.web.{name}" for name in ("handlers", "page", "server")}
    users = {
        module_name(path)
        for path in FILES
        if found & set(imported_names(path, when_loaded=True)) and module_name(path) not in found
    }
    assert users == set()


def test_everything_else_loads_without_ros_and_torch() -> None:
    heavy = loads_torch()
    modules = [
        name
        for path in OTHERS
        if path.name != "__main__.py"
        and not imports_gradio(path)
        and (name := module_name(path)) not in heavy
    ]
    assert "focdepth_ros.cli" in modules
    assert "focdepth_ros.models.focdepthformer.config" in modules
    code = (
        "import sys; from importlib import import_module\n"
        f"for name in {modules!r}: import_module(name)\n"
        "from focdepth_ros.backends import focdepthformer, registry\n"
        "focdepthformer.cuda_missing_because = lambda: 'torch may be asked where there is a GPU'\n"
        "list(registry.list_backends())\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    loaded = done.stdout.split()
    assert "focdepth_ros" in loaded
    late = TORCH_PACKAGES | WEB_PACKAGES | HOMES.keys()
    assert [name for name in loaded if is_ros(name) or name in late] == []


def test_libraries_of_extras_are_known_in_one_place_and_loaded_late() -> None:
    elsewhere, early = [], []
    for path in FILES:
        known = {name.partition(".")[0] for name in imported_names(path)} & HOMES.keys()
        elsewhere += [(path, top) for top in known if HOMES[top] != part_of(path)]
        loaded = {name.partition(".")[0] for name in imported_names(path, when_loaded=True)}
        early += [(path, top) for top in loaded & HOMES.keys()]
    assert elsewhere == []
    assert early == []


def test_packages_use_only_those_below_them() -> None:
    floors = {name: floor for floor, names in enumerate(FLOORS) for name in names}
    roof = len(FLOORS)
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert floors.keys() <= packages
    upwards = [
        f"{part_of(path)} -> {used} in {path.relative_to(ROOT)}"
        for path in FILES
        if part_of(path) in packages
        for used in used_parts(path)
        if used in packages and floors.get(used, roof) >= floors.get(part_of(path), roof + 1)
    ]
    assert upwards == []


def test_parts_of_the_package_do_not_use_each_other_in_circles() -> None:
    """Packages, and modules that are in none; also what they import late or for types only."""
    graph: dict[str, set[str]] = {}
    for path in FILES:
        graph.setdefault(part_of(path), set()).update(used_parts(path))
    assert "backends" in graph["pipeline"]
    TopologicalSorter(graph).prepare()


def test_packages_within_packages_do_not_use_each_other_in_circles() -> None:
    """Nor the modules beside them; also what they import late or for types only."""
    packages = {module_name(path) for path in ROOT.glob("*/*/__init__.py")}
    # The tops of packages hold only names that are loaded when they are asked for.
    tops = {"focdepth_ros", *map(module_name, ROOT.glob("*/__init__.py"))}
    modules = {module_name(path): path for path in FILES if module_name(path) not in tops}

    def part(name: str) -> str:
        package = ".".join(name.split(".")[:3])
        return package if package in packages else name

    graph: dict[str, set[str]] = {}
    for name, path in modules.items():
        used = {part(other) for other in imported_names(path) if other in modules}
        graph.setdefault(part(name), set()).update(used - {part(name)})
    assert "focdepth_ros.ros.node_support" in graph["focdepth_ros.ros.depth_node"]
    TopologicalSorter(graph).prepare()


def test_modules_do_not_import_each_other_in_circles() -> None:
    names = {module_name(path): path for path in FILES}
    graph = {
        name: {
            imported
            for imported in imported_names(path, when_loaded=True)
            # The top of the package holds only names that are loaded when they are asked for.
            if imported in names and imported not in (name, "focdepth_ros")
        }
        for name, path in names.items()
    }
    assert sum(map(len, graph.values())) > 50
    TopologicalSorter(graph).prepare()
