"""The files that build and install the package agree with each other and with the code."""

import ast
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

import focdepth_ros

ROOT = Path(__file__).resolve().parents[2]

# What pip calls it, and what rosdep calls it.
ROSDEP_KEYS = {
    "numpy": "python3-numpy",
    "opencv-python-headless": "python3-opencv",
    "pyyaml": "python3-yaml",
    "rich": "python3-rich",
    "typer": "python3-typer",
}


TORCH_PACKAGES = {
    "lightning-fabric", "onnx", "onnxruntime", "onnxscript", "safetensors", "tensorboard", "timm",
    "torch", "torchvision",
}  # fmt: skip


@pytest.fixture(scope="module")
def manifest() -> ElementTree.Element:
    return ElementTree.parse(ROOT / "package.xml").getroot()


def requirements(name: str) -> dict[str, str]:
    lines = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    split = [re.match(r"([\w.-]+)(.*)", line) for line in lines]
    return {match[1].lower(): match[2] for match in split if match}


def executables() -> list[tuple[str, str, str]]:
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    return re.findall(r'"(\w+)=(focdepth_ros[\w.]*):(\w+)"', text)


def test_one_version(manifest: ElementTree.Element) -> None:
    assert manifest.findtext("version") == focdepth_ros.__version__


def test_every_base_requirement_is_a_ros_dependency(manifest: ElementTree.Element) -> None:
    declared = {element.text for element in manifest.iter("exec_depend")}
    assert {ROSDEP_KEYS[name] for name in requirements("base")} <= declared


def test_every_message_is_generated() -> None:
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    for message in (ROOT / "msg").glob("*.msg"):
        assert f"msg/{message.name}\n" in text


@pytest.mark.parametrize(("name", "module", "function"), executables())
def test_executables_start_functions_that_exist(name: str, module: str, function: str) -> None:
    # Read, not imported: the nodes need ROS 2, which need not be here.
    path = ROOT.joinpath(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    imported = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert function in defined | imported, f"{name} starts {module}:{function}"


def test_executables_include_the_nodes_and_the_command_line() -> None:
    nodes = {"depth_node", "sim_camera_node", "sweep_node", "bag_player_node", "evaluator_node"}
    nodes |= {"uvc_camera_node", "target_recorder"}
    assert {"focdepth", *nodes} <= {name for name, _, _ in executables()}


@pytest.mark.parametrize("name", ["ros", "ros-build"])
def test_ros_wheels_are_pinned_and_asked_for_only_where_they_exist(name: str) -> None:
    wheels = {k: v for k, v in requirements(name).items() if k.startswith("ros-")}
    assert wheels
    for requirement, rest in wheels.items():
        assert re.search(r"==\d+\.\d+\.\d+; ", rest), f"{requirement} is not pinned"
        assert 'platform_machine == "x86_64"' in rest
        assert 'python_version >= "3.10" and python_version < "3.14"' in rest


def test_same_wheel_has_the_same_pin_everywhere() -> None:
    runtime, build = requirements("ros"), requirements("ros-build")
    shared = runtime.keys() & build.keys()
    assert shared
    assert {name: runtime[name] for name in shared} == {name: build[name] for name in shared}


def test_torch_comes_only_with_its_extra() -> None:
    for name in ("base", "simulation", "ros", "test", "develop"):
        assert not TORCH_PACKAGES & requirements(name).keys()


def test_torch_and_torchvision_are_a_pair() -> None:
    pins = requirements("torch-test")
    assert (pins["torch"], pins["torchvision"]) == ("==2.14.1", "==0.29.1")


def test_what_the_torch_tests_need_is_looked_for() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    names = re.search(r"TORCH_PACKAGES := (.*)", text)
    assert names is not None
    needed = {name for file in ("torch", "training", "export") for name in requirements(file)}
    assert {name.replace("_", "-") for name in names[1].split(", ")} == needed == TORCH_PACKAGES


def test_style_and_scripts_of_the_page_are_installed() -> None:
    kinds = {path.suffix for path in (ROOT / "focdepth_ros" / "web").iterdir() if path.is_file()}
    assert kinds == {".py", ".css", ".js"}
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    manifest = (ROOT / "MANIFEST.in").read_text(encoding="utf-8")
    for suffix in kinds - {".py"}:
        assert f'"web/*{suffix}"' in project
        assert f"focdepth_ros/web/*{suffix}" in manifest


def test_weights_are_installed() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    files = list((ROOT / "focdepth_ros" / "weights").iterdir())
    assert "index.yaml" in {path.name for path in files}
    manifest = (ROOT / "MANIFEST.in").read_text(encoding="utf-8")
    (line,) = [line for line in manifest.splitlines() if "focdepth_ros/weights" in line]
    for path in files:
        assert f'"weights/*{path.suffix}"' in text, path
        assert f"*{path.suffix}" in line.split(), path


def test_the_model_of_niqe_is_installed() -> None:
    pattern = "evaluation/niqe_model.*"
    found = {path.suffix for path in (ROOT / "focdepth_ros").glob(pattern)}
    assert found == {".npz", ".md"}
    assert f'"{pattern}"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    text = (ROOT / "MANIFEST.in").read_text(encoding="utf-8")
    assert f"include focdepth_ros/{pattern}" in text.splitlines()
